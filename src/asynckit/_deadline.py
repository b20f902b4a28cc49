"""Deadlines whose error says what was late, by how much time it was given, and where."""

from __future__ import annotations

import sys
from types import FrameType, TracebackType
from typing import Self

import anyio

from asynckit._checks import checked_seconds


def timeout(delay: float | None) -> Deadline:
    """Bound the time of a block.

    It is a plain `with`, inside async code: entering and leaving it never wait.

    Args:
        delay: Seconds from entering the block; 0 gives up at the first checkpoint, `None` and infinity never do.

    Returns:
        The deadline, to ask how much time remains or to move it.

    Raises:
        TimeoutError: On leaving the block, if it was cancelled because its time was up. The message says how long the
            block had and where the deadline was set; the cause shows where the block was waiting. Of nested deadlines,
            the one that fired raises. A block that ends without meeting a checkpoint is not late.
        TypeError, ValueError: `delay` is not a number of seconds.

    Cancellation:
        The block is cancelled where it stands when the time is up. A cancellation from outside passes through and
        never becomes a `TimeoutError`; nor is a `TimeoutError` that the block raises itself touched.

    Example:
        >>> import anyio
        >>> from asynckit import timeout
        >>> async def main():
        ...     with timeout(5) as deadline:
        ...         await anyio.sleep(0)
        ...         return deadline.remaining() > 0
        >>> anyio.run(main)
        True
    """
    return Deadline(checked_seconds(delay, name="delay"), sys._getframe(1))


class Deadline:
    """What `timeout` gives, bound by `with timeout(…) as deadline`."""

    __slots__ = ("_delay", "_left", "_scope", "_words")

    def __init__(self, delay: float, frame: FrameType) -> None:
        self._delay = delay
        self._words = f"deadline set at {_place(frame)}"
        self._scope: anyio.CancelScope | None = None
        self._left = False

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
        self._left = True
        if scope.cancelled_caught:
            raise self.error() from error
        return swallowed

    def __repr__(self) -> str:
        return f"<Deadline of {self._delay:g} s, {self._words}>"

    def error(self) -> TimeoutError:
        """The exception that says that this deadline was not met."""
        return TimeoutError(f"timed out after {self._delay:g} s, by the {self._words}")

    @property
    def _entered(self) -> anyio.CancelScope:
        if self._scope is None:
            raise RuntimeError("the deadline is not running: it begins when its `with` block is entered")
        return self._scope

    @property
    def deadline(self) -> float:
        """When the time is up, on the event loop's clock (`anyio.current_time`), in seconds; infinity for never.

        Raises:
            RuntimeError: The block has not been entered.
        """
        return self._entered.deadline

    @property
    def expired(self) -> bool:
        """Whether the block is being, or was, cancelled because its time was up."""
        if self._scope is None:
            return False
        return self._scope.cancelled_caught if self._left else self._scope.cancel_called

    def remaining(self) -> float:
        """Seconds left, 0 when the time is up, infinity without an end.

        Raises:
            RuntimeError: The block has not been entered.
        """
        return max(0.0, self._entered.deadline - anyio.current_time())

    def reschedule(self, delay: float | None) -> None:
        """Let the time be up `delay` seconds from now, whatever was set before.

        Args:
            delay: Seconds from now; `None` and infinity for never.

        Raises:
            RuntimeError: The block has not been entered or has been left, or its time is up and it is being cancelled.
            TypeError, ValueError: `delay` is not a number of seconds.
        """
        seconds = checked_seconds(delay, name="delay")
        if self._left:
            raise RuntimeError("the block has been left; there is nothing more to give time to")
        if self._entered.cancel_called:
            raise RuntimeError("the time of this block is up; it is too late to give it more")
        self._delay = seconds
        self._words = f"deadline moved at {_place(sys._getframe(1))}"
        self._entered.deadline = anyio.current_time() + seconds


def _place(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
