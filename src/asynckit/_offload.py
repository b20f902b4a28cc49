"""Decorators that move a synchronous function off the event loop."""

from __future__ import annotations

import functools
import importlib
import inspect
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

    Attributes:
        sync: The original function, to be called where blocking is fine.
    """

    def __init__(self, sync: Callable[P, R], run: Callable[[partial[R]], Awaitable[R]]) -> None:
        self.sync = sync
        self._run = run
        functools.update_wrapper(self, sync)
        mark = getattr(inspect, "markcoroutinefunction", None)
        if mark is not None:
            mark(self)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._run(partial(self.sync, *args, **kwargs))

    @overload
    def __get__(self, instance: None, owner: type[object]) -> Self: ...
    @overload
    def __get__(self: Offloaded[Concatenate[S, Q], R], instance: S, owner: type[object]) -> Offloaded[Q, R]: ...
    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is None:
            return self
        return Offloaded(partial(self.sync, instance), self._run)


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

        @to_thread
        def read(path: str) -> str:
            with open(path) as file:
                return file.read()

        text = await read("notes.txt")

    Works on functions and methods. Context variables that are set where it is called are seen in the thread; what the
    thread sets stays there.

    Args:
        limiter: Bounds the threads in use; the back end's default has room for 40.
        abandon_on_cancel: On cancellation leave the thread to itself instead of waiting for it.

    Raises:
        TypeError: The function is async already.
        RuntimeError: On a call, if the function raises `StopIteration`, which a coroutine cannot (PEP 479).

    Cancellation:
        A running thread cannot be stopped: a cancelled call waits for it, unless `abandon_on_cancel` is set, and then
        the thread runs on and its result is dropped.
    """
    if func is None:
        return partial(to_thread, limiter=limiter, abandon_on_cancel=abandon_on_cancel)  # type: ignore[return-value]
    _check_is_sync(func, "to_thread")

    async def run(call: partial[R]) -> R:
        return await anyio.to_thread.run_sync(
            _without_stop_iteration, call, abandon_on_cancel=abandon_on_cancel, limiter=limiter
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

        @to_process
        def count_primes(below: int) -> int:
            ...

        primes = await count_primes(10**7)

    The function is found by its name in the worker, so it must be defined at the top level of a module; arguments,
    result and exceptions are pickled.

    Args:
        limiter: Bounds the processes in use; the back end's default has room for one a core.
        cancellable: On cancellation kill the worker instead of waiting for it.

    Raises:
        TypeError: The function is async already, or its name does not lead to it from its module.
        anyio.BrokenWorkerProcess: On a call, if its worker dies. Other calls go on, in other workers.

    Cancellation:
        The worker that runs the call is killed, and only that one.
    """
    if func is None:
        return partial(to_process, limiter=limiter, cancellable=cancellable)  # type: ignore[return-value]
    _check_is_sync(func, "to_process")
    if "<" in func.__qualname__:
        raise TypeError(
            f"`to_process` finds a function by its name in another process, and cannot find `{func.__qualname__}`;"
            " define it at the top level of a module"
        )

    async def run(call: partial[R]) -> R:
        from anyio import to_process as processes

        module, name = func.__module__, func.__qualname__
        return await processes.run_sync(
            _call_by_name, module, name, call.args, call.keywords, cancellable=cancellable, limiter=limiter
        )

    return Offloaded(func, run)


def _check_is_sync(func: Callable[..., Any], decorator: str) -> None:
    if inspect.iscoroutinefunction(func) or inspect.isasyncgenfunction(func):
        raise TypeError(f"`{decorator}` is for synchronous functions; `{func.__qualname__}` is async, just await it")
    if not callable(func):
        raise TypeError(f"`{decorator}` decorates a function, not {func!r}")


def _without_stop_iteration(call: Callable[[], R]) -> R:
    try:
        return call()
    except StopIteration as error:
        raise RuntimeError("the function raised StopIteration") from error


def _call_by_name(module: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call the function that a decorated name of a module stands for: in the worker process."""
    target: Any = importlib.import_module(module)
    for part in name.split("."):
        target = getattr(target, part)
    return _without_stop_iteration(partial(target.sync, *args, **kwargs))
