"""Streams of items that take time. The clock is virtual: times are exact, and take no time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from anyio import current_time, sleep
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asynckit._outcome import Failure, Success
from asynckit._rate import RateLimiter
from asynckit._stream import stream, stream_outcomes
from support.clock import with_virtual_clock

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend(anyio_backend: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """The back end a test runs on, with a clock that jumps."""
    return with_virtual_clock(anyio_backend)


async def sleep_for(item: float) -> float:
    await sleep(item)
    return item


@pytest.mark.parametrize("ordered", [False, True])
async def test_the_time_is_that_of_the_longest_not_of_all(ordered: bool) -> None:
    start = current_time()
    async with stream(sleep_for, [3, 1, 2], ordered=ordered) as results:
        assert [result async for result in results] == ([3, 1, 2] if ordered else [1, 2, 3])
    assert current_time() - start == pytest.approx(3)


async def test_a_slow_loop_slows_the_work_down_and_nothing_else() -> None:
    begun = []

    async def work(item: int) -> None:
        begun.append(current_time() - start)
        await sleep(1)

    start = current_time()
    async with stream(work, range(6), limit=1, buffer=1) as results:
        async for _ in results:
            await sleep(10)
    assert begun == pytest.approx([0, 1, 2, 11, 21, 31])
    assert current_time() - start == pytest.approx(61)


async def test_an_item_that_takes_too_long_fails_alone() -> None:
    async with stream_outcomes(sleep_for, [1, 100, 2], item_timeout=10, ordered=True) as outcomes:
        (_, first), (_, second), (_, third) = [pair async for pair in outcomes]
    assert (first, third) == (Success(1), Success(2))
    assert isinstance(second, Failure)
    with pytest.raises(TimeoutError, match="item 1 took longer than its `item_timeout` of 10 s"):
        second.unwrap()


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_rate_spreads_the_starts_evenly(is_async: bool) -> None:
    begun = []

    async def items() -> AsyncIterator[int]:
        for number in range(6):
            if number == 3:
                await sleep(5)  # after which no two start at once
            yield number

    async def work(item: int) -> None:
        begun.append(current_time() - start)
        await sleep(30)

    start = current_time()
    async with stream(work, items() if is_async else range(6), rate=2) as results:
        assert len([result async for result in results]) == 6
    if is_async:
        assert begun == pytest.approx([0, 0.5, 1, 6, 6.5, 7])
    else:
        assert begun == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5])


async def test_a_high_rate_is_kept() -> None:
    start = current_time()
    async with stream(sleep_for, [0] * 1000, rate=1000) as results:
        assert len([result async for result in results]) == 1000
    assert current_time() - start == pytest.approx(1, abs=0.02)


async def test_streams_share_a_limiter() -> None:
    limiter = RateLimiter(1)
    begun = []

    async def work(item: int) -> None:
        begun.append(current_time() - start)

    start = current_time()
    async with stream(work, range(2), rate=limiter) as one, stream(work, range(2), rate=limiter) as two:
        async for _ in one:
            pass
        async for _ in two:
            pass
    assert begun == pytest.approx([0, 1, 2, 3])


async def test_leaving_while_it_waits_for_its_rate() -> None:
    start = current_time()
    async with stream(sleep_for, [0] * 5, rate=0.001) as results:
        assert await anext(results) == 0
    assert current_time() - start < 1


class ChaosError(Exception):
    """What items of the chaos test raise."""


plans = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["return", "raise", "cancel", "linger"])), max_size=30)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    plan=plans,
    limit=st.integers(1, 6),
    buffer=st.integers(0, 4),
    ordered=st.booleans(),
    on_error=st.sampled_from(["return", "skip"]),
    pauses=st.lists(st.integers(0, 4), min_size=1, max_size=5),
    source_pauses=st.none() | st.lists(st.integers(0, 3), min_size=1, max_size=4),
    takers=st.integers(1, 3),
)
async def test_whatever_happens_every_item_gives_one_result_within_the_bounds(
    plan: list[tuple[int, str]],
    limit: int,
    buffer: int,
    ordered: bool,
    on_error: Any,
    pauses: list[int],
    source_pauses: list[int] | None,
    takers: int,
) -> None:
    running = begun = taken = 0
    results: list[Any] = []

    async def source() -> AsyncIterator[int]:
        for number in range(len(plan)):
            await sleep((source_pauses or [0])[number % len(source_pauses or [0])])
            yield number

    async def work(item: int) -> int:
        nonlocal running, begun
        running += 1
        begun += 1
        assert running <= limit
        if on_error == "return":
            assert begun - taken <= limit + buffer
        seconds, end = plan[item]
        try:
            if end == "cancel":  # itself, by a scope of its own
                with anyio.move_on_after(seconds):
                    await anyio.sleep_forever()
            elif end == "linger":
                with anyio.CancelScope(shield=True):
                    await sleep(seconds)
            elif seconds:
                await sleep(seconds)
            if end == "raise":
                raise ChaosError(item)
        finally:
            running -= 1
        return item

    items = range(len(plan)) if source_pauses is None else source()
    async with stream(work, items, limit=limit, buffer=buffer, ordered=ordered, on_error=on_error) as stream_:

        async def take(number: int) -> None:
            nonlocal taken
            async for result in stream_:
                taken += 1
                results.append(result)
                await sleep(pauses[(number + taken) % len(pauses)])

        async with anyio.create_task_group() as group:
            for number in range(takers):
                group.start_soon(take, number)
    assert running == 0
    assert begun == len(plan)
    numbers = [result.args[0] if isinstance(result, ChaosError) else result for result in results]
    expected = [n for n, (_, end) in enumerate(plan) if on_error == "return" or end != "raise"]
    assert sorted(numbers) == expected
    if ordered and takers == 1:
        assert numbers == expected
    assert all(
        isinstance(result, ChaosError) == (plan[n][1] == "raise") for n, result in zip(numbers, results, strict=True)
    )


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    plan=plans,
    limit=st.integers(1, 6),
    ordered=st.booleans(),
    stop=st.integers(0, 40),
    how=st.sampled_from(["break", "cancel", "raise", "item"]),
)
async def test_whenever_it_ends_nothing_is_left_running(
    plan: list[tuple[int, str]], limit: int, ordered: bool, stop: int, how: str
) -> None:
    running = begun = 0

    async def work(item: int) -> int:
        nonlocal running, begun
        running += 1
        begun += 1
        try:
            seconds, end = plan[item]
            with anyio.CancelScope(shield=end == "linger"):
                await sleep(seconds)
            if how == "item" and item == stop:
                raise ChaosError
        finally:
            running -= 1
        return item

    ended = begun_then = 0
    with anyio.CancelScope() as scope:
        try:
            async with stream(work, range(len(plan)), limit=limit, ordered=ordered) as results:
                if how == "cancel":
                    scope.deadline = current_time() + stop / 3
                async for _ in results:
                    ended += 1
                    if how == "break" and ended > stop:
                        break
                    if how == "raise" and ended > stop:
                        raise ChaosError
                    await sleep(ended % 3 / 2)
                begun_then = begun
        except (ChaosError, ExceptionGroup):
            assert how in {"raise", "item"}
        else:
            assert how != "item" or stop >= len(plan)
            assert begun == begun_then, "leaving starts nothing"
        assert running == 0
    assert running == 0
