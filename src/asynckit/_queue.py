"""A bounded queue that can be closed."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from typing import Generic, Self, TypeVar

import anyio
import anyio.lowlevel

T = TypeVar("T")


class QueueClosed(Exception):  # noqa: N818  # named like `QueueEmpty` and `QueueFull`, whose names are asyncio's
    """A closed queue takes no more items; and when it has none left, it gives none. `asyncio.QueueShutDown`, there."""


class QueueEmpty(anyio.WouldBlock):
    """`Queue.get_nowait` would have to wait."""


class QueueFull(anyio.WouldBlock):
    """`Queue.put_nowait` would have to wait."""


class Queue(Generic[T]):
    """A bounded first-in, first-out queue between tasks, many at each end, that can be closed.

    Its methods are named and mean the same as those of `asyncio.Queue` in Python 3.13, on every back end; `close` is
    its `shutdown`. Unlike there, a bound is asked for: a queue without one hides that its consumers fall behind until
    memory runs out.

    Tasks are called on in the order they came, and nobody overtakes one that has been called on; of several called on
    at the same moment, any may come first on trio, which shuffles what it runs next. An item is taken out only where
    nothing can come between it and the one who gets it: when a `get` is cancelled, its item is still there for the
    next; when a `put` is cancelled, its item is not. It may be made anywhere, and serves one event loop at a time.

    Args:
        max_items: How many items it holds, 1 or more; `math.inf` for no bound.

    Raises:
        TypeError, ValueError: `max_items` is wrong.

    Example:
        >>> import anyio
        >>> from asynckit import Queue
        >>> async def main():
        ...     queue = Queue[int](max_items=2)
        ...     async def produce():
        ...         for number in range(5):
        ...             await queue.put(number)
        ...         queue.close()
        ...     async with anyio.create_task_group() as group:
        ...         group.start_soon(produce)
        ...         return [number async for number in queue]
        >>> anyio.run(main)
        [0, 1, 2, 3, 4]
    """

    __slots__ = ("_closed", "_finished", "_getters", "_items", "_max_items", "_putters", "_unfinished")

    def __init__(self, max_items: float) -> None:
        self._max_items = checked_size(max_items, name="max_items")
        self._items: deque[T] = deque()
        # Invariant: tasks wait to get only while every item is meant for one that has been called on, and to put only
        # while every free place is.
        self._getters = _Line()
        self._putters = _Line()
        self._closed = False
        self._unfinished = 0
        self._finished: anyio.Event | None = None

    def __repr__(self) -> str:
        state = ", closed" if self._closed else ""
        return f"<Queue of {len(self._items)} items of {self._max_items}{state}>"

    @property
    def max_items(self) -> float:
        """How many items it holds at most; infinity for no bound."""
        return self._max_items

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._closed

    def qsize(self) -> int:
        """How many items it holds."""
        return len(self._items)

    def empty(self) -> bool:
        """Whether it holds no item."""
        return not self._items

    def full(self) -> bool:
        """Whether it holds as many items as it can."""
        return len(self._items) >= self._max_items

    async def put(self, item: T) -> None:
        """Put an item at the end, when there is room and those who came before have put theirs.

        Raises:
            QueueClosed: The queue is closed, or was while this waited; the item is not in it.

        Cancellation:
            The item is not in the queue.
        """
        self._refuse_if_closed()
        await self._turn(self._putters, at_once=self._has_room())
        self._refuse_if_closed()
        self._put(item)

    def put_nowait(self, item: T) -> None:
        """Put an item at the end now, or raise.

        Raises:
            QueueFull: There is no room, or only for tasks that came before.
            QueueClosed: The queue is closed.
        """
        self._refuse_if_closed()
        if not self._has_room():
            raise QueueFull
        self._put(item)

    async def get(self) -> T:
        """Take the first item, when there is one and those who came before have theirs.

        Raises:
            QueueClosed: The queue is closed and has no items left.

        Cancellation:
            The item stays in the queue, for the one who is next.
        """
        self._refuse_if_drained()
        await self._turn(self._getters, at_once=self._has_item())
        self._refuse_if_drained()
        return self._get()

    def get_nowait(self) -> T:
        """Take the first item now, or raise.

        Raises:
            QueueEmpty: There is no item, or only for tasks that came before.
            QueueClosed: The queue is closed and has no items left.
        """
        self._refuse_if_drained()
        if not self._has_item():
            raise QueueEmpty
        return self._get()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.get()
        except QueueClosed:
            raise StopAsyncIteration from None

    def task_done(self) -> None:
        """Say that an item taken before has been dealt with; `join` waits for as many calls as items were put.

        Raises:
            ValueError: There were more calls than items.
        """
        if not self._unfinished:
            raise ValueError("`task_done` was called more often than items were put: call it once for each item taken")
        self._done(1)

    async def join(self) -> None:
        """Wait until every item that was put has been taken and dealt with, by `task_done`, or dropped by `close`.

        Cancellation:
            Changes nothing.
        """
        if not self._unfinished:
            await anyio.lowlevel.checkpoint()
            return
        if self._finished is None:
            self._finished = anyio.Event()
        await self._finished.wait()

    def close(self, *, drain: bool = True) -> list[T]:
        """Take no more items: tasks that put, or wait to, get `QueueClosed`. Closing again is fine.

        Args:
            drain: Whether the items left can still be taken; if not, they are dropped, and count as dealt with.

        Returns:
            What was dropped, in order.
        """
        self._closed = True
        dropped: list[T] = []
        if not drain:
            dropped.extend(self._items)
            self._items.clear()
            self._done(len(dropped))
        self._call()
        return dropped

    def _has_item(self) -> bool:
        return len(self._items) > self._getters.called

    def _has_room(self) -> bool:
        return len(self._items) + self._putters.called < self._max_items

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise QueueClosed("the queue is closed, and takes no more items")

    def _refuse_if_drained(self) -> None:
        if self._closed and not self._items:
            raise QueueClosed("the queue is closed, and has no items left")

    def _put(self, item: T) -> None:
        self._items.append(item)
        self._unfinished += 1
        self._call()

    def _get(self) -> T:
        item = self._items.popleft()
        self._call()
        return item

    def _done(self, count: int) -> None:
        self._unfinished = max(0, self._unfinished - count)  # `task_done` may have come before its item was taken
        if not self._unfinished and self._finished is not None:
            self._finished.set()
            self._finished = None

    async def _turn(self, line: _Line, *, at_once: bool) -> None:
        """Wait to be called on, at one end.

        What a turn is for is done by the caller, after all waiting, so that no cancellation can come between.
        """
        turn = None
        try:
            if at_once:
                line.called += 1
                await anyio.lowlevel.checkpoint()
            else:
                turn = anyio.Event()
                line.waiting[turn] = None
                await turn.wait()
        except BaseException:
            if turn is not None and turn in line.waiting:
                del line.waiting[turn]
            else:
                line.called -= 1
                self._call()
            raise
        line.called -= 1

    def _call(self) -> None:
        """Call on those whose turn it is; when it is over, on all, to tell them."""
        over = self._closed and not self._items
        while self._getters.waiting and (over or self._has_item()):
            self._getters.call()
        while self._putters.waiting and (self._closed or self._has_room()):
            self._putters.call()


class _Line:
    """The tasks at one end of a queue: those that wait, in order, and how many have been called on and are coming."""

    __slots__ = ("called", "waiting")

    def __init__(self) -> None:
        self.waiting: OrderedDict[anyio.Event, None] = OrderedDict()
        self.called = 0

    def call(self) -> None:
        self.waiting.popitem(last=False)[0].set()
        self.called += 1


def checked_size(value: object, *, name: str) -> float:
    """How many items a queue holds; infinity for no bound.

    Raises:
        TypeError: It is not a number of things.
        ValueError: It is below 1.
    """
    if value == math.inf:
        return math.inf
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"`{name}` must be a whole number of 1 or more, or math.inf for no bound, not {value!r}")
    if value < 1:
        raise ValueError(f"`{name}` must be 1 or more, not {value}; pass math.inf for no bound (0, in asyncio)")
    return value
