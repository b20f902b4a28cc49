"""Named bounds on how many threads work for one purpose, that can say what these threads do."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Self

import anyio

from asynckit._checks import checked_limit, checked_seconds
from asynckit._mailbox import current_mailbox
from asynckit._room import Room
from asynckit._workers import workers

_logger = logging.getLogger("asynckit.threads")

DEFAULT_LIMIT = 40

_OURS = {"asynckit._thread_call", "asynckit._iterate"}
"""What calls users' functions in threads; reports begin above."""


@dataclass(frozen=True, slots=True)
class ThreadPoolStatistics:
    """What a pool does at a moment.

    Attributes:
        limit: How many threads may work; infinity for no bound.
        busy: How many do, with those that are abandoned and those that share the room of another.
        waiting: How many calls wait for a thread.
        abandoned: In how many threads work goes on that nobody waits for any more.
        done: How many calls have ended since the pool was made.
        longest: Seconds for which the oldest call has run; 0 if none runs.
    """

    limit: float
    busy: int
    waiting: int
    abandoned: int
    done: int
    longest: float


@dataclass(frozen=True, slots=True)
class BusyThread:
    """A thread that works, and where it is.

    Attributes:
        function: The name of the function that it runs.
        seconds: Since when.
        abandoned: Whether nobody waits for it any more.
        stack: The lines of its stack, from that function on to where it is, as `traceback` formats them.
    """

    function: str
    seconds: float
    abandoned: bool
    stack: str

    def __str__(self) -> str:
        left = ", abandoned" if self.abandoned else ""
        return f"`{self.function}`, for {self.seconds:.1f} s{left}:\n{self.stack}"


