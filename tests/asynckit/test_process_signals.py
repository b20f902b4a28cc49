"""However a program with worker processes ends, they end with it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import leftovers

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks for processes in /proc"),
]

_HEAD = r"""
import os, sys, time, warnings
import anyio
from asynckit import amap, gather, process_map, run_in_process, to_process

@to_process
def pid():
    return os.getpid()

@to_process
def hang():
    os.write(1, f"{os.getpid()}\n".encode())
    while True:
        sum(range(10**6))

def number(value):
    return value

def run(function):
    backend = sys.argv[1]
    if backend == "uvloop":
        return anyio.run(function, backend_options={"use_uvloop": True})
    return anyio.run(function, backend=backend)

"""

_TWO_HANG = """
async def main():
    await gather(hang(), hang())

if __name__ == "__main__":
    run(main)
"""

_BUSY = """
async def main():
    print(await pid(), flush=True)
    while True:
        async with process_map(number, range(1000)) as results:
            async for result in results:
                pass
        with anyio.move_on_after(0.002):
            await hang()

if __name__ == "__main__":
    run(main)
"""


class Program:
    """A program that runs in a process group of its own, as a shell would start it."""

    def __init__(self, path: Path, text: str, backend: str) -> None:
        source = path / "program.py"
        source.write_text(_HEAD + textwrap.dedent(text))
        self.process = subprocess.Popen(
            [sys.executable, source, backend],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def workers(self, count: int) -> list[int]:
        """The numbers of the processes that it prints."""
        assert self.process.stdout is not None
        return [int(self.process.stdout.readline()) for _ in range(count)]

    def group(self) -> list[int]:
        """Its processes that live, itself too."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
            except OSError:
                continue
            if int(group) == self.process.pid and state != "Z":
                found.append(int(stat.parent.name))
        return found

    def end(self) -> str:
        """Wait for the end of it and of all its workers.

        Returns:
            What it has written to standard error.
        """
        errors = self.process.communicate(timeout=60)[1]  # also waits until no worker has the other end of the pipe
        until = time.monotonic() + 60
        while self.group():
            assert time.monotonic() < until, "workers have outlived their program"
            time.sleep(0.01)
        return errors


@pytest.fixture(params=["asyncio", "uvloop", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    """Programs that are killed if a test fails."""
    started: list[Program] = []
    yield started
    for program in started:
        for process in program.group():
            os.kill(process, signal.SIGKILL)
        program.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_a_killed_program_leaves_no_busy_worker(
    tmp_path: Path, backend: str, programs: list[Program], number: signal.Signals
) -> None:
    program = Program(tmp_path, _TWO_HANG, backend)
    programs.append(program)
    workers = program.workers(2)
    assert all(map(leftovers.is_alive, workers))
    program.process.send_signal(number)
    program.end()
    assert program.process.returncode == -number
    assert not any(map(leftovers.is_alive, workers))


def test_ctrl_c_to_the_process_group_ends_everything(tmp_path: Path, backend: str, programs: list[Program]) -> None:
    program = Program(tmp_path, _TWO_HANG, backend)
    programs.append(program)
    program.workers(2)
    os.killpg(program.process.pid, signal.SIGINT)
    errors = program.end()
    assert "_worker.py" not in errors, "a worker has printed a traceback of its own"
    assert program.process.returncode != 0


def test_exit_with_jobs_running(tmp_path: Path, backend: str, programs: list[Program]) -> None:
    text = """
    import threading

    async def main():
        await hang()

    if __name__ == "__main__":
        threading.Thread(target=run, args=(main,), daemon=True).start()
        sys.stdin.read()  # until the test has seen that the worker works
    """
    program = Program(tmp_path, text, backend)
    programs.append(program)
    program.workers(1)
    program.end()


def test_idle_workers_end_with_the_program(tmp_path: Path, backend: str, programs: list[Program]) -> None:
    text = """
    if __name__ == "__main__":
        print(run(pid), flush=True)
    """
    program = Program(tmp_path, text, backend)
    programs.append(program)
    program.workers(1)
    assert program.end() == ""
    assert program.process.returncode == 0


def test_a_worker_outlives_the_event_loop_and_serves_the_next(tmp_path: Path, backend: str) -> None:
    text = """
    if __name__ == "__main__":
        first = run(pid)
        assert anyio.run(pid, backend="asyncio") == anyio.run(pid, backend="trio") == first
    """
    assert Program(tmp_path, text, backend).end() == ""


def test_a_fork_of_the_program_has_workers_of_its_own(tmp_path: Path, backend: str) -> None:
    text = """
    if __name__ == "__main__":
        first = run(pid)
        warnings.simplefilter("ignore")  # Python 3.12 and later warn of forks of programs with threads
        child = os.fork()
        if child == 0:
            assert run(pid) != first
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert run(pid) == first
    """
    program = Program(tmp_path, text, backend)
    assert program.end() == ""
    assert program.process.returncode == 0


def test_without_the_guard_of_the_main_module_the_error_teaches(tmp_path: Path, backend: str) -> None:
    program = Program(tmp_path, "run(pid)", backend)
    assert 'if __name__ == "__main__":' in program.end()
    assert program.process.returncode == 1


def test_things_of_the_main_module_travel_both_ways(tmp_path: Path, backend: str) -> None:
    text = """
    from dataclasses import dataclass

    @dataclass
    class Point:
        x: int

    class Trouble(Exception):
        pass

    @to_process
    def moved(point):
        if point.x < 0:
            raise Trouble
        return Point(point.x + 1)

    async def main():
        assert await moved(Point(1)) == Point(2)
        try:
            await moved(Point(-1))
        except Trouble:
            pass
        assert await run_in_process(moved.sync, Point(3)) == Point(4)

    if __name__ == "__main__":
        run(main)
    """
    program = Program(tmp_path, text, backend)
    assert program.end() == ""
    assert program.process.returncode == 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_at_any_moment(
    tmp_path: Path, backend: str, programs: list[Program], number: signal.Signals, seed: int
) -> None:
    program = Program(tmp_path, _BUSY, backend)
    programs.append(program)
    program.workers(1)
    time.sleep(random.Random(seed).uniform(0, 0.3))
    os.killpg(program.process.pid, number) if number == signal.SIGINT else program.process.send_signal(number)
    program.end()
    assert program.process.returncode != 0
