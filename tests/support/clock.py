"""Event loops whose clock is virtual: when nothing is left to do, it jumps to the next thing that is due.

Tests of what takes time take none, and their times are exact. No threads and no I/O: neither moves this clock.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Callable
from contextvars import Context
from typing import Any

import trio.testing

from .loops import EagerLoop

try:
    import uvloop
except ImportError:
    uvloop = None


class _VirtualTime:
    """Mixed into an event loop: keeps its timers, and its time.

    While there are timers, a tick goes round in the loop's queue. Whatever is called soon between one tick and the next
    is counted; if nothing is, the queue is empty but for the tick, and it is time to jump. This needs to know nothing
    of the insides of a loop, so it serves uvloop as well.
    """

    def __init__(self) -> None:
        self._now = 1000.0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = itertools.count()
        self._called = 0
        self._called_before_tick = -1
        self._ticking = False
        super().__init__()

    def time(self) -> float:
        return self._now

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)  # type: ignore[arg-type]
        if when < math.inf:
            heapq.heappush(self._timers, (when, next(self._numbers), handle))
        if self._timers and not self._ticking:
            self._ticking = True
            self._called_before_tick = -1
            super().call_soon(self._tick)  # type: ignore[misc]
        return handle

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        self._called += 1
        return super().call_soon(callback, *args, context=context)  # type: ignore[misc,no-any-return]

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Asked by the handle; it is dropped when its time comes."""

    def _tick(self) -> None:
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        if self._timers and self._called == self._called_before_tick:
            self._now = max(self._now, self._timers[0][0])
        while self._timers and self._timers[0][0] <= self._now:
            handle = heapq.heappop(self._timers)[2]
            if not handle.cancelled():
                handle._run()
        self._ticking = bool(self._timers)
        self._called_before_tick = self._called
        if self._ticking:
            super().call_soon(self._tick)  # type: ignore[misc]


class VirtualLoop(_VirtualTime, asyncio.SelectorEventLoop):
    """asyncio's own."""


class VirtualEagerLoop(_VirtualTime, EagerLoop):
    """asyncio's own, with eager tasks."""


if uvloop is not None:

    class VirtualUvloop(_VirtualTime, uvloop.Loop):
        """uvloop's."""


def with_virtual_clock(backend: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """The same back end, with a clock that jumps: for a fixture `anyio_backend` that overrides the common one."""
    name, options = backend
    if name == "trio":
        return name, {**options, "clock": trio.testing.MockClock(autojump_threshold=0)}
    if options.get("loop_factory") is EagerLoop:
        return name, {"loop_factory": VirtualEagerLoop}
    return name, {"loop_factory": VirtualUvloop if options.get("use_uvloop") else VirtualLoop}
