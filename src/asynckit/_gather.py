"""Awaiting a few different coroutines side by side."""

from __future__ import annotations

import inspect
import math
from collections.abc import Coroutine
from typing import Any, Literal, TypeVar, overload

from asynckit._checks import checked_limit
from asynckit._pull import Work

R = TypeVar("R")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")


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
    a: Coroutine[Any, Any, A], /, *, limit: float | None = ..., return_exceptions: Literal[True]
) -> tuple[A | Exception]: ...
@overload
async def gather(
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    /,
    *,
    limit: float | None = ...,
    return_exceptions: Literal[True],
) -> tuple[A | Exception, B | Exception]: ...
@overload
async def gather(
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    c: Coroutine[Any, Any, C],
    /,
    *,
    limit: float | None = ...,
    return_exceptions: Literal[True],
) -> tuple[A | Exception, B | Exception, C | Exception]: ...
@overload
async def gather(
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    c: Coroutine[Any, Any, C],
    d: Coroutine[Any, Any, D],
    /,
    *,
    limit: float | None = ...,
    return_exceptions: Literal[True],
) -> tuple[A | Exception, B | Exception, C | Exception, D | Exception]: ...
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
    return_exceptions: Literal[True],
) -> tuple[A | Exception, B | Exception, C | Exception, D | Exception, E | Exception]: ...
@overload
async def gather(
    *coros: Coroutine[Any, Any, R], limit: float | None = ..., return_exceptions: bool
) -> tuple[R | Exception, ...]: ...
async def gather(
    *coros: Coroutine[Any, Any, Any], limit: float | None = None, return_exceptions: bool = False
) -> tuple[Any, ...]:
    """Await coroutines side by side and give their results in the order they were passed.

    Each coroutine runs in a copy of the caller's context, so what it sets in a context variable is seen by no other.

    Args:
        coros: Coroutine objects, each once. Those that have not begun when the call ends are closed, without the
            warning that they were never awaited.
        limit: How many run at once; `None` for all.
        return_exceptions: Put an `Exception` in the place of the result, and go on with the others.

    Returns:
        One result for each coroutine, in order.

    Raises:
        ExceptionGroup: What the coroutines raised, be it only one; the first failure cancels the others (PEP 654).
        TypeError, ValueError: An argument is wrong; all coroutines are closed.

    Cancellation:
        Cancels all coroutines and waits for them, with `return_exceptions` too. A coroutine that raises the back end's
        cancellation exception unasked fails with `ChildCancelledError`; see `amap`.

    Example:
        >>> import anyio
        >>> from asynckit import gather
        >>> async def load(name):
        ...     await anyio.sleep(0)
        ...     return name
        >>> async def main():
        ...     user, orders = await gather(load("user"), load("orders"))
        ...     return user, orders
        >>> anyio.run(main)
        ('user', 'orders')
    """
    try:
        seen: set[int] = set()
        for position, coro in enumerate(coros):
            if not inspect.iscoroutine(coro):
                raise TypeError(f"argument {position} of `gather` must be a coroutine, not {coro!r}{_hint(coro)}")
            if id(coro) in seen:
                raise ValueError(
                    f"argument {position} of `gather` was passed before, and a coroutine can be awaited once only;"
                    " call the async function again for another"
                )
            seen.add(id(coro))
        work = Work(
            _itself,
            coros,
            limit=checked_limit(limit),
            on_error="return" if return_exceptions else "cancel",
            item_timeout=math.inf,
        )
        return tuple(await work.run())
    finally:
        for coro in coros:
            if inspect.iscoroutine(coro) and inspect.getcoroutinestate(coro) == inspect.CORO_CREATED:
                coro.close()


def _itself(coro: Coroutine[Any, Any, R]) -> Coroutine[Any, Any, R]:
    return coro


def _hint(wrong: object) -> str:
    """How to make a coroutine of what was passed to `gather`."""
    if inspect.iscoroutinefunction(wrong):
        return f"; call it: `gather({wrong.__name__}(…))`"
    if isinstance(wrong, (list, tuple)):
        return "; unpack it with a star: `gather(*coros)`"
    if inspect.isawaitable(wrong):
        return "; await it in an async function, and pass what that returns"
    return ""
