"""A synchronous function as an async one, in worker processes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ParamSpec, TypeVar, TypeVarTuple, Unpack, overload

import anyio

from asynckit._checks import checked_seconds
from asynckit._offloaded import Offloaded, check_is_sync, check_limiter
from asynckit._remote_call import name_of, portable
from asynckit._worker_pool import ProcessPool, default_pool

P = ParamSpec("P")
Ts = TypeVarTuple("Ts")
R = TypeVar("R")


@overload
def to_process(func: Callable[P, R], /) -> Offloaded[P, R]: ...
@overload
def to_process(
    *,
    limiter: anyio.CapacityLimiter | None = None,
    cancellable: bool = True,
    timeout: float | None = None,
    pool: ProcessPool | None = None,
) -> Callable[[Callable[P, R]], Offloaded[P, R]]: ...
def to_process(
    func: Callable[P, R] | None = None,
    /,
    *,
    limiter: anyio.CapacityLimiter | None = None,
    cancellable: bool = True,
    timeout: float | None = None,
    pool: ProcessPool | None = None,
) -> Offloaded[P, R] | Callable[[Callable[P, R]], Offloaded[P, R]]:
    """Make a synchronous function async: each call runs in a worker process. For work that computes.

    Decorate with `@to_process`, or with `@to_process(…)` and options. The worker finds the function by its name, so it
    must be defined at the top level of a module or class. Arguments, result and exceptions are pickled; large `bytes`
    and the buffers of NumPy arrays travel beside the pickle, without being copied into it (PEP 574), and do not hold up
    the event loop. Do not change an argument until the call is over.

    Workers are fresh interpreters, started when needed and kept for the next calls. One that is asked for something of
    the main module imports that, as `multiprocessing` with the spawn method does, so a program needs its
    `if __name__ == "__main__":`. Needs sockets that processes can share: Linux, macOS and other Unix systems.

    Args:
        func: A synchronous function.
        limiter: Bounds the calls that run, in place of the bound of the pool.
        cancellable: On cancellation kill the worker instead of waiting for it.
        timeout: Seconds a call may take, from when it has a worker.
        pool: Where to run; if not given, a pool for the whole program, with a worker for each core that it may use.

    Returns:
        The function as an async one, with the same parameters; `sync` on it is the original.

    Raises:
        TypeError: The function is async already, not a function, or local to another one. On a call: its name leads to
            something else in its module.
        Exception: On a call, what the function raised, caused by a `RemoteError` that has its traceback in the worker.
        RemoteError: On a call, if what the function raised cannot be pickled.
        NotPicklableError: On a call, if an argument or the result cannot travel; the worker lives on.
        WorkerCrashed: On a call, if its worker dies, though it be by `sys.exit`. Other calls go on, in other workers.
        TimeoutError: On a call, if it takes longer than `timeout`; its worker is killed.
        RuntimeError: On a call, if the function raises `StopIteration`, which a coroutine cannot (PEP 479); or if this
            runs in a worker already, and no pool is given.

    Cancellation:
        The worker that runs the call is killed, and only that one; with `cancellable=False` a cancelled call waits for
        it. A call that still waits for a worker is cancelled at once. Workers end with this process, however it ends;
        Ctrl-C does nothing in them, since it is for this process to say what it shall end.

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
        check_limiter(limiter, "to_process")
        return partial(to_process, limiter=limiter, cancellable=cancellable, timeout=timeout, pool=pool)  # type: ignore[return-value]
    check_is_sync(func, "to_process")
    module, name = getattr(func, "__module__", None), getattr(func, "__qualname__", None)
    if module is None or name is None or "<" in name:
        raise TypeError(
            f"`to_process` finds a function by its name in another process, and cannot find `{name or repr(func)}`;"
            " define it with `def` at the top level of a module"
        )

    seconds = checked_seconds(timeout, name="timeout")

    async def run(*args: Any, **kwargs: Any) -> R:
        used, bound = _pool(pool, limiter)
        call = portable(func, args, kwargs)
        result: R = await used.call(*call, name=name_of(func), limiter=bound, seconds=seconds, cancellable=cancellable)
        return result

    return Offloaded(func, run)


async def run_in_process(
    func: Callable[[Unpack[Ts]], R],
    /,
    *args: *Ts,
    timeout: float | None = None,  # noqa: ASYNC109  # unlike a cancel scope, it counts from when there is a worker
    limiter: anyio.CapacityLimiter | None = None,
    cancellable: bool = True,
    pool: ProcessPool | None = None,
) -> R:
    """Call a synchronous function in a worker process.

    Args:
        func: A function that a worker can import, or a `functools.partial` of one; of a decorated one, its `sync`.
        args: Its arguments. Pass keyword arguments by a `functools.partial`.
        timeout: As for `to_process`.
        limiter: As for `to_process`.
        cancellable: As for `to_process`.
        pool: As for `to_process`.

    Returns:
        What the function does.

    Raises:
        Exception: As for a call of what `to_process` gives.

    Cancellation:
        As for `to_process`.

    Example:
        >>> import anyio, math
        >>> from asynckit import run_in_process
        >>> anyio.run(run_in_process, math.factorial, 5)
        120
    """
    check_is_sync(func, "run_in_process")
    seconds = checked_seconds(timeout, name="timeout")
    check_limiter(limiter, "run_in_process")
    used, bound = _pool(pool, limiter)
    result: R = await used.call(
        *portable(func, args), name=name_of(func), limiter=bound, seconds=seconds, cancellable=cancellable
    )
    return result


def _pool(pool: ProcessPool | None, limiter: anyio.CapacityLimiter | None) -> tuple[ProcessPool, anyio.CapacityLimiter]:
    if pool is None:
        used, bound = default_pool()
    else:
        used, bound = pool, pool.limiter
    return used, limiter or bound
