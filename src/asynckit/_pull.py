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
from asynckit._steps import as_coroutine, cancelled_from_outside, native_task, resume, run_in_context

T = TypeVar("T")
R = TypeVar("R")

OnError = Literal["cancel", "return", "skip"]

BREATH = 64
"""Items in a row that never wait, after which the event loop gets its turn."""

SKIPPED: Any = object()
END: Any = object()


class Results(Protocol):
    """Where results go: a list, or what behaves like one as far as workers see."""

    def __len__(self) -> int: ...
    def __setitem__(self, index: int, result: Any, /) -> None: ...
    def append(self, result: None, /) -> None: ...


class Work(Generic[T, R]):
    """One call of `amap`, of `gather` or of `stream`.

    Invariant: a worker either looks for an item or runs one. While an item waits, somebody looks, unless the source has
    come to its end or there are `limit` workers; so a source is never read ahead of what runs, and no item that could
    run stays in it.
    """

    def __init__(
        self,
        func: Callable[[T], Awaitable[R]],
        items: Iterable[T] | AsyncIterable[T],
        *,
        limit: float,
        on_error: OnError,
        item_timeout: float,
    ) -> None:
        self._func = func
        self._source: Iterator[T] | None = None
        self._async_source: AsyncIterator[T] | None = None
        if isinstance(items, AsyncIterable):
            self._async_source = items.__aiter__()
        elif isinstance(items, Iterable):
            self._source = iter(items)
        else:
            raise TypeError(f"`items` must be an iterable or an async iterable, not {items!r}")
        self._limit = limit
        self._on_error = on_error
        self._item_timeout = item_timeout
        self._list: list[Any] = []
        self._results: Results = self._list
        # The source has one context for all its steps, whichever worker asks it: it may set a variable before an item
        # and reset it after. Items see what the caller of `amap` sees.
        self._outer = copy_context()
        self._source_context = copy_context()
        self._asking = anyio.Lock(fast_acquire=True)  # an async generator cannot be asked twice at once
        self._workers = self._looking = 1
        self._stopped = False
        self._interruption: ChildCancelledError | None = None
        self._streak = 0

    async def run(self) -> list[Any]:
        """Run all items.

        Returns:
            What is to be put in the places of the items, in order.
        """
        try:
            async with anyio.create_task_group() as self._group:
                self._group.start_soon(self._worker)
            self._raise_interruption()
        finally:
            await self._close_source()
        if self._on_error == "skip":
            return [result for result in self._list if result is not SKIPPED]
        return self._list

    def _raise_interruption(self) -> None:
        """To be called when all workers have ended."""
        if self._interruption is not None:
            raise ExceptionGroup("work was interrupted", [self._interruption])

    async def _close_source(self) -> None:
        """To be called when all workers have ended."""
        if isinstance(self._async_source, AsyncGenerator):  # it does nothing if the generator has ended
            await run_in_context(self._source_context, self._async_source.aclose())

    async def _worker(self) -> None:
        """Take items and run them until there are no more."""
        task = native_task()
        from_source = self._source_context.run
        run = self._run if self._item_timeout == math.inf else self._run_in_time
        try:
            while not self._stopped:
                source = self._source
                item = await self._ask() if source is None else from_source(next, source, END)
                if item is END:
                    if await self._at_end():
                        break
                    continue
                index = len(self._results)
                self._results.append(None)
                self._looking -= 1
                self._streak += 1
                if self._streak > BREATH:
                    self._streak = 1
                    await anyio.lowlevel.checkpoint()
                try:
                    self._results[index] = await run(index, item)
                except anyio.get_cancelled_exc_class():
                    if cancelled_from_outside(self._group.cancel_scope):
                        raise
                    if task is None or not task.cancelling():
                        self._fail(index, item, ChildCancelledError(f"item {index} cancelled itself"))
                except Exception as error:  # noqa: BLE001  # this is what `on_error` is about
                    self._fail(index, item, error)
                    await anyio.lowlevel.checkpoint_if_cancelled()  # it may have raised this on being cancelled
                if task is not None and task.cancelling() and not cancelled_from_outside(self._group.cancel_scope):
                    self._interrupt(f"the task that ran item {index} was cancelled, by the item or from afar")
                    break
                self._looking += 1
        except anyio.get_cancelled_exc_class():
            if cancelled_from_outside(self._group.cancel_scope):
                self._break_off()
                raise
            self._interrupt("a worker was cancelled on its own while it looked for an item")
        except BaseException:
            self._break_off()
            raise

    async def _at_end(self) -> bool:
        """Whether the end that the source has come to is a lasting one."""
        self._stopped = True
        return True

    def _break_off(self) -> None:
        """A failure or a cancellation ends it all: no more items."""
        self._stopped = True

    def _interrupt(self, message: str) -> None:
        """A worker was cancelled on its own: end it all.

        A task group would take this for an end like any other, and the items not yet taken would be lost. The error is
        raised by the caller and not here, for when asyncio shuts down it cancels every task, the caller too.
        """
        self._break_off()
        self._interruption = ChildCancelledError(message)
        self._group.cancel_scope.cancel()

    async def _ask(self) -> T:
        """The next item of an async source, or `END`."""
        async with self._asking:
            return await self._ask_async()

    async def _ask_async(self) -> T:
        end: T = END
        if self._stopped:
            return end
        assert self._async_source is not None
        try:
            return await run_in_context(self._source_context, anext(self._async_source))
        except StopAsyncIteration:
            self._stopped = True
            return end

    async def _run_in_time(self, index: int, item: T) -> R:
        with anyio.CancelScope(deadline=anyio.current_time() + self._item_timeout) as scope:
            return await self._run(index, item)
        assert scope.cancelled_caught
        raise TimeoutError(f"item {index} took longer than its `item_timeout` of {self._item_timeout:g} s")

    async def _run(self, index: int, item: T) -> R:
        context = self._outer.copy()
        coro = context.run(self._func, item)
        if type(coro) is not CoroutineType:  # a shortcut, since asking for an abstract type takes its time
            coro = as_coroutine(coro)
        try:
            waiting_for = context.run(coro.send, None)
        except StopIteration as stop:
            result: R = stop.value
            return result
        self._streak = 0
        if not self._looking and not self._stopped and self._workers < self._limit:
            # Twice as many: all `limit` workers are there after few rounds of the loop, and few items need few workers.
            more = int(min(self._workers, self._limit - self._workers))
            self._workers += more
            self._looking += more
            for _ in range(more):
                self._group.start_soon(self._worker)
        return await resume(context, coro, waiting_for)

    def _fail(self, index: int, item: T, error: Exception) -> None:  # `stream_outcomes` shows the item
        if self._on_error == "cancel":
            raise error
        self._results[index] = error if self._on_error == "return" else SKIPPED
