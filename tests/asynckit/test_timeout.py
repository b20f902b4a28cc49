"""Deadlines."""

from __future__ import annotations

import asyncio
import datetime
import math
import re
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asynckit import Deadline, timeout

pytestmark = pytest.mark.anyio


async def test_a_late_block_raises_how_long_it_had_and_where_that_was_set() -> None:
    line = test_a_late_block_raises_how_long_it_had_and_where_that_was_set.__code__.co_firstlineno + 2
    with pytest.raises(TimeoutError) as caught, timeout(0):
        await anyio.sleep_forever()
    assert str(caught.value) == f"timed out after 0 s, by the deadline set at {__file__}:{line}"


async def test_the_cause_shows_where_the_block_was_waiting() -> None:
    with pytest.raises(TimeoutError) as caught, timeout(0):
        await anyio.sleep_forever()
    assert isinstance(caught.value.__cause__, anyio.get_cancelled_exc_class())


async def test_a_block_in_time_is_left_alone() -> None:
    with timeout(3600) as deadline:
        await checkpoint()
    assert not deadline.expired


async def test_a_block_without_a_checkpoint_is_not_late() -> None:
    with timeout(0) as deadline:
        pass
    assert not deadline.expired


@pytest.mark.parametrize("delay", [None, math.inf])
async def test_no_end(delay: float | None) -> None:
    with timeout(delay) as deadline:
        await checkpoint()
        assert deadline.deadline == deadline.remaining() == math.inf
    assert not deadline.expired


async def test_of_nested_deadlines_the_inner_one_reports_if_it_fired() -> None:
    with timeout(3600) as outer, pytest.raises(TimeoutError, match="after 0 s"), timeout(0) as inner:
        await anyio.sleep_forever()
    assert inner.expired
    assert not outer.expired


async def test_of_nested_deadlines_the_outer_one_reports_if_it_fired() -> None:
    with pytest.raises(TimeoutError, match="after 0 s"), timeout(0) as outer, timeout(3600) as inner:
        await anyio.sleep_forever()
    assert outer.expired
    assert not inner.expired


async def test_of_two_that_fire_at_once_the_outer_one_reports() -> None:
    inner = timeout(0)
    with pytest.raises(TimeoutError), timeout(0) as outer, inner:
        await anyio.sleep_forever()
    assert outer.expired
    assert not inner.expired


async def test_a_timeout_error_of_the_block_is_not_relabelled() -> None:
    error = TimeoutError("of the block")
    with pytest.raises(TimeoutError) as caught, timeout(3600):
        raise error
    assert caught.value is error


async def test_another_error_of_a_late_block_goes_first() -> None:
    deadline = timeout(0)

    async def fail_late() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            assert deadline.expired
            raise KeyError

    with pytest.raises(KeyError), deadline:
        await fail_late()
    assert not deadline.expired


async def test_a_cancellation_from_outside_is_no_timeout() -> None:
    with anyio.CancelScope() as scope:
        with timeout(3600) as deadline:
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert not deadline.expired


async def test_a_native_cancellation_is_no_timeout(only_asyncio: None) -> None:
    started = asyncio.Event()

    async def wait() -> None:
        with timeout(3600):
            started.set()
            await anyio.sleep_forever()

    task = asyncio.create_task(wait())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_timeout_leaves_no_request_of_cancellation_behind(only_asyncio: None) -> None:
    with pytest.raises(TimeoutError), timeout(0):
        await anyio.sleep_forever()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_remaining_and_deadline_go_by_the_clock_of_the_loop() -> None:
    before = anyio.current_time()
    with timeout(3600) as deadline:
        assert before + 3600 <= deadline.deadline <= anyio.current_time() + 3600
        assert 0 < deadline.remaining() < 3601
    with pytest.raises(TimeoutError), timeout(0) as deadline:
        await anyio.sleep_forever()
    assert deadline.remaining() == 0


async def test_a_deadline_can_be_moved_and_then_says_so() -> None:
    async def wait(deadline: Deadline) -> None:
        deadline.reschedule(0)
        await anyio.sleep_forever()

    place = rf"{re.escape(__file__)}:{wait.__code__.co_firstlineno + 1}"
    with pytest.raises(TimeoutError, match=rf"after 0 s, by the deadline moved at {place}$"), timeout(3600) as deadline:
        await wait(deadline)


async def test_a_deadline_can_be_taken_away() -> None:
    with timeout(3600) as deadline:
        deadline.reschedule(None)
        await checkpoint()
        assert deadline.remaining() == math.inf


async def test_it_is_too_late_to_move_a_deadline_that_fired() -> None:
    deadline = timeout(0)

    async def move_late() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with pytest.raises(RuntimeError, match="too late"):
                deadline.reschedule(3600)

    with pytest.raises(TimeoutError), deadline:
        await move_late()
    with pytest.raises(RuntimeError, match="has been left"):
        deadline.reschedule(3600)


async def test_a_deadline_is_entered_once() -> None:
    with timeout(3600) as deadline, pytest.raises(RuntimeError, match="call `timeout` again"):
        deadline.__enter__()


async def test_a_deadline_does_not_run_before_its_block() -> None:
    deadline = timeout(1)
    assert isinstance(deadline, Deadline)
    assert not deadline.expired
    with pytest.raises(RuntimeError, match="it begins when its `with` block is entered"):
        deadline.remaining()
    assert repr(deadline).startswith("<Deadline of 1 s, deadline set at ")


@pytest.mark.parametrize(
    ("delay", "error", "message"),
    [
        (math.nan, ValueError, "`delay` must be a number of seconds, not nan"),
        (True, TypeError, "`delay` must be a number of seconds, or None for no end, not True"),
        ("5", TypeError, "not '5'"),
        (datetime.timedelta(seconds=5), TypeError, r"use its `total_seconds\(\)`"),
    ],
)
async def test_what_is_no_number_of_seconds_is_refused(delay: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        timeout(delay)
