"""Decorators that move a synchronous function off the event loop."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

import anyio
import anyio.to_thread

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")


class Offloaded(Generic[P, R]):
    """A synchronous function as an async one: what `to_thread` and `to_process` give.

    Call it like the original, and await it.

    Attributes:
        sync: The original function, to be called where blocking is fine; of a method, bound as it is.
    """

    def __init__(self, sync: Callable[P, R], run: Callable[..., Awaitable[R]], bound: tuple[object, ...] = ()) -> None:
        self.sync = sync
        self._run = run
        self._bound = bound
        functools.update_wrapper(self, sync)
        if sys.version_info >= (3, 12):
            inspect.markcoroutinefunction(self)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._run(*self._bound, *args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type[object]) -> Self: ...
    @overload
    def __get__(self: Offloaded[Concatenate[S, Q], R], instance: S, owner: type[object]) -> Offloaded[Q, R]: ...
    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is None:
            return self
        return Offloaded(partial(self.sync, instance), self._run, (*self._bound, instance))


@overload
def to_thread(func: Callable[P, R], /) -> Offloaded[P, R]: ...
@overload
def to_thread(
    *, limiter: anyio.CapacityLimiter | None = None, abandon_on_cancel: bool = False
) -> Callable[[Callable[P, R]], Offloaded[P, R]]: ...
def to_thread(
    func: Callable[P, R] | None = None,
    /,
    *,
    limiter: anyio.CapacityLimiter | None = None,
    abandon_on_cancel: bool = False,
) -> Offloaded[P, R] | Callable[[Callable[P, R]], Offloaded[P, R]]:
    """Make a synchronous function async: each call runs in a worker thread. For work that waits.

    Decorate with `@to_thread`, or with `@to_thread(…)` and options. Works on functions and methods; goes below
    `@staticmethod` and `@classmethod`. Context variables that are set where it is called are seen in the thread; what
    the thread sets stays there (PEP 567).

    Args:
        func: A synchronous function.
        limiter: Bounds the threads in use; anyio's default has room for 40.
        abandon_on_cancel: On cancellation leave the thread to itself instead of waiting for it.

    Returns:
        The function as an async one, with the same parameters; `sync` on it is the original.

    Raises:
        TypeError: The function is async already, or not a function.
        RuntimeError: On a call, if the function raises `StopIteration`, which a coroutine cannot (PEP 479).

    Cancellation:
        A running thread cannot be stopped: a cancelled call waits for it, unless `abandon_on_cancel` is set, and then
        the thread runs on and its result is dropped. A call that still waits for a thread is cancelled at once.

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
    if func is None:
        _check_limiter(limiter, "to_thread")
        return partial(to_thread, limiter=limiter, abandon_on_cancel=abandon_on_cancel)  # type: ignore[return-value]
    _check_is_sync(func, "to_thread")

    async def run(*args: Any, **kwargs: Any) -> R:
        return await anyio.to_thread.run_sync(
            _without_stop_iteration,
            partial(func, *args, **kwargs),
            abandon_on_cancel=abandon_on_cancel,
            limiter=limiter,
        )

    return Offloaded(func, run)


