"""Limiting how often something happens. The clock is virtual: times are exact, and take no time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from itertools import chain, repeat
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asynckit._rate import RateLimiter, RateLimiterStatistics
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


async def test_without_a_burst_they_are_evenly_spaced(now: Callable[[], float]) -> None:
    limiter = RateLimiter(4, per=2)
    times = []
    for _ in range(5):
        async with limiter:
            times.append(now())
    assert times == [0, 0.5, 1, 1.5, 2]


async def test_a_burst_passes_at_once_and_then_they_are_evenly_spaced(now: Callable[[], float]) -> None:
    limiter = RateLimiter(2, burst=3)
    times = []
    for _ in range(6):
        await limiter.acquire()
        times.append(now())
    assert times == [0, 0, 0, 0.5, 1, 1.5]


async def test_who_was_away_catches_up_with_no_more_than_a_burst(now: Callable[[], float]) -> None:
    limiter = RateLimiter(1, burst=2)
    await limiter.acquire()
    await anyio.sleep(100)
    times = []
    for _ in range(4):
        await limiter.acquire()
        times.append(now())
    assert times == [100, 100, 101, 102]


async def test_what_happens_late_lets_no_two_come_too_close(now: Callable[[], float]) -> None:
    limiter = RateLimiter(1)
    times = []
    for pause in (0, 1.75, 0, 0):
        await anyio.sleep(pause)
        await limiter.acquire()
        times.append(now())
    assert times == [0, 1.75, 2.75, 3.75]


async def test_several_at_once_count_as_several(now: Callable[[], float]) -> None:
    limiter = RateLimiter(1, burst=4)
    times = []
    for n in (3, 2, 4, 1):
        await limiter.acquire(n)
        times.append(now())
    assert times == [0, 1, 5, 6]


async def _ask(limiter: RateLimiter, number: int, log: list[Any], now: Callable[[], float]) -> None:
    await limiter.acquire()
    log.append((number, now()))


async def test_tasks_pass_in_the_order_they_asked(now: Callable[[], float]) -> None:
    limiter = RateLimiter(10, burst=3)
    log: list[tuple[int, float]] = []
    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(_ask, limiter, number, log, now)
            await checkpoint()
    assert log == [(number, max(0, round((number - 2) / 10, 6))) for number in range(20)]


async def test_one_that_asks_for_little_does_not_overtake(now: Callable[[], float]) -> None:
    limiter = RateLimiter(1, burst=3)
    await limiter.acquire(2)
    log = []

    async def ask(n: int) -> None:
        await limiter.acquire(n)
        log.append((n, now()))

    async with anyio.create_task_group() as group:
        for n in (3, 1):
            group.start_soon(ask, n)
            await checkpoint()
            await checkpoint()
        with pytest.raises(anyio.WouldBlock):
            limiter.acquire_nowait()
        assert limiter.available == 0
    assert log == [(3, 2), (1, 3)]


async def test_nobody_wakes_in_vain(only_asyncio: None) -> None:
    limiter = RateLimiter(1)
    group_size = 100
    loop = asyncio.get_running_loop()
    async with anyio.create_task_group() as group:
        for _ in range(group_size):
            group.start_soon(limiter.acquire)
        await anyio.sleep(50.5)
        before = loop._called  # type: ignore[attr-defined]  # the virtual clock counts
        await anyio.sleep(10)
        assert loop._called - before < 10 * 10  # type: ignore[attr-defined]
        assert limiter.statistics().tasks_waiting == group_size - 61
        group.cancel_scope.cancel()
    assert limiter.statistics().tasks_waiting == 0


@pytest.mark.parametrize("gone", [[1], [2], [5], [1, 2, 3], [1, 3, 4], [5, 4, 3]])
async def test_who_gives_up_makes_room_for_those_behind(gone: list[int], now: Callable[[], float]) -> None:
    limiter = RateLimiter(1)
    log: list[tuple[int, float]] = []
    scopes = [anyio.CancelScope() for _ in range(6)]

    async def ask(number: int) -> None:
        with scopes[number]:
            await _ask(limiter, number, log, now)

    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(ask, number)
            await checkpoint()
        await anyio.sleep(0.5)
        for number in gone:
            scopes[number].cancel()
    left = [number for number in range(6) if number not in gone]
    assert log == [(number, place) for place, number in enumerate(left)]


async def test_who_gives_up_just_as_its_time_comes_loses_nothing(now: Callable[[], float]) -> None:
    limiter = RateLimiter(1)
    await limiter.acquire()
    log: list[tuple[int, float]] = []

    async def ask(number: int, patience: float) -> None:
        with anyio.move_on_after(patience):
            await _ask(limiter, number, log, now)

    async with anyio.create_task_group() as group:
        for number, patience in enumerate([1, 1, 2, math.inf, 4, math.inf]):
            group.start_soon(ask, number, patience)
            await checkpoint()
    # Whether time or patience is up first is for the back end to say; but there is always one at each second.
    assert [time for _, time in log] == list(range(1, len(log) + 1))
    assert {3, 5} <= {number for number, _ in log}


async def test_acquire_nowait() -> None:
    limiter = RateLimiter(1, burst=2)
    limiter.acquire_nowait(2)
    with pytest.raises(anyio.WouldBlock):
        limiter.acquire_nowait()
    await anyio.sleep(0.5)
    with pytest.raises(anyio.WouldBlock):
        limiter.acquire_nowait()
    await anyio.sleep(0.5)
    limiter.acquire_nowait()


@pytest.mark.parametrize("rate", [1 / 3600, 0.3, 7, 1e6])
def test_a_whole_burst_passes_at_once_at_any_time_of_day(rate: float, monkeypatch: pytest.MonkeyPatch) -> None:
    for time in range(1, 2_000_000, 1009):
        monkeypatch.setattr(anyio, "current_time", lambda now=time / 1000: now)
        limiter = RateLimiter(rate, burst=5)
        for _ in range(5):
            limiter.acquire_nowait()
        with pytest.raises(anyio.WouldBlock):
            limiter.acquire_nowait()


async def test_a_clock_that_moves_on_meanwhile_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    limiter = RateLimiter(1, burst=2)
    await limiter.acquire(2)
    late = anyio.current_time()
    # It is too early; and then it is not, before there was time to wait.
    times = chain([late, late + 0.9], repeat(late + 1.1))
    monkeypatch.setattr(anyio, "current_time", lambda: next(times))
    await limiter.acquire()


async def test_available_and_statistics() -> None:
    limiter = RateLimiter(2, burst=4)
    assert limiter.available == 4
    await limiter.acquire(3)
    assert limiter.available == 1
    assert limiter.statistics() == RateLimiterStatistics(available=1, tasks_waiting=0, delay=0)
    await limiter.acquire()
    assert limiter.statistics() == RateLimiterStatistics(available=0, tasks_waiting=0, delay=0.5)
    async with anyio.create_task_group() as group:
        group.start_soon(limiter.acquire, 3)
        group.start_soon(limiter.acquire, 2)
        await anyio.sleep(0.25)
        assert limiter.statistics() == RateLimiterStatistics(available=0, tasks_waiting=2, delay=2.75)
        assert repr(limiter) == "<RateLimiter 2 per 1 s, burst 4, 2 waiting>"
    await anyio.sleep(1)
    assert limiter.available == 2
    await anyio.sleep(100)
    assert limiter.available == 4


async def test_even_who_need_not_wait_can_be_cancelled_and_then_nothing_has_passed() -> None:
    limiter = RateLimiter(1, burst=2)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await limiter.acquire(2)
    assert scope.cancelled_caught
    assert limiter.available == 2


def test_one_limiter_serves_one_event_loop_after_another(anyio_backend: tuple[str, dict[str, Any]]) -> None:
    limiter = RateLimiter(1, burst=2)

    async def wait(before: float) -> float:
        await anyio.sleep(before)
        start = anyio.current_time()
        await limiter.acquire(2)
        return anyio.current_time() - start

    def run(before: float) -> float:
        name, options = with_virtual_clock(anyio_backend)
        return anyio.run(wait, before, backend=name, backend_options=options)

    run(1_000_000)
    assert run(0) <= 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"rate": 0}, ValueError, "`rate` must be above 0 and finite"),
        ({"rate": math.nan}, ValueError, "`rate` must be above 0"),
        ({"rate": math.inf}, ValueError, "`rate` must be above 0 and finite"),
        ({"rate": "1"}, TypeError, "`rate` must be a number"),
        ({"per": -1}, ValueError, "`per` must be above 0"),
        ({"burst": 0}, ValueError, "`burst` must be 1 or more"),
        ({"burst": 1.5}, TypeError, "`burst` must be a whole number"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        RateLimiter(**{"rate": 1, **arguments})


@pytest.mark.parametrize(
    ("n", "error", "message"),
    [
        (0, ValueError, "`n` must be 1 or more"),
        (1.0, TypeError, "`n` must be a whole number"),
        (3, ValueError, "no more than 2 may pass at once: raise `burst`"),
    ],
)
async def test_wrong_numbers_are_refused(n: Any, error: type[Exception], message: str) -> None:
    limiter = RateLimiter(1, burst=2)
    with pytest.raises(error, match=message):
        await limiter.acquire(n)
    with pytest.raises(error, match=message):
        limiter.acquire_nowait(n)
    assert limiter.statistics().tasks_waiting == 0


async def _work(limiter: RateLimiter, points: Points) -> None:
    await points()
    async with limiter:
        await points()
        await limiter.acquire(2)
    await points()


@pytest.mark.parametrize("cancel", [True, False])
async def test_cancelling_or_failing_at_every_point_leaves_nobody_waiting(cancel: bool) -> None:
    async def run(points: Points) -> None:
        limiter = RateLimiter(10, burst=2)
        try:
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(_work, limiter, points)
        finally:
            assert limiter.statistics().tasks_waiting == 0
            await anyio.lowlevel.cancel_shielded_checkpoint()

    assert await every_point(run, cancel=cancel) == 9


async def test_a_native_cancellation_makes_room_for_those_behind(only_asyncio: None, now: Callable[[], float]) -> None:
    limiter = RateLimiter(1)
    log: list[tuple[int, float]] = []
    tasks = [asyncio.create_task(_ask(limiter, number, log, now)) for number in range(5)]
    await anyio.sleep(0.5)
    tasks[1].cancel()
    tasks[3].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert log == [(0, 0), (2, 1), (4, 2)]


plans = st.lists(
    st.tuples(
        st.integers(0, 12),  # when it asks
        st.integers(1, 3),  # for how many
        st.one_of(st.none(), st.integers(0, 12)),  # when it gives up
    ),
    max_size=25,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    plan=plans,
    rate=st.sampled_from([0.5, 1, 3, 8]),
    per=st.sampled_from([0.5, 1, 7]),
    burst=st.integers(3, 5),
    nowait=st.booleans(),
)
async def test_never_more_than_allowed_in_any_span_and_no_rate_lost(
    plan: list[tuple[int, int, int | None]], rate: float, per: float, burst: int, nowait: bool
) -> None:
    interval = per / rate
    limiter = RateLimiter(rate, per, burst)
    asked: list[tuple[float, int, float]] = []
    passed: list[tuple[float, int]] = []

    async def ask(number: int, at: int, n: int, patience: int | None) -> None:
        await anyio.sleep(at * interval / 2)
        now = anyio.current_time()
        # No two give up at the same time, nor at one at which somebody may pass.
        until = math.inf if patience is None else now + (patience + 0.25 + number / 100) * interval / 2
        asked.append((now, n, until))
        with anyio.CancelScope(deadline=until):
            await limiter.acquire(n)
            passed.append((anyio.current_time(), n))

    start = anyio.current_time()
    async with anyio.create_task_group() as group:
        for number, step in enumerate(plan):
            group.start_soon(ask, number, *step)
        for _ in range(10 if nowait else 0):
            await anyio.sleep(0.7 * interval)
            try:
                limiter.acquire_nowait()
            except anyio.WouldBlock:
                continue
            passed.append((anyio.current_time(), 1))
    for first, (begin, _) in enumerate(passed):
        count = 0
        for end, n in passed[first:]:
            count += n
            assert count <= burst + (end - begin) / interval + 1e-6
    if not nowait:
        # Of those that pass at the same moment, any may come first on trio.
        expected = sorted((round(time - start, 9), n) for time, n in _expected(asked, interval, burst))
        assert sorted((round(time - start, 9), n) for time, n in passed) == expected


def _expected(asked: list[tuple[float, int, float]], interval: float, burst: int) -> list[tuple[float, int]]:
    """When each passes, in the order they asked, if every one is as early as may be."""
    passed = []
    first_from = arrival = -math.inf
    for now, n, until in asked:
        time = max(now, first_from, arrival + (n - burst) * interval)
        if time > until:
            first_from = max(first_from, until)
        else:
            passed.append((time, n))
            first_from = time
            arrival = max(arrival, time) + n * interval
    return passed
