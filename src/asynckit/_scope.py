"""Structured scopes: tasks that cannot outlive the block they were started in, with a handle on each."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Literal, TypeVar, TypeVarTuple

import anyio
from anyio.abc import TaskGroup, TaskStatus

from asynckit._checks import checked_choice, checked_limit, checked_seconds
from asynckit._deadline import Deadline
from asynckit._handle import Handle
from asynckit._steps import as_coroutine, cancelled_from_outside

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def open_scope(
    limit: float | None = None,
    timeout: float | None = None,
    on_error: Literal["cancel", "collect"] = "cancel",
    name: str | None = None,
) -> AbstractAsyncContextManager[Scope]:
    """Open a scope for tasks; the block ends when all of them have.

    Args:
        limit: How many children run at once; the others wait for their turn. `None` for no bound. A child that waits
            for one that has no turn yet can wait for ever.
        timeout: Seconds the whole block may take, its children included; `None` for no end.
        on_error: What an `Exception` of a child does: `cancel` cancels the body and the other children; `collect` lets
            them go on, and raises all of them together at the end. An exception of the body, and one that is no
            `Exception`, cancel the children in either case.
        name: Shown in the message of the scope's exception group.

    Returns:
        An async context manager, bound to the `Scope` by `async with open_scope() as scope`.

    Raises:
        ExceptionGroup: What the body and the children raised, each once even if a handle raised it again (PEP 654).
        TimeoutError: The time was up before all children had ended. If there are other errors, it is in the group with
            them; else it comes alone.
        TypeError, ValueError: An argument is wrong.

    Cancellation:
        Cancels all children and waits for them. Errors go before the cancellation, as with any task group.

    Example:
        >>> import anyio
        >>> from asynckit import open_scope
        >>> async def load(name):
        ...     await anyio.sleep(0)
        ...     return name
        >>> async def main():
        ...     async with open_scope(limit=10, timeout=30) as scope:
        ...         user = scope.start_soon(load, "user")
        ...         orders = scope.start_soon(load, "orders")
        ...     return user.result(), orders.result()
        >>> anyio.run(main)
        ('user', 'orders')
    """
    checked_choice(on_error, ("cancel", "collect"), name="on_error")
    bound = checked_limit(limit)
    deadline = Deadline(checked_seconds(timeout, name="timeout"), sys._getframe(1))
    return _scope(None if bound == math.inf else int(bound), deadline, on_error == "collect", name)


@asynccontextmanager
async def _scope(limit: int | None, deadline: Deadline, collect: bool, name: str | None) -> AsyncGenerator[Scope]:
    collected: list[BaseException] = []
    with deadline:
        others: Sequence[BaseException] = ()
        try:
            async with anyio.create_task_group() as group:
                yield Scope(group, limit, collected if collect else None)
        except BaseExceptionGroup as group_error:
            others = group_error.exceptions
        except anyio.get_cancelled_exc_class():
            if not collected:
                raise
        # An error met twice is a child's own, and the same raised again from its handle.
        errors = list({id(error): error for error in (*others, *collected)}.values())
        if errors:
            if deadline.expired:
                errors.append(deadline.error())
            raise BaseExceptionGroup(f"errors in {name or 'a scope'}", errors) from None


class Scope:
    """What `open_scope` gives: starts tasks and can cancel them all."""

    __slots__ = ("_collected", "_group", "_turns")

    def __init__(self, group: TaskGroup, limit: int | None, collected: list[BaseException] | None) -> None:
        self._group = group
        self._turns: AbstractAsyncContextManager[object] = (
            nullcontext() if limit is None else anyio.Semaphore(limit, max_value=limit)
        )
        self._collected = collected

    def start_soon(self, func: Callable[[*Ts], Awaitable[T]], *args: *Ts, name: str | None = None) -> Handle[T]:
        """Start `func(*args)` as a child; it begins at the next checkpoint, or when the limit has room.

        Args:
            func: An async function, or one that returns something to await.
            args: Its positional arguments; for keywords use `functools.partial`.
            name: The name of the task, the function's if not given.

        Returns:
            A handle on the child.

        Raises:
            TypeError: `func` cannot be called.
            RuntimeError: The scope's block has ended.
        """
        work: object = func
        if not callable(work):
            hint = "; use `create_task` for a coroutine object" if inspect.iscoroutine(work) else ""
            raise TypeError(f"`start_soon` takes an async function and its arguments, not {work!r}{hint}")
        handle = Handle[T](name or _name_of(func))
        self._group.start_soon(self._run, handle, lambda: as_coroutine(func(*args)), None, name=handle.name)
        return handle

    def create_task(self, coro: Coroutine[Any, Any, T], *, name: str | None = None) -> Handle[T]:
        """Start a coroutine object as a child; it is closed if it never gets to begin.

        Args:
            coro: What calling an async function gives.
            name: The name of the task, the coroutine's if not given.

        Returns:
            A handle on the child.

        Raises:
            TypeError: It is not a coroutine object.
            RuntimeError: The scope's block has ended.
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

    async def start(
        self, func: Callable[..., Coroutine[Any, Any, object]], *args: object, name: str | None = None
    ) -> Any:
        """Start a child and wait until it says that it is ready.

        Args:
            func: Called with `args` and the keyword `task_status`, whose `started(value)` says so.
            args: Its positional arguments.
            name: The name of the task, the function's if not given.

        Returns:
            The `value` it gave.

        Raises:
            RuntimeError: It ended without a word.
            BaseException: What it raised before it was ready; later errors are the scope's.

        Cancellation:
            Cancels the child, if it is not ready yet.
        """
        return await self._group.start(self._run_started, func, args, name=name or _name_of(func))

    def cancel(self) -> None:
        """Cancel the body and all children. The block then ends without an error, unless something failed."""
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
                if handle._scope.cancel_called:  # before it began, so it never does
                    return
                async with self._turns:
                    unstarted = None
                    handle._value = await begin()
                    handle._state = "completed"
        except anyio.get_cancelled_exc_class():
            if cancelled_from_outside(self._group.cancel_scope):
                raise
        except BaseException as error:  # noqa: BLE001  # raised again, or collected
            handle._error = error
            handle._state = "failed"
            self._fail(error)
        finally:
            if unstarted is not None:
                unstarted.close()
            if handle._state == "running":
                handle._state = "cancelled"
            handle._finished.set()

    async def _run_started(
        self,
        func: Callable[..., Coroutine[Any, Any, object]],
        args: tuple[object, ...],
        *,
        task_status: TaskStatus[object],
    ) -> None:
        """The life of a child that says when it is ready."""
        status = _Status(task_status)
        async with self._turns:
            try:
                await func(*args, task_status=status)
            except Exception as error:
                if not status.said:
                    raise
                self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Called where `error` is handled."""
        if self._collected is None or not isinstance(error, Exception):
            raise error
        self._collected.append(error)


class _Status:
    """A task status that remembers whether it has been said that the child is ready."""

    __slots__ = ("_inner", "said")

    def __init__(self, inner: TaskStatus[object]) -> None:
        self._inner = inner
        self.said = False

    def started(self, value: object = None) -> None:
        self._inner.started(value)
        self.said = True


def _name_of(work: object) -> str:
    return str(getattr(work, "__qualname__", None) or repr(work))
