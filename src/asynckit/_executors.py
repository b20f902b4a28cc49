"""A synchronous function as an async one, in any executor: a pool, or a cluster."""

from __future__ import annotations

import concurrent.futures
import contextvars
import importlib
import logging
import math
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar, TypeVarTuple

import anyio
import anyio.lowlevel
import anyio.to_thread

from asynckit._checks import checked_seconds
from asynckit._errors import ChildCancelledError
from asynckit._native import native_task
from asynckit._offloaded import Offloaded, check_is_sync, without_stop_iteration

P = ParamSpec("P")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")

_logger = logging.getLogger("asynckit")


class SupportsSubmit(Protocol):
    """What can be used as an executor: `concurrent.futures.Executor`, or anything that submits like one."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> concurrent.futures.Future[Any]:
        """Start a call, without waiting for it."""
        ...


def offload(
    executor: SupportsSubmit | Callable[[], SupportsSubmit],
    *,
    timeout: float | None = None,
    abandon_on_cancel: bool = False,
) -> Callable[[Callable[P, R]], Offloaded[P, R]]:
    """Make a synchronous function async: each call runs in an executor.

    For pools with settings of their own, and for clusters, through `dask.distributed.Client.get_executor()` and the
    like. Goes below `@staticmethod` and `@classmethod`. The pools of the standard library that pickle find the function
    by its name, so there it must be defined at the top level of a module or class, with `offload` as the topmost
    decorator.

    Args:
        executor: An executor, or a function without parameters that makes one: decorators run when a module is
            imported, which is no time to start processes. It is called at the first call, in a thread, and once.
            Whoever makes an executor shuts it down.
        timeout: Seconds that a call may take, its wait for a free worker included; `None` for no end.
        abandon_on_cancel: As with `run_in_executor`.

    Returns:
        A decorator. What it gives is the function as an async one, with the same parameters; `sync` on it is the
        original.

    Raises:
        TypeError: The executor is none; or the function is async already, or not a function.

    A call raises what `run_in_executor` does, and on cancellation does the same.

    Example:
        >>> import anyio
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> from asynckit import offload
        >>> @offload(lambda: ThreadPoolExecutor(max_workers=1))
        ... def double(number):
        ...     return 2 * number
        >>> anyio.run(double, 21)
        42
    """
    made = _Made(executor)
    seconds = checked_seconds(timeout, name="timeout")

    def decorate(func: Callable[P, R]) -> Offloaded[P, R]:
        check_is_sync(func, "offload")

        async def run(*args: Any, **kwargs: Any) -> R:
            return await _run(made, func, args, kwargs, seconds, abandon_on_cancel)

        return Offloaded(func, run)

    return decorate


async def run_in_executor(
    executor: SupportsSubmit | Callable[[], SupportsSubmit],
    func: Callable[[*Ts], R],
    /,
    *args: *Ts,
    timeout: float | None = None,  # noqa: ASYNC109  # the message says whether the call could be stopped
    abandon_on_cancel: bool = False,
) -> R:
    """Call a synchronous function in an executor, and wait for its result.

    A `ThreadPoolExecutor` gets a copy of the context variables; what the call sets stays there (PEP 567). Contexts
    cannot be pickled, so processes, interpreters and clusters get none. Exceptions come as the executor gives them,
    with the remote traceback as their cause where it keeps one.

    Args:
        executor: An executor, or a function without parameters that makes one, which is called in a thread.
        func: A synchronous function; `functools.partial` gives it keyword arguments.
        args: Its arguments. All but threads need them pickled.
        timeout: Seconds that the call may take, its wait for a free worker included; `None` for no end.
        abandon_on_cancel: When the call is cancelled and the executor cannot stop it, leave it running, with a warning
            in the log `asynckit`, instead of waiting for its end. Its result or error is then dropped.

    Returns:
        What the function returns.

    Raises:
        TimeoutError: It took longer than `timeout`; the message says whether it could be stopped.
        RuntimeError: The executor is shut down, or the function raised `StopIteration` (PEP 479).
        concurrent.futures.BrokenExecutor: The executor lost a worker and gives up.
        ChildCancelledError: The call was cancelled by others, say by a shutdown of the executor.
        TypeError: The executor is none, or the function is async.

    Cancellation:
        Cancels the executor's future. That ends a call which still waits for a worker, and what a cluster does is up to
        it. The standard pools cannot stop a call that has begun: by default its end is waited for.

    Example:
        >>> import anyio
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> from asynckit import run_in_executor
        >>> with ThreadPoolExecutor() as pool:
        ...     anyio.run(run_in_executor, pool, pow, 2, 5)
        32
    """
    made = _Made(executor)
    check_is_sync(func, "run_in_executor")
    return await _run(made, func, args, {}, checked_seconds(timeout, name="timeout"), abandon_on_cancel)


class _Made:
    """An executor, made when it is first asked for."""

    def __init__(self, executor: Any) -> None:
        self._executor: SupportsSubmit | None = None
        self._make: Callable[[], Any] = executor
        self._lock = threading.Lock()
        if not isinstance(executor, type) and hasattr(executor, "submit"):
            self._executor = executor
        elif not callable(executor):
            raise TypeError(
                f"`executor` must have a method `submit`, as `concurrent.futures.Executor` has, or be a function that"
                f" makes one, not {executor!r}"
            )

    async def get(self) -> SupportsSubmit:
        if self._executor is None:
            return await anyio.to_thread.run_sync(self._get_in_thread)
        return self._executor

    def _get_in_thread(self) -> SupportsSubmit:
        with self._lock:
            if self._executor is None:
                executor = self._make()
                if not hasattr(executor, "submit"):
                    raise TypeError(
                        f"the function given as `executor` must return an executor, with a method `submit`;"
                        f" it returned {executor!r}"
                    )
                self._executor = executor
            return self._executor


class _ByName:
    """A decorated function, for pickle: it would look for the function by its name, and find what decorates it."""

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _named(self._module, self._name).sync(*args, **kwargs)


def _named(module: str, name: str) -> Any:
    target: Any = importlib.import_module(module)
    for part in name.split("."):
        target = getattr(target, part, None)
    return target


def _call_for(executor: SupportsSubmit, func: Callable[..., Any]) -> Callable[..., Any]:
    """What to submit so that the function is called as well as this kind of executor can."""
    # A pool of interpreters (3.14) is a pool of threads too, but pickles.
    interpreters: type[Any] | tuple[()] = getattr(concurrent.futures, "InterpreterPoolExecutor", ())
    if isinstance(executor, concurrent.futures.ThreadPoolExecutor) and not isinstance(executor, interpreters):
        return partial(contextvars.copy_context().run, func)
    pickles = isinstance(executor, (interpreters, concurrent.futures.ProcessPoolExecutor))
    module, name = getattr(func, "__module__", None), getattr(func, "__qualname__", None)
    if pickles and module and name and "<" not in name:
        found = _named(module, name)
        if isinstance(found, Offloaded) and found.sync is func:
            return _ByName(module, name)
    return func


def _submitted(
    executor: SupportsSubmit, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> concurrent.futures.Future[Any]:
    call = _call_for(executor, func)
    try:
        future: object = executor.submit(partial(call, **kwargs) if kwargs else call, *args)
    except concurrent.futures.BrokenExecutor as error:
        _explain_broken(error)
        raise
    except RuntimeError as error:
        raise RuntimeError(
            f"`{type(executor).__name__}` takes no call: {error}; it must be open while calls are made, so make them"
            " inside its `with` block"
        ) from error
    if not isinstance(future, concurrent.futures.Future):
        hint = "; pass `client.get_executor()`, not the client" if hasattr(executor, "get_executor") else ""
        raise TypeError(
            f"`submit` of `{type(executor).__name__}` must return a `concurrent.futures.Future`, not {future!r}{hint}"
        )
    return future


def _explain_broken(error: BaseException) -> None:
    note = "A worker of the executor died and the executor takes no more calls; make a new one to go on"
    if note not in getattr(error, "__notes__", ()):  # one error may be that of many calls
        error.add_note(note)


async def _run(
    made: _Made,
    func: Callable[..., R],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    seconds: float,
    abandon_on_cancel: bool,
) -> R:
    name = getattr(func, "__qualname__", repr(func))
    stopped = True
    with anyio.move_on_after(None if seconds == math.inf else seconds) as scope:
        executor = await made.get()
        await anyio.lowlevel.checkpoint_if_cancelled()
        future: concurrent.futures.Future[R] = _submitted(executor, func, args, kwargs)
        done = _Done(future)
        try:
            await done.wait()
        except BaseException:
            stopped = future.cancel() or future.done()
            if not stopped and abandon_on_cancel:
                _logger.warning(
                    "`%s` was cancelled, but `%s` cannot stop it: it runs on", name, type(executor).__name__
                )
            elif not stopped:
                with anyio.CancelScope(shield=True):
                    await done.wait()
            raise
        finally:
            done.forget()
        return _result(future, name)
    assert scope.cancelled_caught
    after = "it was stopped"
    if not stopped:
        after = "it could not be stopped and " + ("runs on" if abandon_on_cancel else "has run to its end")
    raise TimeoutError(f"`{name}` took longer than {seconds:g} s in the executor; {after}")


def _result(future: concurrent.futures.Future[R], name: str) -> R:
    if future.cancelled():
        raise ChildCancelledError(f"`{name}` was cancelled in its executor, by others or by its shutdown")
    error = future.exception()
    if isinstance(error, concurrent.futures.BrokenExecutor):
        _explain_broken(error)
    elif isinstance(error, concurrent.futures.CancelledError):  # what a cluster reports of its own futures
        raise ChildCancelledError(f"`{name}` was cancelled in its executor: {error}") from error
    result: R = without_stop_iteration(future.result)
    return result


class _Done:
    """Waits for a future. The future calls back in any thread, perhaps long after nobody waits any more."""

    def __init__(self, future: concurrent.futures.Future[Any]) -> None:
        self._event: anyio.Event | None = anyio.Event()
        self._call_soon = _call_soon()
        self._future = future
        if not future.done():
            future.add_done_callback(self._wake)

    async def wait(self) -> None:
        if self._future.done() or self._event is None:
            await anyio.lowlevel.checkpoint()
        else:
            await self._event.wait()

    def forget(self) -> None:
        """Callbacks cannot be taken back; from now on it does nothing, and keeps no event loop alive."""
        self._event = None
        self._call_soon = None

    def _wake(self, _: object) -> None:
        event, call_soon = self._event, self._call_soon
        if event is None or call_soon is None:
            return
        try:
            call_soon(event.set)
        except RuntimeError:  # the event loop has ended
            return


def _call_soon() -> Callable[[Callable[[], object]], object] | None:
    """How another thread has the event loop call something."""
    task = native_task()
    if task is not None:
        return task.get_loop().call_soon_threadsafe
    import trio

    return trio.lowlevel.current_trio_token().run_sync_soon
