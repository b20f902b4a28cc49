"""Bounded concurrency by pulling: a few workers take items as they get free, instead of a task for each item."""

from __future__ import annotations

import inspect
import math
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from contextvars import copy_context
from typing import Any, Generic, Literal, TypeVar, overload

import anyio

from asynckit._errors import ChildCancelledError, checked_limit, checked_seconds
from asynckit._steps import as_coroutine, cancelled_itself, resume

T = TypeVar("T")
R = TypeVar("R")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")

OnError = Literal["cancel", "return", "skip"]

DEFAULT_LIMIT = 100
"""How many items run at once when nothing is said: as many as common HTTP clients keep connections."""

_BREATH = 64
"""Items in a row that never wait, after which the event loop gets its turn."""

_SKIPPED: Any = object()


@overload
async def amap(
    func: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    *,
    limit: float | None = ...,
    on_error: Literal["cancel", "skip"] = ...,
    item_timeout: float | None = ...,
) -> list[R]: ...
@overload
async def amap(
    func: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    *,
    limit: float | None = ...,
    on_error: Literal["return"],
    item_timeout: float | None = ...,
) -> list[R | Exception]: ...
async def amap(
    func: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    *,
    limit: float | None = DEFAULT_LIMIT,
    on_error: OnError = "cancel",
    item_timeout: float | None = None,
) -> list[R] | list[R | Exception]:
    """Call an async function for every item, some at a time, and give the results in the order of the items.

        pages = await amap(fetch, urls, limit=10)

    Items are taken one by one as workers get free, so an endless or slow source is never read ahead of what runs, and
    memory holds the results and `limit` items, no more. Each item runs in a context of its own: context variables that
    it sets are seen by nobody else (PEP 567).

    Args:
        func: Called with one item.
        items: A sync or async iterable. An async generator is closed when the work ends before it does.
        limit: How many items run at once; `None` for no bound. Items that never wait are run one by one.
        on_error: What an `Exception` of an item does: `cancel` cancels the others and is raised; `return` puts it in
            the place of the result; `skip` leaves the item out.
        item_timeout: Seconds that each item may take; then it fails with `TimeoutError`.

    Returns:
        One result for each item, in order (fewer with `skip`).

    Raises:
        ExceptionGroup: What items raised (with `on_error="cancel"`), or the source of the items (PEP 654).
        TypeError, ValueError: An argument is wrong; no item has been taken.

    Cancellation:
        Cancels all running items and waits for them; no more are taken. An item that cancels itself fails with
        `ChildCancelledError`.
    """
    if on_error not in ("cancel", "return", "skip"):
        raise ValueError(f'`on_error` must be "cancel", "return" or "skip", not {on_error!r}')
    work = _Work(func, items, checked_limit(limit), on_error, checked_seconds(item_timeout, name="item_timeout"))
    await work.run()
    return [result for result in work.results if result is not _SKIPPED]


class _Work(Generic[T, R]):
    """One call of `amap`, or of `gather`."""

    def __init__(
        self,
        func: Callable[[T], Awaitable[R]],
        items: Iterable[T] | AsyncIterable[T],
        limit: int | None,
        on_error: OnError,
        item_timeout: float,
    ) -> None:
        self.results: list[Any] = []
        self._func = func
        self._source: Iterator[T] | None = None
        self._async_source: AsyncIterator[T] | None = None
        if isinstance(items, AsyncIterable):
            self._async_source = items.__aiter__()
        elif isinstance(items, Iterable):
            self._source = iter(items)
        else:
            raise TypeError(f"`items` must be an iterable or an async iterable, not {items!r}")
        self._limit = math.inf if limit is None else limit
        self._on_error = on_error
        self._item_timeout = item_timeout
        self._pulling = anyio.Lock()
        self._workers = 1
        self._exhausted = False
        self._streak = 0

    async def run(self) -> None:
        try:
            async with anyio.create_task_group() as self._group:
                self._group.start_soon(self._worker)
        finally:
            close = getattr(self._async_source, "aclose", None)
            if close is not None and not self._exhausted:
                with anyio.CancelScope(shield=True):
                    await close()

    async def _worker(self) -> None:
        """Take items until there are none; start more workers while there are items that wait."""
        while (place := await self._take()) is not None:
            index, item = place
            await self._breathe()
            try:
                if self._item_timeout < math.inf:
                    self.results[index] = await self._run_in_time(item)
                else:
                    self.results[index] = await self._run(item)
            except anyio.get_cancelled_exc_class():
                if not cancelled_itself(self._group.cancel_scope):
                    raise
                self._fail(index, ChildCancelledError(f"item {index} cancelled itself"))
            except Exception as error:  # noqa: BLE001  # this is what `on_error` is about
                self._fail(index, error)

    def _fail(self, index: int, error: Exception) -> None:
        if self._on_error == "cancel":
            raise error
        self.results[index] = error if self._on_error == "return" else _SKIPPED

    async def _take(self) -> tuple[int, T] | None:
        """The next item and its place, `None` when there are no more."""
        if self._exhausted:
            return None
        if self._source is not None:
            # `for`, since an iterator may raise StopIteration only to end, and `next` here would end this coroutine.
            for item in self._source:
                self.results.append(None)
                return len(self.results) - 1, item
        elif self._async_source is not None:
            async with self._pulling:  # an async generator cannot be asked twice at once
                if not self._exhausted:
                    async for item in self._async_source:
                        self.results.append(None)
                        return len(self.results) - 1, item
        self._exhausted = True
        return None

    async def _breathe(self) -> None:
        """Let the loop have its turn when too many items in a row did not wait for anything."""
        self._streak += 1
        if self._streak >= _BREATH:
            self._streak = 0
            await anyio.lowlevel.checkpoint()

    async def _run_in_time(self, item: T) -> R:
        with anyio.CancelScope(deadline=anyio.current_time() + self._item_timeout) as scope:
            return await self._run(item)
        if scope.cancelled_caught:
            raise TimeoutError(f"an item took longer than its `item_timeout` of {self._item_timeout:g} s")
        raise AssertionError("the scope swallows only its own cancellation")

    async def _run(self, item: T) -> R:
        context = copy_context()
        coro = as_coroutine(context.run(self._func, item))
        try:
            waiting_for = context.run(coro.send, None)
        except StopIteration as stop:
            result: R = stop.value
            return result
        self._streak = 0
        self._grow()
        return await resume(context, coro, waiting_for)

    def _grow(self) -> None:
        """An item waits: as many workers again, up to the limit, look for items meanwhile."""
        if not self._exhausted:
            more = int(min(self._workers, self._limit - self._workers))
            self._workers += more
            for _ in range(more):
                self._group.start_soon(self._worker)


