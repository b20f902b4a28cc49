"""The program of a worker process: receives calls, makes them, and answers."""

from __future__ import annotations

import importlib
import os
import pickle
import runpy
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from operator import itemgetter
from types import ModuleType, TracebackType
from typing import Any, Final, NamedTuple, TypeAlias

from asynckit import _wire

# What an answer begins with. Plain numbers, for each enumeration member would be pickled by its name.
RESULT: Final = 0
"""Then comes the result."""
ERROR: Final = 1
"""The function raised an exception; then comes a `Told`."""
NOT_CALLED: Final = 2
"""The call cannot be unpickled; then comes a `Told`."""
NOT_ANSWERED: Final = 3
"""The result cannot be pickled; then comes a `Told`."""
EXITED: Final = 4
"""The function wants this process to end; then comes the exit code. It will take a moment, and may never be."""


Function: TypeAlias = tuple[str, str] | Callable[..., Any]
"""A function in a message: its module and its name there, whatever wraps it by now; or something pickled as it is."""


class Told(NamedTuple):
    """An exception."""

    pickled: bytes | None
    """None if it could not be pickled, or not unpickled again."""
    summary: str
    traceback: str


class Preparation(NamedTuple):
    """What the first message holds."""

    main: tuple[str, str] | None
    """How to find the main module: `name` or `path`, and which."""
    arguments: list[str]
    """`sys.argv`."""
    setup: tuple[Function, tuple[Any, ...]] | None
    """The initializer and its arguments."""


def original(module: str, name: str) -> Any:
    """The undecorated function that a name of a module stands for."""
    from asynckit._offloaded import Offloaded

    target: Any = sys.modules.get(module) or importlib.import_module(module)
    for part in name.split("."):
        target = getattr(target, part, None)
    return target.sync if isinstance(target, Offloaded) else target


def found(func: Function) -> Callable[..., Any]:
    """The function that is meant in a message."""
    return original(*func) if isinstance(func, tuple) else func


class Several(NamedTuple):
    """What became of the items of a chunk."""

    results: list[Any]
    """One for each item; None for those that failed."""
    failures: list[tuple[int, int, Told]]
    """Of those that failed, in order: the number, `ERROR` or `NOT_ANSWERED`, and what it was."""


def call_each(
    func: Function, args: tuple[Any, ...], kwargs: dict[str, Any], items: list[Any], keep_going: bool
) -> Several:
    """Call a function for each item of a chunk.

    Raises:
        Exception: What the function does, unless told to keep going.
    """
    call = partial(found(func), *args, **kwargs) if args or kwargs else found(func)
    if not keep_going:
        return Several([call(item) for item in items], [])
    several = Several([], [])
    for number, item in enumerate(items):
        try:
            several.results.append(call(item))
        except Exception as error:  # noqa: BLE001  # it is told
            several.results.append(None)
            several.failures.append((number, ERROR, told(error)))
    return several


def _without_unpicklable(several: Several) -> Several:
    """The same, with the results that cannot be pickled among the failures."""
    failures = list(several.failures)
    for number, result in enumerate(several.results):
        try:
            pickle.dumps(result, 5)
        except Exception as error:  # noqa: BLE001  # it is told
            several.results[number] = None
            failures.append((number, NOT_ANSWERED, told(error)))
    return Several(several.results, sorted(failures, key=itemgetter(0)))


_NOT_RUN: Final = "__asynckit_not_run__"
"""The name of an attribute that no program has."""

_in_worker = False


def in_worker() -> bool:
    """Whether this process is a worker."""
    return _in_worker


def main(connection: int, lifeline: int) -> None:
    """Serve until the other side is gone.

    Args:
        connection: The descriptor of the socket for messages.
        lifeline: The descriptor of a pipe whose other end is closed when this process shall end at once.
    """
    global _in_worker  # noqa: PLW0603
    _in_worker = True
    _die_with(lifeline)
    # Ctrl-C goes to all processes of a terminal; what it shall end is for the parent to say. A handler, since what is
    # ignored would be ignored by programs that are started here, too.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    sock = socket.socket(fileno=connection)
    os.register_at_fork(after_in_child=sock.close)  # else nobody would see that this process has ended
    try:
        answer = _prepared(sock)
        while True:
            _wire.send(sock, answer)
            answer = _answer(sock)
    except _wire.Ended:
        pass
    except SystemExit as wish:
        with suppress(_wire.Ended):
            _wire.send(sock, _wire.pack((EXITED, _exit_code(wish))))
        raise
    finally:
        sock.close()  # the other side sees the end at once, though threads that are left may hold this process up


