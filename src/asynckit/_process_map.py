"""Mapping a synchronous function over many items in worker processes, some items to a message."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar, overload

import anyio
import anyio.lowlevel

from asynckit import _worker
from asynckit._checks import checked_choice, checked_limit, checked_seconds
from asynckit._flow import Flow
from asynckit._offloaded import check_is_sync
from asynckit._pull import OnError
from asynckit._remote_call import error_of, name_of, portable
from asynckit._stream import Stream, checked_buffer
from asynckit._worker_errors import NotPicklableError, WorkerCrashed
from asynckit._worker_pool import ProcessPool, cores, default_pool

T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_CHUNK_SECONDS = 0.02
"""How long a chunk shall take: long against the cost of a message, short against the patience of a user."""

_MOST = 10_000
"""Items in a chunk, at most."""

_FILLING = 0.005
"""Seconds for which items are taken from a source that is not async, before the event loop gets its turn."""


@overload
def process_map(
    func: Callable[[T], R],
    items: Iterable[T] | AsyncIterable[T],
    *,
    chunk: int | Literal["auto"] = ...,
    limit: int | None = ...,
    ordered: bool = ...,
    buffer: float | None = ...,
    on_error: Literal["cancel", "skip"] = ...,
    item_timeout: float | None = ...,
    progress: Callable[[int], object] | None = ...,
    pool: ProcessPool | None = ...,
) -> ProcessMap[R]: ...
@overload
def process_map(
    func: Callable[[T], R],
    items: Iterable[T] | AsyncIterable[T],
    *,
    chunk: int | Literal["auto"] = ...,
    limit: int | None = ...,
    ordered: bool = ...,
    buffer: float | None = ...,
    on_error: Literal["return"],
    item_timeout: float | None = ...,
    progress: Callable[[int], object] | None = ...,
    pool: ProcessPool | None = ...,
) -> ProcessMap[R | Exception]: ...
def process_map(
    func: Callable[[T], R],
    items: Iterable[T] | AsyncIterable[T],
    *,
    chunk: int | Literal["auto"] = "auto",
    limit: int | None = None,
    ordered: bool = True,
    buffer: float | None = None,
    on_error: OnError = "cancel",
    item_timeout: float | None = None,
    progress: Callable[[int], object] | None = None,
    pool: ProcessPool | None = None,
) -> ProcessMap[R] | ProcessMap[R | Exception]:
    """Call a synchronous function for every item, in worker processes, and give each result as soon as it is there.

    Like `stream`, but items travel in chunks, so that tiny ones cost little. Use it as `async with process_map(…) as
    results`, with `async for result in results` inside. Leaving the block kills the workers that still work for it.

    Items are taken only while there is room for their results: of no more than `limit + buffer` chunks at any time, so
    an endless source is fine. Chunks begin with one item, and grow as long as they take less than 20 ms, to 10,000
    items at most.

    Args:
        func: Called with one item; a function that a worker can import; of a decorated one, its `sync`.
        items: A sync or async iterable. A sync one is asked in the event loop. An async one is asked ahead, for no more
            than the next chunk, and what it has given goes to a worker as soon as one is free.
        chunk: How many items travel together; `"auto"` finds out.
        limit: How many workers at once; all of the pool, if not given.
        ordered: Give the results in the order of the items, not as chunks complete.
        buffer: How many chunks of results may wait to be taken while `limit` are worked on; `limit` if not given.
        on_error: What an `Exception` of an item does: `cancel` ends the others and the block; `return` gives it in the
            place of the result; `skip` leaves the item out. What befalls a whole chunk, such as a crash of its worker,
            befalls each of its items.
        item_timeout: Seconds that each item may take. A chunk may take so many for each of its items; after that, its
            worker is killed, and it fails with `TimeoutError`. With `chunk=1` it is exact.
        progress: Called in the event loop with the number of items that have been worked on, after each chunk.
        pool: Where to run; the pool of the program, if not given.

    Returns:
        An async context manager, and the async iterator of the results that it gives.

    Raises:
        ExceptionGroup: On leaving the block: what items raised (with `on_error="cancel"`), or what the source of the
            items did, with what the block raised, if anything (PEP 654). Items before the one that failed may be lost.
        RuntimeError: Results are asked for outside the block, or the block is entered again.
        TypeError, ValueError: An argument is wrong; no item has been taken.

    Cancellation:
        Kills the workers that work for it, and only those.

    Example:
        >>> import anyio, math
        >>> from asynckit import process_map
        >>> async def main():
        ...     async with process_map(math.factorial, range(5)) as results:
        ...         return [result async for result in results]
        >>> anyio.run(main)
        [1, 1, 2, 6, 24]
    """
    check_is_sync(func, "process_map")
    checked_choice(on_error, ("cancel", "return", "skip"), name="on_error")
    workers = cores() if pool is None else pool.workers
    bound = workers if limit is None else checked_limit(limit)
    flow = _ChunkFlow(
        _Calls(
            func,
            _Sizes(None if chunk == "auto" else _checked_chunk(chunk)),
            on_error=on_error,
            item_timeout=checked_seconds(item_timeout, name="item_timeout"),
            progress=progress,
            pool=pool,
        ),
        items,
        limit=bound,
        ordered=ordered,
        buffer=bound if buffer is None else checked_buffer(buffer),
    )
    return ProcessMap(flow)


class ProcessMap(Generic[R_co]):
    """What `process_map` gives: an async context manager, and inside its block the async iterator of the results."""

    __slots__ = ("_chunks", "_results")

    def __init__(self, flow: Flow[Any, list[R_co]]) -> None:
        self._chunks = Stream(flow)
        self._results: list[R_co] = []
        """Of one chunk, the last first."""

    async def __aenter__(self) -> Self:
        await self._chunks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._results = []
        return await self._chunks.__aexit__(kind, error, trace)

    def __aiter__(self) -> AsyncIterator[R_co]:
        return self

    async def __anext__(self) -> R_co:
        while not self._results:
            self._results = await anext(self._chunks)
        return self._results.pop()

    def __repr__(self) -> str:
        return repr(self._chunks).replace("Stream", "ProcessMap")


def _checked_chunk(chunk: object) -> int:
    """A fixed size of chunks.

    Raises:
        TypeError: It is not a number of things.
        ValueError: It is below 1.
    """
    if isinstance(chunk, bool) or not isinstance(chunk, int):
        raise TypeError(f'`chunk` must be a whole number of items, or "auto", not {chunk!r}')
    if chunk < 1:
        raise ValueError(f'`chunk` must be 1 or more, not {chunk}; pass "auto" to have a size found that fits')
    return chunk


class _Sizes:
    """How many items the next chunk shall have."""

    def __init__(self, fixed: int | None) -> None:
        self._fixed = fixed
        self.next = fixed or 1

    def learn(self, items: int, seconds: float) -> None:
        """So many items have taken so long, on their way too."""
        if self._fixed is None:
            fitting = int(items * _CHUNK_SECONDS / seconds)
            if fitting < self.next or items == self.next:  # what a shorter chunk took says little of longer ones
                self.next = max(1, min(fitting, items * 4, _MOST))


class _Calls(Generic[T]):
    """The async function of one chunk that the stream maps over all chunks."""

    def __init__(
        self,
        func: Callable[[T], Any],
        sizes: _Sizes,
        *,
        on_error: OnError,
        item_timeout: float,
        progress: Callable[[int], object] | None,
        pool: ProcessPool | None,
    ) -> None:
        self._call = portable(func)
        self._name = name_of(func)
        self.sizes = sizes
        self._on_error = on_error
        self._item_timeout = item_timeout
        self._progress = progress
        self._pool = pool
        self._done = 0

    async def __call__(self, items: list[T]) -> list[Any]:
        pool, limiter = default_pool() if self._pool is None else (self._pool, self._pool.limiter)
        keep_going = self._on_error != "cancel"
        start = time.perf_counter()
        try:
            several: _worker.Several = await pool.call(
                ("asynckit._worker", "call_each"),
                (*self._call, items, keep_going),
                {},
                name=self._name,
                limiter=limiter,
                seconds=self._item_timeout * len(items),
            )
        except (WorkerCrashed, NotPicklableError, TimeoutError) as error:
            if not keep_going:
                raise
            several = _worker.Several([error] * len(items), [])
            if self._on_error == "skip":
                several = _worker.Several([], [])
        self.sizes.learn(len(items), time.perf_counter() - start)
        self._done += len(items)
        if self._progress is not None:
            self._progress(self._done)
        return self._sorted_out(several)

    def _sorted_out(self, several: _worker.Several) -> list[Any]:
        """The results, the last first."""
        results = several.results
        results.reverse()
        for number, kind, told in reversed(several.failures):
            if self._on_error == "skip":
                del results[-1 - number]
            else:
                results[-1 - number] = error_of(kind, told, self._name)
        return results


def _chunks(items: Iterator[T], sizes: _Sizes) -> Iterator[list[T]]:
    """The items of a source that is not async, in chunks; short ones if the source takes its time."""
    while chunk := list(islice(items, 1)):
        until = time.perf_counter() + _FILLING
        while (missing := sizes.next - len(chunk)) > 0 and time.perf_counter() < until:
            more = list(islice(items, min(missing, len(chunk))))
            if not more:
                break
            chunk += more
        yield chunk


class _Ahead(Generic[T]):
    """The items of an async source, in chunks: what it has given while the workers were busy."""

    def __init__(self, source: AsyncIterable[T], sizes: _Sizes) -> None:
        self._source = aiter(source)
        self._sizes = sizes
        self._given: list[T] = []
        self._ended = False
        self._error: Exception | None = None
        self._changed: anyio.Event | None = None
        """Somebody waits for more items, or for room for them."""

    async def pull(self) -> None:
        """Ask the source, as long as there is room for more."""
        try:
            async for item in self._source:
                self._given.append(item)
                self._tell()
                while len(self._given) >= self._sizes.next:
                    await self._change()
        except Exception as error:  # noqa: BLE001  # whoever takes the chunks shall see it, after what came before
            self._error = error
        self._ended = True
        self._tell()

    def __aiter__(self) -> AsyncIterator[list[T]]:
        return self

    async def __anext__(self) -> list[T]:
        while not self._given:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            await self._change()
        chunk = self._given[: self._sizes.next]
        del self._given[: len(chunk)]
        self._tell()
        return chunk

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    def _tell(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def close(self) -> None:
        """To be called when nobody asks any more."""
        if isinstance(self._source, AsyncGenerator):
            await self._source.aclose()


class _ChunkFlow(Flow[list[T], list[Any]]):
    """The engine of the stream of chunks; it asks an async source ahead."""

    def __init__(
        self, calls: _Calls[T], items: Iterable[T] | AsyncIterable[T], *, limit: float, ordered: bool, buffer: float
    ) -> None:
        self._ahead: _Ahead[T] | None = None
        chunks: Iterable[list[T]] | AsyncIterable[list[T]]
        if isinstance(items, AsyncIterable):
            chunks = self._ahead = _Ahead(items, calls.sizes)
        elif isinstance(items, Iterable):
            chunks = _chunks(iter(items), calls.sizes)
        else:
            raise TypeError(f"`items` must be an iterable or an async iterable, not {items!r}")
        super().__init__(
            calls,
            chunks,
            limit=limit,
            ordered=ordered,
            buffer=buffer,
            on_error="cancel",
            item_timeout=math.inf,
            rate=None,
        )

    async def enter(self) -> None:
        await super().enter()
        if self._ahead is not None:
            self._group.start_soon(self._ahead.pull)

    async def _close(self) -> None:
        await super()._close()
        if self._ahead is not None:
            await self._ahead.close()
