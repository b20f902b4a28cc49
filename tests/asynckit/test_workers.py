"""The threads themselves, and how they reach an event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asynckit import _workers
from asynckit._mailbox import current_mailbox
from asynckit._workers import Workers


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    """Threads that end as soon as they have nothing to do."""
    monkeypatch.setattr(_workers, "IDLE", 0.001)
    workers = Workers()
    yield workers
    wait_until(lambda: workers.statistics() == (0, 0))


def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.001)


def submit(workers: Workers, *calls: Callable[[], None]) -> None:
    with workers.lock:
        for call in calls:
            workers.ready(call)
    workers.wake()


def test_an_idle_thread_ends_and_another_is_started_when_needed(workers: Workers) -> None:
    threads: list[int] = []
    for count in range(1, 4):
        submit(workers, lambda: threads.append(threading.get_ident()))
        wait_until(lambda count=count: len(threads) == count and workers.statistics() == (0, 0))


def test_calls_that_block_get_a_thread_each(workers: Workers) -> None:
    together = threading.Barrier(8)
    submit(workers, *[lambda: together.wait() and None] * 7)
    together.wait()


def test_no_call_is_lost_while_threads_come_and_go(workers: Workers) -> None:
    done: list[int] = []

    def give() -> None:
        for number in range(500):
            submit(workers, lambda number=number: done.append(number))
            if not number % 50:
                time.sleep(0.002)

    givers = [threading.Thread(target=give) for _ in range(4)]
    for giver in givers:
        giver.start()
    for giver in givers:
        giver.join()
    wait_until(lambda: len(done) == 2000)
    assert sorted(done) == sorted([*range(500)] * 4)


class NoThreadError(RuntimeError):
    pass


def refuse(*_: object) -> None:
    raise NoThreadError


def test_what_no_thread_can_be_started_for_says_so_and_can_be_tried_again(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="no thread can be started"):
            submit(workers, lambda: done.append(1))
    workers.wake()
    wait_until(lambda: done == [1])


def test_threads_that_run_do_what_no_more_can_be_started_for(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, released = threading.Event(), threading.Event()
    done: list[int] = []

    def block() -> None:
        begun.set()
        released.wait()

    submit(workers, block)
    begun.wait()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        submit(workers, *[lambda: done.append(1)] * 3)
        released.set()
        wait_until(lambda: len(done) == 3)


@pytest.mark.anyio
async def test_many_calls_wake_the_event_loop_once() -> None:
    mailbox = current_mailbox()
    assert current_mailbox() is mailbox
    posts = 0
    post: Any = mailbox._post

    def counted(call: Callable[[], None]) -> None:
        nonlocal posts
        posts += 1
        post(call)

    mailbox._post = counted
    seen: list[int] = []

    def give() -> None:
        for number in range(100):
            mailbox.put(lambda number=number: seen.append(number))

    for again in (1, 2):
        giver = threading.Thread(target=give)
        giver.start()
        giver.join()  # the event loop has no turn before all are there
        while len(seen) < 100 * again:
            await checkpoint()
        assert posts == again
    assert seen == [*range(100)] * 2
    mailbox._post = post


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_call_into_an_event_loop_that_has_ended_does_nothing(backend: str) -> None:
    async def main() -> Any:
        return current_mailbox()

    mailbox = anyio.run(main, backend=backend)
    for _ in range(2):
        mailbox.put(lambda: pytest.fail("called"))


def test_each_event_loop_of_a_thread_has_its_own_mailbox() -> None:
    async def main() -> Any:
        return current_mailbox()

    assert asyncio.run(main()) is not asyncio.run(main())
