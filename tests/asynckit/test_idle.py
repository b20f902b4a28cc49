"""A limit on silence. The clock is virtual: times are exact, and take no time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asynckit._deadline import timeout
from asynckit._idle import IdleTimeout, idle_timeout
from support.clock import with_virtual_clock
from support.points import Points, every_point, every_point_natively

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend(anyio_backend: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    return with_virtual_clock(anyio_backend)


@pytest.fixture
async def now(anyio_backend: object) -> Callable[[], float]:
    """Seconds since the test began."""
    start = anyio.current_time()
    return lambda: round(anyio.current_time() - start, 6)


async def test_a_block_that_beats_may_take_as_long_as_it_likes(now: Callable[[], float]) -> None:
    with idle_timeout(1) as idle:
        for _ in range(1000):
            await anyio.sleep(0.9)
            idle.beat()
            assert idle.remaining() == pytest.approx(1)
    assert now() == 900
    assert not idle.expired
    assert idle.beats == 1000


async def test_silence_ends_it_and_says_how_long_it_was(now: Callable[[], float]) -> None:
    line = test_silence_ends_it_and_says_how_long_it_was.__code__.co_firstlineno + 2
    with pytest.raises(TimeoutError) as caught, idle_timeout(2) as idle:
        for _ in range(3):
            await anyio.sleep(1.5)
            idle.beat()
        await anyio.sleep_forever()
    assert str(caught.value) == (
        f"timed out: no beat for 2 s, by the idle timeout set at {__file__}:{line}; the last of 3 beats was 2 s ago"
    )
    assert now() == 6.5
    assert idle.expired
    assert isinstance(caught.value.__cause__, anyio.get_cancelled_exc_class())


async def test_it_may_be_silent_from_the_beginning() -> None:
    with pytest.raises(TimeoutError, match=r"there was none since the block was entered 2 s ago$"), idle_timeout(2):
        await anyio.sleep_forever()
    with pytest.raises(TimeoutError, match=r"the last of 1 beat was 2 s ago$"), idle_timeout(2) as idle:
        idle.beat()
        await anyio.sleep_forever()


async def test_slow_clean_up_is_part_of_how_long_ago_the_last_beat_was() -> None:
    with pytest.raises(TimeoutError, match=r"no beat for 2 s, .* was entered 5 s ago$"), idle_timeout(2):
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(3)


async def test_beats_may_come_from_other_tasks(now: Callable[[], float]) -> None:
    async def beat(idle: IdleTimeout) -> None:
        for _ in range(5):
            await anyio.sleep(0.5)
            idle.beat()

    async with anyio.create_task_group() as group:
        with pytest.raises(TimeoutError), idle_timeout(1) as idle:
            group.start_soon(beat, idle)
            await anyio.sleep_forever()
    assert now() == 3.5


async def test_a_beat_after_the_end_changes_nothing() -> None:
    idle = idle_timeout(1)
    with pytest.raises(RuntimeError, match="the idle timeout is not running: it begins when its `with` block"):
        idle.beat()

    async def beat_late() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            idle.beat()

    with pytest.raises(TimeoutError, match="there was none"), idle:
        await beat_late()
    idle.beat()
    assert idle.beats == 0


@pytest.mark.parametrize("delay", [None, math.inf])
async def test_no_limit(delay: float | None) -> None:
    with idle_timeout(delay) as idle:
        await anyio.sleep(1e6)
        idle.beat()
        assert idle.remaining() == math.inf


async def test_of_nested_limits_the_one_that_fired_reports(now: Callable[[], float]) -> None:
    with pytest.raises(TimeoutError, match=r"^timed out after 5 s"), timeout(5), idle_timeout(1) as idle:
        while True:
            await anyio.sleep(0.75)
            idle.beat()
    assert not idle.expired
    with pytest.raises(TimeoutError, match="no beat for 1 s"), timeout(5), idle_timeout(2), idle_timeout(1):
        await anyio.sleep_forever()
    assert now() == 6


async def test_errors_and_cancellations_pass() -> None:
    with pytest.raises(KeyError), idle_timeout(1):
        raise KeyError
    error = TimeoutError("of the block")
    with pytest.raises(TimeoutError) as caught, idle_timeout(1):
        raise error
    assert caught.value is error
    with anyio.CancelScope() as scope, idle_timeout(1) as idle:
        scope.cancel()
        await checkpoint()
    assert scope.cancelled_caught
    assert not idle.expired


async def test_it_is_entered_once() -> None:
    with idle_timeout(1) as idle, pytest.raises(RuntimeError, match="call `idle_timeout` again"):
        idle.__enter__()
    assert repr(idle).startswith(f"<IdleTimeout of 1 s, idle timeout set at {__file__}:")


@pytest.mark.parametrize(("delay", "error"), [(-1, ValueError), (math.nan, ValueError), (True, TypeError)])
async def test_what_is_no_number_of_seconds_is_refused(delay: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="`delay` must be"):
        idle_timeout(delay)


async def test_a_blocked_loop_is_told_apart(only_asyncio: None) -> None:
    with pytest.raises(TimeoutError, match=r"none .*; the event loop was blocked for about 3 s"), idle_timeout(1):
        asyncio.get_running_loop()._now += 4  # type: ignore[attr-defined]
        await checkpoint()
    with pytest.raises(TimeoutError, match=r"the last of 1 beat was 1 s ago$"), idle_timeout(1) as idle:
        asyncio.get_running_loop()._now += 4  # type: ignore[attr-defined]
        idle.beat()
        await anyio.sleep_forever()


async def _use(points: Points) -> None:
    with idle_timeout(3600) as outer:
        await points()
        outer.beat()
        with idle_timeout(1) as inner:
            await points()
            inner.beat()
            await points()
        await points()


@pytest.mark.parametrize("cancel", [True, False])
async def test_cancelling_and_failing_at_every_point(cancel: bool) -> None:
    async def run(points: Points) -> None:
        async with anyio.create_task_group():  # whose group is what an injected error is expected in
            await _use(points)

    assert await every_point(run, cancel=cancel) == 4


async def test_a_native_cancellation_at_every_point(only_asyncio: None) -> None:
    assert await every_point_natively(_use) == 4


async def test_it_leaves_no_request_of_cancellation(only_asyncio: None) -> None:
    with pytest.raises(TimeoutError), idle_timeout(1):
        await anyio.sleep_forever()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