async def _itself(awaitable: Coroutine[Any, Any, R]) -> R:
    return await awaitable


@overload
async def gather(*, limit: float | None = ..., return_exceptions: bool = ...) -> tuple[()]: ...
@overload
async def gather(
    a: Coroutine[Any, Any, A], /, *, limit: float | None = ..., return_exceptions: Literal[False] = ...
) -> tuple[A]: ...
@overload
async def gather(
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    /,
    *,
    limit: float | None = ...,
    return_exceptions: Literal[False] = ...,
) -> tuple[A, B]: ...
@overload
async def gather(
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    c: Coroutine[Any, Any, C],
    /,
    *,
    limit: float | None = ...,
    return_exceptions: Literal[False] = ...,
) -> tuple[A, B, C]: ...
@overload
async def gather(
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    c: Coroutine[Any, Any, C],
    d: Coroutine[Any, Any, D],
    /,
    *,
    limit: float | None = ...,
    return_exceptions: Literal[False] = ...,
) -> tuple[A, B, C, D]: ...
@overload
async def gather(
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    c: Coroutine[Any, Any, C],
    d: Coroutine[Any, Any, D],
    e: Coroutine[Any, Any, E],
    /,
    *,
    limit: float | None = ...,
    return_exceptions: Literal[False] = ...,
) -> tuple[A, B, C, D, E]: ...
@overload
async def gather(
    *coros: Coroutine[Any, Any, R], limit: float | None = ..., return_exceptions: Literal[False] = ...
) -> tuple[R, ...]: ...
@overload
async def gather(
    *coros: Coroutine[Any, Any, R], limit: float | None = ..., return_exceptions: bool
) -> tuple[R | Exception, ...]: ...
async def gather(
    *coros: Coroutine[Any, Any, Any], limit: float | None = None, return_exceptions: bool = False
) -> tuple[Any, ...]:
    """Run coroutines side by side and give their results in the order they were passed.

        user, orders = await gather(load_user(7), load_orders(7))

    Args:
        coros: Coroutine objects. Those that have not begun when another fails are closed, without a warning.
        limit: How many run at once; `None` for all.
        return_exceptions: Put an `Exception` in the place of the result, and go on with the others.

    Returns:
        One result for each coroutine, in order.

    Raises:
        ExceptionGroup: What the coroutines raised; the first failure cancels the others (PEP 654).
        TypeError, ValueError: An argument is wrong; all coroutines are closed.

    Cancellation:
        Cancels all coroutines and waits for them; with `return_exceptions` too. A coroutine that cancels itself fails
        with `ChildCancelledError`.
    """
    try:
        for position, coro in enumerate(coros):
            if not inspect.iscoroutine(coro):
                hint = "; call the async function to make a coroutine" if inspect.iscoroutinefunction(coro) else ""
                raise TypeError(f"argument {position} of `gather` must be a coroutine, not {coro!r}{hint}")
        if len(set(map(id, coros))) < len(coros):
            raise ValueError("a coroutine was passed to `gather` twice; it can be awaited once only")
        on_error: OnError = "return" if return_exceptions else "cancel"
        work = _Work(_itself, coros, checked_limit(limit), on_error, math.inf)
        await work.run()
        return tuple(work.results)
    finally:
        for coro in coros:
            if inspect.iscoroutine(coro) and inspect.getcoroutinestate(coro) == inspect.CORO_CREATED:
                coro.close()
