"""Cancellation by asyncio itself: `Task.cancel`, of which anyio's scopes know nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    import asyncio


def native_task() -> asyncio.Task[Any] | None:
    """The running task of asyncio; `None` on trio."""
    module = sys.modules.get("asyncio")
    if module is None:
        return None
    try:
        task: asyncio.Task[Any] | None = module.current_task()
    except RuntimeError:  # no loop of asyncio runs here
        return None
    return task


def native_requests() -> int:
    """How often asyncio itself was asked to cancel this task, and has not been told that this is settled."""
    task = native_task()
    return 0 if task is None else task.cancelling()


def came_of_cancellation(error: BaseException) -> bool:
    """Whether an error was raised where a cancellation was handled, as by clean-up that fails.

    That a request to cancel is open does not say so: `asyncio.TaskGroup` of Python 3.11 leaves one when it fails.
    """
    cancelled = anyio.get_cancelled_exc_class()
    rest: list[BaseException | None] = [error]
    seen: set[int] = set()
    while rest:
        one = rest.pop()
        if one is None or id(one) in seen:
            continue
        if isinstance(one, cancelled):
            return True
        seen.add(id(one))
        rest += [one.__context__, one.__cause__]
        if isinstance(one, BaseExceptionGroup):
            rest += one.exceptions
    return False


def cancel_again(requests: int) -> None:
    """Let the next `await` of this task meet a request that came with an error, which goes first.

    So does `asyncio.TaskGroup` from Python 3.13 on (CPython issue 116720).

    Args:
        requests: How many were open before; nothing is done if there is none more.
    """
    task = native_task()
    if task is not None and task.cancelling() > requests:
        task.get_loop().call_soon(_cancel_where_it_waits, task, requests)


def _cancel_where_it_waits(task: asyncio.Task[Any], requests: int) -> None:
    # `asyncio.timeout` may have taken the request back.
    if not task.done() and task.cancelling() > requests:
        task.uncancel()  # so that it counts once
        task.cancel()
