"""Blocks that are cancelled when their time is up: what deadlines, idle timeouts and shields have in common."""

from __future__ import annotations

import math
import threading
from time import thread_time
from types import CodeType, FrameType, TracebackType
from typing import TYPE_CHECKING, NamedTuple
from weakref import ref

import anyio

from asynckit._native import native_task

if TYPE_CHECKING:
    import asyncio

_NOTABLE = 0.1
"""From how many seconds on it is said that the event loop was blocked: asyncio's own `slow_callback_duration`."""

_BUSY = 0.8
"""From which share of the time on, spent computing, trio's loop is held to have been blocked."""


class Place(NamedTuple):
    """Where something was called, without keeping the frame, which would keep all that its variables refer to."""

    f_code: CodeType
    f_lineno: int


class TimedBlock:
    """A block with a time when it is up."""

    __slots__ = ("_code", "_computed", "_delay", "_late", "_left", "_line", "_scope", "_started", "_watch")

    def __init__(self, delay: float, frame: FrameType | Place) -> None:
        self._delay = delay
        # The words for the place are left for later, since it is seldom told.
        self._code = frame.f_code
        self._line = frame.f_lineno
        self._scope: anyio.CancelScope | None = None

    def _begin(self, delay: float, when: float | None = None, *, shield: bool = False) -> None:
        """Enter the scope, which ends `delay` seconds from now, or at the time `when`."""
        self._left = False
        self._late: float | None = None
        task = native_task()
        watch: _Watch | None = None
        if task is None:
            make = anyio.CancelScope
            now = anyio.current_time()
            self._computed = thread_time()
        else:
            loop = task.get_loop()
            now = loop.time()
            watch = _local.watch
            if watch is None or watch.loop() is not loop:
                watch = _local.watch = _Watch(loop)
            make = watch.make_scope
        if when is None:
            when = now + delay
        else:
            self._delay = max(0.0, when - now)
        self._started = now
        self._scope = scope = make(deadline=when, shield=shield)
        scope.__enter__()
        self._watch = watch
        if watch is not None:
            watch.blocks.add(self)
            if when < watch.due:
                watch.set(max(when, now))

    def _end(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        """Leave the scope.

        Returns:
            Whether the exception was its cancellation.
        """
        scope = self._scope
        assert scope is not None
        if self._watch is not None:
            self._watch.blocks.discard(self)
        try:
            return bool(scope.__exit__(kind, error, trace)) and error is not None
        finally:
            self._left = True

    def _move(self, when: float) -> None:
        """Set another time."""
        self._entered.deadline = when
        if self._watch is not None and when < self._watch.due:
            self._watch.set(when)

    def _blocked(self) -> str:
        """Words for a message, if nobody could have been in time since the event loop was blocked."""
        if self._scope is None:
            return ""
        late = self._late or 0.0
        if native_task() is None:
            # trio calls nobody back. Where the thread has computed nearly all the time, there is no doubt.
            now = anyio.current_time()
            if thread_time() - self._computed >= _BUSY * (now - self._started):
                late = now - max(self._scope.deadline, self._started)
        return f"; the event loop was blocked for about {late:.3g} s when the time was up" if late >= _NOTABLE else ""

    @property
    def _place(self) -> str:
        return f"{self._code.co_filename}:{self._line}"

    @property
    def _entered(self) -> anyio.CancelScope:
        if self._scope is None:
            raise RuntimeError(f"the {self._kind} is not running: it begins when its `with` block is entered")
        return self._scope

    @property
    def _kind(self) -> str:
        return "deadline"

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


class _Watch:
    """Sees when a loop of asyncio was too busy to notice that a time was up, for all blocks on it.

    Scopes do not tell when they fired, and without that a loop that was blocked looks like slow clean-up. One timer is
    enough, set for the block that is due first; it stays when that block is left, so that a block costs no timer.
    """

    __slots__ = ("_timer", "blocks", "due", "loop", "make_scope")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = ref(loop)
        self._timer: asyncio.TimerHandle | None = None
        self.blocks: set[TimedBlock] = set()
        self.due = math.inf
        # `anyio.CancelScope(…)` looks up the back end each time and initialises twice; the type that it gives does not.
        self.make_scope = type(anyio.CancelScope())

    def set(self, when: float) -> None:
        """Look at the blocks at this time."""
        if self._timer is not None:
            self._timer.cancel()
        loop = self.loop()
        assert loop is not None
        self.due = when
        self._timer = loop.call_at(when, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        overdue = now - self.due
        nearest = self.due = math.inf
        self._timer = None
        for block in self.blocks:
            when = block._entered.deadline
            if when > now:
                nearest = min(nearest, when)
            elif block._late is None:
                block._late = min(now - max(when, block._started), overdue)
        if nearest < math.inf:
            # Many that are due one after another are looked at together: their lateness need not be exact.
            self.set(max(nearest, now + _NOTABLE / 2))


class _Local(threading.local):
    watch: _Watch | None = None
    """That of the loop which has run last in this thread."""


_local = _Local()
