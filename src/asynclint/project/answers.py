"""Answers, remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from asynclint.project.trace import Trace

T = TypeVar("T")
_DEPTH = 200
"""Questions nest (a call's result is another call's result …); beyond this the answer is: not known."""
_COMPLETE = 1 << 30


class Answers:
    """Remembers answers so that they do not depend on the order of the questions.

    A question that comes up while it is being answered (a loop variable that is bound to its own attribute) gets the
    empty answer. What was answered on such a ground holds only for the question that is under way: it is forgotten
    when that one is answered, and found anew when it is asked for itself.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace: Trace = trace
        self._known: dict[Any, tuple[Any, int, int]] = {}
        self._provisional: list[Any] = []
        self._depth = 0
        self._lowest = _COMPLETE  # depth of the outermost unfinished question that was leaned on

    def known(self, key: Any) -> Any:
        """The answer to a question that was asked before; `None` if it was not."""
        known = self._known.get(key)
        if known is None:
            return None
        value, number, lowest = known
        self.trace.rest_on(number)
        self._lowest = min(self._lowest, lowest)
        return value

    def get(self, key: Any, empty: T, answer: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        """The answer to the question called `key`: `answer(*arguments)`, or what that gave before.

        Args:
            empty: The answer for a question that depends on itself, or nests too deeply.
        """
        known = self._known.get(key)
        if known is not None:  # as `known`, whose call would cost as much again
            found: T
            found, number, lowest = known
            if number:
                trace = self.trace
                trace.links.append(number << 32 | trace.asker)
            if lowest < self._lowest:  # noqa: PLR1730  # `min` is a call
                self._lowest = lowest
            return found
        depth = self._depth
        if depth > _DEPTH:
            self._lowest = 0
            return empty
        trace, provisional = self.trace, self._provisional
        asker, outer_lowest, start = trace.asker, self._lowest, len(provisional)
        number = trace.asker = trace.fresh() if trace.is_noted else 0
        self._lowest = _COMPLETE
        self._known[key] = (empty, number, depth)
        self._depth = depth + 1
        try:
            value = answer(*arguments)
        except RecursionError:
            value, self._lowest = empty, 0  # too deep, as above
        except BaseException:
            del self._known[key]
            self._depth, trace.asker = depth, asker
            raise
        self._depth, trace.asker = depth, asker
        lowest = self._lowest
        self._lowest = outer_lowest
        if lowest >= depth:
            lowest = _COMPLETE
            if len(provisional) > start:
                for other in provisional[start:]:
                    del self._known[other]
                del provisional[start:]
        else:
            provisional.append(key)
            if lowest < outer_lowest:
                self._lowest = lowest
        self._known[key] = (value, number, lowest)
        if number:
            trace.links.append(number << 32 | asker)
            trace.answers.append((number, key, value))
        return value
