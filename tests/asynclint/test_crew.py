"""A crew gives the same results as one process, whatever happens to its copies, and leaves none behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from support.leftovers import children

if not hasattr(os, "fork"):
    pytest.skip("a crew is forked", allow_module_level=True)

from asynclint.crew import Crew

# pytest's own workers have a thread that talks to their controller; it takes no lock that a copy needs.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
HERE = os.getpid()
PROGRAM = """
import os, sys, time
sys.path[:0] = {path!r}
from asynclint.crew import Crew

def work(task):
    if task % 1000 == 0:
        os.write(2, b"a copy works\\n")
    time.sleep(0.001)

with Crew(2, work) as crew:
    for _ in crew.run(range(1, 1_000_000), lambda _: time.sleep(600), lambda _: None):
        pass
"""


@pytest.fixture(autouse=True)
def nothing_is_left() -> object:
    before = children()
    yield
    assert children() <= before


def square(task: int) -> int:
    return task * task


def squares(
    count: int, copies: int, work: Callable[[int], int] = square, here: Callable[[int], int] = square
) -> list[int]:
    done: list[int] = []
    with Crew(copies, work) as crew:
        results = list(crew.run(range(count), here, done.append))
    assert sum(done) == count
    return results


@pytest.mark.parametrize("copies", [0, 1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 1000])
def test_results_come_in_the_order_of_the_tasks(count: int, copies: int) -> None:
    assert squares(count, copies) == [number**2 for number in range(count)]


def test_what_a_copy_sends_is_received_once_and_becomes_the_result() -> None:
    received: list[int] = []

    def receive(task: int, result: int) -> int:
        received.append(task)
        return -result

    with Crew(2, square) as crew:
        results = list(crew.run(range(300), square, lambda _: None, receive))
    assert len(received) == len(set(received)) > 0
    assert results == [-(task**2) if task in received else task**2 for task in range(300)]


def test_results_that_do_not_fit_in_the_pipe_hold_nobody_up() -> None:
    with Crew(1, lambda task: bytes([task % 256]) * 500_000) as crew:
        results = crew.run(range(60), lambda task: bytes([task % 256]) * 500_000, lambda _: None)
        assert [result[0] for result in results] == list(range(60))


def test_a_crew_runs_again_and_again() -> None:
    with Crew[int, int](2, lambda task: -task) as crew:
        for count in (3, 0, 50):
            results = list(crew.run(range(count), lambda task: -task, lambda _: None))
            assert results == [-number for number in range(count)]


def test_copies_have_what_there_was_when_they_were_forked() -> None:
    facts = list(range(100))
    assert squares(100, 2, lambda task: facts[task] ** 2) == squares(100, 0)


def dies(task: int) -> int:
    if task % 10 == 7 and os.getpid() != HERE:
        os.kill(os.getpid(), signal.SIGKILL)
    return task * task


def fails(task: int) -> int:
    if task % 10 == 7 and os.getpid() != HERE:
        raise MemoryError
    return task * task


def cannot_be_sent(task: int) -> object:
    return task * task if os.getpid() == HERE else lambda: None


@pytest.mark.parametrize("work", [dies, fails, cannot_be_sent], ids=lambda work: work.__name__)
def test_the_tasks_of_a_copy_that_ends_are_done_by_others(work: Callable[[int], int]) -> None:
    assert squares(200, 3, work) == squares(200, 0)


def test_what_goes_wrong_everywhere_goes_wrong_here() -> None:
    def work(task: int) -> int:
        return 1 // (task - 150)

    with pytest.raises(ZeroDivisionError):
        squares(200, 2, work, work)


def test_copies_are_ended_when_nobody_wants_more_results() -> None:
    with Crew[int, int](2, lambda task: task) as crew:
        results = crew.run(range(1000), lambda task: task, lambda _: None)
        assert next(results) == 0
        results.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_no_copy_outlives_its_parent(number: signal.Signals) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(path=sys.path)], stderr=subprocess.PIPE, start_new_session=True
    )
    assert program.stderr is not None
    assert program.stderr.readline() == b"a copy works\n"
    if number == signal.SIGINT:  # Ctrl-C goes to the whole group
        os.killpg(program.pid, number)
    else:
        program.send_signal(number)
    # The pipe ends when the last process that holds it does.
    _, said = program.communicate(timeout=60)
    assert said.count(b"Traceback") == (number == signal.SIGINT)
    assert program.returncode == -number
