"""Awaiting a few different coroutines side by side."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Literal, TypeVar, overload

from asynckit._checks import checked_limit
from asynckit._coroutines import Coroutines
from asynckit._pull import Work

R = TypeVar("R")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")


@overload
def gather(*, limit: float | None = ..., return_exceptions: bool = ...) -> Coroutine[Any, Any, tuple[()]]: ...
@overload
def gather(
    a: Coroutine[Any, Any, A], /, *, limit: float | None = ..., return_exceptions: Literal[False] = ...
) -> Coroutine[Any, Any, tuple[A]]: ...
@overload
def gather(
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    /,
    *,
    limit: float | None = ...,
    return_exceptions: Literal[False] = ...,
) -> Coroutine[Any, Any, tuple[A, B]]: ...
@overload
def gather(
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    c: Coroutine[Any, Any, C],
    /,
    *,
    limit: float | None = ...,
    return_exceptions: Literal[False] = ...,
) -> Coroutine[Any, Any, tuple[A, B, C]]: ...
@overload
def gather(
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    c: Coroutine[Any, Any, C],
    d: Coroutine[Any, Any, D],
    /,
    *,
    limit: float | None = ...,
    return_exceptions: Literal[False] = ...,
) -> Coroutine[Any, Any, tuple[A, B, C, D]]: ...
@overload
def gather(
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    c: Coroutine[Any, Any, C],
    d: Coroutine[Any, Any, D],
    e: Coroutine[Any, Any, E],
    /,
    *,
    limit: float | None = ...,
    return_exceptions: Literal[False] = ...,
) -> Coroutine[Any, Any, tuple[A, B, C, D, E]]: ...
@overload
def gather(
    *coros: Coroutine[Any, Any, R], limit: float | None = ..., return_exceptions: Literal[False] = ...
) -> Coroutine[Any, Any, tuple[R, ...]]: ...
@overload
def gather(
    a: Coroutine[Any, Any, A], /, *, limit: float | None = ..., return_exceptions: Literal[True]
) -> Coroutine[Any, Any, tuple[A | Exception]]: ...
@overload
def gather(
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    /,
    *,
    limit: float | None = ...,
    return_exceptions: Literal[True],
) -> Coroutine[Any, Any, tuple[A | Exception, B | Exception]]: ...
@overload
def gather(
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    c: Coroutine[Any, Any, C],
    /,
    *,
    limit: float | None = ...,
    return_exceptions: Literal[True],
) -> Coroutine[Any, Any, tuple[A | Exception, B | Exception, C | Exception]]: ...
@overload
def gather(
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    c: Coroutine[Any, Any, C],
    d: Coroutine[Any, Any, D],
    /,
    *,
    limit: float | None = ...,
    return_exceptions: Literal[True],
) -> Coroutine[Any, Any, tuple[A | Exception, B | Exception, C | Exception, D | Exception]]: ...
@overload
def gather(
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    c: Coroutine[Any, Any, C],
    d: Coroutine[Any, Any, D],
    e: Coroutine[Any, Any, E],
    /,
    *,
    limit: float | None = ...,
    return_exceptions: Literal[True],
) -> Coroutine[Any, Any, tuple[A | Exception, B | Exception, C | Exception, D | Exception, E | Exception]]: ...
@overload
def gather(
    *coros: Coroutine[Any, Any, R], limit: float | None = ..., return_exceptions: bool
) -> Coroutine[Any, Any, tuple[R | Exception, ...]]: ...
def gather(
    *coros: Coroutine[Any, Any, Any], limit: float | None = None, return_exceptions: bool = False
) -> Coroutine[Any, Any, tuple[Any, ...]]:
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
        TypeError, ValueError: An argument is wrong; all coroutines are closed. Raised by the call, before the `await`.

    Cancellation:
        Cancels all coroutines and waits for them, with `return_exceptions` too. A coroutine that is cancelled on its
        own fails with `ChildCancelledError`; see `amap`.

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
    owned = Coroutines(coros, name="gather")
    try:
        bound = checked_limit(limit)
    except BaseException:
        owned.close()
        raise
    return _gather(owned, bound, return_exceptions)


async def _gather(coros: Coroutines[Any], limit: float, return_exceptions: bool) -> tuple[Any, ...]:
    try:
        work = Work[Coroutine[Any, Any, Any], Any](
            _itself, coros, limit=limit, on_error="return" if return_exceptions else "cancel"
        )
        return tuple(await work.run())
    finally:
        coros.close()


def _itself(coro: Coroutine[Any, Any, R]) -> Coroutine[Any, Any, R]:
    return coro
