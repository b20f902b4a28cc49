"""One call of a function in a worker thread, and the task that waits for it.

On asyncio the threads are asynckit's own, for anyio's cost more; on trio they are trio's, for only these can be called
back from by `trio.from_thread`. All else is the same: who may run is decided in one place, and the same code runs in
the thread.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context, ContextVar, copy_context
from functools import partial
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from asynckit._call_back import set_current_async_library, threadlocals
from asynckit._errors import ChildCancelledError
from asynckit._mailbox import current_mailbox
from asynckit._native import cancel_again, native_requests, native_task
from asynckit._offloaded import here, name_of
from asynckit._room import Job, Room, on_behalf_of
from asynckit._steps import cancelled_from_outside
from asynckit._thread_pool import ThreadPool, room_of
from asynckit._workers import workers

if TYPE_CHECKING:
    import asyncio

R = TypeVar("R")


class Call(Job, Generic[R]):
    """A call of a function, in a copy of the context that it is made in."""

    __slots__ = ("_args", "_before", "_context", "_context_out", "_error", "_func", "_kwargs", "_result", "mailbox")

    def __init__(
        self,
        room: Room,
        func: Callable[..., R],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        context_out: bool,
    ) -> None:
        super().__init__(room, name_of(func))
        self.mailbox = current_mailbox()
        self._func = func
        self._args = args
        self._kwargs = kwargs
        self._context = copy_context()
        self._context_out = context_out
        self._before: Context | None = None
        self._result: R | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Make the call, in the thread."""
        here.works = True
        try:
            self._result = self._context.run(self._call)
        except BaseException as error:  # noqa: BLE001  # who waits raises it
            self._error = error
        finally:
            here.works = False

    def _call(self) -> R:
        on_behalf_of.set(self)
        set_current_async_library(None)
        if self._context_out:
            self._before = copy_context()
        result = self._func(*self._args, **self._kwargs)
        if hasattr(result, "__await__") or type(result) is GeneratorType:
            _check_result(result, self._func, self.name)
        return result

    def refused(self) -> None:
        self._error = RuntimeError(f"`{self.name}` came too late: its thread pool has been shut down")

    def drop(self) -> None:
        """Abandon it where it is collected as garbage: there the lock may be held, by this very thread."""
        self.mailbox.put(partial(self.room.abandon, self))

    async def wait(self, *, abandon_on_cancel: bool) -> R:
        """Wait until there is room, and until the call has been made."""
        raise NotImplementedError

    def outcome(self) -> R:
        """What the function returned or raised."""
        try:
            if self._before is not None:
                for variable, value in self._context.items():
                    if variable not in self._before or self._before[variable] is not value:
                        variable.set(value)
            if self._error is not None:
                raise_in_task(self._error)
            return self._result  # type: ignore[return-value]
        finally:
            # The context has this call in it, and the error has frames of it. And what was begun on its behalf may
            # outlive it, and does not need to keep all this.
            del self._context, self._before, self._func, self._args, self._kwargs, self._result, self._error


class AsyncioCall(Call[R]):
    """One that a task of asyncio waits for, in a thread of asynckit."""

    __slots__ = ("_answered", "_future", "_scope")

    _future: asyncio.Future[None]
    _scope: anyio.CancelScope

    def admitted(self) -> None:
        workers.ready(self.run)

    def refused(self) -> None:
        super().refused()
        self.mailbox.put(self._answer)

    def run(self) -> None:
        if self.room.begin(self):
            threadlocals.current_token = self.mailbox.token
            threadlocals.current_cancel_scope = self._scope
            super().run()
            del threadlocals.current_token, threadlocals.current_cancel_scope
            self.room.leave(self)
            self.mailbox.put(self._answer)

    async def wait(self, *, abandon_on_cancel: bool) -> R:
        self._answered = False
        requests = native_requests()
        backend = self.mailbox.backend  # asked directly, which is faster
        with backend.create_cancel_scope() as self._scope:
            await backend.checkpoint_if_cancelled()
            self._future = self.mailbox.future()
            self.room.enter(self)
            try:
                await self._future
            except GeneratorExit:
                self.drop()
                raise
            except anyio.get_cancelled_exc_class():
                if self.room.withdraw(self):
                    raise
                comes_again = cancelled_from_outside(self._scope)
                self._scope.cancel()  # for `anyio.from_thread.check_cancelled`, and for what is called back
                if abandon_on_cancel:
                    self.room.abandon(self)
                    raise
                with anyio.CancelScope(shield=True):
                    comes_again = not await self._wait_in_any_case() and comes_again
                if self._was_interrupted(comes_again):
                    raise
                if not comes_again:
                    cancel_again(requests)
        return self.outcome()

    async def _wait_in_any_case(self) -> bool:
        """Wait although asyncio cancels, as the function runs on in any case.

        Returns:
            Whether it has done so.
        """
        cancelled = False
        while not self._answered:
            try:
                self._future = self.mailbox.future()
                await self._future
            except anyio.get_cancelled_exc_class():
                cancelled = True
        return cancelled

    def _was_interrupted(self, comes_again: bool) -> bool:
        """Whether a cancelled call ends with the cancellation.

        If that comes again, at the next checkpoint, it does not take away what the function has returned. Of what the
        function has raised, it takes the place of nothing but itself.
        """
        from concurrent.futures import CancelledError

        if self._error is None:
            return not comes_again
        return isinstance(self._error, (CancelledError, anyio.get_cancelled_exc_class()))

    def _answer(self) -> None:
        self._answered = True
        if not self._future.done():
            self._future.set_result(None)


