"""Running a service: from a signal to an orderly end, in bounded time."""

from __future__ import annotations

import _thread
import inspect
import logging
import math
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, NoReturn, TypeVar, TypeVarTuple

import anyio

from asynckit._checks import checked_seconds
from asynckit._running import Tasks
from asynckit._steps import as_coroutine

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_logger = logging.getLogger("asynckit.run")

_REPORTING = 2.0
"""Seconds the last report may take: its stream may be one that nobody reads any more."""


def run(
    main: Callable[[*Ts], Awaitable[T]],
    *args: *Ts,
    backend: str = "asyncio",
    backend_options: dict[str, Any] | None = None,
    shutdown_signals: Iterable[int] = (signal.SIGINT, signal.SIGTERM),
    grace: float | None = 10.0,
) -> T:
    """Run an async function in an event loop, and end it in an orderly way on a signal: for services.

    On the first signal `main` is cancelled, which lets it clean up, and has `grace` seconds to end. If it has not ended
    by then, it is reported which tasks still run and where each of them waits, and where the event loop is blocked if
    it is; then the process ends. A second signal ends it at once.

    What comes of it:

    - `main` returned: what it returned. Also when it had been cancelled, if it caught that: then the choice is its own.
    - A signal cancelled it and it ended: `SystemExit(128 + number)`, the code by which shells know a program that a
      signal ended: 130 for SIGINT, 143 for SIGTERM. So `finally` blocks and `atexit` functions of the program are run.
      (`anyio.run` raises `KeyboardInterrupt` on SIGINT, and knows no other signal; uvicorn ends by the signal itself.)
    - It raised something, on its own or while it was being cancelled: that, in the latter case with a note.
    - It did not end in time: the process exits with the code 128 + number as well, but from where it is, by
      `os._exit`, since no event loop can be left while it has tasks that do not end. The report is logged as critical
      by the logger `asynckit.run`, which goes to stderr unless logging is set up.
    - A second signal: the process dies by it, as without a handler.

    Args:
        main: An async function, or one that returns something to await.
        args: Its positional arguments; for keywords use `functools.partial`.
        backend: `asyncio` or `trio`.
        backend_options: What `anyio.run` takes: `{"use_uvloop": True}` for uvloop.
        shutdown_signals: What ends it. Handlers that were set before are put back afterwards. With none, it is
            `anyio.run`, and runs outside the main thread as well.
        grace: Seconds from the first signal to the end, in which the event loop must be left as well; `None` and
            infinity for no end.

    Returns:
        What `main` returns.

    Raises:
        SystemExit: A signal came and `main` was cancelled, as above.
        BaseException: What `main` raises.
        RuntimeError: An event loop runs in this thread already, or signals are to be handled in another thread than the
            main one.
        LookupError: There is no such back end.
        TypeError, ValueError: An argument is wrong.

    Cancellation:
        It is a synchronous function, and nothing cancels it but the signals. Tasks that were started outside of `main`
        and its task groups, by `asyncio.create_task`, are cancelled when it has ended, as by `asyncio.run`.

    Example:
        >>> import anyio
        >>> from asynckit import run
        >>> async def main(name):
        ...     await anyio.sleep(0)
        ...     return f"{name} has ended"
        >>> run(main, "service")
        'service has ended'
    """
    work: object = main
    if not callable(work):
        hint = "; pass the function itself, and its arguments after it" if isinstance(work, Awaitable) else ""
        if inspect.iscoroutine(work):
            work.close()
        raise TypeError(f"`run` takes an async function and its arguments, not {main!r}{hint}")
    seconds = checked_seconds(grace, name="grace")
    signals = dict.fromkeys(_checked_signal(number) for number in shutdown_signals)
    if not signals:
        return anyio.run(main, *args, backend=backend, backend_options=backend_options)
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "signals can be handled in the main thread only; call `run` there, or pass `shutdown_signals=()` and cancel"
            " by other means"
        )

    shutdown = _Shutdown(seconds)
    before: dict[signal.Signals, Any] = {}
    try:
        for number in signals:
            before[number] = signal.signal(number, shutdown.on_signal)
        returned = anyio.run(shutdown.live, main, args, backend=backend, backend_options=backend_options)
    finally:
        shutdown.over()
        for number, handler in before.items():
            # `None` is one that was not set from Python, and cannot be put back from here.
            if handler is not None:
                signal.signal(number, handler)
    return shutdown.outcome(returned)


