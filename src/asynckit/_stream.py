"""Mapping an async function over items and taking the results while the rest still runs."""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar, overload

import anyio.lowlevel

from asynckit._checks import checked_choice, checked_function, checked_limit, checked_seconds
from asynckit._executors import SupportsSubmit, offload
from asynckit._flow import Flow, OutcomeFlow
from asynckit._map import DEFAULT_LIMIT
from asynckit._offloaded import check_is_sync
from asynckit._outcome import Outcome
from asynckit._pull import NOTHING, SKIPPED, OnError
from asynckit._rate import RateLimiter, limiter_of

T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@overload
def stream(
    func: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    *,
    limit: float | None = ...,
    ordered: bool = ...,
    buffer: float | None = ...,
    on_error: Literal["cancel", "skip"] = ...,
    item_timeout: float | None = ...,
    rate: float | RateLimiter | None = ...,
    executor: None = ...,
) -> Stream[R]: ...
@overload
def stream(
    func: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    *,
    limit: float | None = ...,
    ordered: bool = ...,
    buffer: float | None = ...,
    on_error: Literal["return"],
    item_timeout: float | None = ...,
    rate: float | RateLimiter | None = ...,
    executor: None = ...,
) -> Stream[R | Exception]: ...
@overload
def stream(
    func: Callable[[T], R],
    items: Iterable[T] | AsyncIterable[T],
    *,
    limit: float | None = ...,
    ordered: bool = ...,
    buffer: float | None = ...,
    on_error: Literal["cancel", "skip"] = ...,
    item_timeout: float | None = ...,
    rate: float | RateLimiter | None = ...,
    executor: SupportsSubmit | Callable[[], SupportsSubmit],
) -> Stream[R]: ...
@overload
def stream(
    func: Callable[[T], R],
    items: Iterable[T] | AsyncIterable[T],
    *,
    limit: float | None = ...,
    ordered: bool = ...,
    buffer: float | None = ...,
    on_error: Literal["return"],
    item_timeout: float | None = ...,
    rate: float | RateLimiter | None = ...,
    executor: SupportsSubmit | Callable[[], SupportsSubmit],
) -> Stream[R | Exception]: ...
def stream(
    func: Callable[[T], Any],
    items: Iterable[T] | AsyncIterable[T],
    *,
    limit: float | None = DEFAULT_LIMIT,
    ordered: bool = False,
    buffer: float | None = None,
    on_error: OnError = "cancel",
    item_timeout: float | None = None,
    rate: float | RateLimiter | None = None,
    executor: SupportsSubmit | Callable[[], SupportsSubmit] | None = None,
) -> Stream[Any]:
    """Call an async function for every item, some at a time, and give each result as soon as it is there.

    Use it as `async with stream(…) as results`, with `async for result in results` inside. The block bounds all work:
    break out of the loop when you like, and leaving the block cancels what still runs and waits for it.

    Items are taken one by one as workers get free, and only while there is room for their results: at any time, no
    more than `limit + buffer` items have been taken whose results have not. So a slow loop slows the work down, and an
    endless source is fine.

    Each item runs in a copy of the context in which `stream` was called, and the source of the items has one of its
    own, as with `amap`. Results that are there already are given without waiting. Items that never wait for anything
    let the event loop have its turn every 64 items, and loops that never do, every 64 or `limit` results.

    Like a task group, it must not be held open over a `yield` of an async generator (PEP 789).

    Args:
        func: Called with one item; an async function, or one that returns something to await; with an
            executor, a synchronous one.
        items: A sync or async iterable. An async generator is closed when the block is left before its end; it must
            not hold a cancel scope or a task group over a `yield`, since several tasks ask it (PEP 789).
        limit: How many items run at once, 100 if not given; `None` for no bound.
        ordered: Give the results in the order of the items, not as they complete.
        buffer: How many results may wait to be taken while `limit` items run; 0 for none, `limit` if not given. Without
            a limit there is no bound on it either.
        on_error: What an `Exception` of an item does: `cancel` cancels the others and the block; `return` gives it in
            the place of the result; `skip` leaves the item out.
        item_timeout: Seconds that each item may take; then it fails with `TimeoutError`.
        rate: How many items may start in a second, evenly spread; or a `RateLimiter`, which other work may share.
            `None` for no bound. The timers of event loops are coarse, so above 100 a second a few may start at once:
            those of 10 ms.
        executor: An executor, or a function that makes one, in which a synchronous `func` is called for each item, as
            `offload` does it; no more than `limit` calls are submitted at a time.

    Returns:
        An async context manager, and the async iterator of the results that it gives. Several tasks may take results
        from it; each goes to one.

    Raises:
        ExceptionGroup: On leaving the block: what items raised (with `on_error="cancel"`), or what the source of the
            items did, whatever `on_error` says, with what the block raised, if anything (PEP 654). A failure cancels
            the block where it waits, and no result is given after it, be it of an earlier item.
        BaseException: What the block raised, as it is, if nothing else failed.
        RuntimeError: Results are asked for outside the block, or the block is entered again.
        TypeError, ValueError: An argument is wrong; no item has been taken.

    Cancellation:
        Cancels all running items and waits for them; no more are taken. Cancelling who waits for a result loses none.
        An item that is cancelled on its own fails with `ChildCancelledError`; see `amap`.
        Calls in an executor do what `run_in_executor` says.

    Example:
        >>> import anyio
        >>> from asynckit import stream
        >>> async def double(number):
        ...     await anyio.sleep(0)
        ...     return 2 * number
        >>> async def main():
        ...     async with stream(double, range(1_000_000), limit=2, ordered=True) as results:
        ...         async for result in results:
        ...             if result >= 4:
        ...                 return result
        >>> anyio.run(main)
        4
    """
    bound = checked_limit(limit)
    checked_choice(on_error, ("cancel", "return", "skip"), name="on_error")
    flow = Flow[T, Any](
        _checked_function(func, executor),
        items,
        limit=bound,
        ordered=ordered,
        buffer=bound if buffer is None else checked_buffer(buffer),
        on_error=on_error,
        item_timeout=checked_seconds(item_timeout, name="item_timeout"),
        rate=limiter_of(rate),
    )
    return Stream(flow)