def _exit_code(wish: SystemExit) -> int:
    """What Python makes of it."""
    if wish.code is None:
        return 0
    return wish.code & 0xFF if isinstance(wish.code, int) else 1


def _die_with(lifeline: int) -> None:
    """Have the kernel kill this process when the pipe is closed, though it be busy or hang."""
    import fcntl  # there is none on Windows, where this module can be imported all the same

    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | fcntl.FASYNC | os.O_NONBLOCK)
        try:
            os.read(lifeline, 1)
        except BlockingIOError:
            return  # it is open
        os._exit(1)
    else:
        import threading

        def watch() -> None:
            os.read(lifeline, 1)
            os._exit(1)

        threading.Thread(target=watch, daemon=True, name="asynckit lifeline").start()


def _prepared(sock: socket.socket) -> _wire.Message:
    try:
        preparation = _received(sock)
        sys.argv = preparation.arguments
        if preparation.main is not None:
            sys.modules["__main__"] = _Main(*preparation.main)
        if preparation.setup is not None:
            initializer, arguments = preparation.setup
            found(initializer)(*arguments)
    except _wire.Ended:
        raise
    except Exception as error:  # noqa: BLE001
        return _wire.pack((ERROR, told(error)))
    return _wire.pack((RESULT, None))


class _Main(ModuleType):
    """The main module of the parent, run here under another name when something of it is asked for.

    As `multiprocessing` does, but late: most workers have no need of it, and it may take long, or do too much.
    """

    def __init__(self, how: str, where: str) -> None:
        super().__init__("__mp_main__")
        vars(self)[_NOT_RUN] = (how, where)

    def __getattr__(self, name: str) -> Any:
        if _NOT_RUN not in vars(self) or (name.startswith("__") and name.endswith("__")):
            raise AttributeError(f"the main module has no attribute {name!r}")
        how, where = vars(self).pop(_NOT_RUN)
        sys.modules["__mp_main__"] = self
        run = runpy.run_path if how == "path" else partial(runpy.run_module, alter_sys=True)
        try:
            vars(self).update(run(where, run_name="__mp_main__"))
        except BaseException:
            vars(self)[_NOT_RUN] = (how, where)
            raise
        return getattr(self, name)


def _received(sock: socket.socket) -> Any:
    try:
        begun = sock.recv(_wire.SMALL)
    except OSError as error:
        raise _wire.Ended from error
    return _wire.receive_from(sock, begun)


def _answer(sock: socket.socket) -> _wire.Message:
    """Receive a call, and make it.

    Raises:
        Ended: There is none.
        SystemExit: The function wants this process to end.
    """
    try:
        func, args, kwargs = _received(sock)
        func = found(func)
    except _wire.Ended:
        raise
    except Exception as error:  # noqa: BLE001
        return _wire.pack((NOT_CALLED, told(error)))
    try:
        result = func(*args, **kwargs)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001
        return _wire.pack((ERROR, told(error)))
    try:
        return _wire.pack((RESULT, result))
    except Exception as error:  # noqa: BLE001
        if func is call_each and args[-1]:
            return _wire.pack((RESULT, _without_unpicklable(result)))
        return _wire.pack((NOT_ANSWERED, told(error)))


def told(error: BaseException) -> Told:
    """An exception as it can be sent, whatever it is."""
    lines = traceback.format_exception(error.with_traceback(_outside(error.__traceback__)))
    pickled = None
    if isinstance(error, Exception):  # others, such as `KeyboardInterrupt`, would do in the parent what they do here
        try:
            pickled = pickle.dumps(error, 5)
            pickle.loads(pickled)  # noqa: S301  # some can be pickled and not unpickled
        except Exception:  # noqa: BLE001
            pickled = None
    return Told(pickled, "".join(traceback.format_exception_only(error)).strip(), "".join(lines))


def _outside(trace: TracebackType | None) -> TracebackType | None:
    """A traceback from where it leaves this module; all of it, if it never does."""
    start = trace
    while start is not None and start.tb_frame.f_globals is globals():
        start = start.tb_next
    return start or trace
