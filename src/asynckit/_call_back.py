"""What `anyio.from_thread` finds in asynckit's threads, so that it works there as it does in anyio's."""

from __future__ import annotations

import functools
import math
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

# Private: by what is set there, `anyio.from_thread` finds its way back from a thread to the event loop, and anyio has
# no public way to set it for threads that are not its own. Tests of calling back fail should it change.
from anyio._core._eventloop import set_current_async_library, threadlocals
from anyio.abc import AsyncBackend
from anyio.lowlevel import EventLoopToken

__all__ = ["event_loop_token", "set_current_async_library", "threadlocals"]


def event_loop_token(token: EventLoopToken) -> EventLoopToken:
    """A token of an event loop of asyncio, for threads whose calls back may begin when they are cancelled already."""
    return EventLoopToken(_calling_back(token.backend_class), token.native_token)


@functools.cache
def _calling_back(backend: type[AsyncBackend]) -> type[AsyncBackend]:
    class Backend(backend):  # type: ignore[misc,valid-type]
        @classmethod
        def run_async_from_thread(cls, func: Any, args: Any, token: object) -> Any:
            return super().run_async_from_thread(_called_back, (func, args), token)

    return Backend


async def _called_back(func: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> Any:
    """Call a function for a thread.

    A scope of anyio stops asking its tasks to end when it has none left. If it gets another one then, as it is when a
    thread calls back late, that would wait at its first checkpoint for ever: so it gets a scope that asks.
    """
    if anyio.current_effective_deadline() > -math.inf:
        return await func(*args)
    with anyio.CancelScope() as scope:
        scope.cancel()
        return await func(*args)
