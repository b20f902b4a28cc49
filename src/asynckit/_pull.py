"""The engine of `amap`, `gather` and `stream`: few workers take items as they get free, instead of a task for each."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextvars import copy_context
from types import CoroutineType
from typing import Any, Generic, Literal, Protocol, TypeVar

import anyio
import anyio.lowlevel

from asynckit._errors import ChildCancelledError
from asynckit._group import Group
from asynckit._native import native_task
from asynckit._rate import RateLimiter
from asynckit._steps import as_coroutine, cancelled_from_outside, resume, run_in_context, survive_cancellation

T = TypeVar("T")
R = TypeVar("R")

OnError = Literal["cancel", "return", "skip"]

BREATH = 64
"""Items in a row that never wait, after which the event loop gets its turn."""

SKIPPED: Any = object()
END: Any = object()
NOTHING: Any = object()


def interrupted() -> ExceptionGroup[ChildCancelledError]:
    """What to raise if all workers have ended before the work has, without an error or a cancellation from outside.

    A task of asyncio that is cancelled before its first step runs none of its lines, and a task group that one of its
    tasks leaves in this way ends without a word.
    """
    return ExceptionGroup("work was interrupted", [ChildCancelledError("a worker was cancelled before it began")])


class Results(Protocol):
    """Where results go: a list, or what behaves like one as far as workers see."""

    def __len__(self) -> int: ...
    def __setitem__(self, index: int, result: Any, /) -> None: ...
    def append(self, result: None, /) -> None: ...


class Work(Generic[T, R]):
    """One call of `amap`, of `gather` or of `stream`.

    Invariant: while an item waits, some worker looks for the next, unless the source has come to its end or there are
    `limit` workers; so a source is never read ahead of what runs, and no item that could run stays in it.
    """

    def __init__(
        self,
        func: Callable[[T], Awaitable[R]],
        items: Iterable[T] | AsyncIterable[T],
        *,
        limit: float,
        on_error: OnError,
        item_timeout: float = math.inf,
        rate: RateLimiter | None = None,
        progress: Callable[[], object] | None = None,
    ) -> None:
        self._func = func
        self._iterator: Iterator[T] | None = None
        self._async_source: AsyncIterator[T] | None = None
        if isinstance(items, AsyncIterable):
            self._async_source = items.__aiter__()
        elif isinstance(items, Iterable):
            self._iterator = iter(items)
        else:
            raise TypeError(f"`items` must be an iterable or an async iterable, not {items!r}")
        self._limit = limit
        self._on_error = on_error
        self._item_timeout = item_timeout
        self._rate = rate
        self._progress = progress
        # Workers take items straight from here; if they cannot, they call `_ask`.
        self._source = self._iterator if rate is None else None
        self._asked: T = NOTHING  # an item that has been taken and waits for its time
        self._list: list[Any] = []
        self._results: Results = self._list
        # The source has one context for all its steps, whichever worker asks it: it may set a variable before an item
        # and reset it after. Items see what the caller of `amap` sees.
        self._outer = copy_context()
        self._source_context = copy_context()
        self._asking = anyio.Lock(fast_acquire=True)  # an async generator cannot be asked twice at once
        self._workers = 1
        self._looking = 1  # workers that have not begun, or wait for an item
        self._stopped = self._broken = False
        self._raised: list[BaseException] = []
        self._streak = 0

    async def run(self) -> list[Any]:
        """Run all items.

        Returns:
            What is to be put in the places of the items, in order.
        """
        try:
            async with Group() as self._group:
                self._group.start_soon(self._worker)
            if self._broken or not self._stopped:
                await anyio.lowlevel.checkpoint_if_cancelled()
                raise interrupted()
            if self._on_error == "skip":
                return [result for result in self._list if result is not SKIPPED]
            return self._list
        finally:
            await self._close()

    async def _close(self) -> None:
        """To be called when all workers have ended."""
        self._raised.clear()  # errors refer to frames, and these to this object
        self._results = self._list = []
        if isinstance(self._async_source, AsyncGenerator):  # it does nothing if the generator has ended
            await run_in_context(self._source_context, self._async_source.aclose())

    async def _worker(self) -> None:
        """Take items and run them until there are no more."""
        task = native_task()
        cancelled = anyio.get_cancelled_exc_class()
        from_source = self._source_context.run
        func, outer, results, progress = self._func, self._outer, self._results, self._progress
        in_time = self._item_timeout != math.inf
        self._looking -= 1
        try:
            while not self._stopped:
                source = self._source
                item = NOTHING if source is None or self._streak >= BREATH else from_source(next, source, END)
                if item is NOTHING or item is END:
                    self._looking += 1
                    try:
                        if self._streak >= BREATH:
                            self._streak = 0
                            await anyio.lowlevel.checkpoint()
                            continue
                        if item is NOTHING:
                            item = await self._ask()
                        if item is END:
                            if await self._at_end():
                                break
                            continue
                    except cancelled:
                        await survive_cancellation(task)  # it hit no item, so there is nothing to tell
                        continue
                    finally:
                        self._looking -= 1
                index = len(results)
                results.append(None)
                self._streak += 1
                try:
                    try:
                        if in_time:
                            result = await self._run_in_time(index, item)
                        else:  # as `run_in_context` does, but without a coroutine more for each item
                            context = outer.copy()
                            try:
                                coro = context.run(func, item)
                            except StopIteration as error:  # what an async function would make of it (PEP 479)
                                raise RuntimeError("the function raised StopIteration") from error
                            if type(coro) is not CoroutineType:  # a shortcut: asking for an abstract type takes time
                                coro = as_coroutine(coro)
                            try:
                                waiting_for = context.run(coro.send, None)
                            except StopIteration as stop:
                                result = stop.value
                            else:
                                self._streak = 0
                                if not self._looking and self._workers < self._limit:
                                    self._send_for_more()
                                result = await resume(context, coro, waiting_for)
                    except cancelled:
                        await survive_cancellation(task)
                        raise ChildCancelledError(f"item {index} was cancelled") from None
                    if task is not None and task.cancelling() and await survive_cancellation(task):
                        raise ChildCancelledError(f"item {index} was cancelled")
                    results[index] = result
                except Exception as error:
                    if not self._keep(index, item, error):
                        raise
                    await survive_cancellation(task)  # it may have raised this on being cancelled
                if progress is not None:
                    progress()
        except BaseException as error:
            self._break_off()
            if isinstance(error, cancelled):
                if cancelled_from_outside(self._group.cancel_scope):
                    if task is None:
                        raise  # on asyncio, see `Group`
                    return
                raise ChildCancelledError("the source of the items raised a cancellation unasked") from None
            self._raised.append(error)
            raise
        finally:
            del self, task, results  # an error refers to this frame, and they to the error

    async def _at_end(self) -> bool:
        """Whether the end that the source has come to is a lasting one."""
        self._stopped = True
        return True

    def _break_off(self) -> None:
        """A failure or a cancellation ends it all: no more items."""
        self._stopped = self._broken = True

    async def _ask(self) -> T:
        """The next item of a source that must be waited for, or `END`; one worker asks at a time."""
        async with self._asking:
            if self._asked is NOTHING:
                self._asked = await self._next()
            # Last, for what counts is when the item starts, and how long the source takes is not known before.
            if self._rate is not None and self._asked is not END:
                await self._rate.acquire()
            item, self._asked = self._asked, NOTHING
            return item

    async def _next(self) -> T:
        """The next item, or `END`."""
        end: T = END
        if self._stopped:
            return end
        if self._iterator is not None:
            return self._source_context.run(next, self._iterator, end)
        assert self._async_source is not None
        try:
            return await run_in_context(self._source_context, anext(self._async_source))
        except StopAsyncIteration:
            self._stopped = True
            return end
        except anyio.get_cancelled_exc_class():
            await survive_cancellation(native_task())
            raise ChildCancelledError("the source of the items was cancelled while it was asked for one") from None

    async def _run_in_time(self, index: int, item: T) -> R:
        context = self._outer.copy()
        with anyio.CancelScope(deadline=anyio.current_time() + self._item_timeout) as scope:
            return await run_in_context(context, context.run(self._func, item), self._note_waiting)
        assert scope.cancelled_caught
        raise TimeoutError(f"item {index} took longer than its `item_timeout` of {self._item_timeout:g} s")

    def _note_waiting(self) -> None:
        self._streak = 0
        if not self._looking and self._workers < self._limit:
            self._send_for_more()

    def _send_for_more(self) -> None:
        """An item waits, and no worker looks for the next: start some, unless there are no more items.

        Twice as many: all `limit` workers are there after few rounds of the loop, and few items need few workers.
        """
        if not self._stopped:
            more = int(min(self._workers, self._limit - self._workers))
            self._workers += more
            self._looking += more
            for _ in range(more):
                self._group.start_soon(self._worker)

    def _keep(self, index: int, item: T, error: Exception) -> bool:  # `stream_outcomes` shows the item
        """Put what an item raised in the place of its result, if it is to have one."""
        if self._on_error == "cancel":
            return False
        self._results[index] = error if self._on_error == "return" else SKIPPED
        return True
