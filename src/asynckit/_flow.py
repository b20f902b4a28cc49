"""The engine of `stream`: the workers of `amap`, with a window between them and the one who takes the results."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from contextlib import suppress
from itertools import islice
from types import TracebackType
from typing import Any, Literal, TypeVar

import anyio
import anyio.lowlevel

from asynckit._group import Group
from asynckit._outcome import Failure, Success
from asynckit._pull import BREATH, SKIPPED, OnError, Work, interrupted
from asynckit._rate import RateLimiter
from asynckit._steps import as_coroutine

T = TypeVar("T")
R = TypeVar("R")

_NOBODY = -1


class Window:
    """Results on their way, in the place of the list that `amap` fills.

    Each has a number: that of its item, or of its completion. No lock and no event is needed while both sides have
    something to do; whoever has not waits for an event that the other side sets.

    Invariant: if there is room and workers wait for room, then at least as many as there is room for have been woken
    and are about to look. That is why each result that is taken wakes one.
    """

    __slots__ = ("_completed", "_ordered", "capacity", "ready", "skipped", "started", "taker", "turn", "waiting")

    def __init__(self, capacity: float, *, ordered: bool) -> None:
        self._ordered = ordered
        self._completed = 0
        self.capacity: float = capacity
        self.started: int = 0
        self.skipped: int = 0
        """How many were skipped without waiting for their turn."""
        self.turn: int = 0
        """The number of the result to be taken next, so also how many have been taken; or that of none, ever."""
        self.ready: dict[int, Any] = {}
        self.taker: anyio.Event | None = None
        """Set when it may be worth looking for a result; there only while somebody waits for one."""
        self.waiting: deque[anyio.Event] = deque()
        """Of each worker that waits for room."""

    def __len__(self) -> int:
        """As the engine sees it: the number of the item that starts next."""
        return self.started

    def append(self, _: None, /) -> None:
        """An item starts."""
        self.started += 1

    def __setitem__(self, index: int, result: Any, /) -> None:
        """An item has ended."""
        if not self._ordered:
            if result is SKIPPED:  # it takes no room while it waits for its turn, for it has none
                self.skipped += 1
                self.wake_taker()  # it may have been the last
                return
            index = self._completed
            self._completed += 1
        self.ready[index] = result
        if self.taker is not None and index == self.turn:
            self.wake_taker()

    def room(self) -> float:
        """How many items may start."""
        return self.capacity + self.turn + self.skipped - self.started

    def wake_taker(self) -> None:
        if self.taker is not None:
            self.taker.set()
            self.taker = None

    def shut(self) -> None:
        """Let nothing be taken any more."""
        self.turn = _NOBODY
        self.ready.clear()
        self.wake_taker()


class Flow(Work[T, R]):
    """One call of `stream`: its workers run in a task group, which the body of the caller's `async with` is part of."""

    def __init__(
        self,
        func: Callable[[T], Awaitable[Any]],
        items: Iterable[T] | AsyncIterable[T],
        *,
        limit: float,
        ordered: bool,
        buffer: float,
        on_error: OnError,
        item_timeout: float,
        rate: RateLimiter | None,
    ) -> None:
        super().__init__(func, items, limit=limit, on_error=on_error, item_timeout=item_timeout, rate=rate)
        self.window: Window = Window(limit + buffer, ordered=ordered)
        self._results = self.window
        # Up to `limit` results are there after each round of the event loop: to stop halfway would stop workers too.
        self.breath: float = BREATH if limit == math.inf else max(BREATH, limit)
        """Results taken in a row without waiting, after which the event loop gets its turn."""
        # Workers take items from `_source`, a portion of `_iterator`.
        self._portioned = 0.0
        if self._source is not None:
            self._next_portion()
        self.state: Literal["new", "open", "ended", "broken", "left"] = "new"
        """`ended` when the source has, `broken` when a failure or a cancellation ended it all."""

    async def enter(self) -> None:
        """Begin; the items start at the next checkpoint."""
        self._block = Group(self._raised)
        self._group = await self._block.__aenter__()
        self.state = "open"
        self._group.start_soon(self._worker)

    async def leave(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Cancel what still runs and wait for it.

        Returns:
            Whether `error`, which the body raised, has been dealt with.
        """
        self.state = "left"
        self._stopped = True
        was_cancelled = self._group.cancel_scope.cancel_called
        self._group.cancel_scope.cancel()
        self.window.shut()
        try:
            try:
                dealt_with = bool(await self._block.__aexit__(kind, error, trace))
            except BaseExceptionGroup as errors:
                if len(errors.exceptions) == 1 and _is_same(errors.exceptions[0], error):
                    return False  # the body's own goes on its way as it is: nothing else has failed
                raise
            if was_cancelled:
                await anyio.lowlevel.checkpoint_if_cancelled()
                raise interrupted()
            return dealt_with
        finally:
            del error, trace  # an error refers to this frame
            await self._close()

    async def wait_for_result(self) -> None:
        """Wait until it may be worth looking again."""
        window = self.window
        if self.state == "broken":
            await anyio.lowlevel.checkpoint()  # the body has been cancelled
            raise RuntimeError(
                "this stream has failed or was cancelled: leave its `async with`, which raises the error"
            )
        if self.state == "new":
            raise RuntimeError("nothing runs yet: enter the stream by `async with stream(…) as results`")
        if self.state == "left":
            raise RuntimeError("the block of this stream has been left; take results inside its `async with`")
        if self.state == "ended" and window.turn + window.skipped == window.started:
            raise StopAsyncIteration
        if window.taker is None:
            window.taker = anyio.Event()
        await window.taker.wait()

    async def _at_end(self) -> bool:
        """The source, or the portion of it for which there was room, is at its end."""
        if self._source is None or self._portioned > self.window.started:
            self._end()
        while not self._stopped and self.window.room() <= 0:
            await self._wait_for_room()
        if not self._stopped and self._portioned == self.window.started:
            self._next_portion()
        return self._stopped

    def _next_portion(self) -> None:
        """Let workers take as many items as there is room for, without asking for each whether there is."""
        room = self.window.room()
        self._portioned = self.window.started + room
        assert self._iterator is not None
        self._source = islice(self._iterator, None if room == math.inf else int(room))

    async def _next(self) -> T:
        while not self._stopped and self.window.room() <= 0:
            await self._wait_for_room()
        return await super()._next()

    async def _wait_for_room(self) -> None:
        event = anyio.Event()
        self.window.waiting.append(event)
        try:
            await event.wait()
        except BaseException:
            # It must not be woken in the place of another. If it has been already, it looks again, should it go on.
            with suppress(ValueError):
                self.window.waiting.remove(event)
            raise  # for the engine to tell where it comes from

    def _end(self) -> None:
        """The source has come to its end."""
        self._stopped = True
        if self.state == "open":
            self.state = "ended"
            self.window.wake_taker()

    def _break_off(self) -> None:
        super()._break_off()
        if self.state != "left":
            self.state = "broken"
        # At once, and not when the task group hears of it: no result comes after an error, though it be there already.
        self._group.cancel_scope.cancel()
        self.window.shut()


def _is_same(one: BaseException, other: BaseException | None) -> bool:
    """Whether they are the same, though groups may be copies: trio takes them apart to sort cancellations out."""
    if isinstance(one, BaseExceptionGroup) and isinstance(other, BaseExceptionGroup):
        return len(one.exceptions) == len(other.exceptions) and all(map(_is_same, one.exceptions, other.exceptions))
    return one is other


class OutcomeFlow(Flow[T, Any]):
    """One call of `stream_outcomes`."""

    def __init__(self, func: Callable[[T], Awaitable[Any]], *args: Any, **kwargs: Any) -> None:
        async def succeeding(item: T) -> Any:
            return item, Success(await as_coroutine(func(item)))

        super().__init__(succeeding, *args, **kwargs)

    def _keep(self, index: int, item: T, error: Exception) -> bool:
        self._results[index] = item, Failure(error)
        return True
