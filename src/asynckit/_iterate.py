"""A blocking iterator as an async one, in a worker thread."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Concatenate, Generic, Literal, ParamSpec, Self, TypeVar, overload

import anyio
import anyio.lowlevel

from asynckit._mailbox import Mailbox, current_mailbox
from asynckit._offloaded import check_can_await, here, name_of, reduced, wrap
from asynckit._pull import BREATH
from asynckit._room import Job, Room, on_behalf_of
from asynckit._thread_call import call, raise_in_task
from asynckit._thread_pool import ThreadPool, checked_limiter, room_of
from asynckit._workers import workers

P = ParamSpec("P")
Q = ParamSpec("Q")
S = TypeVar("S")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

LOOK_AHEAD = 16
"""Items that may wait to be taken."""

_UNBOUNDED = ThreadPool("iterators", None)
"""For threads that take their turns elsewhere, and turns in threads that are bounded elsewhere."""


def iterate_in_thread(
    source: Iterable[T] | Callable[[], Iterable[T]],
    *,
    look_ahead: int = LOOK_AHEAD,
    limiter: ThreadPool | anyio.CapacityLimiter | None = None,
    abandon_on_cancel: bool = False,
) -> ThreadIterator[T]:
    """Iterate in a worker thread over what blocks: a generator that reads, a cursor of a database, a directory tree.

    Use it as `async with iterate_in_thread(…) as items`, with `async for item in items` inside. Break out of the loop
    when you like: leaving the block closes the iterator. It is made, asked and closed in one and the same thread, in
    one copy of the context in which the block was entered (PEP 567).

    The thread runs ahead of the loop, by no more than `look_ahead` items. When they are there it rests, and takes no
    room of the pool meanwhile; so iterators that wait for a slow loop hold up nobody.

    Like a task group, it must not be held open over a `yield` of an async generator (PEP 789).

    Args:
        source: An iterable; or a function without parameters that gives one, to be called in the thread as well, such
            as a generator function. An iterator that such a function gives, and any generator, is closed in the end.
        look_ahead: How many items may wait to be taken; with 0, an item is made when it is asked for.
        limiter: Bounds how many threads work at once; `default_thread_pool()` if not given. A limiter of anyio gives a
            token for the whole of the block.
        abandon_on_cancel: If the block is left by a cancellation or an exception, do not wait for the thread.

    Returns:
        An async context manager, which gives an async iterator of the items. Several tasks may take items from it; each
        goes to one.

    Raises:
        BaseException: From the loop: what the source raises in the place of an item. From leaving the block: what
            closing the source raises.
        RuntimeError: Items are asked for outside the block; or the block is entered again. From the loop: the pool has
            been shut down.
        TypeError, ValueError: An argument is wrong.

    Cancellation:
        Leaves the block: the thread makes no further item, and closes the source. An item that it is about to make
        cannot be stopped, and is waited for, unless `abandon_on_cancel` is set; then the thread closes the source when
        it gets to it, and what that raises is dropped. Cancelling who waits for an item loses none.

    Example:
        >>> import anyio
        >>> from asynckit import iterate_in_thread
        >>> def lines():
        ...     with open("/dev/null") as file:
        ...         yield from file
        ...     yield "the end"
        >>> async def main():
        ...     async with iterate_in_thread(lines) as items:
        ...         return [item async for item in items]
        >>> anyio.run(main)
        ['the end']
    """
    what: object = source
    if not callable(what) and not isinstance(what, Iterable):
        hint = "; it is async already, loop over it as it is" if isinstance(what, AsyncIterator) else ""
        raise TypeError(f"`source` must be an iterable, or a function that gives one, not {what!r}{hint}")
    bound = checked_limiter(limiter)
    turns, whole = (bound, _UNBOUNDED) if isinstance(bound, ThreadPool) else (_UNBOUNDED, bound)
    producer = Producer(source, room_of(turns), checked_look_ahead(look_ahead))
    return ThreadIterator(producer, whole, abandon_on_cancel)


class ThreadIterator(Generic[T_co]):
    """What `iterate_in_thread` gives: an async context manager, and inside its block the async iterator of the items.

    A class and no async generator, so that nothing is left running if it is not read to its end (PEP 789).
    """

    def __init__(
        self, producer: Producer[T_co], limiter: ThreadPool | anyio.CapacityLimiter, abandon_on_cancel: bool
    ) -> None:
        self._producer = producer
        self._limiter = limiter
        self._abandon_on_cancel = abandon_on_cancel
        self._state: Literal["new", "open", "left"] = "new"
        self._taken_in_a_row = 0

    def __repr__(self) -> str:
        return f"<ThreadIterator of `{self._producer.name}`, {self._state}>"

    async def __aenter__(self) -> Self:
        if self._state != "new":
            raise RuntimeError("an iterator can be entered once; call `iterate_in_thread` again for another")
        self._state = "open"
        self._producer.mailbox = current_mailbox()
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._host)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._state = "left"
        self._producer.close()
        if error is not None:
            self._group.cancel_scope.cancel()
        try:
            await self._group.__aexit__(None, None, None)  # the error goes on its way as it is, and in no group
        finally:
            self._producer.abandon()
            if self._producer.closing_failed is not None:
                raise_in_task(self._producer.closing_failed)

    def __aiter__(self) -> AsyncIterator[T_co]:
        return self

    async def __anext__(self) -> T_co:
        if self._state != "open":
            raise RuntimeError("items are taken inside the block of `async with iterate_in_thread(…) as items`")
        producer = self._producer
        self._taken_in_a_row += 1
        if self._taken_in_a_row > BREATH:
            self._taken_in_a_row = 1
            await anyio.lowlevel.checkpoint()
        while not producer.items:
            if producer.ended:
                error, producer.error = producer.error, None
                if error is not None:
                    raise_in_task(error)
                raise StopAsyncIteration
            self._taken_in_a_row = 0
            await producer.wait()
        return producer.take()

    async def _host(self) -> None:
        """Have the thread, until it has come to the end."""
        try:
            limiter, abandon = self._limiter, self._abandon_on_cancel
            await call(self._producer.run, (), {}, limiter=limiter, abandon_on_cancel=abandon)
        except Exception as error:  # noqa: BLE001  # raised in the loop
            self._producer.end(error)


class Producer(Generic[T_co]):
    """The thread's side of it, and what both sides have in common.

    No lock is needed: each side first says what it has done, or is going to wait for, and then looks at what the other
    has said.

    Attributes:
        name: What reports call it.
        items: Those that wait to be taken.
        ended: Whether there will be no more.
        error: What ended it, if not its end.
        closing_failed: What closing the source raised.
        mailbox: That of the event loop which takes the items.
    """

    mailbox: Mailbox

    def __init__(self, source: Iterable[T_co] | Callable[[], Iterable[T_co]], room: Room, look_ahead: int) -> None:
        self._source = source
        self._room = room
        self._look_ahead = look_ahead
        self.name: str = name_of(source)
        self.items: deque[T_co] = deque()
        self.ended: bool = False
        self.error: BaseException | None = None
        self.closing_failed: BaseException | None = None
        self._closing = False
        self._taker: anyio.Event | None = None
        self._rests = False
        self._nudges: SimpleQueue[None] = SimpleQueue()
        self._turn: _Turn | None = None

    # In the event loop:

    def take(self) -> T_co:
        """The next item, which is there."""
        item = self.items.popleft()
        if self._rests and len(self.items) <= self._look_ahead // 2:
            self._nudge()
        return item

    async def wait(self) -> None:
        """Wait until it may be worth looking for an item."""
        taker = self._taker
        if taker is None or taker.is_set():
            taker = self._taker = anyio.Event()
        if self._rests:
            self._nudge()
        if not self.items and not self.ended:
            await taker.wait()

    def close(self) -> None:
        """Let the thread make no further item."""
        self._closing = True
        self._nudge()
        turn = self._turn
        if turn is not None and self._room.withdraw(turn):
            turn.answers.put(None)

    def abandon(self) -> None:
        """Nobody waits for the thread any more, if it works at all."""
        if self._turn is not None:
            self._room.abandon(self._turn)

    def _nudge(self) -> None:
        self._rests = False
        self._nudges.put(None)

    # In the thread:

    def run(self) -> None:
        """Make items until there are no more, or none are wanted."""
        host = on_behalf_of.get()
        caller = host and host.outer
        error = iterator = None
        try:
            self._take_turn(caller)
            if not self._closing:
                iterator = iter(self._source() if callable(self._source) else self._source)
                self._make_items(iterator, caller)
        except BaseException as raised:  # noqa: BLE001  # raised in the loop
            error = raised
        try:
            if isinstance(iterator, Generator) or callable(self._source):
                close = getattr(iterator, "close", None)
                if close is not None:
                    close()
        except BaseException as raised:  # noqa: BLE001  # raised on leaving the block
            self.closing_failed = raised
        self._end_turn()
        self.end(error)

    def end(self, error: BaseException | None) -> None:
        """There will be no more items."""
        self.error = error
        self.ended = True
        self._tell()

    def _make_items(self, iterator: Iterator[T_co], caller: Job | None) -> None:
        while not self._closing:
            if not self._has_room():
                self._rests = True
                if self._has_room() or self._closing:  # since a moment ago
                    self._rests = False
                    continue
                self._end_turn()
                self._nudges.get()
                self._take_turn(caller)
                continue
            try:
                item = next(iterator)
            except StopIteration:
                return
            self.items.append(item)
            self._tell()

    def _has_room(self) -> bool:
        return len(self.items) < (self._look_ahead or self._taker is not None)

    def _tell(self) -> None:
        taker, self._taker = self._taker, None
        if taker is not None:
            self.mailbox.put(taker.set)

    def _take_turn(self, caller: Job | None) -> None:
        """Wait for room to work in, or to be told that nothing more is wanted.

        Raises:
            RuntimeError: The pool has been shut down.
        """
        on_behalf_of.set(caller)
        turn = self._turn = _Turn(self._room, self.name)
        on_behalf_of.set(turn)
        if self._closing:
            return
        self._room.enter(turn)
        turn.answers.get()
        if turn.came_too_late:
            raise RuntimeError(f"`{self.name}` came too late: its thread pool has been shut down")
        self._room.begin(turn)

    def _end_turn(self) -> None:
        if self._turn is not None and self._turn.state in {"running", "abandoned"}:
            self._room.leave(self._turn)
            workers.wake()


class _Turn(Job):
    """A time in which the thread works, and takes room."""

    __slots__ = ("answers", "came_too_late")

    def __init__(self, room: Room, name: str) -> None:
        super().__init__(room, name)
        self.came_too_late = False
        self.answers: SimpleQueue[None] = SimpleQueue()

    def admitted(self) -> None:
        self.answers.put(None)

    def refused(self) -> None:
        self.came_too_late = True
        self.answers.put(None)


class OffloadedIterator(Generic[P, T_co]):
    """A generator function as one that gives async iterators: what `to_thread` makes of it.

    Call it like the original, and use what it gives as `async with function(…) as items`, with `async for` inside.

    Attributes:
        sync: The original function, to be called where blocking is fine; of a method, bound as it is.
    """

    def __init__(
        self,
        sync: Callable[P, Iterator[T_co]],
        iterate: Callable[..., ThreadIterator[T_co]],
        bound: tuple[object, ...] = (),
    ) -> None:
        self.sync = sync
        self._iterate = iterate
        self._bound = bound
        wrap(self, sync)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> ThreadIterator[T_co]:
        if here.works:
            check_can_await(self)
        return self._iterate(*self._bound, *args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type[object]) -> Self: ...
    @overload
    def __get__(
        self: OffloadedIterator[Concatenate[S, Q], T], instance: S, owner: type[object]
    ) -> OffloadedIterator[Q, T]: ...
    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is None:
            return self
        return OffloadedIterator(partial(self.sync, instance), self._iterate, (*self._bound, instance))

    def __reduce__(self) -> str | tuple[Any, ...]:
        return reduced(self, self._bound)


def checked_look_ahead(look_ahead: object) -> int:
    """How many items may wait to be taken.

    Raises:
        TypeError: It is not a number of things.
        ValueError: It is negative.
    """
    if isinstance(look_ahead, bool) or not isinstance(look_ahead, int):
        raise TypeError(f"`look_ahead` must be a whole number of 0 or more, not {look_ahead!r}")
    if look_ahead < 0:
        raise ValueError(f"`look_ahead` must be 0 or more, not {look_ahead}; with 0, items are made when asked for")
    return look_ahead
