"""Pools: bounds of their own, that can be moved, asked, and shut down."""

from __future__ import annotations

import functools
import logging
import math
import threading
import time
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.from_thread
import pytest
from anyio.lowlevel import checkpoint

from asynckit import ThreadPool, amap, default_thread_pool, run_in_thread, to_thread

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_thread_works")]


class Crowd:
    """Calls that stay in their threads until they are let go."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self._lock = threading.Lock()
        self._released = threading.Semaphore(0)

    def stay(self, *_: object) -> None:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self._released.acquire()
        with self._lock:
            self.inside -= 1

    def release(self, count: int = 1) -> None:
        self._released.release(count)

    async def wait_inside(self, count: int) -> None:
        while self.inside != count:
            await checkpoint()


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    crowd = Crowd()
    yield crowd
    crowd.release(1000)


async def settle() -> None:
    """Let everything happen that could happen now."""
    for _ in range(20):
        await checkpoint()


def start(group: anyio.abc.TaskGroup, pool: ThreadPool, crowd: Crowd, count: int) -> None:
    for _ in range(count):
        group.start_soon(functools.partial(run_in_thread, crowd.stay, limiter=pool))


async def test_a_pool_bounds_its_threads(crowd: Crowd) -> None:
    pool = ThreadPool("pool", 3)
    async with anyio.create_task_group() as group:
        start(group, pool, crowd, 10)
        await crowd.wait_inside(3)
        await settle()
        assert pool.statistics().busy == 3
        assert pool.statistics().waiting == 7
        crowd.release(10)
    assert crowd.most == 3
    assert pool.statistics().done == 10


async def test_a_full_pool_does_not_hold_up_another(crowd: Crowd) -> None:
    slow = ThreadPool("slow", 2)
    async with anyio.create_task_group() as group:
        start(group, slow, crowd, 50)
        await crowd.wait_inside(2)
        assert await run_in_thread(str, 1) == "1"
        assert await run_in_thread(str, 1, limiter=ThreadPool("other", 1)) == "1"
        crowd.release(50)


async def test_calls_get_their_threads_in_the_order_they_came() -> None:
    pool = ThreadPool("pool", 1)
    seen: list[int] = []
    await amap(to_thread(limiter=pool)(seen.append), range(20), limit=20)
    assert seen == list(range(20))


async def test_a_number_makes_a_pool_of_the_functions_own(crowd: Crowd) -> None:
    @to_thread(limiter=2)
    def stay() -> None:
        crowd.stay()

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(stay)
        await crowd.wait_inside(2)
        await settle()
        crowd.release(5)
    assert crowd.most == 2


async def test_the_limit_can_be_moved_while_calls_run(crowd: Crowd) -> None:
    pool = ThreadPool("pool", 1)
    async with anyio.create_task_group() as group:
        start(group, pool, crowd, 10)
        await crowd.wait_inside(1)
        pool.limit = 4
        await crowd.wait_inside(4)
        pool.limit = 2
        crowd.release(2)
        await crowd.wait_inside(2)
        await settle()
        assert crowd.inside == 2
        assert pool.statistics().limit == pool.limit == 2
        await run_in_thread(setattr, pool, "limit", None)
        await crowd.wait_inside(8)
        assert pool.limit == math.inf
        crowd.release(8)


async def test_the_default_pool_serves_who_names_none(crowd: Crowd) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(run_in_thread, crowd.stay)
        await crowd.wait_inside(1)
        assert default_thread_pool().statistics().busy == 1
        crowd.release()
    assert default_thread_pool().limit == 40


async def test_a_pool_tells_what_its_threads_do(crowd: Crowd) -> None:
    pool = ThreadPool("pool", 2)
    assert pool.statistics().longest == 0
    async with anyio.create_task_group() as group:
        start(group, pool, crowd, 2)
        await crowd.wait_inside(2)
        assert pool.statistics().longest > 0
        first, second = pool.busy()
        assert first.seconds >= second.seconds > 0
        assert first.function == "Crowd.stay"
        assert not first.abandoned
        lines = first.stack.splitlines()
        assert "in stay" in lines[0], "nothing of asynckit or of the standard library is above"
        assert "self._released.acquire()" in first.stack
        assert repr(pool) == "<ThreadPool 'pool', 2 of 2 threads busy>"
        crowd.release(2)
    assert pool.busy() == []


async def test_shutting_down_waits_for_what_runs_and_waits(crowd: Crowd) -> None:
    pool = ThreadPool("pool", 1)
    order: list[str] = []
    async with anyio.create_task_group() as group:
        start(group, pool, crowd, 3)
        await crowd.wait_inside(1)

        async def shut_down() -> None:
            assert await pool.shutdown() == []
            order.append("shut down")

        group.start_soon(shut_down)
        group.start_soon(shut_down)
        await settle()
        assert order == []
        with pytest.raises(RuntimeError, match="`str` came too late: its thread pool has been shut down"):
            await run_in_thread(str, 1, limiter=pool)
        crowd.release(3)
    assert order == ["shut down"] * 2
    assert crowd.most == 1
    assert pool.statistics().done == 3


async def test_shutting_down_reports_who_is_still_busy_and_goes_on(
    crowd: Crowd, caplog: pytest.LogCaptureFixture
) -> None:
    pool = ThreadPool("pool", 1)
    refused: list[RuntimeError] = []

    async def call() -> None:
        try:
            await run_in_thread(crowd.stay, limiter=pool)
        except RuntimeError as error:
            refused.append(error)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(call)
        await crowd.wait_inside(1)
        with caplog.at_level(logging.WARNING, logger="asynckit.threads"):
            (busy,) = await pool.shutdown(grace=0)
        await settle()
        assert len(refused) == 2
        assert busy.function == "Crowd.stay"
        message = caplog.records[0].getMessage()
        assert "thread pool 'pool' was shut down 0 s ago, and 1 of its threads still work: `Crowd.stay`" in message
        assert "self._released.acquire()" in message
        crowd.release()
    assert await pool.shutdown(grace=0) == []


async def test_an_abandoned_thread_is_reported_as_such(crowd: Crowd) -> None:
    pool = ThreadPool("pool", 1)
    async with anyio.create_task_group() as group:
        group.start_soon(functools.partial(run_in_thread, crowd.stay, limiter=pool, abandon_on_cancel=True))
        await crowd.wait_inside(1)
        group.cancel_scope.cancel()
    (busy,) = await pool.shutdown(grace=0)
    assert busy.abandoned
    assert "abandoned" in str(busy)
    crowd.release()
    assert await pool.shutdown(grace=None) == []


async def test_leaving_the_block_of_a_pool_shuts_it_down() -> None:
    async with ThreadPool("pool", 1) as pool:
        assert await run_in_thread(str, 1, limiter=pool) == "1"
    assert "shut down" in repr(pool)
    with pytest.raises(RuntimeError, match="came too late"):
        await run_in_thread(str, 1, limiter=pool)


async def test_a_cancelled_shutdown_refuses_nobody_who_waits(crowd: Crowd) -> None:
    pool = ThreadPool("pool", 1)
    async with anyio.create_task_group() as group:
        start(group, pool, crowd, 2)
        await crowd.wait_inside(1)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await pool.shutdown()
        assert scope.cancelled_caught
        crowd.release(2)
    assert pool.statistics().done == 2


async def test_what_a_pool_runs_may_end_what_it_has_begun_although_it_is_shut_down(crowd: Crowd) -> None:
    pool = ThreadPool("pool", 2)

    async def inner() -> str:
        return await run_in_thread(str, 1, limiter=pool)

    def outer() -> str:
        crowd.stay()
        return anyio.from_thread.run(inner)

    async with anyio.create_task_group() as group:
        results: list[str] = []

        async def call() -> None:
            results.append(await run_in_thread(outer, limiter=pool))

        group.start_soon(call)
        await crowd.wait_inside(1)
        group.start_soon(pool.shutdown)
        await settle()
        crowd.release()
    assert results == ["1"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((5,), TypeError, "`name` of a thread pool must be a string, not 5; the limit comes second"),
        (("pool", 0), ValueError, "`limit` must be 1 or more"),
        (("pool", 2.5), TypeError, "`limit` must be a whole number"),
    ],
)
def test_wrong_arguments_of_a_pool_are_refused(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ThreadPool(*arguments)


async def test_wrong_limiters_are_refused() -> None:
    wrong: Any = 5
    with pytest.raises(TypeError, match=r"`limiter` must be .*; make one: `ThreadPool\(name, 5\)`"):
        await run_in_thread(str, 1, limiter=wrong)
    with pytest.raises(ValueError, match="`limiter` must be 1 or more"):
        to_thread(limiter=0)
    with pytest.raises(TypeError, match="not True"):
        to_thread(limiter=True)


def test_one_pool_bounds_several_event_loops_together(crowd: Crowd, anyio_backend: tuple[str, dict[str, Any]]) -> None:
    pool = ThreadPool("pool", 2)
    name, options = anyio_backend

    async def main() -> None:
        async with anyio.create_task_group() as group:
            start(group, pool, crowd, 3)

    others = [functools.partial(anyio.run, main, backend=each) for each in ("asyncio", "trio")]
    mine = functools.partial(anyio.run, main, backend=name, backend_options=options)
    loops = [threading.Thread(target=run) for run in (mine, *others)]
    for loop in loops:
        loop.start()
    while crowd.inside < 2 or pool.statistics().waiting < 7:
        time.sleep(0.001)
    crowd.release(9)
    for loop in loops:
        loop.join()
    assert crowd.most == 2
    assert pool.statistics().done == 9
