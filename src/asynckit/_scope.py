"""Structured scopes: tasks that cannot outlive the block they were started in, with a handle on each."""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Generic, Literal, TypeVar, TypeVarTuple

import anyio
from anyio.abc import TaskGroup

from asynckit._deadline import Deadline
from asynckit._errors import ChildCancelledError, checked_limit, checked_seconds
from asynckit._steps import as_coroutine, cancelled_itself

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def open_scope(
    limit: float | None = None,
    timeout: float | None = None,
    on_error: Literal["cancel", "collect"] = "cancel",
    name: str | None = None,
) -> AbstractAsyncContextManager[Scope]:
    """Open a scope for tasks; the block ends when all of them have.

        async with open_scope(limit=10, timeout=30) as scope:
            user = scope.start_soon(load_user, 7)
            orders = scope.start_soon(load_orders, 7)
        print(user.result(), orders.result())

    Args:
        limit: How many children run at once; the others wait for their turn. `None` for no bound.
        timeout: Seconds the whole block may take, its children included.
        on_error: What the failure of a child does: `cancel` cancels the body and the other children; `collect` lets
            them go on, and raises all failures together at the end.
        name: Shown in the scope's errors.

    Raises:
        ExceptionGroup: What the body and the children raised, each once (PEP 654).
        TimeoutError: The time was up before all children had ended.
        TypeError, ValueError: An argument is wrong.

    Cancellation:
        Cancels all children and waits for them.
    """
    if on_error not in ("cancel", "collect"):
        raise ValueError(f'`on_error` must be "cancel" or "collect", not {on_error!r}')
    seconds = checked_seconds(timeout, name="timeout")
    deadline = None if timeout is None else Deadline(seconds, sys._getframe(1))
    return _scope(checked_limit(limit), deadline, on_error == "collect", name)


@asynccontextmanager
async def _scope(
    limit: int | None, deadline: Deadline | None, collect: bool, name: str | None
) -> AsyncGenerator[Scope]:
    failures: list[Exception] = []
    raised: BaseExceptionGroup[BaseException] | None = None
    with deadline or nullcontext():
        try:
            async with anyio.create_task_group() as group:
                yield Scope(group, limit, failures if collect else None)
        except BaseExceptionGroup as error:
            raised = error
        errors = _once([*(raised.exceptions if raised else ()), *failures])
        if errors:
            raise BaseExceptionGroup(f"errors in {name or 'a scope'}", errors)


def _once(errors: list[BaseException]) -> list[BaseException]:
    """The errors without those met twice: a child's own, and the same raised from its handle."""
    return list({id(error): error for error in errors}.values())


class Scope:
    """What `open_scope` gives: starts tasks and can cancel them all."""

    __slots__ = ("_failures", "_group", "_limiter")

    def __init__(self, group: TaskGroup, limit: int | None, failures: list[Exception] | None) -> None:
        self._group = group
        self._limiter = None if limit is None else anyio.Semaphore(limit, max_value=limit)
        self._failures = failures

    def start_soon(self, func: Callable[[*Ts], Awaitable[T]], *args: *Ts, name: str | None = None) -> Handle[T]:
        """Start `func(*args)` as a child; it begins at the next checkpoint, or when the limit has room."""
        handle = Handle[T](name or _name_of(func))
        self._group.start_soon(self._run, handle, lambda: as_coroutine(func(*args)), None, name=handle.name)
        return handle

    def create_task(self, coro: Coroutine[Any, Any, T], *, name: str | None = None) -> Handle[T]:
        """Start a coroutine object as a child.

        Raises:
            TypeError: It is not a coroutine object.
        """
        if not inspect.iscoroutine(coro):
            hint = "; use `start_soon` for a function" if callable(coro) else ""
            raise TypeError(f"`create_task` takes a coroutine object, not {coro!r}{hint}")
        handle = Handle[T](name or _name_of(coro))
        try:
            self._group.start_soon(self._run, handle, lambda: coro, coro, name=handle.name)
        except BaseException:
            coro.close()
            raise
        return handle

    async def start(self, func: Callable[..., Coroutine[Any, Any, Any]], *args: object, name: str | None = None) -> Any:
        """Start a child and wait until it says that it is ready.

        Args:
            func: Called with `args` and the keyword `task_status`, whose `started(value)` says so.

        Returns:
            The `value` it gave.
        """
        return await self._group.start(func, *args, name=name)

    def cancel(self) -> None:
        """Cancel the body and all children. The block then ends without an error."""
        self._group.cancel_scope.cancel()

    async def _run(
        self,
        handle: Handle[T],
        begin: Callable[[], Coroutine[Any, Any, T]],
        unstarted: Coroutine[Any, Any, T] | None,
    ) -> None:
        """A child's life: its turn, its work, its outcome."""
        try:
            with handle._scope:
                async with self._limiter or nullcontext():
                    unstarted = None
                    handle._value = await begin()
                    handle._state = "completed"
        except anyio.get_cancelled_exc_class():
            if not cancelled_itself(self._group.cancel_scope):
                raise
        except Exception as error:
            handle._error = error
            handle._state = "failed"
            if self._failures is None:
                raise
            self._failures.append(error)
        except BaseException as error:
            handle._error = error
            handle._state = "failed"
            raise
        finally:
            if unstarted is not None:
                unstarted.close()
            if handle._state == "running":
                handle._state = "cancelled"
            handle._finished.set()


def _name_of(work: object) -> str:
    return str(getattr(work, "__qualname__", None) or repr(work))


class Handle(Generic[T]):
    """A child of a scope. Await it for its result; the scope waits for it anyway.

    Cancellation:
        Cancelling who awaits a handle does not cancel the child.
    """

    __slots__ = ("_error", "_finished", "_scope", "_state", "_value", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._scope = anyio.CancelScope()
        self._finished = anyio.Event()
        self._state: Literal["running", "completed", "failed", "cancelled"] = "running"
        self._value: T
        self._error: BaseException | None = None

    def __repr__(self) -> str:
        return f"<Handle {self.name} {self._state}>"

    def __await__(self) -> Generator[Any, Any, T]:
        return self._wait().__await__()

    async def _wait(self) -> T:
        await self._finished.wait()
        return self.result()

    def done(self) -> bool:
        """Whether the child has ended, in any way."""
        return self._state != "running"

    def cancelled(self) -> bool:
        """Whether the child was cancelled before it ended."""
        return self._state == "cancelled"

    def cancel(self) -> None:
        """Cancel this child alone; its siblings go on."""
        self._scope.cancel()

    def result(self) -> T:
        """What the child returned.

        Raises:
            ChildCancelledError: It was cancelled.
            RuntimeError: It is still running.
            BaseException: What it raised.
        """
        error = self.exception()
        if error is not None:
            raise error
        return self._value

    def exception(self) -> BaseException | None:
        """What the child raised, `None` if it returned.

        Raises:
            ChildCancelledError: It was cancelled.
            RuntimeError: It is still running.
        """
        if self._state == "running":
            raise RuntimeError(f"`{self.name}` is still running: await its handle, or ask after the scope's block")
        if self._state == "cancelled":
            raise ChildCancelledError(f"`{self.name}` was cancelled")
        return self._error
