"""Races with a staggered start. The clock is virtual: times are exact, and take no time."""

from __future__ import annotations

import math
from typing import Any

import pytest
from anyio import current_time, move_on_after, sleep
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asynckit._outcome import Failure, Success
from asynckit._race import race, wait
from support.clock import with_virtual_clock

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend(anyio_backend: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """The back end a test runs on, with a clock that jumps."""
    return with_virtual_clock(anyio_backend)


class Contenders:
    """Each takes a time, then wins or fails; their starts are written down."""

    def __init__(self) -> None:
        self.started: dict[int, float] = {}
        self.ended = 0
        self._start = current_time()

    async def contend(self, number: int, seconds: float, *, wins: bool) -> int:
        self.started[number] = current_time() - self._start
        try:
            await sleep(seconds)
        finally:
            self.ended += 1
        if not wins:
            raise ValueError(number)
        return number


async def test_each_starts_the_delay_after_the_one_before() -> None:
    contenders = Contenders()
    coros = [contenders.contend(number, 5, wins=True) for number in range(10)]
    assert await race(*coros, delay=2) == 0
    assert list(contenders.started.values()) == pytest.approx([0, 2, 4])


async def test_a_failure_starts_the_next_at_once() -> None:
    contenders = Contenders()
    coros = [contenders.contend(number, 0.5, wins=number == 3) for number in range(10)]
    assert await race(*coros, delay=2) == 3
    assert list(contenders.started.values()) == pytest.approx([0, 0.5, 1, 1.5])


async def test_two_failures_at_once_start_two() -> None:
    contenders = Contenders()
    coros = [contenders.contend(number, seconds, wins=False) for number, seconds in enumerate([15, 5, 100, 100, 100])]
    with pytest.raises(ExceptionGroup):
        await race(*coros, delay=10)
    assert list(contenders.started.values()) == pytest.approx([0, 10, 15, 15, 25])


async def test_who_wins_ends_the_wait_for_the_next_start() -> None:
    contenders = Contenders()
    start = current_time()
    assert await race(*(contenders.contend(number, 1, wins=True) for number in range(3)), delay=3600) == 0
    assert current_time() - start == pytest.approx(1)
    assert list(contenders.started) == [0]


async def test_cancelled_between_two_starts() -> None:
    contenders = Contenders()
    with move_on_after(3) as scope:
        await race(*(contenders.contend(number, 100, wins=True) for number in range(3)), delay=2)
    assert scope.cancelled_caught
    assert contenders.ended == len(contenders.started) == 2


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    plan=st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=8),
    delay=st.none() | st.sampled_from([0, 1, 2.5, math.inf]),
)
async def test_the_winner_is_the_first_to_succeed(plan: list[tuple[int, bool]], delay: float | None) -> None:
    contenders = Contenders()
    coros = [contenders.contend(number, seconds, wins=wins) for number, (seconds, wins) in enumerate(plan)]
    ends = _ends(plan, delay or 0)
    try:
        winner = await race(*coros, delay=delay)
    except ExceptionGroup as errors:
        assert not any(wins for _, wins in plan)
        assert [error.args for error in errors.exceptions] == [(number,) for number in range(len(plan))]
    else:
        assert ends[winner] == pytest.approx(min(ends[n] for n in ends if plan[n][1]))
    assert contenders.ended == len(contenders.started)
    for number, start in contenders.started.items():
        assert start + plan[number][0] == pytest.approx(ends[number])


def _ends(plan: list[tuple[int, bool]], delay: float) -> dict[int, float]:
    """When each ends, if nobody wins before: the definition, worked out without any tasks."""
    ends: dict[int, float] = {}
    made_up_for: set[int] = set()
    start = 0.0
    for number, (seconds, _) in enumerate(plan):
        if number:
            failing = sorted((ends[n], n) for n in ends if not plan[n][1] and n not in made_up_for)
            if failing and failing[0][0] <= start + delay:
                if failing[0][0] < start + delay or delay == 0:
                    made_up_for.add(failing[0][1])
                start = max(start, failing[0][0]) if delay else start
            elif delay < math.inf:
                start += delay
            else:
                break  # it only starts when another fails, and none will
        ends[number] = start + seconds
    return ends


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    plan=st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=8),
    return_when=st.sampled_from(["first_completed", "first_exception", "all"]),
)
async def test_wait_ends_when_it_should(plan: list[tuple[int, bool]], return_when: Any) -> None:
    contenders = Contenders()
    start = current_time()
    waited = await wait(
        *(contenders.contend(number, seconds, wins=wins) for number, (seconds, wins) in enumerate(plan)),
        return_when=return_when,
    )
    deciding = [seconds for seconds, wins in plan if return_when == "first_completed" or not wins]
    longest = max((seconds for seconds, _ in plan), default=0)
    end = longest if return_when == "all" else min(deciding, default=longest)
    assert current_time() - start == pytest.approx(end)
    assert contenders.ended == len(contenders.started)
    assert sorted([*waited.done, *waited.cancelled]) == list(range(len(plan)))
    assert {n for n, (seconds, _) in enumerate(plan) if seconds < end} <= set(waited.done)
    assert {n for n, (seconds, _) in enumerate(plan) if seconds > end} == set(waited.cancelled) - {
        n for n, (seconds, _) in enumerate(plan) if seconds == end
    }
    for number, outcome in waited.done.items():
        assert isinstance(outcome, Success if plan[number][1] else Failure)