@overload
def to_process(func: Callable[P, R], /) -> Offloaded[P, R]: ...
@overload
def to_process(
    *, limiter: anyio.CapacityLimiter | None = None, cancellable: bool = True
) -> Callable[[Callable[P, R]], Offloaded[P, R]]: ...
def to_process(
    func: Callable[P, R] | None = None,
    /,
    *,
    limiter: anyio.CapacityLimiter | None = None,
    cancellable: bool = True,
) -> Offloaded[P, R] | Callable[[Callable[P, R]], Offloaded[P, R]]:
    """Make a synchronous function async: each call runs in a worker process. For work that computes.

    Decorate with `@to_process`, or with `@to_process(…)` and options. The worker finds the function by its name, so it
    must be defined at the top level of a module or class; arguments, result and exceptions are pickled. Workers are
    started when needed and kept for the next calls; each imports the main module once, as `multiprocessing` with the
    spawn method does, so a program needs its `if __name__ == "__main__":`.

    Args:
        func: A synchronous function.
        limiter: Bounds the processes in use; anyio's default has room for one a core.
        cancellable: On cancellation kill the worker instead of waiting for it.

    Returns:
        The function as an async one, with the same parameters; `sync` on it is the original.

    Raises:
        TypeError: The function is async already, not a function, or local to another one. On a call: its name leads to
            something else in its module.
        anyio.BrokenWorkerProcess: On a call, if its worker dies. Other calls go on, in other workers.
        RuntimeError: On a call, if the function raises `StopIteration`, which a coroutine cannot (PEP 479).

    Cancellation:
        The worker that runs the call is killed, and only that one; with `cancellable=False` a cancelled call waits for
        it. A call that still waits for a worker is cancelled at once.

    Example:
        A program, in a file of its own::

            import anyio
            from asynckit import to_process

            @to_process
            def count_primes(below: int) -> int:
                return sum(all(n % d for d in range(2, n)) for n in range(2, below))

            if __name__ == "__main__":
                print(anyio.run(count_primes, 100))
    """
    if func is None:
        _check_limiter(limiter, "to_process")
        return partial(to_process, limiter=limiter, cancellable=cancellable)  # type: ignore[return-value]
    _check_is_sync(func, "to_process")
    module, name = getattr(func, "__module__", None), getattr(func, "__qualname__", None)
    if module is None or name is None or "<" in name:
        raise TypeError(
            f"`to_process` finds a function by its name in another process, and cannot find `{name or repr(func)}`;"
            " define it with `def` at the top level of a module"
        )

    async def run(*args: Any, **kwargs: Any) -> R:
        from anyio import to_process as processes

        if _original(module, name) is not func:
            raise TypeError(
                f"`{module}.{name}` is not the function that was decorated, so another process cannot find that by its"
                " name; let `@to_process` be the topmost decorator, and keep the name"
            )
        return await processes.run_sync(
            _call_by_name, module, name, args, kwargs, cancellable=cancellable, limiter=limiter
        )

    return Offloaded(func, run)


def _check_is_sync(func: object, decorator: str) -> None:
    if isinstance(func, (staticmethod, classmethod)):
        kind = type(func).__name__
        raise TypeError(f"`@{decorator}` goes below `@{kind}`: it decorates the function, not the {kind}")
    if not callable(func):
        raise TypeError(f"`{decorator}` decorates a function, not {func!r}{_call_hint(func)}")
    if isinstance(func, Offloaded):
        raise TypeError(f"`{getattr(func, '__qualname__', func)}` is off the event loop already; decorate it once")
    if any(
        inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each)
        for each in (func, getattr(func, "__call__", None))  # noqa: B004  # it is looked at, not asked for
    ):
        name = getattr(func, "__qualname__", repr(func))
        raise TypeError(f"`{decorator}` is for synchronous functions; `{name}` is async already: use it as it is")


def _call_hint(wrong: object) -> str:
    return "; pass options by keyword: `limiter=…`" if isinstance(wrong, (int, anyio.CapacityLimiter)) else ""


def _check_limiter(limiter: object, decorator: str) -> None:
    if limiter is not None and not isinstance(limiter, anyio.CapacityLimiter):
        hint = f": `anyio.CapacityLimiter({limiter})`" if isinstance(limiter, int) else ""
        raise TypeError(f"`limiter` of `{decorator}` must be an `anyio.CapacityLimiter`{hint}, not {limiter!r}")


def _without_stop_iteration(call: Callable[[], R]) -> R:
    try:
        return call()
    except StopIteration as error:
        raise RuntimeError("the function raised StopIteration") from error


def _original(module: str, name: str) -> Any:
    """The undecorated function that a name of a module stands for."""
    target: Any = importlib.import_module(module)
    for part in name.split("."):
        target = getattr(target, part, None)
    return target.sync if isinstance(target, Offloaded) else target


def _call_by_name(module: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a decorated function, in the worker process."""
    return _without_stop_iteration(partial(_original(module, name), *args, **kwargs))
