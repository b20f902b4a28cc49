"""Worker processes that are started when needed, kept, and replaced."""

from __future__ import annotations

import atexit
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

import anyio
import anyio.lowlevel

from asynckit import _wire, _worker
from asynckit._checks import checked_limit, checked_seconds
from asynckit._remote_call import name_of, packed, portable, result_of
from asynckit._worker import Function
from asynckit._worker_errors import NotPicklableError, WorkerCrashed
from asynckit._worker_process import WorkerProcess, in_thread, main_module

P = ParamSpec("P")
R = TypeVar("R")

_ENDING = 2.0
"""Seconds a worker has to end by itself."""


class ProcessPool:
    """Worker processes for functions that compute.

    `to_process` and `run_in_process` have one for the whole program that fits most; make another for workers that are
    set up by an initializer, or so many, or replaced after so many calls. Use it as `async with ProcessPool(…) as
    pool`; leaving the block ends its workers.

    Args:
        workers: How many processes at most; as many as there are cores, if not given.
        max_tasks: Calls after which a worker is replaced by a fresh one; `None` for no end.
        initializer: Called in each worker before its first call.
        initargs: Its arguments.
        idle: Seconds after which a worker that nobody needs is ended; it is looked for at the end of each call.
        warm: Start all workers when the block is entered, not when they are needed.

    Raises:
        TypeError, ValueError: An argument is wrong.

    Cancellation:
        A cancelled call kills the worker that makes it, and only that. Leaving the block kills those that still work.

    Example:
        >>> import anyio
        >>> from asynckit import ProcessPool
        >>> async def main():
        ...     async with ProcessPool(2) as pool:
        ...         return await pool.run(pow, 2, 10)
        >>> anyio.run(main)
        1024
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        max_tasks: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        idle: float | None = 300,
        warm: bool = False,
    ) -> None:
        self.workers: int = int(checked_limit(cores() if workers is None else workers, name="workers"))
        self._max_tasks = checked_limit(max_tasks, name="max_tasks")
        self._setup = None if initializer is None else (portable(initializer)[0], initargs)
        self._idle_seconds = checked_seconds(idle, name="idle")
        self._warm = warm
        self._limiter: anyio.CapacityLimiter | None = None
        self._all: set[WorkerProcess] = set()
        self._idle: deque[WorkerProcess] = deque()
        self._ending: deque[tuple[WorkerProcess, float]] = deque()
        self._closed = False
        self._lock = threading.Lock()
        """Protects the idle ones and the ending ones: the pool of the program serves event loops of several threads."""

    async def __aenter__(self) -> Self:
        if self._limiter is not None or self._closed:
            raise RuntimeError("a pool can be entered once; make another `ProcessPool`")
        self._limiter = anyio.CapacityLimiter(self.workers)
        if self._warm:
            try:
                await self._start_all()
            except BaseException:
                await self._close()
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def run(self, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function in one of the workers.

        Args:
            func: As for `run_in_process`.
            args: Its arguments.
            kwargs: Its keyword arguments.

        Returns:
            What the function does.

        Raises:
            RuntimeError: Outside the block of the pool.
            Exception: As for `run_in_process`.

        Cancellation:
            Kills the worker.
        """
        limiter = self.limiter
        result: R = await self.call(*portable(func, args, kwargs), name=name_of(func), limiter=limiter)
        return result

    @property
    def limiter(self) -> anyio.CapacityLimiter:
        """Bounds the calls that run.

        Raises:
            RuntimeError: The block of the pool has not been entered, or has been left.
        """
        if self._limiter is None or self._closed:
            raise RuntimeError("this pool is not open; use it inside its `async with ProcessPool(…) as pool`")
        return self._limiter

    async def call(
        self,
        func: Function,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        name: str,
        limiter: anyio.CapacityLimiter,
        seconds: float = math.inf,
        cancellable: bool = True,
    ) -> Any:
        """Make a call whose function is `portable` already; it may take so many seconds in its worker."""
        await anyio.lowlevel.checkpoint_if_cancelled()
        message = packed(func, args, kwargs, name)
        borrower = object()
        try:
            limiter.acquire_on_behalf_of_nowait(borrower)
        except anyio.WouldBlock:
            await limiter.acquire_on_behalf_of(borrower)
        try:
            worker, rest = await self._begin(message)
            if cancellable:
                answer = await self._finish(worker, rest, name, seconds)
            else:
                with anyio.CancelScope(shield=True):
                    answer = await self._finish(worker, rest, name, seconds)
        finally:
            limiter.release_on_behalf_of(borrower)
        return result_of(answer, name)

    async def _begin(self, message: _wire.Message) -> tuple[WorkerProcess, _wire.Message]:
        """Find a worker that takes the message.

        Returns:
            The worker, and what is still to be sent.
        """
        while True:
            worker = self._take() or await self._start()
            try:
                return worker, worker.begin(message)
            except _wire.Ended:  # it ended while nobody looked, and has received nothing
                self._discard(worker)

    async def _finish(self, worker: WorkerProcess, rest: _wire.Message, name: str, seconds: float) -> Any:
        """Wait for the answer of a worker, and see to the worker."""
        try:
            answer = await _in_time(worker.finish(rest), name, seconds)
        except _wire.Ended as ended:
            raise await self._crash(worker, ended, name) from None
        except _wire.Unreadable as unreadable:
            await self._release(worker)
            error = unreadable.__cause__
            raise NotPicklableError(
                f"the result of {name} cannot be unpickled: {type(error).__name__}: {error}; return plain data"
            ) from error
        except GeneratorExit:
            self._discard(worker)  # nothing can be awaited any more
            raise
        except BaseException:
            worker.kill()
            await self._buried(worker)
            raise
        await self._release(worker)
        return answer

    def _take(self) -> WorkerProcess | None:
        """The worker that was needed last of those that nobody needs."""
        with self._lock:
            return self._idle.pop() if self._idle else None

    async def _release(self, worker: WorkerProcess) -> None:
        if self._closed:
            await self._buried(worker, 0)
        else:
            self._give_back(worker)

    def _give_back(self, worker: WorkerProcess) -> None:
        worker.calls += 1
        worker.since = now = time.monotonic()
        with self._lock:
            if worker.calls >= self._max_tasks:
                self._dismiss(worker)
            else:
                self._idle.append(worker)
            while self._idle and now - self._idle[0].since >= self._idle_seconds:
                self._dismiss(self._idle.popleft())
            while self._ending and self._ending[0][0].has_ended():
                ended, _ = self._ending.popleft()
                ended.wait()
                self._all.discard(ended)
            if self._ending and now > self._ending[0][1]:
                self._ending[0][0].kill()

    def _dismiss(self, worker: WorkerProcess) -> None:
        worker.dismiss()
        self._ending.append((worker, time.monotonic() + _ENDING))

    def _discard(self, worker: WorkerProcess) -> None:
        """End a worker at once, and wait for that another time."""
        worker.kill()
        self._ending.append((worker, time.monotonic()))

    def _bury(self, worker: WorkerProcess, seconds: float | None) -> int:
        """Wait until a worker that ends has done so; in a thread."""
        status = worker.wait(seconds)
        self._all.discard(worker)
        return status

    async def _buried(self, worker: WorkerProcess, seconds: float | None = None) -> int:
        with anyio.CancelScope(shield=True):
            return await in_thread(self._bury, worker, seconds)
        raise AssertionError("nobody cancels this scope")

    async def _crash(self, worker: WorkerProcess, ended: _wire.Ended, name: str) -> WorkerCrashed:
        """What to raise when a worker has ended, or said it will; if this pool has ended it, that is raised instead."""
        status = await self._buried(worker, _ENDING / 4)
        self._check_open(name)
        return WorkerCrashed(name, status if ended.status is None else ended.status)

    async def _start(self) -> WorkerProcess:
        """A new worker that is ready.

        Raises:
            WorkerCrashed: It ended right away.
            RuntimeError: The initializer failed; what it raised is the cause. Or the pool has been closed.
        """
        worker = await self._spawned()
        what = "a call, which had not begun," if self._setup is None else "the initializer of the pool"
        answer = None
        try:
            message = _wire.pack(_worker.Preparation(main_module(), sys.argv, self._setup))
            answer = await worker.finish(worker.begin(message))
            result_of(answer, what)
        except _wire.Ended as ended:
            raise await self._crash(worker, ended, what) from None
        except GeneratorExit:
            self._discard(worker)
            raise
        except BaseException as error:
            worker.kill()
            await self._buried(worker)
            if answer is not None and isinstance(error, Exception):
                raise RuntimeError("the initializer of the pool failed in a new worker process") from error
            raise
        return worker

    async def _spawned(self) -> WorkerProcess:
        """A new worker that is not ready yet."""
        # Objects that a worker sends know the classes of the main module by this name.
        sys.modules.setdefault("__mp_main__", sys.modules["__main__"])
        abandoned = False

        def spawn() -> WorkerProcess:
            worker = WorkerProcess()
            self._all.add(worker)
            if abandoned or self._closed:
                worker.kill()
                self._bury(worker, None)
            return worker

        try:
            with anyio.CancelScope(shield=True):
                worker = await in_thread(spawn)
        except BaseException:  # asyncio's own `Task.cancel` takes no notice of the shield
            abandoned = True
            raise
        self._check_open("a call")
        return worker

    def _check_open(self, name: str) -> None:
        if self._closed:
            raise RuntimeError(f"the pool was closed while {name} ran in it")

    async def _start_all(self) -> None:
        async def start() -> None:
            self._idle.append(await self._start())

        async with anyio.create_task_group() as group:
            for _ in range(self.workers):
                group.start_soon(start)

    async def _close(self) -> None:
        self._closed = True
        with anyio.CancelScope(shield=True):
            await in_thread(self.end_all)

    def end_all(self) -> None:
        """End the workers there are, and wait until they have; those that still work are killed. In any thread."""
        with self._lock:
            ours = [*self._idle, *(worker for worker, _ in self._ending)]
            self._idle.clear()
            self._ending.clear()
        for worker in ours:
            worker.dismiss()
        busy = self._all.difference(ours)
        for worker in busy:
            worker.kill()
        until = time.monotonic() + _ENDING
        for worker in ours:
            worker.wait(max(0.0, until - time.monotonic()))
            self._all.discard(worker)
        for worker in busy:
            worker.join()  # whoever waits for its answer sees the end, and does the rest

    def __repr__(self) -> str:
        return f"<ProcessPool of {self.workers}, {len(self._all)} started, {len(self._idle)} idle>"