@overload
def stream_outcomes(
    func: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    *,
    limit: float | None = ...,
    ordered: bool = ...,
    buffer: float | None = ...,
    item_timeout: float | None = ...,
    rate: float | RateLimiter | None = ...,
    executor: None = ...,
) -> Stream[tuple[T, Outcome[R]]]: ...
@overload
def stream_outcomes(
    func: Callable[[T], R],
    items: Iterable[T] | AsyncIterable[T],
    *,
    limit: float | None = ...,
    ordered: bool = ...,
    buffer: float | None = ...,
    item_timeout: float | None = ...,
    rate: float | RateLimiter | None = ...,
    executor: SupportsSubmit | Callable[[], SupportsSubmit],
) -> Stream[tuple[T, Outcome[R]]]: ...
def stream_outcomes(
    func: Callable[[T], Any],
    items: Iterable[T] | AsyncIterable[T],
    *,
    limit: float | None = DEFAULT_LIMIT,
    ordered: bool = False,
    buffer: float | None = None,
    item_timeout: float | None = None,
    rate: float | RateLimiter | None = None,
    executor: SupportsSubmit | Callable[[], SupportsSubmit] | None = None,
) -> Stream[tuple[T, Outcome[Any]]]:
    """Like `stream`, but give each item together with how it ended, so that no failure ends the others.

    Args:
        func: As for `stream`.
        items: As for `stream`.
        limit: As for `stream`.
        ordered: As for `stream`.
        buffer: As for `stream`.
        item_timeout: Seconds that each item may take; then its outcome is a `Failure` with a `TimeoutError`.
        rate: As for `stream`.
        executor: As for `stream`.

    Returns:
        An async context manager, and the async iterator that it gives, of pairs of an item and its outcome:
        `Success(value)` or `Failure(exception)`.

    Raises:
        ExceptionGroup: On leaving the block: what the source of the items raised.
        RuntimeError: Results are asked for outside the block, or the block is entered again.
        TypeError, ValueError: An argument is wrong; no item has been taken.

    Cancellation:
        As for `stream`.

    Example:
        >>> import anyio
        >>> from asynckit import Failure, stream_outcomes
        >>> async def invert(number):
        ...     return 1 / number
        >>> async def main():
        ...     async with stream_outcomes(invert, [2, 0], ordered=True) as outcomes:
        ...         async for number, outcome in outcomes:
        ...             if isinstance(outcome, Failure):
        ...                 print(f"{number}: {outcome.exception}")
        ...             else:
        ...                 print(f"{number}: {outcome.value}")
        >>> anyio.run(main)
        2: 0.5
        0: division by zero
    """
    bound = checked_limit(limit)
    flow = OutcomeFlow[T](
        _checked_function(func, executor),
        items,
        limit=bound,
        ordered=ordered,
        buffer=bound if buffer is None else checked_buffer(buffer),
        on_error="return",
        item_timeout=checked_seconds(item_timeout, name="item_timeout"),
        rate=limiter_of(rate),
    )
    return Stream(flow)


