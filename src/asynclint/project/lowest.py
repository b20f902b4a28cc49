"""What is lowest among all that a node of a graph leads to."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from operator import itemgetter
from typing import Generic, TypeVar

from asynclint.project.answers import Answers

T = TypeVar("T", bound=Hashable)
NOWHERE = 1 << 30
"""The value of a node that neither has one nor leads to one that has."""


class Lowest(Generic[T]):
    """The lowest value of a node and all that it leads to, found for all of them at once, in linear time.

    `Answers` would do for a tree. Of nodes in a circle none is answered before the others, and it forgets what rested
    on an unfinished one: each would be followed round again.
    """

    def __init__(self, kind: str, answers: Answers, look: Callable[[T], tuple[int, Iterable[T]]]) -> None:
        """Say how to look at a node: its own value, and the nodes it leads to."""
        self._kind = kind
        self._answers = answers
        self._look = look
        self._starts: dict[T, T] = {}

    def of(self, node: T) -> int:
        """The lowest value of all that `node` leads to, and its own."""
        start = self._starts.get(node, node)
        found: dict[T, int] = self._answers.get((self._kind, start), {}, self._find, (start,))
        return found.get(node, NOWHERE)  # not found where questions nest too deeply

    def _find(self, start: T) -> dict[T, int]:
        """`of` for a node and all that it leads to, but for what an earlier start has led to."""
        lowest: dict[T, int] = {}
        leading: dict[T, list[T]] = {start: []}
        self._starts[start] = start
        pending = [start]
        while pending:
            node = pending.pop()
            value, following = self._look(node)
            for other in following:
                if other in leading:
                    leading[other].append(node)
                elif self._starts.setdefault(other, start) == start:
                    leading[other] = [node]
                    pending.append(other)
                else:
                    value = min(value, self.of(other))
            lowest[node] = value
        for node, value in sorted(lowest.items(), key=itemgetter(1)):
            pending = [node]
            while pending:
                for other in leading.pop(pending.pop(), ()):
                    if other in leading:
                        lowest[other] = value
                        pending.append(other)
        return lowest
