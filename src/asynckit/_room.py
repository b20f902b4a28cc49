"""Who may run in a thread, and who has to wait until there is room: the engine of `ThreadPool`."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from typing import Literal

from asynckit._workers import workers


class Job:
    """A call, from when it asks for room until its thread is done with it.

    A job on whose behalf others are made only waits meanwhile, so it may lend its slot. A slot holds a chain of jobs
    then, linked by `lender` and `borrower`, of which the last works.

    Attributes:
        room: Where it asks.
        name: What reports call it.
        outer: The job on whose behalf it is made.
        parent: The first of these that still runs, from the inside out.
        depth: How many there are of these.
        nested: How many are made on its behalf, and not over.
        thread: The thread that runs it.
        since: When that began.
    """

    __slots__ = ("borrower", "depth", "lender", "name", "nested", "outer", "parent", "room", "since", "state", "thread")

    def __init__(self, room: Room, name: str) -> None:
        self.room: Room = room
        self.name: str = name
        self.outer: Job | None = on_behalf_of.get()
        self.parent: Job | None = None
        self.depth: int = 0
        self.nested: int = 0
        self.lender: Job | None = None
        self.borrower: Job | None = None
        self.state: Literal["new", "waiting", "admitted", "running", "abandoned", "over"] = "new"
        self.thread: int = 0
        self.since: float = 0.0

    def admitted(self) -> None:
        """There is room for it, which it may have waited for. Called with the lock held, in any thread."""
        raise NotImplementedError

    def refused(self) -> None:
        """There will be no room for it. Called with the lock held, in any thread."""
        raise NotImplementedError

    def find_parent(self) -> None:
        """Find the innermost job on whose behalf it is made and that still runs, and say so to that."""
        parent = self.outer
        while parent is not None and parent.state not in {"running", "abandoned"}:
            parent = parent.outer
        self.parent = parent
        if parent is not None:
            self.depth = parent.depth + 1
            parent.nested += 1
            if parent.nested == 1:
                parent.room.lend()

    def end(self) -> None:
        """It is over."""
        self.state = "over"
        if self.parent is not None:
            self.parent.nested -= 1
            self.parent = None


on_behalf_of: ContextVar[Job | None] = ContextVar("on_behalf_of", default=None)
"""The job in whose thread this runs, or from whose thread it was called back into the event loop."""


class Room:
    """Slots for jobs, and a queue of those that wait for one.

    Attributes:
        slots: How many are taken.
        limit: How many may be; infinity for no bound. Call `admit_waiting` after it was changed.
        closed: Whether only those get in that are made on behalf of jobs inside.
        running: The jobs inside that have a thread.
        waiting: The jobs that wait, in the order they came.
        done: How many have left.
    """

    def __init__(self, limit: float) -> None:
        self.limit: float = limit
        self.closed: bool = False
        self.clear()
        _rooms.add(self)

    def clear(self) -> None:
        """Forget all jobs."""
        self.slots: int = 0
        self.done: int = 0
        self.waiting: deque[Job] = deque()
        self.running: set[Job] = set()
        self.on_empty: list[Callable[[], object]] = []
        """Called when nothing is inside or waits, with the lock held, in any thread."""

    def enter(self, job: Job) -> bool:
        """Ask for a slot; if there is none, `admitted` or `refused` of the job is the answer that comes later.

        Returns:
            Whether it was admitted at once.

        Raises:
            RuntimeError: No thread can be started.
        """
        with workers.lock:
            if job.state == "over":
                return False
            job.find_parent()
            if self.closed and job.parent is None:
                job.end()
                job.refused()
            elif not self._found_slot(job):
                job.state = "waiting"
                self.waiting.append(job)
            else:
                self._admit(job)
        try:
            workers.wake()
        except RuntimeError:
            self.withdraw(job)
            raise
        return job.state != "waiting"

    def begin(self, job: Job) -> bool:
        """Its thread is about to run it.

        Returns:
            No, if it has been withdrawn meanwhile.
        """
        with workers.lock:
            if job.state == "over":
                return False
            job.state = "running"
            job.thread = threading.get_ident()
            job.since = time.monotonic()
            self.running.add(job)
            return True

    def leave(self, job: Job) -> None:
        """Its thread is done with it. Who calls this and is not a worker calls `workers.wake` next."""
        with workers.lock:
            self.running.discard(job)
            self.done += 1
            self._free(job)

    def withdraw(self, job: Job) -> bool:
        """Give a job up if no thread runs it yet.

        Returns:
            Whether it was given up.
        """
        with workers.lock:
            if job.state == "admitted":
                self._free(job)
            elif job.state == "new":
                job.end()
            elif job.state == "waiting":
                job.end()
                self.waiting.remove(job)
                self.tell_if_empty()
            else:
                return False
        workers.wake()
        return True

    def abandon(self, job: Job) -> None:
        """Nobody waits for it any more; a thread that runs it runs on."""
        if not self.withdraw(job):
            with workers.lock:
                if job.state == "running":
                    job.state = "abandoned"

    def admit_waiting(self) -> None:
        """Let those in for whom there is room; with the lock held, and `workers.wake` is to be called after."""
        while self.waiting and self.slots < self.limit:
            self.slots += 1
            self._admit(self.waiting.popleft())

    def refuse_waiting(self) -> None:
        """Send away those who wait; with the lock held."""
        while self.waiting:
            job = self.waiting.popleft()
            job.end()
            job.refused()
        self.tell_if_empty()

    def tell_if_empty(self) -> None:
        """With the lock held."""
        if not self.slots and not self.waiting:
            while self.on_empty:
                self.on_empty.pop()()

    def lend(self) -> None:
        """Let in those who may use the slot of a job that waits for another; with the lock held."""
        nested = [job for job in self.waiting if job.parent is not None]
        for job in sorted(nested, key=lambda job: -job.depth):  # the deepest ends first, and begins the fewest others
            if not self._found_slot(job):
                break
            self.waiting.remove(job)
            self._admit(job)

    def _found_slot(self, job: Job) -> bool:
        """A slot of its own; or, if another job waits for it, that of any which waits for another.

        If all slots were held by jobs that wait, for each other's slots in the end, nothing would go on.
        """
        if self.slots < self.limit:
            self.slots += 1
            return True
        if job.parent is not None:
            for lender in self.running:
                if lender.nested and lender.borrower is None:
                    lender.borrower, job.lender = job, lender
                    return True
        return False

    def _admit(self, job: Job) -> None:
        job.admitted()
        job.state = "admitted"

    def _free(self, job: Job) -> None:
        """Take a job out of its slot, and let others have what is free now."""
        job.end()
        lender, borrower = job.lender, job.borrower
        job.lender = job.borrower = None
        if lender is not None:
            lender.borrower = borrower
        if borrower is not None:
            borrower.lender = lender
        if lender is None and borrower is None:
            self.slots -= 1
        if self.waiting:
            self.admit_waiting()
            if lender is not None:
                self.lend()
        self.tell_if_empty()


_rooms: weakref.WeakSet[Room] = weakref.WeakSet()


def _forget() -> None:
    for room in list(_rooms):
        room.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)  # a child process has none of its parent's threads
