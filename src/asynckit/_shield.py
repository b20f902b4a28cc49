"""Clean-up that is not cancelled half-way, and does not take for ever either."""

from __future__ import annotations

import logging
import math
import sys
from types import FrameType, TracebackType
from typing import Self

import anyio

from asynckit._checks import checked_seconds
from asynckit._timed import TimedBlock

_logger = logging.getLogger("asynckit.shield")


def shield(grace: float) -> Shield:
    """Hold cancellation off from a block of clean-up, for so long and no longer.

    It is a plain `with`, and works in a `finally` or `except` that a cancellation has led to, where every other wait
    would be cancelled at once.

    If the block does not end in time, it is cancelled. What then becomes of that depends on what is around it:

    - If a cancellation is held off, or was on its way when the block was entered, that goes on its way: nobody asks for
      a `TimeoutError` then, and one that took the place of the cancellation would undo it. A warning is logged, by the
      logger `asynckit.shield`, since clean-up that was cut short is worth to know of.
    - Else a `TimeoutError` is raised.

    To do something else when one step of the clean-up takes too long, put a `timeout` around that step, in the shield.
    Deadlines set outside do not reach the block, and those set inside it hold.

    Args:
        grace: Seconds the block may take; finite.

    Returns:
        The context manager, to ask how much time remains.

    Raises:
        TimeoutError: On leaving the block, as above. The message says how long the block had and where; the cause shows
            where it was waiting.
        TypeError, ValueError: `grace` is not a finite number of seconds.

    Cancellation:
        From outside, it waits until the block has been left; the next checkpoint meets it. A `task.cancel()` of asyncio
        itself, by `asyncio.timeout` or `asyncio.TaskGroup` too, is not held off, since nothing in the task could do
        that: it interrupts the block.

    Example:
        >>> import anyio
        >>> from asynckit import shield
        >>> async def main():
        ...     with anyio.CancelScope() as scope:
        ...         try:
        ...             scope.cancel()
        ...             await anyio.sleep_forever()
        ...         finally:
        ...             with shield(grace=5):
        ...                 await anyio.sleep(0)
        ...                 print("cleaned up")
        >>> anyio.run(main)
        cleaned up
    """
    seconds = checked_seconds(grace, name="grace")
    if seconds == math.inf:
        raise ValueError(
            f"`grace` must be a finite number of seconds, not {grace!r}: a shield without an end can hang for ever; if"
            " that is what you want, use `anyio.CancelScope(shield=True)`"
        )
    return Shield(seconds, sys._getframe(1))


class Shield(TimedBlock):
    """What `shield` gives, bound by `with shield(…) as shielded`."""

    __slots__ = ("_cut_short", "_on_its_way")

    def __init__(self, grace: float, frame: FrameType) -> None:
        super().__init__(grace, frame)
        self._on_its_way = False
        self._cut_short = False

    def __enter__(self) -> Self:
        if self._scope is not None:
            raise RuntimeError("a shield can be entered once; call `shield` again for another block")
        self._on_its_way = isinstance(sys.exc_info()[1], anyio.get_cancelled_exc_class())
        self._begin(self._delay, shield=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        scope = self._entered
        if error is not None and scope.cancel_called:
            # Without the shield, the scope lets its cancellation pass if there is one around it, and takes it if not.
            scope.shield = False
        taken = self._end(kind, error, trace)
        self._cut_short = taken or (scope.cancel_called and _is_cancellation(error))
        if taken and not self._on_its_way:
            raise self.error() from error
        if self._cut_short:
            _logger.warning("clean-up was cut short: it was not done %s", self._words())

    def __repr__(self) -> str:
        return f"<Shield of {self._delay:g} s, shield set at {self._place}>"

    def error(self) -> TimeoutError:
        """The exception that says that the block did not end in time."""
        return TimeoutError(f"clean-up was not done {self._words()}")

    def _words(self) -> str:
        return f"after {self._delay:g} s, the grace of the shield set at {self._place}{self._blocked()}"

    @property
    def _kind(self) -> str:
        return "shield"

    @property
    def expired(self) -> bool:
        """Whether the block is being, or was, cancelled because its time was up."""
        if self._scope is None:
            return False
        return self._cut_short if self._left else self._scope.cancel_called


def _is_cancellation(error: BaseException | None) -> bool:
    kind = anyio.get_cancelled_exc_class()
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(kind) is not None
    return isinstance(error, kind)
