"""Worker threads of asyncio's event loops: kept while they are of use, and handed what there is to run."""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable

IDLE = 10.0
"""Seconds after which a thread that nobody has a use for ends."""


class Workers:
    """Threads that run what is ready, in the order it came; as many as there is something to run for.

    They are daemon threads: the interpreter does not wait for them when it exits. How many run at once is not decided
    here, but by who says that something is ready.

    Waking a thread is a system call and a fight for the interpreter lock. So who makes something ready wakes one at
    most; that one wakes the next, before it runs what it found, as long as there is more. Short calls are all run by
    the first that is awake, and long ones spread over as many threads as there are calls.

    Invariant: if something is ready, a thread is on its way that will look, or `wake` is about to be called.

    Attributes:
        lock: Guards this, and the rooms of the thread pools. Held for moments only, never while anything of a user's
            runs.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._ready: deque[Callable[[], None]] = deque()
        self._idle: list[_Worker] = []
        self._on_its_way = False
        self._living = 0
        self._numbers = itertools.count(1)

    def statistics(self) -> tuple[int, int]:
        """How many threads there are, and how many of these are idle."""
        with self.lock:
            return self._living, len(self._idle)

    def ready(self, call: Callable[[], None]) -> None:
        """Something may run. Called with the lock held; `wake` is to be called after, without it.

        Args:
            call: It must not raise.
        """
        self._ready.append(call)

    def wake(self) -> None:
        """See to it that a thread looks at what is ready.

        Raises:
            RuntimeError: No thread runs, and none can be started.
        """
        if self._on_its_way or not self._ready:  # it looks after now, so it will see what is ready now
            return
        with self.lock:
            worker = self._chosen()
        if worker is not None and not self._wake(worker):
            raise RuntimeError("no thread can be started; the system has reached a limit, or the interpreter exits")

    def _chosen(self) -> _Worker | None:
        """The thread that is to look now, if one is needed; with the lock held."""
        if self._on_its_way or not self._ready:
            return None
        self._on_its_way = True
        if self._idle:
            return self._idle.pop()
        self._living += 1
        return _Worker(self, next(self._numbers))

    def _wake(self, worker: _Worker) -> bool:
        """Whether there are threads that will look."""
        try:
            worker.wake()
        except RuntimeError:  # one more thread cannot be started; those that run see to it when they are done
            with self.lock:
                self._on_its_way = False
                self._living -= 1
                return self._living > 0
        return True

    def run(self, worker: _Worker) -> None:
        """The life of a thread."""
        came = True
        while True:
            with self.lock:
                if came:
                    self._on_its_way = came = False
                call = self._ready.popleft() if self._ready else None
                other = self._chosen()
                if call is None:
                    self._idle.append(worker)
            if call is None:
                if not self._called_again(worker):
                    return
                came = True
                continue
            if other is not None:
                self._wake(other)
            call()
            del call  # what it holds is not kept until the next comes

    def _called_again(self, worker: _Worker) -> bool:
        """Wait to be woken; no if nobody has done so for long."""
        if worker.gate.acquire(timeout=IDLE):
            return True
        with self.lock:
            if worker in self._idle:
                self._idle.remove(worker)
                self._living -= 1
                return False
        worker.gate.acquire()  # it was chosen a moment ago
        return True


class _Worker:
    """A thread, and the gate it waits at."""

    __slots__ = ("_number", "_started", "_workers", "gate")

    def __init__(self, workers: Workers, number: int) -> None:
        self._workers = workers
        self._number = number
        self._started = False
        self.gate = threading.Lock()
        self.gate.acquire()

    def wake(self) -> None:
        """Start it, or let it go on.

        Raises:
            RuntimeError: It cannot be started.
        """
        if self._started:
            self.gate.release()
            return
        self._started = True
        name = f"asynckit worker {self._number}"
        threading.Thread(target=self._workers.run, args=(self,), name=name, daemon=True).start()


workers = Workers()
if hasattr(os, "register_at_fork"):
    # A child process has none of its parent's threads, and perhaps a lock that one of them held.
    os.register_at_fork(after_in_child=workers.__init__)  # type: ignore[misc]
