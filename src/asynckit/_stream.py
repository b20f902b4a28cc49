"""Mapping an async function over items and taking the results while the rest still runs."""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar, overload

import anyio.lowlevel

from asynckit._checks import checked_choice, checked_limit, checked_seconds
from asynckit._flow import NOTHING, Flow, OutcomeFlow
from asynckit._map import DEFAULT_LIMIT
from asynckit._outcome import Outcome
from asynckit._pull import SKIPPED, OnError
from asynckit._rate import RateLimiter

T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_EVEN = 100
"""Up to which rate items start one by one. The timers of event loops are too coarse to keep much higher ones up so."""


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
) -> Stream[R | Exception]: ...
def stream(
    func: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    *,
    limit: float | None = DEFAULT_LIMIT,
    ordered: bool = False,
    buffer: float | None = None,
    on_error: OnError = "cancel",
    item_timeout: float | None = None,
    rate: float | RateLimiter | None = None,
) -> Stream[R] | Stream[R | Exception]:
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
        func: Called with one item; an async function, or one that returns something to await.
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
        An item that raises the back end's cancellation exception unasked, and one whose task is cancelled by asyncio's
        `Task.cancel`, do what they do to `amap`.

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
    flow = Flow[T, R](
        _checked_function(func),
        items,
        limit=bound,
        ordered=ordered,
        buffer=bound if buffer is None else _checked_buffer(buffer),
        on_error=on_error,
        item_timeout=checked_seconds(item_timeout, name="item_timeout"),
        rate=_limiter(rate),
    )
    return Stream(flow)


def stream_outcomes(
    func: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    *,
    limit: float | None = DEFAULT_LIMIT,
    ordered: bool = False,
    buffer: float | None = None,
    item_timeout: float | None = None,
    rate: float | RateLimiter | None = None,
) -> Stream[tuple[T, Outcome[R]]]:
    """Like `stream`, but give each item together with how it ended, so that no failure ends the others.

    Args:
        func: As for `stream`.
        items: As for `stream`.
        limit: As for `stream`.
        ordered: As for `stream`.
        buffer: As for `stream`.
        item_timeout: Seconds that each item may take; then its outcome is a `Failure` with a `TimeoutError`.
        rate: As for `stream`.

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
        _checked_function(func),
        items,
        limit=bound,
        ordered=ordered,
        buffer=bound if buffer is None else _checked_buffer(buffer),
        on_error="return",
        item_timeout=checked_seconds(item_timeout, name="item_timeout"),
        rate=_limiter(rate),
    )
    return Stream(flow)


class Stream(Generic[R_co]):
    """What `stream` gives: an async context manager, and inside its block the async iterator of the results.

    A class and no async generator, so that nothing is left running if it is not read to its end (PEP 789).
    """

    __slots__ = ("_breath", "_flow", "_taken_in_a_row", "_window")

    def __init__(self, flow: Flow[Any, R_co]) -> None:
        self._flow = flow
        self._window = flow.window
        self._breath = flow.breath
        self._taken_in_a_row = 0

    async def __aenter__(self) -> Self:
        if self._flow.state != "new":
            raise RuntimeError("a stream can be entered once; call `stream` again for another")
        await self._flow.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return await self._flow.leave(kind, error, trace)

    def __aiter__(self) -> AsyncIterator[R_co]:
        return self

    async def __anext__(self) -> R_co:
        window = self._window
        self._taken_in_a_row += 1
        if self._taken_in_a_row > self._breath:
            self._taken_in_a_row = 1
            await anyio.lowlevel.checkpoint()
        while True:
            result: R_co = window.ready.pop(window.turn, NOTHING)
            if result is NOTHING:
                self._taken_in_a_row = 0
                await self._flow.wait_for_result()
                continue
            window.turn += 1
            if window.waiting:
                window.waiting.popleft().set()
            if window.taker is not None:  # somebody else waits too, and it may be its turn, or the end
                window.wake_taker()
            if result is not SKIPPED:
                return result

    def __repr__(self) -> str:
        return f"<Stream, {self._flow.state}>"


def _checked_function(func: Callable[[T], Awaitable[R]]) -> Callable[[T], Awaitable[R]]:
    what: object = func
    if not callable(what):
        hint = "; pass the function itself, without calling it" if isinstance(what, Awaitable) else ""
        raise TypeError(f"`func` must be an async function of one item, not {what!r}{hint}")
    return func


def _checked_buffer(buffer: object) -> float:
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


def _limiter(rate: float | RateLimiter | None) -> RateLimiter | None:
    """The limiter itself, or one of that rate.

    Raises:
        TypeError, ValueError: It is no rate.
    """
    if rate is None or isinstance(rate, RateLimiter):
        return rate
    limiter = RateLimiter(rate)
    return limiter if rate <= _EVEN else RateLimiter(rate, burst=int(rate / _EVEN))
