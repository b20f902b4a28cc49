"""A child's word that it is ready, for who waits for it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar, TypeVarTuple

import anyio
from anyio.abc import TaskStatus

V_co = TypeVar("V_co", covariant=True)
Ts = TypeVarTuple("Ts")


class Starting(Protocol[*Ts, V_co]):
    """An async function that says when it is ready, and gives a value of the type `V_co` then."""

    def __call__(self, *args: *Ts, task_status: TaskStatus[V_co]) -> Coroutine[Any, Any, object]: ...


class Readiness:
    """The `task_status` of a child that `Scope.start` has started.

    anyio's own `TaskGroup.start` would do, but for the errors of children that never get ready: it ties them into
    cycles of references.

    Attributes:
        is_awaited: Whether somebody still waits for it to be said.
        said: Whether the child has said that it is ready.
        value: What it gave.
        error: What it raised before. The child's frames refer to this object, so nobody may leave the error here.
    """

    __slots__ = ("_decided", "error", "is_awaited", "said", "value")

    def __init__(self) -> None:
        self._decided = anyio.Event()
        self.is_awaited: bool = True
        self.said: bool = False
        self.value: object = None
        self.error: BaseException | None = None

    def started(self, value: object = None) -> None:
        """Say that the child is ready.

        Raises:
            RuntimeError: It has said so before.
        """
        if self.said:
            raise RuntimeError("a child says only once that it is ready: `started` was called twice")
        self.said = True
        self.is_awaited = False
        self.value = value
        self._decided.set()

    def end(self) -> None:
        """The child has ended, whether it was ready or not."""
        self._decided.set()

    async def wait(self) -> None:
        """Wait until it is known whether the child gets ready."""
        await self._decided.wait()
