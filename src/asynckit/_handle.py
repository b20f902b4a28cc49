"""Handles on the children of a scope."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Generic, Literal, TypeVar

from anyio import TaskHandle

from asynckit._errors import ChildCancelledError

T = TypeVar("T")


class Handle(Generic[T]):
    """A child of a scope: what `Scope.start_soon` and `Scope.create_task` give.

    Await it for the child's result, as often and from as many tasks as you like; the scope waits for the child anyway.

    Attributes:
        name: The child's name.

    Raises:
        ChildCancelledError: When awaited, if the child was cancelled.
        BaseException: When awaited, what the child raised.

    Cancellation:
        Cancelling who awaits a handle does not cancel the child.
    """

    __slots__ = ("__weakref__", "_error", "_state", "_task", "_unwanted", "_value", "name")

    def __init__(self, name: str) -> None:
        self.name: str = name
        self._task: TaskHandle[None]
        self._unwanted = False
        self._state: Literal["running", "completed", "failed", "cancelled"] = "running"
        self._value: T
        self._error: BaseException | None = None

    def __repr__(self) -> str:
        return f"<Handle {self.name} {self._state}>"

    def __await__(self) -> Generator[Any, Any, T]:
        return self._wait().__await__()

    async def _wait(self) -> T:
        await self._task.wait()
        return self.result()

    def done(self) -> bool:
        """Whether the child has ended, in any way."""
        return self._state != "running"

    def cancelled(self) -> bool:
        """Whether the child was cancelled before it ended."""
        return self._state == "cancelled"

    def cancel(self) -> None:
        """Cancel this child alone; its siblings go on. If it has not begun, it never does."""
        self._unwanted = True
        self._task.cancel()

    def result(self) -> T:
        """What the child returned.

        Raises:
            ChildCancelledError: It was cancelled.
            RuntimeError: It is still running.
            BaseException: What it raised, the same object each time.
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
