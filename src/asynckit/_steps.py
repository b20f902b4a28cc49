"""Running an awaitable by its steps, in a context of its own, inside a task that it shares with others.

A task for each item costs some twenty microseconds and a few kilobytes; a context costs next to nothing. What an item
sets in a context variable stays in its context (PEP 567), and what its steps wait for, the shared task waits for.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Coroutine, Generator
from contextvars import Context
from types import coroutine
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


async def _awaiting(awaitable: Awaitable[T]) -> T:
    return await awaitable


def as_coroutine(awaitable: Awaitable[T]) -> Coroutine[Any, Any, T]:
    """The awaitable itself if it is a coroutine, else a coroutine that awaits it.

    Raises:
        TypeError: It cannot be awaited.
    """
    if isinstance(awaitable, Coroutine):
        return awaitable
    if isinstance(awaitable, Awaitable):
        return _awaiting(awaitable)
    raise TypeError(f"the function must be async, or give something to await; it gave {awaitable!r}")


@coroutine
def resume(context: Context, coro: Coroutine[Any, Any, T], waiting_for: Any) -> Generator[Any, Any, T]:
    """Go on with a coroutine whose first step, in `context`, is done: it waits for `waiting_for`."""
    send, throw, run = coro.send, coro.throw, context.run
    try:
        while True:
            try:
                sent = yield waiting_for
            except GeneratorExit:
                run(coro.close)
                raise
            except BaseException as error:  # noqa: BLE001  # handed on, whatever it is
                waiting_for = run(throw, error)
            else:
                waiting_for = run(send, sent)
    except StopIteration as stop:
        result: T = stop.value
        return result


def cancelled_itself(scope: anyio.CancelScope) -> bool:
    """Whether a cancellation that was just caught came from the item itself: nobody outside asked for it.

    On asyncio an item may raise `CancelledError`, await a task that was cancelled, or cancel the task it runs in. A
    request of the latter kind is taken back, since the task goes on with other items.
    """
    if scope.cancel_called or anyio.current_effective_deadline() == -float("inf"):
        return False
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and (task := asyncio.current_task()) is not None:
        while task.cancelling():
            task.uncancel()
    return True
