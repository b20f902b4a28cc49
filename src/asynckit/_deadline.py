"""Deadlines whose error says what was late, by how much time it was given, and where."""

from __future__ import annotations

import math
import sys
from types import FrameType, TracebackType
from typing import Self

import anyio

from asynckit._errors import checked_seconds


def timeout(delay: float | None) -> Deadline:
    """Bound the time of a block.

    Use it in a plain `with`, inside async code:

        with timeout(5):
            await fetch()

    Args:
        delay: Seconds from entering the block; 0 gives up at the first checkpoint, `None` and infinity never do.

    Raises:
        TimeoutError: On leaving the block, if its time was up before it ended. The message says how long the block had
            and where the deadline was set. Of nested deadlines, the one that fired raises.
        TypeError, ValueError: `delay` is not a number of seconds.

    Cancellation:
        The block is cancelled where it stands when the time is up. A cancellation from outside passes through and
        never becomes a `TimeoutError`; nor is a `TimeoutError` that the block raises itself touched.
    """
    return Deadline(checked_seconds(delay, name="delay"), sys._getframe(1))


class Deadline:
    """What `timeout` gives; bound by `with timeout(…) as deadline`."""

    __slots__ = ("_delay", "_place", "_scope")

    def __init__(self, delay: float, frame: FrameType) -> None:
        self._delay = delay
        self._place = (frame.f_code.co_filename, frame.f_lineno)
        self._scope: anyio.CancelScope | None = None

    def __enter__(self) -> Self:
        if self._scope is not None:
            raise RuntimeError("a deadline can be entered once; call `timeout` again for another block")
        self._scope = anyio.CancelScope(deadline=anyio.current_time() + self._delay)
        self._scope.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        scope = self._entered
        swallowed = bool(scope.__exit__(kind, error, trace))
        if scope.cancelled_caught:
            raise TimeoutError(self._message())
        return swallowed

    def _message(self) -> str:
        path, line = self._place
        return f"timed out after {self._delay:g} s, by the deadline set at {path}:{line}"

    @property
    def _entered(self) -> anyio.CancelScope:
        if self._scope is None:
            raise RuntimeError("the deadline is not running: it begins when its `with` block is entered")
        return self._scope

    @property
    def deadline(self) -> float:
        """When the time is up, on the event loop's clock (`anyio.current_time`), in seconds."""
        return self._entered.deadline

    @property
    def expired(self) -> bool:
        """Whether the block was cancelled because its time was up."""
        return self._entered.cancelled_caught

    def remaining(self) -> float:
        """Seconds left, 0 when the time is up."""
        return max(0.0, self._entered.deadline - anyio.current_time())

    def reschedule(self, delay: float | None) -> None:
        """Let the time be up `delay` seconds from now, whatever was set before; `None` and infinity: never.

        Raises:
            RuntimeError: The time is up already, and the block is being cancelled.
        """
        seconds = checked_seconds(delay, name="delay")
        if self._entered.cancel_called:
            raise RuntimeError("the time of this block is up; it is too late to give it more")
        self._delay = seconds
        self._entered.deadline = anyio.current_time() + seconds if seconds < math.inf else math.inf
