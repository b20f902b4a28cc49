"""Coroutine objects given as arguments: what is none is refused, and none is left that was never awaited."""

from __future__ import annotations

import inspect
from collections.abc import Coroutine, Iterator
from typing import Any, Generic, TypeVar

R = TypeVar("R")


class Coroutines(Generic[R]):
    """Coroutine objects that have an owner, who closes those that have not begun when it ends.

    Also when it never begins: a task that is cancelled before its first step runs no line of its function, so no
    `finally` either, but lets go of the function's arguments.
    """

    __slots__ = ("_coros",)

    def __init__(self, coros: tuple[Coroutine[Any, Any, R], ...], *, name: str) -> None:
        """Take them over, or close them all.

        Args:
            coros: The arguments of a function.
            name: Its name, for messages.

        Raises:
            TypeError: One is no coroutine.
            ValueError: One is there twice.
        """
        self._coros = coros
        try:
            seen: set[int] = set()
            for position, coro in enumerate(coros):
                if not inspect.iscoroutine(coro):
                    raise TypeError(
                        f"argument {position} of `{name}` must be a coroutine, not {coro!r}{_hint(coro, name)}"
                    )
                if id(coro) in seen:
                    raise ValueError(
                        f"argument {position} of `{name}` was passed before, and a coroutine can be awaited once only;"
                        " call the async function again for another"
                    )
                seen.add(id(coro))
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Coroutine[Any, Any, R]]:
        return iter(self._coros)

    def __len__(self) -> int:
        return len(self._coros)

    def close(self) -> None:
        """Close those that have not begun, so that there is no warning that they were never awaited."""
        for coro in self._coros:
            if inspect.iscoroutine(coro) and inspect.getcoroutinestate(coro) == inspect.CORO_CREATED:
                coro.close()

    def __del__(self) -> None:
        self.close()


def _hint(wrong: object, name: str) -> str:
    """How to make a coroutine of it."""
    if inspect.iscoroutinefunction(wrong):
        return f"; call it: `{name}({wrong.__name__}(…))`"
    if isinstance(wrong, (list, tuple)):
        return f"; unpack it with a star: `{name}(*coros)`"
    if inspect.isawaitable(wrong):
        return "; await it in an async function, and pass what that returns"
    return ""
