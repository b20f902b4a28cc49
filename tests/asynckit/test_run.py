"""Running a service, in processes of its own, with real signals; and without any, in this one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import anyio
import pytest

from asynckit._run import run
from asynckit._running import Tasks, await_frames
from support.loops import EagerLoop
from support.points import InjectedError, Points

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

Backend = tuple[str, dict[str, Any]]

PRELUDE = """
import asyncio, signal, sys, time
import anyio
from asynckit._run import run

def say(word):
    print(word, flush=True)

async def for_ever():
    with anyio.CancelScope(shield=True):
        await anyio.sleep_forever()

def start(main, *args, **options):
    try:
        say(f"returned {run(main, *args, backend=BACKEND, backend_options=OPTIONS, **options)}")
    finally:
        say("left")

"""


class Service:
    """A program that says where it has come to, one word a line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.errors = ""

    def says(self, word: str) -> None:
        """Wait for the next word."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == f"{word}\n"

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def ends(self) -> tuple[int, list[str]]:
        """Wait for the end.

        Returns:
            The exit code, and the words that were left.
        """
        output, self.errors = self._process.communicate(timeout=60)
        return self._process.returncode, output.splitlines()


@pytest.fixture
def service(anyio_backend: Backend, tmp_path: Path) -> Iterator[Callable[[str], Service]]:
    """Starts a program on the back end."""
    started = []

    def start(code: str) -> Service:
        name, options = anyio_backend
        script = tmp_path / "service.py"
        given = "{'loop_factory': EagerLoop}" if options.get("loop_factory") is EagerLoop else repr(options)
        head = f"from support.loops import EagerLoop\nBACKEND, OPTIONS = {name!r}, {given}\n{PRELUDE}"
        script.write_text(head + textwrap.dedent(code), encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "-W", "error", script],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUTF8": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        started.append(process)
        return Service(process)

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_main_which_cleans_up(service: Callable[[str], Service], number: int) -> None:
    program = service("""
        async def main():
            try:
                say("ready")
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.01)
                say("cleaned up")

        start(main)
    """)
    program.says("ready")
    program.signal(number)
    assert program.ends() == (128 + number, ["cleaned up", "left"])
    assert program.errors == ""


def test_what_does_not_end_is_told_and_left(service: Callable[[str], Service]) -> None:
    program = service("""
        async def items():
            while True:
                await for_ever()
                yield

        async def worker(name):
            await consume()

        async def consume():
            async for _ in items():
                pass

        async def main():
            async with anyio.create_task_group() as group:
                group.start_soon(worker, 1, name="worker 1")
                group.start_soon(for_ever, name="the other")
                say("ready")

        start(main, grace=0.2)
    """)
    program.says("ready")
    program.signal(signal.SIGTERM)
    assert program.ends() == (143, [])
    head, *lines = program.errors.splitlines()
    assert head == "SIGTERM came 0.2 s ago, and the program has not ended: 3 tasks still running:"
    told = [line.strip() for line in lines]
    assert told[0] == "task 'main':"
    assert "task 'the other':" in told
    stack = told[told.index("task 'worker 1':") :]
    assert [line.partition(", in ")[2] for line in stack if line.startswith("File ")] == [
        "worker", "consume", "items", "for_ever",
    ]  # fmt: skip
    assert stack[2] == "await consume()"


def test_a_loop_that_is_blocked_is_told_and_left(service: Callable[[str], Service]) -> None:
    program = service("""
        async def main():
            say("ready")
            time.sleep(600)

        start(main, grace=0.2)
    """)
    program.says("ready")
    program.signal(signal.SIGTERM)
    assert program.ends() == (143, [])
    assert "task 'main' is running\n  the event loop is blocked:\n" in program.errors
    assert program.errors.endswith("in main\n      time.sleep(600)\n")


def test_a_second_signal_ends_it_at_once(service: Callable[[str], Service]) -> None:
    program = service("""
        async def main():
            try:
                say("ready")
                await anyio.sleep_forever()
            finally:
                say("cleaning up")
                await for_ever()

        start(main, grace=None)
    """)
    program.says("ready")
    program.signal(signal.SIGINT)
    program.says("cleaning up")
    program.signal(signal.SIGTERM)
    assert program.ends() == (-signal.SIGTERM, [])


def test_a_second_signal_ends_a_blocked_loop_too(service: Callable[[str], Service]) -> None:
    program = service("""
        async def main():
            try:
                say("ready")
                await anyio.sleep_forever()
            finally:
                say("blocking")
                for _ in range(6000):  # a signal just before a long sleep is not noticed until its end
                    time.sleep(0.1)

        start(main, grace=None)
    """)
    program.says("ready")
    program.signal(signal.SIGTERM)
    program.says("blocking")
    program.signal(signal.SIGTERM)
    assert program.ends() == (-signal.SIGTERM, [])


def test_a_signal_ends_the_wait_of_the_loop_without_an_instruction_of_python(service: Callable[[str], Service]) -> None:
    program = service("""
        async def main():
            assert signal.set_wakeup_fd(-1) != -1
            say("ready")
        start(main)
        assert signal.set_wakeup_fd(-1) == -1
        say("as before")
    """)
    assert program.ends()[1] == ["ready", "returned None", "left", "as before"]


def test_an_error_while_it_is_cancelled_is_raised_with_a_note(service: Callable[[str], Service]) -> None:
    program = service("""
        async def main():
            try:
                say("ready")
                await anyio.sleep_forever()
            finally:
                raise ValueError("the disk is full")

        start(main)
    """)
    program.says("ready")
    program.signal(signal.SIGTERM)
    assert program.ends() == (1, ["left"])
    assert program.errors.endswith(
        "ValueError: the disk is full\nrun: it was raised while SIGTERM was ending the program\n"
    )


def test_a_cancellation_that_is_caught_is_the_choice_of_main(service: Callable[[str], Service]) -> None:
    program = service("""
        async def main(number):
            try:
                say("ready")
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                return number

        start(main, 7)
    """)
    program.says("ready")
    program.signal(signal.SIGTERM)
    assert program.ends() == (0, ["returned 7", "left"])


def test_leaving_the_event_loop_has_to_be_in_time_too(service: Callable[[str], Service], on_asyncio: bool) -> None:
    if not on_asyncio:
        pytest.skip("asyncio waits for its threads")
    program = service("""
        async def main():
            asyncio.get_running_loop().run_in_executor(None, time.sleep, 600)
            say("ready")
            await anyio.sleep_forever()

        start(main, grace=0.2)
    """)
    program.says("ready")
    program.signal(signal.SIGTERM)
    assert program.ends()[0] == 143
    assert "still running" in program.errors


def test_a_signal_before_the_loop_runs_is_not_lost(service: Callable[[str], Service]) -> None:
    program = service("""
        def begin():
            signal.raise_signal(signal.SIGTERM)

            async def main():
                say("began")
                await anyio.sleep_forever()
                say("went on")

            return main()

        start(begin)
    """)
    assert program.ends() == (143, ["began", "left"])


def test_the_signals_can_be_chosen(service: Callable[[str], Service]) -> None:
    program = service("""
        async def main():
            say("ready")
            await anyio.sleep_forever()

        start(main, shutdown_signals=[signal.SIGHUP])
    """)
    program.says("ready")
    program.signal(signal.SIGHUP)
    assert program.ends() == (128 + signal.SIGHUP, ["left"])


def test_a_program_that_logs_finds_it_all_in_its_log(service: Callable[[str], Service]) -> None:
    program = service("""
        import logging

        logging.basicConfig(format="%(levelname)s %(name)s %(message)s", level=logging.INFO)

        async def main():
            say("ready")
            await for_ever()

        start(main, grace=0.2)
    """)
    program.says("ready")
    program.signal(signal.SIGTERM)
    assert program.ends() == (143, [])
    lines = [line for line in program.errors.splitlines() if "asyncio" not in line.split("asynckit")[0]]
    assert lines[0] == (
        "INFO asynckit.run SIGTERM came: cancelling the program, which has 0.2 s to end; another ends it at once"
    )
    assert lines[1].startswith("CRITICAL asynckit.run SIGTERM came 0.2 s ago, and the program has not ended: 1 task")


# In this process.


@contextmanager
def _handlers_are_put_back() -> Iterator[None]:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def _run(backend: Backend, main: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
    with _handlers_are_put_back():
        return run(main, *args, backend=backend[0], backend_options=backend[1], **options)


def test_it_returns_what_main_returns(anyio_backend: Backend) -> None:
    async def main(first: int, second: int) -> int:
        await anyio.sleep(0)
        return first + second

    threads = set(threading.enumerate())
    assert _run(anyio_backend, main, 3, 4) == 7
    assert _run(anyio_backend, main, 3, 4, shutdown_signals=()) == 7
    assert set(threading.enumerate()) <= threads


def test_it_raises_what_main_raises(anyio_backend: Backend) -> None:
    error = KeyError("of main")

    async def main() -> None:
        raise error

    with pytest.raises(KeyError) as caught:
        _run(anyio_backend, main)
    assert caught.value is error
    assert not hasattr(error, "__notes__")

    async def leave() -> None:
        raise SystemExit(5)

    with pytest.raises(SystemExit) as left:
        _run(("trio", {}), leave)
    assert left.value.code == 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_raises_system_exit(anyio_backend: Backend, number: signal.Signals) -> None:
    cleaned_up = False

    async def main() -> None:
        nonlocal cleaned_up
        try:
            signal.raise_signal(number)
            await anyio.sleep_forever()
        finally:
            cleaned_up = True

    with pytest.raises(SystemExit) as caught:
        _run(anyio_backend, main)
    assert caught.value.code == 128 + number
    assert cleaned_up


def test_a_signal_that_main_has_not_seen_is_not_lost(anyio_backend: Backend) -> None:
    async def main() -> str:
        await anyio.sleep(0)
        signal.raise_signal(signal.SIGTERM)
        return "just ended"

    with pytest.raises(SystemExit):
        _run(anyio_backend, main)


def test_a_signal_at_every_point(anyio_backend: Backend) -> None:
    def run_to(number: int, action: Callable[[], None]) -> Points:
        points = Points(number, action)

        async def main() -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(points)
                await points()
                with anyio.CancelScope(shield=True):
                    await points()
            await points()

        with pytest.raises(SystemExit) if number < 5 else nullcontext():
            _run(anyio_backend, main, shutdown_signals=[signal.SIGTERM, signal.SIGTERM])
        return points

    for number in range(1, 6):
        points = run_to(number, lambda: signal.raise_signal(signal.SIGTERM))
        assert points.reached == (number < 5)


def test_a_failure_at_every_point(anyio_backend: Backend) -> None:
    def fail() -> None:
        raise InjectedError

    for number in range(1, 4):
        points = Points(number, fail)

        async def main(points: Points = points) -> None:
            await points()
            await points()
            await points()

        with pytest.raises(InjectedError):
            _run(anyio_backend, main)


def test_it_can_be_run_again(anyio_backend: Backend) -> None:
    test_a_signal_raises_system_exit(anyio_backend, signal.SIGTERM)
    test_it_returns_what_main_returns(anyio_backend)


def test_outside_of_the_main_thread_it_takes_no_signals() -> None:
    async def main() -> int:
        return 7

    results: list[object] = []

    def work() -> None:
        with pytest.raises(RuntimeError, match=r"main thread only; call `run` there, or pass `shutdown_signals=\(\)`"):
            run(main)
        results.append(run(main, shutdown_signals=()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == [7]


@pytest.mark.anyio
async def test_it_runs_in_no_event_loop() -> None:
    with _handlers_are_put_back(), pytest.raises(RuntimeError, match="Already running"):
        run(anyio.sleep, 0)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"grace": -1}, ValueError, "`grace` must be 0 or more seconds"),
        ({"grace": "1"}, TypeError, "`grace` must be a number of seconds"),
        ({"backend": "curio"}, LookupError, "No such backend: curio"),
        ({"shutdown_signals": ["SIGTERM"]}, TypeError, r"not 'SIGTERM': `signal\.SIGTERM`"),
        ({"shutdown_signals": [True]}, TypeError, "must be signals such as `signal.SIGTERM`, not True"),
        ({"shutdown_signals": [4000]}, ValueError, "4000 is none of this system"),
        ({"shutdown_signals": [signal.SIGKILL]}, ValueError, "SIGKILL cannot be handled; take it out"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with _handlers_are_put_back(), pytest.raises(error, match=message):
        run(anyio.sleep, 0, **options)


def test_what_is_no_async_function_is_refused() -> None:
    coro: Any = anyio.sleep(0)
    with pytest.raises(TypeError, match="pass the function itself, and its arguments after it"):
        run(coro)
    not_async: Any = int
    with _handlers_are_put_back(), pytest.raises(TypeError, match=r"the function must be async.*it returned 0"):
        run(not_async)


@pytest.mark.anyio
async def test_frames_of_whatever_is_awaited() -> None:
    class Awaited:
        def __await__(self) -> Any:
            yield from inner().__await__()

    async def inner() -> None:
        await event.wait()

    async def outer() -> None:
        await Awaited()

    event = anyio.Event()
    async with anyio.create_task_group() as group:
        coro = outer()
        group.start_soon(lambda: coro)
        await anyio.wait_all_tasks_blocked()
        names = [frame.f_code.co_name for frame in await_frames(coro)]
        assert names[:4] == ["outer", "__await__", "inner", "wait"]
        event.set()
    assert await_frames(coro) == await_frames(None) == []


@pytest.mark.anyio
async def test_a_loop_that_answers_is_not_blocked() -> None:
    tasks = Tasks("the test")
    report = await anyio.to_thread.run_sync(tasks.report)
    assert "task 'the test':\n    File " in report
    assert "the event loop is blocked" not in report
