"""Tasks shared out between this process and forked copies of it."""

from __future__ import annotations

import gc
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from threading import Thread
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from multiprocessing.context import ForkProcess

Task = TypeVar("Task")
Result = TypeVar("Result")

_AHEAD = 2
"""Batches that a copy has been given and not sent back: while one is on its way, it works on the next."""
_PART = 8
"""A batch is this part of what is left to its taker: large ones first, and small ones, so that all end together."""
_MOST = 500
"""Tasks in a batch: so many fit in the pipe, while more would wait until the copy has done those before."""
_TURN = 0.005
"""Seconds for which this process does tasks of its own before it looks after the copies again."""
_GRACE = 5
"""Seconds in which a copy has to end when it is told to."""


@dataclass(slots=True, eq=False)
class _Copy:
    """A forked copy, by its number among those who take tasks, and the batches it is at, oldest first."""

    number: int
    process: ForkProcess
    connection: Connection
    batches: deque[range] = field(default_factory=deque)


class Crew(Generic[Task, Result]):
    """This process and forked copies of it, for use in a `with` statement, which ends the copies.

    A copy has all that this process had when the crew was made. Each takes tasks that lie side by side, as these are
    likely to ask the same questions; one that has none left takes half of another's. A copy that dies, for want of
    memory most likely, leaves its tasks to the others. For Linux: elsewhere forking is not safe, or not there.
    """

    def __init__(
        self, copies: int, work: Callable[[Task], Result], begin: Callable[[int], None] = lambda _: None
    ) -> None:
        """Fork `copies` processes, which do tasks by `work`; each calls `begin` first, with its number, from 1 on."""
        self._copies: list[_Copy] = []
        # Ctrl-C goes to the whole group of processes. It is for this one to end the others.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for number in range(1, copies + 1):
                self._copies.append(self._forked(number, work, begin))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def __enter__(self) -> Crew[Task, Result]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for copy in self._copies:
            copy.connection.close()
            if kind is not None:
                copy.process.kill()
        for copy in self._copies:
            copy.process.join(_GRACE)
            copy.process.kill()
            copy.process.join()
        self._copies.clear()

    def run(
        self,
        tasks: Sequence[Task],
        work: Callable[[Task], Result],
        advanced: Callable[[int], None],
        received: Callable[[Task, Result], Result] = lambda _, result: result,
    ) -> Generator[Result, None, None]:
        """What comes of each task, in their order.

        Args:
            work: How this process does tasks.
            advanced: Called with how many more are done.
            received: Called with a task and its result as soon as a copy has sent it; gives what comes of the task.
        """
        takers = len(self._copies) + 1
        bounds = [len(tasks) * number // takers for number in range(takers + 1)]
        left = [range(*bounds[number : number + 2]) for number in range(takers)]
        done: dict[int, Result] = {}
        for following in range(len(tasks)):
            while following not in done:
                before = len(done)
                self._hand_out(tasks, left)
                until = monotonic() + _TURN
                while own := _take(left, 0, most=1):
                    done[own[0]] = work(tasks[own[0]])
                    if monotonic() > until:
                        break
                for index, result in self._take_in(left, wait_for_it=not own):
                    done[index] = received(tasks[index], result)
                advanced(len(done) - before)
            yield done.pop(following)

    def _forked(self, number: int, work: Callable[[Task], Result], begin: Callable[[int], None]) -> _Copy:
        context = get_context("fork")
        ours, theirs = context.Pipe()
        # A copy sees the end of this process only if no other copy holds this end of its pipe.
        held = [ours, *(copy.connection for copy in self._copies)]
        arguments = theirs, held, os.getpid(), work, partial(begin, number)
        process = context.Process(target=_serve, args=arguments, daemon=True)
        process.start()
        theirs.close()
        return _Copy(number, process, ours)

    def _hand_out(self, tasks: Sequence[Task], left: list[range]) -> None:
        for copy in list(self._copies):
            while len(copy.batches) < _AHEAD and (batch := _take(left, copy.number)):
                copy.batches.append(batch)
                try:
                    copy.connection.send([tasks[index] for index in batch])
                except OSError:
                    self._lose(copy, left)
                    break

    def _take_in(self, left: list[range], *, wait_for_it: bool) -> Iterator[tuple[int, Result]]:
        at_work: dict[Any, _Copy] = {copy.connection: copy for copy in self._copies if copy.batches}
        ready = wait(at_work, None if wait_for_it else 0) if at_work else ()
        for copy in [at_work[connection] for connection in ready]:
            try:
                results: list[Result] = copy.connection.recv()
            except (OSError, EOFError):
                self._lose(copy, left)
            else:
                yield from zip(copy.batches.popleft(), results, strict=True)

    def _lose(self, copy: _Copy, left: list[range]) -> None:
        """Leave the tasks of a copy that has died to whoever has none."""
        self._copies.remove(copy)
        left += copy.batches
        copy.connection.close()
        copy.process.join()


def _take(left: list[range], taker: int, most: int = _MOST) -> range:
    """The next tasks, at most `most` of them, for one who has some left; or else of half of the longest row."""
    if not left[taker]:
        longest = max(range(len(left)), key=lambda number: len(left[number]))
        rest = left[longest]
        left[longest], left[taker] = rest[: len(rest) // 2], rest[len(rest) // 2 :]
    own = left[taker]
    size = min(most, max(1, len(own) // _PART))
    left[taker] = own[size:]
    return own[:size]


def _serve(
    connection: Connection,
    held: Sequence[Connection],
    parent: int,
    work: Callable[[Any], object],
    begin: Callable[[], None],
) -> None:
    """Do tasks while there are any. What goes wrong here goes wrong in the parent as well, which tells of it."""
    gc.disable()
    begin()
    for other in held:
        other.close()
    sent: SimpleQueue[list[object]] = SimpleQueue()

    def send() -> None:
        try:
            while True:
                connection.send(sent.get())
        finally:
            os._exit(1)  # nobody is there, or it cannot be sent

    # What does not fit in the pipe has to wait until the parent looks after it; the work goes on.
    Thread(target=send, daemon=True).start()
    with suppress(Exception):
        while True:
            results = []
            for task in connection.recv():
                results.append(work(task))
                if os.getppid() != parent:
                    return  # nobody waits for the rest
            sent.put(results)
