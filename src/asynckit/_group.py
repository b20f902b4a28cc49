"""Task groups that lose no request of asyncio to cancel the task that holds them."""

from __future__ import annotations

import math
from types import TracebackType

import anyio
from anyio.abc import TaskGroup

from asynckit._native import cancel_again, native_requests


class Group:
    """anyio's task group, for `async with Group() as group`.

    When a child fails in the same round of the event loop in which `Task.cancel` is called on the task that waits for
    it, anyio raises the error and forgets the request, or the other way round. `asyncio.TaskGroup` forgot the request
    too, until Python 3.13 made it raise the error and let the next `await` meet the request (CPython issue 116720): so
    does this, on every Python.

    On asyncio, children that are cancelled with the group do best to end without raising the cancellation: the group
    knows, and anyio would tie an exception that reaches it into a cycle of references.
    """

    __slots__ = ("_group", "_raised", "_requests")

    def __init__(self, raised: list[BaseException] | None = None) -> None:
        """Make one.

        Args:
            raised: Where children put what they raise, so that it is not forgotten if the body awaits, too.
        """
        self._raised = raised

    async def __aenter__(self) -> TaskGroup:
        self._requests = native_requests()
        self._group = anyio.create_task_group()
        return await self._group.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        cancelled = anyio.get_cancelled_exc_class()
        if not isinstance(error, cancelled):
            # Requests that are open now are not ours to repeat: whoever has let them pass knows of them, and the
            # `asyncio.TaskGroup` of Python 3.11 and 3.12 leaves one that means nothing when it fails.
            self._requests = native_requests()
        try:
            return bool(await self._group.__aexit__(kind, error, trace))
        except BaseExceptionGroup:
            self._repeat_request()
            raise
        except cancelled:
            # Having no children left to wait for, anyio waits for a round of the event loop all the same.
            if not self._raised or _is_cancelled_around():
                raise
            self._repeat_request()
            raise BaseExceptionGroup("unhandled errors in a task group", self._raised) from None
        finally:
            del self._group, self._raised, error, trace  # an error refers to this frame

    def _repeat_request(self) -> None:
        if not _is_cancelled_around():
            cancel_again(self._requests)


def _is_cancelled_around() -> bool:
    """Whether a scope of anyio asks for cancellation here: then it counts among the requests, and repeats itself."""
    return anyio.current_effective_deadline() == -math.inf
