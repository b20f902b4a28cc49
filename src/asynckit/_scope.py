"""Structured scopes: tasks that cannot outlive the block they were started in, with a handle on each."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Any, Literal, TypeVar, TypeVarTuple, overload

import anyio
from anyio.abc import TaskGroup

from asynckit._checks import checked_choice, checked_limit, checked_seconds
from asynckit._deadline import Deadline
from asynckit._errors import ChildCancelledError
from asynckit._group import Group
from asynckit._handle import Handle
from asynckit._native import native_task
from asynckit._readiness import Readiness, Starting
from asynckit._steps import as_coroutine, cancelled_from_outside, survive_cancellation

T = TypeVar("T")
V_co = TypeVar("V_co", covariant=True)
Ts = TypeVarTuple("Ts")


def open_scope(
    limit: float | None = None,
    timeout: float | None = None,
    on_error: Literal["cancel", "collect"] = "cancel",
    name: str | None = None,
    collapse: bool = False,
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
        collapse: Raise a single error as it is, without a group around it. Then `except ValueError` does what it looks
            like, until there are two errors at once; `except*` always does.

    Returns:
        An async context manager, bound to the `Scope` by `async with open_scope() as scope`.

    Raises:
        ExceptionGroup: What the body and the children raised, each once even if a handle raised it again (PEP 654).
        BaseException: With `collapse`: the only one of these.
        TimeoutError: The time was up before all children had ended. If there are other errors, it is in the group with
            them; else it comes alone.
        TypeError, ValueError: An argument is wrong.

    Cancellation:
        Cancels all children and waits for them. Errors go before the cancellation, as with any task group; the next
        `await` meets it then, a `Task.cancel` of asyncio too. A child that is cancelled on its own, be it by its handle
        or by a `Task.cancel` of the task it runs in, ends alone; awaiting its handle raises `ChildCancelledError`. A
        `Task.cancel` of a task that has not begun cancels the scope, which raises `ChildCancelledError`.

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
    return _Block(_scope(None if bound == math.inf else int(bound), deadline, on_error == "collect", name, collapse))


class _Block(AbstractAsyncContextManager["Scope", bool]):
    """What `contextlib.asynccontextmanager` makes of a generator; but its frames keep no error of the block."""

    __slots__ = ("_steps",)

    def __init__(self, steps: AsyncGenerator[Scope]) -> None:
        self._steps = steps

    async def __aenter__(self) -> Scope:
        return await anext(self._steps)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            if error is None:
                await anext(self._steps, None)
                return False
            await self._steps.athrow(error)
        except StopAsyncIteration as end:
            return end is not error
        except BaseException as raised:
            # A generator cannot raise what ends generators: that comes as the cause of a `RuntimeError` (PEP 479).
            is_wrapped = isinstance(error, (StopIteration, StopAsyncIteration)) and raised.__cause__ is error
            if error is None or not (raised is error or is_wrapped):
                raise
            error.__traceback__ = trace
            return False
        finally:
            del error, trace
        return False


async def _scope(
    limit: int | None, deadline: Deadline, collect: bool, name: str | None, collapse: bool
) -> AsyncGenerator[Scope]:
    raised: list[BaseException] = []
    others: Sequence[BaseException] = ()
    with deadline:
        try:
            async with Group(raised) as group:
                scope = Scope(group, limit, raised, collect)
                yield scope
                scope._end_body()
        except BaseExceptionGroup as group_error:
            others = group_error.exceptions
        except anyio.get_cancelled_exc_class():
            if not raised:
                raise
        # An error met twice is a child's own, and the same raised again from its handle.
        errors = list({id(error): error for error in (*others, *raised)}.values())
        if not errors and scope._foreground:
            # anyio takes the cancellation of a task that has not begun for one of its whole group, and says nothing.
            errors.append(ChildCancelledError("a child was cancelled before it began, and the scope with it"))
        if not errors:
            return
        if deadline.expired:
            errors.append(deadline.error())
        try:
            if not collapse or len(errors) > 1:
                raise BaseExceptionGroup(f"errors in {name or 'a scope'}", errors) from None
            context = errors[0].__context__
            try:
                raise errors[0]
            finally:
                errors[0].__context__ = context  # not the cancellation of the body that it has led to
                del context
        finally:
            raised.clear()
            del others, errors  # an error of the body refers to this frame


class Scope:
    """What `open_scope` gives: starts tasks and can cancel them all."""

    __slots__ = ("_background", "_body_ended", "_collect", "_foreground", "_group", "_raised", "_turns")

    def __init__(self, group: TaskGroup, limit: int | None, raised: list[BaseException], collect: bool) -> None:
        self._group = group
        self._turns = None if limit is None else anyio.Semaphore(limit, max_value=limit, fast_acquire=True)
        self._raised = raised
        self._collect = collect
        self._foreground = 0  # children that the block waits for and that have not ended
        self._background: set[Handle[Any]] = set()
        self._body_ended = False

    def start_soon(
        self,
        func: Callable[[*Ts], Awaitable[T]],
        *args: *Ts,
        name: str | None = None,
        background: bool = False,
    ) -> Handle[T]:
        """Start `func(*args)` as a child; it begins at the next checkpoint, or when the limit has room.

        Args:
            func: An async function, or one that returns something to await.
            args: Its positional arguments; for keywords use `functools.partial`.
            name: The name of the task, the function's if not given.
            background: Whether the child serves the others, so that the block does not wait for it: it is cancelled
                when the body and all other children have ended. It takes no room of the limit. What it raises counts
                like what others raise.

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
        return self._start(func, args, None, name or _name_of(func), background)

    def create_task(
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, background: bool = False
    ) -> Handle[T]:
        """Start a coroutine object as a child; it is closed if it never gets to begin.

        Args:
            coro: What calling an async function gives.
            name: The name of the task, the coroutine's if not given.
            background: As for `start_soon`.

        Returns:
            A handle on the child.

        Raises:
            TypeError: It is not a coroutine object.
            RuntimeError: The scope's block has ended.
        """
        if not inspect.iscoroutine(coro):
            hint = "; use `start_soon` for a function" if callable(coro) else ""
            raise TypeError(f"`create_task` takes a coroutine object, not {coro!r}{hint}")
        try:
            return self._start(_itself, (coro,), coro, name or _name_of(coro), background)
        except BaseException:
            coro.close()
            raise

    def _start(
        self,
        func: Callable[..., Awaitable[T]],
        args: tuple[object, ...],
        coro: Coroutine[Any, Any, T] | None,
        name: str,
        background: bool,
        readiness: Readiness | None = None,
    ) -> Handle[T]:
        handle: Handle[T] = Handle(name)
        handle._task = self._group.create_task(self._run(handle, func, args, coro, background, readiness), name=name)
        if not background:
            self._foreground += 1
        elif readiness is None:
            self._add_background(handle)
        return handle

    @overload
    async def start(
        self, func: Starting[*Ts, V_co], *args: *Ts, name: str | None = ..., background: bool = ...
    ) -> V_co: ...
    @overload
    async def start(
        self,
        func: Callable[..., Coroutine[Any, Any, object]],
        *args: object,
        name: str | None = ...,
        background: bool = ...,
    ) -> Any: ...
    async def start(
        self,
        func: Callable[..., Coroutine[Any, Any, object]],
        *args: object,
        name: str | None = None,
        background: bool = False,
    ) -> Any:
        """Start a child and wait until it says that it is ready.

        Args:
            func: Called with `args` and the keyword `task_status`, whose `started(value)` says so.
            args: Its positional arguments.
            name: The name of the task, the function's if not given.
            background: As for `start_soon`: once it is ready, it ends with the other children.

        Returns:
            The `value` it gave.

        Raises:
            RuntimeError: It ended without a word.
            ChildCancelledError: It was cancelled before it was ready.
            BaseException: What it raised before it was ready; later errors are the scope's.

        Cancellation:
            Cancels the child, if it is not ready yet.
        """
        readiness = Readiness()
        work = partial(func, task_status=readiness)
        handle = self._start(work, args, None, name or _name_of(func), background, readiness)
        try:
            try:
                await readiness.wait()
            except anyio.get_cancelled_exc_class():
                readiness.is_awaited = False
                handle.cancel()
                with anyio.CancelScope(shield=True):
                    await handle._task.wait()
                if readiness.error is not None:  # it has failed in the same moment
                    self._raised.append(readiness.error)
                    if not self._collect:
                        self.cancel()
                raise
            if readiness.error is not None:
                raise readiness.error
            if not readiness.said:
                handle.result()
                raise RuntimeError(f"`{handle.name}` has ended without a call of `task_status.started()`")
            if background and not handle.done():
                self._add_background(handle)
            return readiness.value
        finally:
            readiness.error = None
            del handle, readiness, work  # an error refers to this frame, and they to the error

    def cancel(self) -> None:
        """Cancel the body and all children. The block then ends without an error, unless something failed."""
        self._group.cancel_scope.cancel()

    def _end_body(self) -> None:
        """The body has ended without an error."""
        self._body_ended = True
        self._end_background()

    def _add_background(self, handle: Handle[Any]) -> None:
        self._background.add(handle)
        self._end_background()

    def _end_background(self) -> None:
        """Cancel the background children if there is nobody left whom they serve."""
        if self._body_ended and not self._foreground:
            for handle in tuple(self._background):
                handle.cancel()

    async def _run(
        self,
        handle: Handle[T],
        func: Callable[..., Awaitable[T]],
        args: tuple[object, ...],
        coro: Coroutine[Any, Any, T] | None,
        background: bool,
        readiness: Readiness | None,
    ) -> None:
        """A child's life: its turn, its work, its outcome."""
        task = None
        try:
            if not handle._unwanted:
                if self._turns is None or background:
                    handle._value = await as_coroutine(func(*args))
                else:
                    async with self._turns:
                        handle._value = await as_coroutine(func(*args))
                task = native_task()
                if (
                    task is None
                    or not task.cancelling()
                    or cancelled_from_outside(self._group.cancel_scope)
                    or not await survive_cancellation(task)
                ):
                    handle._state = "completed"
        except anyio.get_cancelled_exc_class():
            if native_task() is None:
                raise  # on asyncio, see `Group`; and a request to cancel this task alone has been met
        except BaseException as error:
            handle._error = error
            handle._state = "failed"
            if readiness is not None and readiness.is_awaited:
                readiness.error = error  # `start` raises it
            else:
                self._raised.append(error)
                if not self._collect or not isinstance(error, Exception):
                    raise
        finally:
            if coro is not None:
                coro.close()
            if handle._state == "running":
                handle._state = "cancelled"
            if background:
                self._background.discard(handle)
            else:
                self._foreground -= 1
                self._end_background()
            if readiness is not None:
                readiness.end()
            del func, handle, readiness, self, task  # an error refers to this frame, and they to the error


def _itself(coro: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
    return coro


def _name_of(work: object) -> str:
    return str(getattr(work, "__qualname__", None) or repr(work))