class ThreadPool:
    """A bound of its own for one kind of work in threads, so that no other kind can take its threads away.

    A slow database whose calls take all threads there are holds up every read of a file. With a pool for each, it holds
    up itself. Give it as `limiter` to `to_thread`, `run_in_thread` or `iterate_in_thread`. The threads themselves are
    shared and started when needed, so a pool that is not in use costs nothing.

    Calls get their threads in the order they came. A pool can be made anywhere, as a global too, and bounds the threads
    of all event loops of the process together.

    A function that calls back, by `anyio.from_thread`, and so comes to need another thread of the same pool, lends its
    own room if there is no other: it only waits meanwhile. So no nesting of calls deadlocks.

    A call that was abandoned keeps its room until its thread is done, so a hundred of them do not become a hundred
    threads.

    Used as `async with`, it is shut down on leaving the block, with the grace it was made with.

    Attributes:
        name: What reports call it.

    Example:
        >>> import anyio
        >>> from asynckit import ThreadPool, to_thread
        >>> database = ThreadPool("database", 2)
        >>> @to_thread(limiter=database)
        ... def query(number):
        ...     return number + 1
        >>> anyio.run(query, 4)
        5
        >>> database.statistics().done
        1
    """

    def __init__(self, name: str, limit: float | None = DEFAULT_LIMIT, *, grace: float | None = 10) -> None:
        """Make a pool; no thread is started.

        Args:
            name: What reports call it.
            limit: How many threads may work at once, 1 or more; `None` for no bound.
            grace: Seconds that `shutdown` waits if it is not told otherwise; `None` for no end.

        Raises:
            TypeError, ValueError: An argument is wrong.
        """
        what: object = name
        if not isinstance(what, str):
            hint = "; the limit comes second" if isinstance(what, int) else ""
            raise TypeError(f"`name` of a thread pool must be a string, not {name!r}{hint}")
        self.name = name
        self._room = Room(checked_limit(limit))
        self._grace = checked_seconds(grace, name="grace")

    def __repr__(self) -> str:
        state = "shut down, " if self._room.closed else ""
        return f"<ThreadPool {self.name!r}, {state}{len(self._room.running)} of {self._room.limit} threads busy>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()

    @property
    def limit(self) -> float:
        """How many threads may work at once; infinity for no bound. It may be set at any time, in any thread.

        Set higher, calls that wait start at once. Set lower, what runs runs on, and nothing starts until there is room.
        """
        return self._room.limit

    @limit.setter
    def limit(self, limit: float | None) -> None:
        bound = checked_limit(limit)
        with workers.lock:
            self._room.limit = bound
            self._room.admit_waiting()
        workers.wake()

    def statistics(self) -> ThreadPoolStatistics:
        """What it does at this moment; may be asked in any thread."""
        room = self._room
        with workers.lock:
            now = time.monotonic()
            return ThreadPoolStatistics(
                limit=room.limit,
                busy=len(room.running),
                waiting=len(room.waiting),
                abandoned=sum(job.state == "abandoned" for job in room.running),
                done=room.done,
                longest=max((now - job.since for job in room.running), default=0.0),
            )

    def busy(self) -> list[BusyThread]:
        """What its threads do at this moment, the one that has worked longest first; may be asked in any thread."""
        with workers.lock:
            jobs = sorted(self._room.running, key=lambda job: job.since)
            running = [(job.name, job.since, job.state == "abandoned", job.thread) for job in jobs]
        now, frames = time.monotonic(), sys._current_frames()
        return [
            BusyThread(name, now - since, abandoned, _stack(frames.get(thread)))
            for name, since, abandoned, thread in running
        ]

    async def shutdown(self, grace: float | None = None) -> list[BusyThread]:
        """Take no more calls, and wait until those that were made are done; but no longer than the grace.

        After the grace, calls that still wait for a thread raise `RuntimeError`. Threads that are still busy cannot be
        stopped. They are reported with their stacks, as a warning of the logger `asynckit.threads`, and left to
        themselves; the process can exit while they work.

        It may be called again, and while another call of it waits.

        Args:
            grace: Seconds to wait at most, 0 to report at once; what the pool was made with if not given.

        Returns:
            The threads that are still busy; none if all has ended.

        Raises:
            TypeError, ValueError: `grace` is not a number of seconds.

        Cancellation:
            Nothing is reported, and nobody who waits is refused; but the pool takes no more calls.
        """
        seconds = self._grace if grace is None else checked_seconds(grace, name="grace")
        room, mailbox, empty = self._room, current_mailbox(), anyio.Event()

        def tell() -> None:
            mailbox.put(empty.set)

        with workers.lock:
            room.closed = True
            room.on_empty.append(tell)
            room.tell_if_empty()
        try:
            with anyio.move_on_after(seconds):
                await empty.wait()
        finally:
            with workers.lock:
                if tell in room.on_empty:
                    room.on_empty.remove(tell)
        with workers.lock:
            room.refuse_waiting()
        busy = self.busy()
        if busy:
            _logger.warning(
                "thread pool %r was shut down %g s ago, and %d of its threads still work: %s",
                *(self.name, seconds, len(busy), "".join(map(str, busy)).rstrip("\n")),
            )
        return busy


_default = ThreadPool("default")


def default_thread_pool() -> ThreadPool:
    """The pool of the calls that name none. It has room for 40 threads, unless its `limit` is set.

    Example:
        >>> from asynckit import default_thread_pool
        >>> default_thread_pool().limit
        40
    """
    return _default


def checked_limiter(limiter: object) -> ThreadPool | anyio.CapacityLimiter:
    """What bounds how many threads work; the default pool for `None`.

    Raises:
        TypeError: It bounds nothing.
    """
    if limiter is None:
        return _default
    if isinstance(limiter, (ThreadPool, anyio.CapacityLimiter)):
        return limiter
    hint = f"; make one: `ThreadPool(name, {limiter})`" if isinstance(limiter, int) else ""
    raise TypeError(f"`limiter` must be a `ThreadPool` or an `anyio.CapacityLimiter`, not {limiter!r}{hint}")


def room_of(pool: ThreadPool) -> Room:
    """Where its calls get in."""
    return pool._room


def _stack(frame: FrameType | None) -> str:
    frames = []
    while frame is not None and frame.f_globals.get("__name__") not in _OURS:
        frames.append((frame, frame.f_lineno))
        frame = frame.f_back
    return "".join(traceback.StackSummary.extract(reversed(frames)).format())
