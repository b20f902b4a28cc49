"""Calls as they travel to a worker process, and what comes back."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

from asynckit import _wire, _worker
from asynckit._offloaded import Offloaded
from asynckit._worker import Function, Told
from asynckit._worker_errors import NotPicklableError, RemoteError


def portable(
    func: Callable[..., Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
) -> tuple[Function, tuple[Any, ...], dict[str, Any]]:
    """A call in such a form that it can be pickled, though the name of the function leads to it decorated.

    Raises:
        TypeError: The function cannot be found by its name.
    """
    kwargs = kwargs or {}
    inner: Any = func
    while isinstance(inner, partial):  # the `sync` of a decorated method, too
        args, kwargs = (*inner.args, *args), {**inner.keywords, **kwargs}
        inner = inner.func
    if isinstance(inner, Offloaded):
        raise TypeError(f"{name_of(inner)} is off the event loop already: await it, or pass its `sync`")
    if not hasattr(inner, "__code__") or hasattr(inner, "__self__"):
        return inner, args, kwargs  # a class, a method, something that is called: pickled as it is
    module, name = inner.__module__, inner.__qualname__
    if "<" in name:
        raise TypeError(
            f"a worker process finds a function by its name, and cannot find `{name}`; define it with `def` at the top"
            " level of a module"
        )
    if _worker.original(module, name) is not inner:
        raise TypeError(
            f"`{module}.{name}` is not the function that was decorated, so another process cannot find that by its"
            " name; let `@to_process` be the topmost decorator, and keep the name"
        )
    return (module, name), args, kwargs


def name_of(func: object) -> str:
    """What to call a function in messages."""
    while isinstance(func, partial):
        func = func.func
    return f"`{getattr(func, '__qualname__', None) or repr(func)}`"


def result_of(answer: tuple[int, Any], name: str) -> Any:
    """What a worker's answer says.

    Raises:
        Exception: What the function raised, or what stands for it.
    """
    kind, value = answer
    if kind != _worker.RESULT:
        raise error_of(kind, value, name)
    return value


def error_of(kind: int, told: Told, name: str) -> Exception:
    """The exception that a worker tells of, caused by a `RemoteError` with its traceback."""
    remote = RemoteError(told.summary, told.traceback)
    error: Exception
    if kind == _worker.NOT_CALLED:
        error = NotPicklableError(f"a worker process cannot unpickle the call of {name}: {told.summary}")
    elif kind == _worker.NOT_ANSWERED:
        error = NotPicklableError(f"the result of {name} cannot be pickled: {told.summary}; return plain data")
    elif told.pickled is None:
        return remote
    else:
        try:
            error = pickle.loads(told.pickled)  # noqa: S301  # from our own process
        except Exception:  # noqa: BLE001  # there are the words
            return remote
        if isinstance(error, StopIteration):
            error = RuntimeError("the function raised StopIteration")
    error.__cause__ = remote
    return error


def packed(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> _wire.Message:
    """A call as a message.

    Raises:
        NotPicklableError: It has something in it that cannot travel.
    """
    try:
        return _wire.pack((func, args, kwargs))
    except Exception as error:
        raise NotPicklableError(
            f"the arguments of {name} cannot be pickled: {type(error).__name__}: {error}; pass plain data, and make"
            " in the function what cannot travel: connections, locks, open files"
        ) from error
