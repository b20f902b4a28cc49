"""Doing something again and again. The clock is virtual: times are exact, and take no time."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asynckit._periodic import Tick, periodic
from support.clock import with_virtual_clock
from support.points import Points, every_point

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend(anyio_backend: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    return with_virtual_clock(anyio_backend)


@pytest.fixture
async def now(anyio_backend: object) -> Callable[[], float]:
    """Seconds since the test began."""
    start = anyio.current_time()
    return lambda: round(anyio.current_time() - start, 6)


async def _times(durations: list[float], now: Callable[[], float], **options: Any) -> list[float]:
    """When the turns begin, if they take so long, and the last takes no time."""
    times = []
    async for tick in periodic(1, **options):
        assert tick.number == len(times)
        times.append(now())
        if len(times) > len(durations):
            break
        await anyio.sleep(durations[len(times) - 1])
    return times


async def test_ticks_come_every_interval_however_long_the_turns_are(now: Callable[[], float]) -> None:
    assert await _times([0, 0.5, 0.999, 1, 0.25], now) == [0, 1, 2, 3, 4, 5]


async def test_they_do_not_drift(now: Callable[[], float]) -> None:
    start = anyio.current_time()
    async for tick in periodic(0.1):
        await anyio.sleep(0.03)
        assert tick.due == start + tick.number * 0.1
        if tick.number == 10_000:
            break
    assert now() == 1000.03


@pytest.mark.parametrize("initial_delay", [0, 0.5, 7])
async def test_the_first_comes_after_the_initial_delay(initial_delay: float, now: Callable[[], float]) -> None:
    assert await _times([0, 0], now, initial_delay=initial_delay) == [initial_delay + place for place in range(3)]


@pytest.mark.parametrize(
    ("on_overrun", "expected"),
    [
        ("skip", [0, 1, 5, 6, 7, 8]),
        ("delay", [0, 1, 4.5, 5.5, 6.5, 7.5]),
        ("burst", [0, 1, 4.5, 4.5, 4.75, 5]),
    ],
)
async def test_what_becomes_of_ticks_that_were_missed(
    on_overrun: str, expected: list[float], now: Callable[[], float]
) -> None:
    assert await _times([0, 3.5, 0, 0.25, 0], now, on_overrun=on_overrun) == expected


async def test_a_burst_ends_when_none_is_missing(now: Callable[[], float]) -> None:
    assert await _times([3.5, 0, 0, 0, 0, 0], now, on_overrun="burst") == [0, 3.5, 3.5, 3.5, 4, 5, 6]


async def test_a_turn_that_ends_just_when_the_next_is_due_misses_nothing(now: Callable[[], float]) -> None:
    assert await _times([1, 2, 3, 0], now) == [0, 1, 3, 6, 7]


async def test_rounding_leaves_no_tick_out() -> None:
    exact = 0
    for missed in range(1, 300):
        start = anyio.current_time()
        ticks = periodic(0.1)
        await anext(ticks)
        due = start + (missed + 1) * 0.1
        await anyio.sleep(due - start)
        if anyio.current_time() == due:
            exact += 1
            assert await anext(ticks) == Tick(1, due, missed)
    assert exact > 100


async def test_ticks_say_what_was_skipped() -> None:
    start = anyio.current_time()
    ticks = []
    async for tick in periodic(2):
        ticks.append(tick)
        if tick.number == 2:
            break
        await anyio.sleep(5)
    assert ticks == [Tick(0, start, 0), Tick(1, start + 6, 2), Tick(2, start + 12, 2)]


async def test_jitter_makes_ticks_late_and_does_not_add_up(now: Callable[[], float]) -> None:
    late = [time - place for place, time in enumerate(await _times([0] * 999, now, jitter=0.5))]
    assert min(late) >= 0
    assert max(late) <= 0.5
    assert 0.2 < sum(late) / 1000 < 0.3


@pytest.mark.parametrize("on_overrun", ["skip", "delay", "burst"])
async def test_with_the_most_jitter_a_short_turn_still_misses_nothing(
    on_overrun: str, now: Callable[[], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    late = iter([1, 0, 1, 0, 0.5, 0])
    monkeypatch.setattr(random, "uniform", lambda low, high: next(late))
    assert await _times([0] * 5, now, jitter=1, on_overrun=on_overrun) == [1, 1, 3, 3, 4.5, 5]


async def test_a_function_is_called_until_it_raises(now: Callable[[], float]) -> None:
    times = []

    async def work() -> None:
        times.append(now())
        await anyio.sleep(0.5)
        if len(times) == 3:
            raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        await periodic(2, work, initial_delay=1)
    assert times == [1, 3, 5]


async def test_it_can_be_started_in_a_task_group(now: Callable[[], float]) -> None:
    times = []

    async def work() -> None:
        times.append(now())

    async with anyio.create_task_group() as group:
        group.start_soon(periodic, 1, work)
        group.start_soon(partial(periodic, 1, work, initial_delay=0.5))
        await anyio.sleep(2.25)
        group.cancel_scope.cancel()
    assert times == [0, 0.5, 1, 1.5, 2]


async def test_turns_that_take_no_time_let_others_run_and_be_cancelled() -> None:
    turns = 0

    async def loop() -> None:
        nonlocal turns
        async for tick in periodic(0.001, on_overrun="burst"):
            turns += 1
            if tick.number == 0:
                await anyio.sleep(1000)

    async with anyio.create_task_group() as group:
        group.start_soon(loop)
        await anyio.sleep(1000)
        for _ in range(10):
            await checkpoint()
        group.cancel_scope.cancel()
    assert 5 < turns < 20


async def test_a_tick_whose_wait_was_cancelled_is_still_to_come(now: Callable[[], float]) -> None:
    ticks = periodic(1)
    await anext(ticks)
    with anyio.move_on_after(0.25) as scope:
        await anext(ticks)
    assert scope.cancelled_caught
    tick = await anext(ticks)
    assert (tick.number, now()) == (1, 1)
    with anyio.move_on_after(0.25):
        await anext(ticks)
    await anyio.sleep(5)
    tick = await anext(ticks)
    assert (tick.number, tick.skipped, now()) == (2, 5, 7)


async def test_a_first_tick_that_is_overdue_is_not_left_out(now: Callable[[], float]) -> None:
    ticks = periodic(1, initial_delay=1)
    with anyio.move_on_after(0.25):
        await anext(ticks)
    await anyio.sleep(5)
    tick = await anext(ticks)
    assert (tick.number, tick.skipped, now()) == (0, 0, 5.25)
    tick = await anext(ticks)
    assert (tick.skipped, now()) == (4, 6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    durations=st.lists(st.floats(0, 4), max_size=12),
    interval=st.sampled_from([0.1, 0.3, 1, 7]),
    share=st.floats(0, 1),
    on_overrun=st.sampled_from(["skip", "delay", "burst"]),
)
async def test_whatever_the_turns_take(durations: list[float], interval: float, share: float, on_overrun: Any) -> None:
    start = anyio.current_time()
    jitter = share * interval
    due = start - interval
    places = 0
    async for tick in periodic(interval, jitter=jitter, on_overrun=on_overrun):
        began = anyio.current_time()
        places += 1 + tick.skipped
        assert tick.due >= due + interval * (1 + tick.skipped) - 1e-6
        if on_overrun != "delay":
            assert tick.due == pytest.approx(start + (places - 1) * interval, abs=1e-6)
        if on_overrun == "skip":
            assert began <= tick.due + jitter + 1e-6
        assert began >= tick.due - 1e-6
        due = tick.due
        if tick.number == len(durations):
            break
        await anyio.sleep(durations[tick.number] * interval)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"interval": 0}, ValueError, "`interval` must be above 0 seconds"),
        ({"interval": -1}, ValueError, "`interval` must be 0 or more seconds"),
        ({"interval": None}, ValueError, "`interval` must be a finite number of seconds"),
        ({"interval": math.inf}, ValueError, "`interval` must be a finite number of seconds"),
        ({"interval": "1"}, TypeError, "`interval` must be a number of seconds"),
        ({"jitter": 2}, ValueError, "`jitter` is 2 s, more than the interval of 1 s"),
        ({"jitter": -1}, ValueError, "`jitter` must be 0 or more seconds"),
        ({"initial_delay": math.inf}, ValueError, "`initial_delay` must be a finite number"),
        ({"on_overrun": "drop"}, ValueError, '`on_overrun` must be "skip", "delay" or "burst"'),
        ({"func": 7}, TypeError, "`func` must be an async function without arguments, not 7"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        periodic(**{"interval": 1, **arguments})


async def test_what_is_no_async_function_is_refused() -> None:
    async def generate() -> AsyncIterator[int]:
        yield 1

    with pytest.raises(TypeError, match="`func` must be an async function"):
        periodic(1, generate)  # type: ignore[call-overload]
    coro = checkpoint()
    with pytest.raises(TypeError, match="pass the function itself, without calling it"):
        periodic(1, coro)  # type: ignore[call-overload]
    coro.close()
    not_async: Any = int
    with pytest.raises(TypeError, match="`func` must be async, or return something to await; it returned 0"):
        await periodic(1, not_async)


async def test_cancelling_at_every_point_ends_it() -> None:
    async def run(points: Points) -> None:
        calls = 0

        async def work() -> None:
            nonlocal calls
            calls += 1
            await points()
            await points()
            if calls == 3:
                raise StopIteration

        try:
            await periodic(1, work)
        except RuntimeError:
            assert calls == 3

    assert await every_point(run, cancel=True) == 6


async def test_failing_at_every_point_raises_that_error() -> None:
    async def run(points: Points) -> None:
        async with anyio.create_task_group() as group:
            async for tick in periodic(1):
                group.start_soon(points)
                await points()
                if tick.number == 2:
                    break

    assert await every_point(run, cancel=False) == 6


async def test_a_native_cancellation_ends_it(only_asyncio: None) -> None:
    calls = 0

    async def work() -> None:
        nonlocal calls
        calls += 1

    task = asyncio.create_task(periodic(1, work))
    await anyio.sleep(2.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calls == 3