class TrioCall(Call[R]):
    """One that a task of trio waits for, in a thread of trio."""

    __slots__ = ("_answered",)

    _answered: anyio.Event

    def admitted(self) -> None:
        if self.state == "waiting":
            self.mailbox.put(self._answered.set)

    def refused(self) -> None:
        super().refused()
        self.mailbox.put(self._answered.set)

    def run(self) -> None:
        if self.room.begin(self):
            super().run()
            self.room.leave(self)
            workers.wake()

    async def wait(self, *, abandon_on_cancel: bool) -> R:
        self._answered = anyio.Event()
        await anyio.lowlevel.checkpoint_if_cancelled()
        try:
            if not self.room.enter(self):
                await self._answered.wait()
            if self._error is None:
                await self._in_thread(abandon_on_cancel)
        except GeneratorExit:
            self.drop()
            raise
        except BaseException:
            self.room.abandon(self)
            raise
        return self.outcome()

    async def _in_thread(self, abandon_on_cancel: bool) -> None:
        limiter = anyio.CapacityLimiter(math.inf)
        run = partial(anyio.to_thread.run_sync, self.run, abandon_on_cancel=abandon_on_cancel, limiter=limiter)
        if _is_context_of_task():
            await run()
            return
        # What is called back from a thread has the context of that, but trio knows only the context of the whole task
        # that waits. Here the task has several, one for each item that it runs; so another task waits.
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(run)
        except anyio.get_cancelled_exc_class():
            if self.state != "over":
                raise


_probe: ContextVar[object] = ContextVar("_probe")


def _is_context_of_task() -> bool:
    """Whether a task of trio runs in the context that it was made with."""
    import trio

    reset = _probe.set(object())
    try:
        return trio.lowlevel.current_task().context.get(_probe) is _probe.get()
    finally:
        _probe.reset(reset)


def call(
    func: Callable[..., R],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    limiter: ThreadPool | anyio.CapacityLimiter,
    abandon_on_cancel: bool = False,
    context_out: bool = False,
) -> Coroutine[Any, Any, R]:
    """Call a function in a worker thread, once the limiter lets it; to be awaited at once, where it is called."""
    if isinstance(limiter, ThreadPool):
        made: Call[R] = _kind()(room_of(limiter), func, args, kwargs, context_out)
        return made.wait(abandon_on_cancel=abandon_on_cancel)
    return _call_with_token(TokenRoom(limiter), func, args, kwargs, abandon_on_cancel, context_out)


async def _call_with_token(
    room: TokenRoom,
    func: Callable[..., R],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    abandon_on_cancel: bool,
    context_out: bool,
) -> R:
    await room.take_token(name_of(func))
    made: Call[R] = _kind()(room, func, args, kwargs, context_out)
    try:
        return await made.wait(abandon_on_cancel=abandon_on_cancel)
    finally:
        if made.state == "new":
            room.give_back()


def _kind() -> type[Call[Any]]:
    """The kind of calls that the event loop which runs here can make."""
    return TrioCall if native_task() is None else AsyncioCall


class TokenRoom(Room):
    """Room for one call, which an `anyio.CapacityLimiter` gives a token; it gets that back when the call is over."""

    def __init__(self, limiter: anyio.CapacityLimiter) -> None:
        super().__init__(math.inf)
        self.limiter = limiter
        self._mailbox = current_mailbox()

    async def take_token(self, name: str) -> None:
        """Wait until there is one.

        Raises:
            RuntimeError: The call is made on behalf of one that has a token already, and there is none left.
        """
        outer = on_behalf_of.get()
        while outer is not None:
            if outer.state != "over" and isinstance(outer.room, TokenRoom) and outer.room.limiter is self.limiter:
                try:
                    self.limiter.acquire_on_behalf_of_nowait(self)
                except anyio.WouldBlock:
                    raise RuntimeError(
                        f"`{name}` is called on behalf of `{outer.name}`, which waits in a thread, and their limiter"
                        f" has none of its {self.limiter.total_tokens:g} tokens left, so that they could wait for each"
                        " other; give one of them another limiter, or both a `ThreadPool`: there the one that waits"
                        " lends its room"
                    ) from None
                return
            outer = outer.outer
        await self.limiter.acquire_on_behalf_of(self)

    def give_back(self) -> None:
        """Return the token, in the event loop."""
        self.limiter.release_on_behalf_of(self)

    def _free(self, job: Job) -> None:
        super()._free(job)
        self._mailbox.put(self.give_back)


def raise_in_task(error: BaseException) -> NoReturn:
    """Raise what a function has raised, unless a coroutine cannot."""
    if isinstance(error, StopIteration):
        raise RuntimeError("the function raised StopIteration") from error
    if isinstance(error, anyio.get_cancelled_exc_class()) and anyio.current_effective_deadline() > -math.inf:
        raise ChildCancelledError("the function raised a cancellation that nobody asked for") from error
    try:
        raise error
    finally:
        del error  # it refers to this frame


def _check_result(result: object, func: object, name: str) -> None:
    """Refuse what would run in the event loop after all, or never.

    Raises:
        TypeError: It is a coroutine, or a generator of a generator function.
    """
    if isinstance(result, Coroutine):
        result.close()
        if inspect.iscoroutinefunction(func):
            raise TypeError(f"a thread runs synchronous functions, and `{name}` is async: await it as it is")
        raise TypeError(
            f"`{name}` returned a coroutine, {result!r}, which would run in the event loop, not in the thread; let it"
            " return a plain result, or await it without a thread"
        )
    if inspect.isgeneratorfunction(func):
        raise TypeError(
            f"`{name}` is a generator function, whose body would run in the event loop, not in the thread; use"
            " `async with iterate_in_thread(…)`, or decorate it by `@to_thread`"
        )
