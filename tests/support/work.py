"""Functions for worker processes, with every fault they may have."""

from __future__ import annotations

import ctypes
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import anyio

from asynckit import ProcessPool, offload, run_in_process, to_process, to_thread

settings: dict[str, str] = {}


def add(left: int, right: int = 0) -> int:
    return left + right


def increment(number: int) -> int:
    return number + 1


def process_id(_: object = None) -> int:
    return os.getpid()


def echo(value: Any) -> Any:
    return value


def size_and_type(value: Any) -> tuple[int, str]:
    return len(value), type(value).__name__


def hang(path: str) -> NoReturn:
    """Say that it has begun, then stay busy for ever, without ever letting another thread run for long."""
    Path(path).write_text(str(os.getpid()))
    while True:
        sum(range(10**6))


def hang_in_c(path: str) -> None:
    """The same, with the interpreter's lock held all the time: no thread and no handler of this process can run."""
    Path(path).write_text(str(os.getpid()))
    ctypes.PyDLL(None).sleep(3600)


def segfault(_: object = None) -> None:
    ctypes.string_at(0)


def exit_hard(code: int) -> None:
    os._exit(code)


def exit_softly(code: int | None) -> None:
    sys.exit(code)


def exit_with_a_thread_left(code: int) -> None:
    threading.Thread(target=time.sleep, args=(3600,)).start()
    sys.exit(code)


def be_killed(_: object = None) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(message: str) -> NoReturn:
    raise ValueError(message)


def sum_of_squares(items: int) -> int:
    return sum(number * number for number in range(items))


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def stop() -> NoReturn:
    raise StopIteration


def interrupt_itself() -> NoReturn:
    raise KeyboardInterrupt


def give_a_lock(_: object = None) -> Any:
    return threading.Lock()


class Local(Exception):  # noqa: N818
    """Cannot be pickled."""

    def __reduce__(self) -> NoReturn:
        raise TypeError("no")


class Picky(Exception):  # noqa: N818
    """Can be pickled and not be unpickled."""

    def __init__(self, left: int, right: int) -> None:
        super().__init__(f"{left} and {right}")


def raise_local() -> NoReturn:
    raise Local("local")


def raise_picky() -> NoReturn:
    raise Picky(1, 2)


def _refuse() -> NoReturn:
    raise ValueError("I will not be unpickled")


class Refusing:
    """Can be pickled and not be unpickled."""

    def __reduce__(self) -> Any:
        return _refuse, ()


def give_refusing() -> Refusing:
    return Refusing()


def write_raw(size: int) -> int:
    """Write to the descriptors of standard output and error, past Python's streams."""
    for descriptor in (1, 2):
        left = size
        while left:
            left -= os.write(descriptor, b"\n" * left)
    return size


def fill_errors(path: str) -> NoReturn:
    """Say that it has begun, then write to standard error for ever."""
    Path(path).write_text(str(os.getpid()))
    while True:
        os.write(2, b"\n" * 4096)


def start_a_program() -> str:
    return subprocess.run([sys.executable, "-c", "print('ran')"], capture_output=True, text=True, check=True).stdout


def fork_and_die(path: str) -> None:
    """Leave a forked child behind that lives on, with all descriptors it has got."""
    if os.fork() == 0:
        while not Path(path).exists():
            time.sleep(0.01)
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)


@to_process
def nested() -> int:
    return anyio.run(nested)


def nested_in_its_own_pool(depth: int) -> int:
    async def inner() -> int:
        async with ProcessPool(1) as pool:
            return await pool.run(nested_in_its_own_pool, depth - 1)

    return depth if depth == 0 else anyio.run(inner)


def nested_by_function() -> int:
    return anyio.run(run_in_process, add, 1)


def setup(key: str, value: str) -> None:
    settings[key] = value


def set_up(key: str) -> str | None:
    return settings.get(key)


def count_calls(_: object = None) -> int:
    settings["calls"] = settings.get("calls", "") + "x"
    return len(settings["calls"])


def fail_at_5(number: int) -> int:
    if number == 5:
        raise ValueError("five")
    return number


def lock_at_5(number: int) -> Any:
    return threading.Lock() if number == 5 else number


def crash_at_5(number: int) -> int:
    if number == 5:
        os._exit(3)
    return number


@to_thread
def in_thread(number: int) -> int:
    return number + 1


@to_thread
def numbers(count: int) -> Generator[int, None, None]:
    yield from range(count)


@to_process
def in_process(number: int) -> int:
    return number + 1


@offload(lambda: ThreadPoolExecutor(1))
def in_executor(number: int) -> int:
    return number + 1


class Box:
    def __init__(self, content: int) -> None:
        self.content = content

    @to_thread
    def plus(self, number: int) -> int:
        return self.content + number

    @staticmethod
    @to_thread
    def static(number: int) -> int:
        return number + 1

    @classmethod
    @to_thread
    def of_class(cls, number: int) -> int:
        return number + 1


def plainly(decorated: Any, *args: Any) -> Any:
    """Call the original of a decorated function."""
    bound = (decorated.__self__,) if hasattr(decorated, "__self__") else ()  # a class method, from Python 3.13 on
    return decorated.sync(*bound, *args)


def drawn(decorated: Callable[..., Any], *args: Any) -> list[Any]:
    return list(plainly(decorated, *args))
