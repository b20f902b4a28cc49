"""One worker process, as its parent sees it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread

from asynckit import _wire, _worker
from asynckit._native import native_task

if TYPE_CHECKING:
    import asyncio

R = TypeVar("R")

_PROGRAM = "import sys; sys.path[:] = {path!r}; from asynckit._worker import main; main({connection}, {lifeline})"

_EVER = 1e6
"""Seconds that nobody waits."""

_living: weakref.WeakSet[WorkerProcess] = weakref.WeakSet()


class WorkerProcess:
    """A process that takes one call after the other. Its methods are for the one call that has it, or for the pool.

    A fresh interpreter and no fork, since a fork of a process with threads may hang (CPython issue 84559). Two things
    tie it to this process: a socket for messages, which it serves until its end is met, and a pipe that is never
    written to: when this process ends, however it does, the pipe closes and the kernel kills the worker.
    """

    __slots__ = ("__weakref__", "_in_thread", "_lifeline", "_process", "_sock", "calls", "since")

    def __init__(self) -> None:
        """Start it; takes milliseconds, and returns before it is ready for its first message.

        Raises:
            OSError: No process can be started.
            NotImplementedError: This is Windows.
        """
        if not hasattr(os, "register_at_fork"):
            raise NotImplementedError(
                "worker processes need sockets and pipes that a new process inherits, which Windows does not have; use"
                " `anyio.to_process.run_sync` there"
            )
        self.calls = 0
        self.since = 0.0
        """When it ended its last call."""
        self._sock, theirs = socket.socketpair()
        # Threads wait for the socket; the event loop, which must not, goes past it to the descriptor. It has a timeout
        # since libuv makes what it watches non-blocking, and Python expects that of sockets with timeouts only.
        self._sock.settimeout(_EVER)
        self._in_thread = threading.Lock()
        lifeline, self._lifeline = os.pipe()
        program = _PROGRAM.format(path=list(map(str, sys.path)), connection=theirs.fileno(), lifeline=lifeline)
        # Until it has a handler of its own, so that a Ctrl-C right now does not print a traceback.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process = subprocess.Popen(
                [sys.executable, *subprocess._args_from_interpreter_flags(), "-c", program],  # type: ignore[attr-defined]
                pass_fds=(theirs.fileno(), lifeline),
                stdin=subprocess.DEVNULL,
            )
        except BaseException:
            self._close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
            os.close(lifeline)
        _living.add(self)

    def begin(self, message: _wire.Message) -> _wire.Message:
        """Send as much of a message as can be sent without waiting.

        Returns:
            The rest.

        Raises:
            Ended: The process has; it has received nothing.
        """
        first, *rest = message
        try:
            sent = os.write(self._sock.fileno(), first)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise _wire.Ended from error
        return rest if sent == len(first) else [memoryview(first)[sent:], *rest]

    async def finish(self, rest: _wire.Message) -> Any:
        """Send the rest of a message and wait for the answer; if cancelled, the worker is of no use any more.

        Raises:
            Ended: The process has, or is about to.
            Unreadable: The answer has come and cannot be unpickled; the worker can be used further.
        """
        try:
            if rest:
                await in_thread(self._locked, _wire.send, rest)
            begun = await self._receive()
            if not begun:
                raise _wire.Ended
            if _wire.is_whole(begun):
                answer = _wire.value_of(begun)
            else:
                answer = await in_thread(self._locked, _wire.receive_from, begun)
        except _wire.Ended:
            raise
        except Exception as error:
            raise _wire.Unreadable from error
        if answer[0] == _worker.EXITED:
            raise _wire.Ended(answer[1])
        return answer

    async def _receive(self) -> bytes:
        """What has come, be it the beginning of a message; nothing if the process has ended."""
        while True:
            await _until_readable(self._sock)
            try:
                return os.read(self._sock.fileno(), _wire.SMALL)
            except BlockingIOError:  # event loops may be wrong
                continue
            except OSError as error:
                raise _wire.Ended from error

    def _locked(self, func: Callable[[socket.socket, Any], R], argument: Any) -> R:
        """Call something with the socket, which is not closed meanwhile; in a thread."""
        with self._in_thread:
            return func(self._sock, argument)

    def has_ended(self) -> bool:
        """Whether it has."""
        return self._process.poll() is not None

    def dismiss(self) -> None:
        """Let it end by itself, at the end of the messages; somebody must wait for it then. Safe in any thread."""
        # Wakes whoever waits to send or receive, and reaches the worker though a fork of this process has the socket.
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def kill(self) -> None:
        """End it at once; somebody must wait for it then. Safe in any thread."""
        self._process.kill()
        self.dismiss()

    def wait(self, seconds: float | None = None) -> int:
        """Wait for its end, and if that does not come in time, kill it; in a thread. Then nothing is left of it.

        Returns:
            Its exit code, or the negative number of a signal.
        """
        status = self.join(seconds)
        with self._in_thread:
            self._close()
        return status

    def join(self, seconds: float | None = None) -> int:
        """Wait in the same way, and leave it to others to close what they may be using."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        return self._process.wait()

    def forget(self) -> None:
        """Have nothing to do with it any more, in a fork of the process it belongs to."""
        self._process.returncode = 0
        self._close()

    def _close(self) -> None:
        self._sock.close()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1


async def _until_readable(sock: socket.socket) -> None:
    """As `anyio.wait_readable`, at half the cost on asyncio."""
    task = native_task()
    if task is None:
        await anyio.wait_readable(sock)
        return
    loop = task.get_loop()
    readable = loop.create_future()
    loop.add_reader(sock, _set, readable)
    try:
        await readable
    finally:
        loop.remove_reader(sock)


def _set(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)


async def in_thread(func: Callable[..., R], *args: Any) -> R:
    """Call something that waits for a worker; cancelled, leave it to itself: it ends with the worker."""
    return await anyio.to_thread.run_sync(func, *args, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))


def _forget_all() -> None:
    for worker in list(_living):
        worker.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def main_module() -> tuple[str, str] | None:
    """How a worker finds the main module of this program."""
    main = sys.modules.get("__main__")
    name = getattr(getattr(main, "__spec__", None), "name", None)
    if name is not None:
        return ("name", name)
    path = getattr(main, "__file__", None)
    return None if path is None or not Path(path).is_file() else ("path", str(Path(path).absolute()))
