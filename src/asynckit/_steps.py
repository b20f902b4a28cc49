"""Running an awaitable by its steps, in a context of its own, inside a task that it shares with others.

A task for each item costs some ten microseconds and a few kilobytes; a context costs next to nothing. What an item
sets in a context variable stays in its context (PEP 567), and what its steps wait for, the shared task waits for: what
a step yields goes on to the event loop, and what the loop resumes the task with goes into the next step.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from types import CoroutineType, coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


async def _awaiting(awaitable: Awaitable[T]) -> T:
    return await awaitable


def as_coroutine(awaitable: Awaitable[T]) -> Coroutine[Any, Any, T]:
    """The awaitable itself if it is a coroutine, else a coroutine that awaits it.

    Raises:
        TypeError: It cannot be awaited.
    """
    if type(awaitable) is CoroutineType or isinstance(awaitable, Coroutine):  # the first is a shortcut
        return awaitable
    returned: object = awaitable
    if not isinstance(returned, Awaitable):
        hint = (
            "; an async generator gives many: loop over it in an async function" if inspect.isasyncgen(returned) else ""
        )
        raise TypeError(f"the function must be async, or return something to await; it returned {returned!r}{hint}")
    return _awaiting(awaitable)


@coroutine
def resume(context: Context, coro: Coroutine[Any, Any, T], waiting_for: Any) -> Generator[Any, Any, T]:
    """Go on with a coroutine whose first step, in `context`, is done: it waits for `waiting_for`."""
    send, run = coro.send, context.run
    try:
        while True:
            try:
                sent = yield waiting_for
            except GeneratorExit:
                run(coro.close)
                raise
            except BaseException as error:  # noqa: BLE001  # handed on, whatever it is
                waiting_for = run(coro.throw, error)
            else:
                try:
                    waiting_for = run(send, sent)
                except StopIteration as stop:
                    result: T = stop.value
                    return result
                except BaseException:
                    del sent  # trio sends its errors, and they refer to this frame
                    raise
    except StopIteration as stop:
        result = stop.value
        return result


async def run_in_context(context: Context, awaitable: Awaitable[T], on_wait: Callable[[], object] | None = None) -> T:
    """Await something, with all its steps in `context`.

    Args:
        on_wait: Called if it waits for something.
    """
    coro = as_coroutine(awaitable)
    try:
        waiting_for = context.run(coro.send, None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    if on_wait is not None:
        on_wait()
    return await resume(context, coro, waiting_for)


def cancelled_from_outside(scope: anyio.CancelScope) -> bool:
    """Whether a cancellation just caught was asked for by `scope` or one around it, so that it must go on its way."""
    return scope.cancel_called or anyio.current_effective_deadline() == -math.inf


async def survive_cancellation(task: asyncio.Task[Any] | None) -> bool:
    """Go on after a cancellation that this task has met, unless it came from outside.

    That is, after one which a child has raised unasked, or which `Task.cancel` has asked of this task alone. The
    request is taken back, so that the task can be used on: it is a worker, and what was meant was the item that it ran.

    Args:
        task: The running task, `None` on trio.

    Returns:
        Whether a request had been made that was yet to be met: a task of asyncio would then end as cancelled.

    Raises:
        BaseException: The back end's cancellation exception: a scope around this place is cancelled.
    """
    pending = False
    if task is not None and task.cancelling():
        import asyncio

        try:
            # A round of the event loop: when asyncio shuts down it cancels every task, and the one that waits for this
            # one cancels its scope then.
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            pending = True
    await checkpoint_if_cancelled()
    while task is not None and task.cancelling():
        task.uncancel()
    return pending
