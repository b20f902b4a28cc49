"""A pool of workers behind a queue."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextvars import copy_context
from typing import Generic, TypeVar

import anyio

from asynckit._checks import checked_limit
from asynckit._errors import ChildCancelledError
from asynckit._group import Group
from asynckit._native import native_task
from asynckit._queue import Queue, checked_size
from asynckit._steps import cancelled_from_outside, run_in_context

T = TypeVar("T")


async def produce_consume(
    producer: Iterable[T] | AsyncIterable[T],
    consume: Callable[[T], Awaitable[object]],
    *,
    workers: float | None,
    buffer: float,
) -> None:
    """Let workers consume what a producer gives, with a queue between them.

    The producer runs ahead of the workers by `buffer` items and then waits for them; so both have something to do as
    long as they are equally fast on the average. `amap`, in contrast, asks for an item when a worker is free, and keeps
    the results.

    The producer is asked in the task that calls this, and nowhere else, so it may hold cancel scopes and task groups
    over its `yield` as far as it may at all (PEP 789). Each item is consumed in a copy of the caller's context: what it
    sets in context variables, no other item sees (PEP 567).

    Args:
        producer: A sync or async iterable. An async generator is closed when the work ends before it does.
        consume: Called with one item; an async function, or one that returns something to await.
        workers: How many items are consumed at once; `None` for no bound. Few items start few workers.
        buffer: How many items wait for a worker at most, 1 or more; `math.inf` for no bound.

    Raises:
        ExceptionGroup: What the producer or consumers raised (PEP 654). Anything raised cancels all the others.
            `ChildCancelledError` is in it when a consumer, or its task, was cancelled on its own.
        TypeError, ValueError: An argument is wrong; no item has been taken.

    Cancellation:
        Cancels the producer and all workers, and waits for them. Items in the queue are dropped.

    Example:
        >>> import anyio
        >>> from asynckit import produce_consume
        >>> async def main():
        ...     seen = []
        ...     async def consume(item):
        ...         await anyio.sleep(0)
        ...         seen.append(item)
        ...     await produce_consume(range(5), consume, workers=2, buffer=10)
        ...     return sorted(seen)
        >>> anyio.run(main)
        [0, 1, 2, 3, 4]
    """
    what: object = consume
    if not callable(what):
        hint = "; pass the function itself, without calling it" if isinstance(what, Awaitable) else ""
        raise TypeError(f"`consume` must be an async function of one item, not {what!r}{hint}")
    source: object = producer
    if not isinstance(source, (Iterable, AsyncIterable)):
        hint = "; call it: the iterable is what it gives" if callable(source) else ""
        raise TypeError(f"`producer` must be an iterable or an async iterable, not {source!r}{hint}")
    limit = checked_limit(workers, name="workers")
    await _Pool(Queue[T](checked_size(buffer, name="buffer")), consume, limit).run(producer)


class _Pool(Generic[T]):
    """One call of `produce_consume`."""

    def __init__(self, queue: Queue[T], consume: Callable[[T], Awaitable[object]], limit: float) -> None:
        self._queue = queue
        self._consume = consume
        self._limit = limit
        self._workers = 0
        self._begun = 0
        self._outer = copy_context()
        self._interruption: ChildCancelledError | None = None

    async def run(self, producer: Iterable[T] | AsyncIterable[T]) -> None:
        async with Group() as self._group:
            try:
                if not isinstance(producer, AsyncIterable):
                    for item in producer:
                        await self._give(item)
                else:
                    async for item in producer:
                        await self._give(item)
            finally:
                self._queue.close()
                if isinstance(producer, AsyncGenerator):  # it does nothing if the generator has ended
                    await producer.aclose()
        if self._interruption is None and self._begun < self._workers:
            # anyio takes the cancellation of a task that has not begun for one of its whole group, and says nothing.
            self._interruption = ChildCancelledError("a worker was cancelled before it began")
        if self._interruption is not None:
            raise ExceptionGroup("work was interrupted", [self._interruption])

    async def _give(self, item: T) -> None:
        await self._queue.put(item)
        if self._workers < self._limit:
            self._workers += 1
            self._group.start_soon(self._worker)

    async def _worker(self) -> None:
        self._begun += 1
        task = native_task()
        try:
            async for item in self._queue:
                context = self._outer.copy()
                await run_in_context(context, context.run(self._consume, item))
                if task is not None and task.cancelling() and not cancelled_from_outside(self._group.cancel_scope):
                    self._interrupt()
                    break
        except anyio.get_cancelled_exc_class():
            if not cancelled_from_outside(self._group.cancel_scope):
                self._interrupt()
            elif task is None:
                raise  # on asyncio, see `Group`
        finally:
            del self, task  # an error refers to this frame

    def _interrupt(self) -> None:
        """A worker was cancelled on its own: end it all.

        A task group would take this for an end like any other, and items would be lost. The error is raised by the
        caller and not here, for when asyncio shuts down it cancels every task, the caller too.
        """
        self._interruption = ChildCancelledError("a consumer cancelled itself, or its task was cancelled from afar")
        self._group.cancel_scope.cancel()
