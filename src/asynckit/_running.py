"""Which tasks run in an event loop, and where each of them waits; told from another thread too."""

from __future__ import annotations

import gc
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from types import AsyncGeneratorType, CoroutineType, FrameType
from typing import TYPE_CHECKING

from asynckit._native import native_task

if TYPE_CHECKING:
    import asyncio

    import trio

_ANSWERING = 0.5
"""Seconds an event loop may take to answer before it is held to be blocked."""


class Tasks:
    """The tasks of the event loop that runs where this is made."""

    def __init__(self, name: str) -> None:
        """Take the event loop, and the running task as the first of its tasks.

        Args:
            name: What to call the running task.
        """
        self._thread = threading.get_ident()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._root: trio.lowlevel.Task | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        task = native_task()
        if task is not None:
            task.set_name(name)
            self._loop = task.get_loop()
        else:
            import trio

            self._root = trio.lowlevel.current_task()
            self._root.name = name
            self._token = trio.lowlevel.current_trio_token()

    def call_soon(self, call: Callable[[], object]) -> None:
        """Have the event loop call something; safe in any thread and in a handler of signals."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(call)
        elif self._token is not None:
            self._token.run_sync_soon(call)

    def report(self) -> str:
        """The tasks that run, each with its stack; if the event loop is blocked, where."""
        return "".join(self._lines())

    def _lines(self) -> Iterator[str]:
        tasks = sorted(self._all(), key=lambda task: task[0])
        yield f"{len(tasks)} task{'s' * (len(tasks) != 1)} still running{':' * bool(tasks)}\n"
        for name, coro in tasks:
            running = " is running" if getattr(coro, "cr_running", False) else ":"
            yield f"  task {name!r}{running}\n"
            yield from _formatted(await_frames(coro))
        if self._is_blocked():
            yield "  the event loop is blocked:\n"
            here = sys._current_frames().get(self._thread)
            yield from _formatted([frame for frame, _ in traceback.walk_stack(here)][::-1])

    def _all(self) -> Iterable[tuple[str, object]]:
        """The names and coroutines of the tasks."""
        if self._loop is None:
            return [(task.name, task.coro) for task in _family(self._root)]
        import asyncio

        return [(task.get_name(), task.get_coro()) for task in asyncio.all_tasks(self._loop) if not task.done()]

    def _is_blocked(self) -> bool:
        answers: SimpleQueue[None] = SimpleQueue()
        try:
            self.call_soon(lambda: answers.put(None))
            answers.get(timeout=_ANSWERING)
        except Empty:
            return True
        except RuntimeError:  # it is closed, or has ended
            return False
        return False


def await_frames(coro: object) -> list[FrameType]:
    """The frames of a coroutine that waits, from its own to the innermost of those it awaits.

    `asyncio.Task.get_stack` gives only the first.
    """
    frames: list[FrameType] = []
    while coro is not None:
        frame, awaited = _step(coro)
        if frame is not None:
            frames.append(frame)
        coro = awaited
    return frames


def _step(coro: object) -> tuple[FrameType | None, object]:
    """The frame of something awaited, and what it awaits in turn."""
    for prefix, link in (("cr", "cr_await"), ("gi", "gi_yieldfrom"), ("ag", "ag_await")):
        if hasattr(coro, link):
            return getattr(coro, f"{prefix}_frame"), getattr(coro, link)
    # These do not tell whose they are: a step of an async generator, as `async for` makes it, and `coro.__await__()`.
    if type(coro).__name__ in {"async_generator_asend", "async_generator_athrow", "coroutine_wrapper"}:
        for made in gc.get_referents(coro):
            if isinstance(made, (AsyncGeneratorType, CoroutineType)):
                return None, made
    return None, None


def _family(root: trio.lowlevel.Task | None) -> Iterator[trio.lowlevel.Task]:
    """A task and all that it has started in nurseries, and so on."""
    rest = [] if root is None else [root]
    while rest:
        task = rest.pop()
        yield task
        for nursery in task.child_nurseries:
            rest.extend(nursery.child_tasks)


def _formatted(frames: Iterable[FrameType]) -> Iterator[str]:
    """The lines of a stack, without what the libraries do on their own."""
    told = ((frame, frame.f_lineno) for frame in frames if not _is_inside(frame))
    for entry in traceback.StackSummary.extract(told).format():
        yield "".join(f"  {line}\n" for line in entry.splitlines())


def _is_inside(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__"))
    return module.partition(".")[0] in {"anyio", "asyncio", "trio"} or module == "asynckit._run"
