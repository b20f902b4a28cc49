"""Doing something at every place where an async function waits."""

from __future__ import annotations

import asyncio
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


async def every_point_natively(run: Callable[[Points], Awaitable[None]]) -> int:
    """Cancel the task by asyncio's `Task.cancel` at each point of `run` in turn.

    The task must end cancelled and the request must stand, for who counts them: `asyncio.timeout`, `asyncio.TaskGroup`.

    Returns:
        The number of points.
    """
    number = 0
    while True:
        number += 1
        started: list[Points] = []
        requests = -1

        async def main() -> None:
            nonlocal requests
            task = asyncio.current_task()
            assert task is not None
            points = Points(number, task.cancel)  # noqa: B023  # it ends before the next begins
            started.append(points)  # noqa: B023
            try:
                await run(points)
            finally:
                requests = task.cancelling()

        task = asyncio.create_task(main())
        await asyncio.wait([task])
        if not started[0].reached:
            assert task.exception() is None
            assert requests == 0
            return number - 1
        assert task.cancelled(), "the cancellation was swallowed"
        assert requests == 1
