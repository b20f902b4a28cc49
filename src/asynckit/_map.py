"""Mapping an async function over items, some at a time."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sized
from typing import Literal, TypeVar, overload

from asynckit._checks import checked_choice, checked_function, checked_limit, checked_seconds
from asynckit._pull import OnError, Work
from asynckit._rate import RateLimiter, limiter_of

T = TypeVar("T")
R = TypeVar("R")

DEFAULT_LIMIT = 100
"""How many items run at once when nothing is said: as many as common HTTP clients keep connections."""


@overload
async def amap(
    func: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    *,
    limit: float | None = ...,
    on_error: Literal["cancel", "skip"] = ...,
    item_timeout: float | None = ...,
    rate: float | RateLimiter | None = ...,
    progress: Callable[[int, int | None], object] | None = ...,
) -> list[R]: ...
@overload
async def amap(
    func: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    *,
    limit: float | None = ...,
    on_error: Literal["return"],
    item_timeout: float | None = ...,
    rate: float | RateLimiter | None = ...,
    progress: Callable[[int, int | None], object] | None = ...,
) -> list[R | Exception]: ...
async def amap(
    func: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    *,
    limit: float | None = DEFAULT_LIMIT,
    on_error: OnError = "cancel",
    item_timeout: float | None = None,
    rate: float | RateLimiter | None = None,
    progress: Callable[[int, int | None], object] | None = None,
) -> list[R] | list[R | Exception]:
    """Call an async function for every item, some at a time, and give the results in the order of the items.

    Items are taken one by one as workers get free, so an endless or slow source is never read ahead of what runs:
    memory holds the results and `limit` items, no more.

    Each item runs in a copy of the caller's context: it sees the context variables of the caller, and what it sets is
    seen by no other item, nor by the caller (PEP 567). The source of the items has a context of its own, likewise.

    Items that never wait for anything let the event loop have its turn every 64 items.

    Args:
        func: Called with one item; an async function, or one that returns something to await.
        items: A sync or async iterable. An async generator is closed when the work ends before it does; it must not
            hold a cancel scope or a task group over a `yield`, since several tasks ask it (PEP 789).
        limit: How many items run at once, 100 if not given; `None` for no bound.
        on_error: What an `Exception` of an item does: `cancel` cancels the others and is raised; `return` puts it in
            the place of the result; `skip` leaves the item out.
        item_timeout: Seconds that each item may take; then it fails with `TimeoutError`.
        rate: How many items may start in a second, evenly spread; or a `RateLimiter`, which other work may share.
            `None` for no bound. As with `stream`.
        progress: Called each time an item has ended, in any way, with how many have, and how many items there are, or
            `None` if their `len` cannot be asked: a plain function, for a progress bar or a log. What it raises ends
            the call.

    Returns:
        One result for each item, in order (fewer with `skip`).

    Raises:
        ExceptionGroup: What items raised (with `on_error="cancel"`), or what the source of the items did, whatever
            `on_error` says, or `progress` (PEP 654). Once one of these has failed, no more items are taken.
        TypeError, ValueError: An argument is wrong; no item has been taken.

    Cancellation:
        Cancels all running items and waits for them; no more are taken. An item that is cancelled on its own fails with
        `ChildCancelledError`, as with any `Exception`: it raises the back end's cancellation exception unasked, say by
        awaiting a task of asyncio that was cancelled, or `asyncio.Task.cancel` is called on the task it runs in, by
        itself or by others. That task runs other items afterwards, so do not keep it in order to cancel it later.

    Example:
        >>> import anyio
        >>> from asynckit import amap
        >>> async def double(number):
        ...     await anyio.sleep(0)
        ...     return 2 * number
        >>> async def main():
        ...     return await amap(double, range(4), limit=2)
        >>> anyio.run(main)
        [0, 2, 4, 6]
    """
    checked_choice(on_error, ("cancel", "return", "skip"), name="on_error")
    work = Work(
        checked_function(func),
        items,
        limit=checked_limit(limit),
        on_error=on_error,
        item_timeout=checked_seconds(item_timeout, name="item_timeout"),
        rate=limiter_of(rate),
        progress=None if progress is None else _counted(progress, items),
    )
    return await work.run()


def _counted(progress: Callable[[int, int | None], object], items: object) -> Callable[[], object]:
    """A function that counts its calls for `progress`.

    Raises:
        TypeError: `progress` is not a plain function.
    """
    hook: object = progress
    if not callable(hook) or inspect.iscoroutinefunction(hook):
        raise TypeError(f"`progress` must be a plain function, not async, of two arguments; not {hook!r}")
    total = len(items) if isinstance(items, Sized) else None
    ended = itertools.count(1)
    return lambda: progress(next(ended), total)
