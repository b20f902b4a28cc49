"""Doing something at every place where an async function waits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from anyio.lowlevel import checkpoint


class InjectedError(Exception):
    """Raised at a point."""


class Points:
    """Counts the places where a function under test waits, and does something at one of them."""

    def __init__(self, at: int, action: Callable[[], None]) -> None:
        """Call `action` at the place number `at`, from 1."""
        self.count = 0
        self._at = at
        self._action = action

    async def __call__(self) -> None:
        """A place."""
        self.count += 1
        if self.count == self._at:
            self._action()
        await checkpoint()

    @property
    def reached(self) -> bool:
        """Whether the place was met; if not, all places have been tried."""
        return self.count >= self._at


def _raise() -> None:
    raise InjectedError


async def every_point(run: Callable[[Points], Awaitable[None]], *, cancel: bool) -> int:
    """Cancel from outside, or fail, at each point of `run` in turn.

    Returns:
        The number of points.
    """
    number = 0
    while True:
        number += 1
        with anyio.CancelScope() as scope:
            points = Points(number, scope.cancel if cancel else _raise)
            failed = False
            others: BaseExceptionGroup | None = None
            try:
                await run(points)
            except BaseExceptionGroup as errors:
                failed = True
                others = errors.split(InjectedError)[1]
            if failed:
                assert not cancel
                assert others is None
            else:
                assert cancel or not points.reached, "the injected error was lost"
        if not points.reached:
            return number - 1
        assert not cancel or scope.cancelled_caught, "the cancellation was swallowed"