class Stream(Generic[R_co]):
    """What `stream` gives: an async context manager, and inside its block the async iterator of the results.

    A class and no async generator, so that nothing is left running if it is not read to its end (PEP 789).
    """

    __slots__ = ("_breath", "_flow", "_next_breath", "_window")

    def __init__(self, flow: Flow[Any, R_co]) -> None:
        self._flow = flow
        self._window = flow.window
        self._breath = flow.breath
        self._next_breath = flow.breath

    async def __aenter__(self) -> Self:
        if self._flow.state != "new":
            raise RuntimeError("a stream can be entered once; call `stream` again for another")
        await self._flow.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            return await self._flow.leave(kind, error, trace)
        finally:
            del error, trace  # an error refers to this frame

    def __aiter__(self) -> AsyncIterator[R_co]:
        return self

    async def __anext__(self) -> R_co:
        window = self._window
        if window.turn >= self._next_breath:
            self._next_breath = window.turn + self._breath
            await anyio.lowlevel.checkpoint()
        while True:
            turn = window.turn
            result: R_co = window.ready.pop(turn, NOTHING)
            if result is NOTHING:
                await self._flow.wait_for_result()
                self._next_breath = window.turn + self._breath
                continue
            window.turn = turn + 1
            if window.waiting:
                window.waiting.popleft().set()
            if window.taker is not None:  # somebody else waits too, and it may be its turn, or the end
                window.wake_taker()
            if result is not SKIPPED:
                return result

    def __repr__(self) -> str:
        return f"<Stream, {self._flow.state}>"


def _checked_function(
    func: Callable[[T], Any], executor: SupportsSubmit | Callable[[], SupportsSubmit] | None
) -> Callable[[T], Awaitable[Any]]:
    if executor is None:
        return checked_function(func)
    if not callable(func):
        raise TypeError(f"`func` must be a synchronous function of one item, not {func!r}")
    check_is_sync(func, "executor=")
    return offload(executor)(func)


def checked_buffer(buffer: object) -> float:
    """Room for results that wait to be taken.

    Raises:
        TypeError: It is not a number of things.
        ValueError: It is negative.
    """
    if buffer == math.inf:
        return math.inf
    if isinstance(buffer, bool) or not isinstance(buffer, int):
        raise TypeError(f"`buffer` must be a whole number of 0 or more, or None for as many as `limit`, not {buffer!r}")
    if buffer < 0:
        raise ValueError(f"`buffer` must be 0 or more, not {buffer}; pass 0 to keep no results that wait to be taken")
    return buffer
