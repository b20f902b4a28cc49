"""Programs that end, are interrupted or fork while functions run in threads."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from textwrap import dedent, indent

import pytest

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]

HANGS = 60
"""Seconds after which a program is held to hang."""

PROGRAM = """\
import functools, os, signal, sys, threading, time
import anyio
from asynckit import ThreadPool, amap, iterate_in_thread, run_in_thread, to_thread

begun, never = threading.Event(), threading.Event()

def block():
    print("begun", flush=True)
    begun.set()
    never.wait()

async def wait_begun():
    while not begun.is_set():
        await anyio.sleep(0)

{main}

backend = sys.argv[1]
if backend == "uvloop":
    anyio.run(main, backend_options={{"use_uvloop": True}})
else:
    anyio.run(main, backend=backend)
print("over", flush=True)
"""

Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture(params=["asyncio", "uvloop", "trio"])
def start(request: pytest.FixtureRequest) -> Start:
    """Start a program of which only `main` is given."""

    def start(main: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROGRAM.format(main=dedent(main)), request.param]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    return start


def end(program: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait until it has ended: its exit code, output and errors."""
    try:
        out, err = program.communicate(timeout=HANGS)
    except subprocess.TimeoutExpired:
        program.kill()
        pytest.fail(f"it hangs; it said {program.communicate()}")
    return program.returncode, out, err


def test_a_program_ends_although_an_abandoned_thread_works(start: Start) -> None:
    program = start("""\
        async def main():
            async with anyio.create_task_group() as group:
                group.start_soon(functools.partial(run_in_thread, block, abandon_on_cancel=True))
                await wait_begun()
                group.cancel_scope.cancel()
        """)
    assert end(program) == (0, "begun\nover\n", "")


def test_a_program_ends_although_an_abandoned_iterator_works(start: Start) -> None:
    program = start("""\
        def items():
            yield 1
            block()

        async def main():
            with anyio.CancelScope() as scope:
                async with iterate_in_thread(items, abandon_on_cancel=True) as numbers:
                    await wait_begun()
                    scope.cancel()
                    await anyio.sleep(0)
        """)
    assert end(program) == (0, "begun\nover\n", "")


def test_a_program_ends_with_its_error_although_an_abandoned_thread_works(start: Start) -> None:
    program = start("""\
        async def main():
            async with iterate_in_thread(iter(block, 1), abandon_on_cancel=True):
                await wait_begun()
                raise SystemExit(7)
        """)
    assert end(program) == (7, "begun\n", "")


def test_a_program_ends_although_a_pool_that_was_shut_down_is_busy(start: Start) -> None:
    program = start("""\
        async def main():
            pool = ThreadPool("pool", 1)
            async with anyio.create_task_group() as group:
                group.start_soon(functools.partial(run_in_thread, block, limiter=pool, abandon_on_cancel=True))
                await wait_begun()
                busy = await pool.shutdown(grace=0)
                print(len(busy))
                group.cancel_scope.cancel()
        """)
    code, out, err = end(program)
    assert (code, out) == (0, "begun\n1\nover\n")
    assert "thread pool 'pool' was shut down 0 s ago, and 1 of its threads still work: `block`" in err


def test_an_interrupt_waits_for_the_function_that_runs(start: Start) -> None:
    program = start("""\
        async def main():
            await run_in_thread(work)
            await anyio.sleep_forever()

        def work():
            print("begun", flush=True)
            sys.stdin.readline()
            print("worked", flush=True)
        """)
    assert program.stdout is not None
    assert program.stdin is not None
    assert program.stdout.readline() == "begun\n"
    program.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        program.wait(timeout=0.3)
    program.stdin.write("go on\n")
    program.stdin.flush()
    code, out, err = end(program)
    assert (code, out) == (-signal.SIGINT, "worked\n")
    assert "KeyboardInterrupt" in err


def test_an_interrupt_abandons_what_may_be_abandoned(start: Start) -> None:
    program = start("""\
        async def main():
            await run_in_thread(block, abandon_on_cancel=True)
        """)
    assert program.stdout is not None
    assert program.stdout.readline() == "begun\n"
    program.send_signal(signal.SIGINT)
    code, out, err = end(program)
    assert code == -signal.SIGINT
    assert out == ""
    assert "KeyboardInterrupt" in err


def test_a_termination_ends_a_program_whatever_its_threads_do(start: Start) -> None:
    program = start("""\
        async def main():
            await run_in_thread(block)
        """)
    assert program.stdout is not None
    assert program.stdout.readline() == "begun\n"
    program.send_signal(signal.SIGTERM)
    assert end(program) == (-signal.SIGTERM, "", "")


BUSY = """\
    @to_thread(limiter=5, abandon_on_cancel={abandon})
    def work(number):
        print(number, flush=True)
        time.sleep(0.001)

    @to_thread
    def numbers():
        for number in range(100_000):
            yield number

    async def main():
        async with numbers() as items:
            await amap(work, items, limit=20)
    """


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("abandon", [False, True])
def test_a_signal_at_any_moment_ends_a_busy_program(start: Start, number: signal.Signals, abandon: bool) -> None:
    for _ in range(3):
        program = start(indent(dedent(BUSY.format(abandon=abandon)), "        "))
        assert program.stdout is not None
        for _ in range(random.randrange(200)):
            program.stdout.readline()
        program.send_signal(number)
        code, _, err = end(program)
        if number == signal.SIGTERM:
            assert (code, err) == (-number, "")
        else:
            assert code == -number or "| KeyboardInterrupt" in err  # trio has it in a group, which Python just prints


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_threads_of_its_own(start: Start) -> None:
    program = start("""\
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # a process with threads forks, on purpose

        async def main():
            pool = ThreadPool("pool", 1)
            await run_in_thread(str, 1, limiter=pool)
            async with anyio.create_task_group() as group:
                group.start_soon(functools.partial(run_in_thread, block, limiter=pool))
                await wait_begun()
                child = os.fork()
                if not child:
                    async def in_child():
                        print(await run_in_thread(str, 2, limiter=pool), pool.statistics().busy, flush=True)
                    thread = threading.Thread(target=anyio.run, args=[in_child])
                    thread.start()
                    thread.join()
                    os._exit(0)
                os.waitpid(child, 0)
                never.set()
        """)
    assert end(program) == (0, "begun\n2 0\nover\n", "")
