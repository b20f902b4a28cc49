"""What the decorators that move a function off the event loop give, and check."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, get_origin, overload

import anyio
import anyio.lowlevel

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")


class _Here(threading.local):
    works = False


here = _Here()
"""Whether this thread is a worker, and a function runs in it."""


class Offloaded(Generic[P, R]):
    """A synchronous function as an async one: what `to_thread` and `to_process` give.

    Call it like the original, and await it.

    Attributes:
        sync: The original function, to be called where blocking is fine; of a method, bound as it is. But of a class
            method it takes the class too from Python 3.13 on, where `classmethod` hides how it is bound.
    """

    def __init__(
        self, sync: Callable[P, R], run: Callable[..., Coroutine[Any, Any, R]], bound: tuple[object, ...] = ()
    ) -> None:
        self.sync = sync
        self._run = run
        self._bound = bound
        wrap(self, sync)
        for what in (self, Offloaded.__call__):
            mark_as_async(what)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        if here.works:
            check_can_await(self)
        return self._run(*self._bound, *args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type[object]) -> Self: ...
    @overload
    def __get__(self: Offloaded[Concatenate[S, Q], R], instance: S, owner: type[object]) -> Offloaded[Q, R]: ...
    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is None:
            return self
        return Offloaded(partial(self.sync, instance), self._run, (*self._bound, instance))

    def __reduce__(self) -> str | tuple[Any, ...]:
        return reduced(self, self._bound)


def wrap(decorated: Any, sync: Callable[..., object]) -> None:
    """Let it look like the original; a bound method has the names of the function, and its own signature."""
    functools.update_wrapper(decorated, sync.func if isinstance(sync, partial) else sync)
    decorated.__wrapped__ = sync


def reduced(decorated: Any, bound: tuple[object, ...]) -> str | tuple[Any, ...]:
    """What pickle is told of a decorated function: its name, which leads to it and no longer to the original.

    A bound method travels as its object and its name.

    Raises:
        TypeError: It is local to another function.
    """
    name: str = getattr(decorated, "__qualname__", "<no name>")
    if "<" in name:
        raise TypeError(
            f"`{name}` cannot be pickled, for another process finds a function by its name; define it with `def` at the"
            " top level of a module"
        )
    return (getattr, (*bound, decorated.__name__)) if bound else name


def mark_as_async(func: Any) -> None:
    """Let `inspect.iscoroutinefunction` say yes, as it does for an `async def`; before Python 3.12, that of asyncio."""
    if sys.version_info >= (3, 12):
        inspect.markcoroutinefunction(func)
    else:
        from asyncio import coroutines

        func._is_coroutine = coroutines._is_coroutine  # type: ignore[attr-defined]


def check_can_await(func: object) -> None:
    """Refuse a call of an async function in a worker thread, where the coroutine would come to nothing.

    Raises:
        RuntimeError: No event loop runs in this thread.
    """
    try:
        anyio.lowlevel.current_token()
    except RuntimeError:
        name = getattr(func, "__name__", "it")
        raise RuntimeError(
            f"`{name}` is async, and a worker thread cannot await it: call `{name}.sync(…)` to run it in this thread,"
            f" or `anyio.from_thread.run({name}, …)` to have it run as it is meant to"
        ) from None


def name_of(func: object) -> str:
    """What messages call a function; never with its arguments, which may be long."""
    while isinstance(func, partial):
        func = func.func
    return getattr(func, "__qualname__", None) or type(func).__qualname__


def check_is_sync(func: object, decorator: str) -> None:
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


def check_limiter(limiter: object, decorator: str) -> None:
    if limiter is not None and not isinstance(limiter, anyio.CapacityLimiter):
        hint = f": `anyio.CapacityLimiter({limiter})`" if isinstance(limiter, int) else ""
        raise TypeError(f"`limiter` of `{decorator}` must be an `anyio.CapacityLimiter`{hint}, not {limiter!r}")


def without_stop_iteration(call: Callable[[], R]) -> R:
    try:
        return call()
    except StopIteration as error:
        raise RuntimeError("the function raised StopIteration") from error


def gives_iterator(func: Callable[..., object]) -> bool:
    """Whether a function gives an iterator: as a generator function does, or by what it is annotated to return."""
    if inspect.isgeneratorfunction(func):
        return True
    try:
        declared: Any = inspect.get_annotations(func).get("return")
    except (NameError, TypeError):  # an annotation that cannot be evaluated (PEP 649), or nothing that has any
        return False
    name = declared if isinstance(declared, str) else getattr(get_origin(declared) or declared, "__name__", "")
    return name.partition("[")[0].rpartition(".")[2] in ("Iterator", "Generator")
