"""Synchronous functions in worker threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar, TypeVarTuple, overload

import anyio

from asynckit._checks import checked_limit
from asynckit._iterate import LOOK_AHEAD, OffloadedIterator, checked_look_ahead, iterate_in_thread
from asynckit._offloaded import Offloaded, check_is_sync, gives_iterator, name_of
from asynckit._thread_call import call
from asynckit._thread_pool import ThreadPool, checked_limiter

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def run_in_thread(
    func: Callable[[*Ts], R],
    *args: *Ts,
    limiter: ThreadPool | anyio.CapacityLimiter | None = None,
    abandon_on_cancel: bool = False,
    context_out: bool = False,
) -> R:
    """Call a synchronous function in a worker thread, and wait for it. For work that waits.

    The function runs in a copy of the context it is called in: it sees the context variables that are set there, and
    what it sets is its own, unless `context_out` is given (PEP 567). It can call back into the event loop by
    `anyio.from_thread.run`, and ask by `anyio.from_thread.check_cancelled` whether its work is still wanted.

    Args:
        func: A synchronous function.
        args: Its arguments; for those by keyword, use `functools.partial`.
        limiter: Bounds how many threads work at once; `default_thread_pool()` if not given.
        abandon_on_cancel: On cancellation leave the thread to itself instead of waiting for it.
        context_out: When the function has ended, let the caller have the context variables that it has set.

    Returns:
        What the function returns.

    Raises:
        BaseException: What the function raises, `KeyboardInterrupt` and `SystemExit` too.
        RuntimeError: The function raises `StopIteration`, which a coroutine cannot (PEP 479). Or the pool has been shut
            down, or no thread can be started. Or the limiter is anyio's and has no token left, and the call is made on
            behalf of one that has such a token: they could wait for each other.
        TypeError: The function is async, a generator function, or returns a coroutine: all these would run in the event
            loop, not in the thread. Or `limiter` is none.
        ChildCancelledError: The function raises the back end's cancellation exception, and nothing is cancelled.

    Cancellation:
        A call that still waits for a thread is cancelled at once. A running thread cannot be stopped: a cancelled call
        waits for it. Then it returns or raises as if nothing had been, and the next checkpoint is cancelled. But
        asyncio's own `Task.cancel` does not come again; after that, the result is dropped and `CancelledError` raised.

        With `abandon_on_cancel`, a cancelled call ends at once. The thread runs on and keeps its room, and what it
        returns or raises is dropped. The process can exit meanwhile.

    Example:
        >>> import anyio
        >>> from asynckit import run_in_thread
        >>> anyio.run(run_in_thread, pow, 2, 5)
        32
    """
    bound = checked_limiter(limiter)
    return await call(func, args, {}, limiter=bound, abandon_on_cancel=abandon_on_cancel, context_out=context_out)


class ThreadDecorator(Protocol):
    """What `to_thread` gives when it is called with options only: the decorator."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first that fits is meant
        self, func: Callable[P, Iterator[T]], /
    ) -> OffloadedIterator[P, T]: ...
    @overload
    def __call__(self, func: Callable[P, R], /) -> Offloaded[P, R]: ...


@overload
def to_thread(  # type: ignore[overload-overlap]  # the first that fits is meant
    func: Callable[P, Iterator[T]], /
) -> OffloadedIterator[P, T]: ...
@overload
def to_thread(func: Callable[P, R], /) -> Offloaded[P, R]: ...
@overload
def to_thread(
    *,
    limiter: ThreadPool | anyio.CapacityLimiter | int | None = None,
    abandon_on_cancel: bool = False,
    context_out: bool = False,
    look_ahead: int = LOOK_AHEAD,
) -> ThreadDecorator: ...
def to_thread(
    func: Callable[P, Any] | None = None,
    /,
    *,
    limiter: ThreadPool | anyio.CapacityLimiter | int | None = None,
    abandon_on_cancel: bool = False,
    context_out: bool = False,
    look_ahead: int = LOOK_AHEAD,
) -> Any:
    """Make a synchronous function async: each call runs in a worker thread. For work that waits.

    Decorate with `@to_thread`, or with `@to_thread(…)` and options. Works on functions and methods; goes below
    `@staticmethod` and `@classmethod`. Context variables, calls back into the event loop, what is raised and what
    becomes of a cancelled call are as with `run_in_thread`.

    A call of a generator function, or of one that is annotated to return an `Iterator` or a `Generator`, gives an async
    iterator, for `async with`, as `iterate_in_thread` does. Annotate generator functions, too, for type checkers.

    Args:
        func: A synchronous function.
        limiter: Bounds how many threads work at once; `default_thread_pool()` if not given. A number makes a pool of
            that size for the function alone.
        abandon_on_cancel: On cancellation leave the thread to itself instead of waiting for it.
        context_out: When the function has ended, let the caller have the context variables that it has set. Not for one
            that gives an iterator.
        look_ahead: For one that gives an iterator: how many items may wait to be taken.

    Returns:
        The function as an async one, with the same parameters; `sync` on it is the original.

    Raises:
        TypeError, ValueError: The function is async already, or not a function; or an option is wrong.
        RuntimeError: On a call, as with `run_in_thread`; and when a worker thread calls it, which could not await it.

    Example:
        >>> import anyio
        >>> from asynckit import to_thread
        >>> @to_thread
        ... def double(number):
        ...     return 2 * number
        >>> anyio.run(double, 4)
        8
        >>> double.sync(4)
        8
    """
    checked_look_ahead(look_ahead)
    size = checked_limit(limiter, name="limiter") if type(limiter) is int else None
    bound = checked_limiter(limiter) if size is None else None
    if func is None:
        return partial(
            to_thread,
            limiter=limiter,
            abandon_on_cancel=abandon_on_cancel,
            context_out=context_out,
            look_ahead=look_ahead,
        )
    check_is_sync(func, "to_thread")
    name = name_of(func)
    bound = bound or ThreadPool(name, size)
    if gives_iterator(func):
        if context_out:
            raise TypeError(f"`context_out` is for functions that end, and `{name}` gives an iterator")

        def iterate(*args: Any, **kwargs: Any) -> Any:
            return iterate_in_thread(
                partial(func, *args, **kwargs),
                look_ahead=look_ahead,
                limiter=bound,
                abandon_on_cancel=abandon_on_cancel,
            )

        return OffloadedIterator(func, iterate)

    async def run(*args: Any, **kwargs: Any) -> Any:
        return await call(
            func, args, kwargs, limiter=bound, abandon_on_cancel=abandon_on_cancel, context_out=context_out
        )

    return Offloaded(func, run)