async def _in_time(answer: Awaitable[Any], name: str, seconds: float) -> Any:
    if seconds == math.inf:
        return await answer
    with anyio.move_on_after(seconds):
        return await answer
    raise TimeoutError(f"{name} took longer than its timeout of {seconds:g} s; its worker was killed")


def cores() -> int:
    """How many cores this process may use."""
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_default: ProcessPool | None = None
_limiter = anyio.lowlevel.RunVar[anyio.CapacityLimiter]("asynckit._worker_pool._limiter")


def default_pool() -> tuple[ProcessPool, anyio.CapacityLimiter]:
    """The one for the whole program, and its bound in this event loop.

    Raises:
        RuntimeError: This is a worker process.
    """
    global _default  # noqa: PLW0603
    if _worker.in_worker():
        raise RuntimeError(
            "this runs in a worker process already, and workers of workers would have no end; call the function itself"
            " (of a decorated one: its `sync`), or open a `ProcessPool` here if you mean it. If it runs because a"
            ' worker imports the main module, protect what shall not run there by `if __name__ == "__main__":`'
        )
    if _default is None:
        _default = ProcessPool()
        atexit.register(_default.end_all)
    try:
        limiter = _limiter.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(_default.workers)
        _limiter.set(limiter)
    return _default, limiter


def _forget() -> None:
    """In a fork: the workers are the parent's."""
    global _default  # noqa: PLW0603
    if _default is not None:
        atexit.unregister(_default.end_all)
    _default = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
