"""A limit on silence: a block may take as long as it likes, while it shows signs of life."""

from __future__ import annotations

import sys
from types import FrameType, TracebackType
from typing import Self

import anyio

from asynckit._checks import checked_seconds
from asynckit._timed import TimedBlock


def idle_timeout(delay: float | None) -> IdleTimeout:
    """Bound the time between signs of life of a block: each `beat()` gives it `delay` seconds from then.

    For downloads, subscriptions, and whatever else may take long, but not hang.

    Args:
        delay: Seconds without a beat, from entering the block; `None` and infinity for no end.

    Returns:
        A context manager, bound by `with idle_timeout(…) as idle`; call `idle.beat()` whenever something comes.

    Raises:
        TimeoutError: On leaving the block, if it was cancelled because there was no beat for so long. The message says
            how long ago the last was, how many there were, and where the limit was set; the cause shows where the block
            was waiting.
        TypeError, ValueError: `delay` is not a number of seconds.

    Cancellation:
        The block is cancelled where it stands when the time is up. A cancellation from outside passes through and
        never becomes a `TimeoutError`.

    Example:
        >>> import anyio
        >>> from asynckit import idle_timeout
        >>> async def main():
        ...     with idle_timeout(5) as idle:
        ...         for chunk in range(3):
        ...             await anyio.sleep(0)
        ...             idle.beat()
        ...     return idle.beats
        >>> anyio.run(main)
        3
    """
    return IdleTimeout(checked_seconds(delay, name="delay"), sys._getframe(1))


class IdleTimeout(TimedBlock):
    """What `idle_timeout` gives, bound by `with idle_timeout(…) as idle`.

    Attributes:
        beats: How many signs of life there were.
    """

    __slots__ = ("_last", "beats")

    def __init__(self, delay: float, frame: FrameType) -> None:
        super().__init__(delay, frame)
        self.beats: int = 0

    def __enter__(self) -> Self:
        if self._scope is not None:
            raise RuntimeError("an idle timeout can be entered once; call `idle_timeout` again for another block")
        self._begin(self._delay)
        self._last = anyio.current_time()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._end(kind, error, trace):
            raise self.error() from error

    def __repr__(self) -> str:
        return f"<IdleTimeout of {self._delay:g} s, {self._words()}>"

    def beat(self) -> None:
        """Show a sign of life: the time is up `delay` seconds from now.

        It may come from any task, in the thread of the event loop. When the time is up already, or the block has been
        left, it changes nothing: whoever beats need not know.

        Raises:
            RuntimeError: The block has not been entered.
        """
        if self._entered.cancel_called or self._left:
            return
        self._last = anyio.current_time()
        self.beats += 1
        self._move(self._last + self._delay)

    def error(self) -> TimeoutError:
        """The exception that says that there was no sign of life for too long."""
        ago = f"{anyio.current_time() - self._last:.3g} s" if self._scope is not None else "not"
        since = (
            f"the last of {self.beats} beat{'s' * (self.beats > 1)} was {ago} ago"
            if self.beats
            else f"there was none since the block was entered {ago} ago"
        )
        return TimeoutError(
            f"timed out: no beat for {self._delay:g} s, by the {self._words()}; {since}{self._blocked()}"
        )

    def _words(self) -> str:
        return f"idle timeout set at {self._place}"

    @property
    def _kind(self) -> str:
        return "idle timeout"