class _Shutdown:
    """What happens from the first signal on.

    The handler runs in the main thread, between any two instructions of whatever runs there, so it must take no lock,
    and so not log either: it asks the event loop for that, and has a thread see to it that the time is kept even if the
    event loop is blocked. The thread takes no lock either, until it is to end the process.
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._signal: signal.Signals | None = None
        self._tasks: Tasks | None = None
        self._scope: anyio.CancelScope | None = None
        self._met = False
        self._ended: SimpleQueue[None] = SimpleQueue()

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """The handler."""
        if self._signal is not None:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
            os._exit(128 + number)  # the first process of a container is spared by signals that it does not handle
        self._signal = came = signal.Signals(number)
        if self._tasks is not None and self._scope is not None:
            self._tasks.call_soon(self._cancel)
        # `Thread.start` takes locks that may be held just here. Where there can be no thread, the time is not kept.
        with suppress(RuntimeError):
            _thread.start_new_thread(self._keep_time, (came,))

    def _cancel(self) -> None:
        """Called in the event loop."""
        if self._signal is not None and self._scope is not None:
            in_time = "" if self._grace == math.inf else f", which has {self._grace:g} s to end"
            _logger.info("%s came: cancelling the program%s; another ends it at once", self._signal.name, in_time)
            self._scope.cancel()

    async def live(self, main: Callable[..., Awaitable[T]], args: tuple[object, ...]) -> list[T]:
        """Run `main` until it ends or a signal cancels it.

        Returns:
            What it returned, if it did.
        """
        self._tasks = Tasks(_name_of(main))
        with anyio.CancelScope() as scope:
            self._scope = scope
            self._cancel()  # if a signal came before the event loop ran
            try:
                with _woken_by_signals():
                    returned = await as_coroutine(main(*args))
            except Exception as error:
                if self._signal is not None:
                    error.add_note(f"run: it was raised while {self._signal.name} was ending the program")
                raise
            finally:
                self._scope = None
            self._met = scope.cancel_called
            return [returned]
        return []

    def over(self) -> None:
        """The event loop has been left."""
        self._ended.put(None)

    def outcome(self, returned: list[T]) -> T:
        """What comes of it. A signal that `main` has not seen must not be lost.

        Raises:
            SystemExit: A signal has come.
        """
        if returned and (self._signal is None or self._met):
            return returned[0]
        assert self._signal is not None, "nothing else cancels `main` without an error"
        raise SystemExit(128 + self._signal)

    def _keep_time(self, came: signal.Signals) -> None:
        """The life of the thread."""
        try:
            self._ended.get(timeout=min(self._grace, threading.TIMEOUT_MAX))
        except Empty:
            self._give_up(came)

    def _give_up(self, came: signal.Signals) -> NoReturn:
        """Say what still runs, and end the process."""
        try:
            reporter = threading.Thread(target=self._report, args=(came,), name="asynckit.run", daemon=True)
            reporter.start()
            reporter.join(_REPORTING)
        finally:
            os._exit(128 + came)

    def _report(self, came: signal.Signals) -> None:
        head = f"{came.name} came {self._grace:g} s ago, and the program has not ended"
        try:
            text = "the event loop has not begun to run\n" if self._tasks is None else self._tasks.report()
        except Exception as error:  # noqa: BLE001  # half a report is better than none
            text = f"what runs could not be told: {error!r}\n"
        _logger.critical("%s: %s", head, text.rstrip("\n"))
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()


@contextmanager
def _woken_by_signals() -> Iterator[None]:
    """See to it that a signal ends the event loop's wait.

    trio, uvloop and asyncio on Windows do so themselves. asyncio's other loops do not: a signal that came when their
    last instruction had run, and their wait had not begun, would be noticed only when something else happens.
    """
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)
        writer.setblocking(False)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        if before != -1:
            signal.set_wakeup_fd(before)
            yield
            return
        import asyncio

        loop = asyncio.get_running_loop()
        loop.add_reader(reader, reader.recv, 4096)
        try:
            yield
        finally:
            loop.remove_reader(reader)
            now = signal.set_wakeup_fd(-1)
            if now != writer.fileno():  # `loop.add_signal_handler` has been called meanwhile
                signal.set_wakeup_fd(now)


def _name_of(main: object) -> str:
    return str(getattr(main, "__qualname__", None) or repr(main))


def _checked_signal(number: object) -> signal.Signals:
    """A signal that can be handled.

    Raises:
        TypeError, ValueError: It is none.
    """
    if isinstance(number, bool) or not isinstance(number, int):
        hint = f": `signal.{number}`" if isinstance(number, str) and number in signal.Signals.__members__ else ""
        raise TypeError(f"`shutdown_signals` must be signals such as `signal.SIGTERM`, not {number!r}{hint}")
    if number not in signal.valid_signals():
        raise ValueError(
            f"`shutdown_signals` must be signals such as `signal.SIGTERM`; {number} is none of this system"
        )
    if number in {getattr(signal, name, None) for name in ("SIGKILL", "SIGSTOP")}:
        raise ValueError(f"{signal.Signals(number).name} cannot be handled; take it out of `shutdown_signals`")
    return signal.Signals(number)
