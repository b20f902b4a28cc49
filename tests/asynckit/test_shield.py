"""Clean-up that is not cancelled half-way, and ends. The clock is virtual."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable
from typing import Any

import anyio
import pytest
import trio
from anyio.lowlevel import checkpoint

from asynckit._deadline import timeout
from asynckit._shield import shield
from support.clock import with_virtual_clock
from support.points import InjectedError, Points, every_point, every_point_natively

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend(anyio_backend: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    return with_virtual_clock(anyio_backend)


@pytest.fixture
async def now(anyio_backend: object) -> Callable[[], float]:
    """Seconds since the test began."""
    start = anyio.current_time()
    return lambda: round(anyio.current_time() - start, 6)


def _cancelled(scope: anyio.CancelScope) -> None:
    assert scope.cancelled_caught, "the cancellation was lost"


async def test_clean_up_after_a_cancellation_is_done(now: Callable[[], float]) -> None:
    done = False
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await anyio.sleep_forever()
        finally:
            with shield(grace=5) as shielded:
                await anyio.sleep(4)
                done = shielded.remaining() == 1
    _cancelled(scope)
    assert done
    assert not shielded.expired
    assert now() == 4


async def test_a_cancellation_that_comes_meanwhile_waits(now: Callable[[], float]) -> None:
    with anyio.CancelScope() as scope:
        with shield(grace=5):
            await anyio.sleep(1)
            scope.cancel()
            await anyio.sleep(2)
        assert now() == 3
        await anyio.sleep_forever()
    _cancelled(scope)
    assert now() == 3


async def test_clean_up_that_takes_too_long_in_a_cancellation_lets_that_go_on(
    now: Callable[[], float], caplog: pytest.LogCaptureFixture
) -> None:
    line = test_clean_up_that_takes_too_long_in_a_cancellation_lets_that_go_on.__code__.co_firstlineno + 9
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await anyio.sleep_forever()
        finally:
            with shield(grace=5) as shielded:
                await anyio.sleep_forever()
            pytest.fail("it went on")
    _cancelled(scope)
    assert shielded.expired
    assert now() == 5
    assert caplog.record_tuples == [
        (
            "asynckit.shield",
            logging.WARNING,
            f"clean-up was cut short: it was not done after 5 s, the grace of the shield set at {__file__}:{line}",
        )
    ]


async def test_a_cancellation_that_comes_before_the_grace_is_over_goes_on(
    now: Callable[[], float], caplog: pytest.LogCaptureFixture
) -> None:
    with anyio.CancelScope() as scope:
        with shield(grace=5):
            await anyio.sleep(1)
            scope.cancel()
            await anyio.sleep_forever()
        pytest.fail("it went on")
    _cancelled(scope)
    assert now() == 5
    assert len(caplog.records) == 1


async def test_clean_up_that_takes_too_long_is_an_error_otherwise(caplog: pytest.LogCaptureFixture) -> None:
    line = test_clean_up_that_takes_too_long_is_an_error_otherwise.__code__.co_firstlineno + 6
    with pytest.raises(TimeoutError) as caught:
        try:
            raise KeyError
        finally:
            with shield(grace=5) as shielded:
                await anyio.sleep_forever()
    assert str(caught.value) == (f"clean-up was not done after 5 s, the grace of the shield set at {__file__}:{line}")
    assert isinstance(caught.value.__cause__, anyio.get_cancelled_exc_class())
    assert shielded.expired
    assert not caplog.records


async def test_a_deadline_outside_does_not_reach_it_and_then_raises(now: Callable[[], float]) -> None:
    with pytest.raises(TimeoutError, match=r"^timed out after 1 s"), timeout(1):
        with shield(grace=5):
            await anyio.sleep(4)
        assert now() == 4
        await checkpoint()
    with pytest.raises(TimeoutError, match=r"^timed out after 1 s"), timeout(1), shield(grace=5):
        await anyio.sleep_forever()
    assert now() == 9


async def test_a_deadline_inside_holds(now: Callable[[], float]) -> None:
    with pytest.raises(TimeoutError, match=r"^timed out after 1 s"), shield(grace=5), timeout(1):
        await anyio.sleep_forever()
    with pytest.raises(TimeoutError, match="not done after 1 s"), shield(grace=5), shield(grace=1):
        await anyio.sleep_forever()
    with pytest.raises(TimeoutError, match="not done after 5 s"), shield(grace=5):
        with shield(grace=10):
            await anyio.sleep(7)
        await checkpoint()
    assert now() == 1 + 1 + 7


async def test_its_time_is_the_one_that_is_around(now: Callable[[], float]) -> None:
    with timeout(1), shield(grace=5) as shielded:
        assert anyio.current_effective_deadline() == shielded.deadline == anyio.current_time() + 5


async def test_errors_pass(now: Callable[[], float]) -> None:
    with pytest.raises(KeyError), shield(grace=5):
        raise KeyError
    with pytest.raises(KeyError), shield(grace=5) as shielded:
        try:
            await anyio.sleep_forever()
        finally:
            raise KeyError
    assert not shielded.expired
    with anyio.CancelScope() as scope:
        scope.cancel()
        with pytest.raises(KeyError):
            try:
                await anyio.sleep_forever()
            finally:
                with shield(grace=5):
                    await anyio.sleep(1)
                    raise KeyError
    assert now() == 6


async def test_tasks_in_it_are_shielded_and_cancelled_with_it(now: Callable[[], float]) -> None:
    ends: list[float] = []

    async def work(delay: float) -> None:
        try:
            await anyio.sleep(delay)
        finally:
            ends.append(now())

    with anyio.CancelScope() as scope:
        scope.cancel()
        with shield(grace=5) as shielded:
            async with anyio.create_task_group() as group:
                for delay in (1, 3, 7, 9):
                    group.start_soon(work, delay)
        pytest.fail("it went on")
    _cancelled(scope)
    assert shielded.expired
    assert ends == [1, 3, 5, 5]


async def test_a_nursery_of_trio_in_it(on_asyncio: bool, caplog: pytest.LogCaptureFixture) -> None:
    if on_asyncio:
        pytest.skip("about trio")
    with anyio.CancelScope() as scope:
        scope.cancel()
        with shield(grace=5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                await trio.sleep_forever()
    _cancelled(scope)
    assert len(caplog.records) == 1


async def test_no_time_at_all() -> None:
    with pytest.raises(TimeoutError), shield(grace=0):
        await checkpoint()
    with shield(grace=0) as shielded:
        pass
    assert not shielded.expired


@pytest.mark.parametrize("grace", [None, math.inf])
async def test_a_shield_without_an_end_is_refused(grace: Any) -> None:
    with pytest.raises(ValueError, match=r"must be a finite number of seconds.*`anyio\.CancelScope\(shield=True\)`"):
        shield(grace)


@pytest.mark.parametrize(("grace", "error"), [(-1, ValueError), (math.nan, ValueError), ("1", TypeError)])
async def test_what_is_no_number_of_seconds_is_refused(grace: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="`grace` must be"):
        shield(grace)


async def test_it_is_entered_once() -> None:
    unentered = shield(1)
    assert not unentered.expired
    with pytest.raises(RuntimeError, match="the shield is not running"):
        unentered.remaining()
    with unentered as shielded, pytest.raises(RuntimeError, match="call `shield` again"):
        shielded.__enter__()
    assert repr(shielded).startswith(f"<Shield of 1 s, shield set at {__file__}:")


async def test_after_a_native_cancellation(only_asyncio: None, caplog: pytest.LogCaptureFixture) -> None:
    done = []

    async def work(delay: float) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await clean_up(delay)

    async def clean_up(delay: float) -> None:
        with shield(grace=5):
            await anyio.sleep(delay)
            done.append(delay)

    for delay in (3, 7):
        task = asyncio.create_task(work(delay))
        await checkpoint()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelling() == 1
    assert done == [3]
    assert len(caplog.records) == 1


async def test_a_native_cancellation_that_comes_meanwhile_interrupts_it(only_asyncio: None) -> None:
    async def work() -> None:
        with shield(grace=5):
            await anyio.sleep_forever()

    task = asyncio.create_task(work())
    await checkpoint()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelling() == 1


async def test_a_request_that_was_met_before_is_none(only_asyncio: None) -> None:
    async def work() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        with shield(grace=5):
            await anyio.sleep_forever()

    task = asyncio.create_task(work())
    await checkpoint()
    task.cancel()
    with pytest.raises(TimeoutError, match="clean-up was not done"):
        await task


async def test_a_timeout_of_asyncio_around_it(only_asyncio: None, now: Callable[[], float]) -> None:
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(1):
            try:
                await asyncio.Event().wait()
            finally:
                with shield(grace=5):
                    await asyncio.sleep(7)
    assert str(caught.value) == ""
    assert now() == 6
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_it_leaves_no_request_of_cancellation(only_asyncio: None) -> None:
    task = asyncio.current_task()
    assert task is not None
    with pytest.raises(TimeoutError), shield(grace=1):
        await anyio.sleep_forever()
    assert task.cancelling() == 0
    with anyio.CancelScope() as scope:
        with shield(grace=1):
            scope.cancel()
            await anyio.sleep_forever()
    assert task.cancelling() == 0


async def test_failing_at_every_point() -> None:
    async def run(points: Points) -> None:
        async with anyio.create_task_group():  # whose group is what an injected error is expected in
            try:
                await points()
            finally:
                with shield(grace=5):
                    await points()
                    with shield(grace=1):
                        await points()

    assert await every_point(run, cancel=False) == 3


@pytest.mark.parametrize("slow", [False, True])
async def test_cancelling_at_every_point(slow: bool, now: Callable[[], float]) -> None:
    async def run(points: Points) -> None:
        try:
            await points()
        finally:
            with shield(grace=5):
                await points()
                with shield(grace=1):
                    await points()
                if slow and points.reached:
                    await anyio.sleep_forever()
        await checkpoint()

    assert await every_point(run, cancel=True) == 3
    assert now() == 15 * slow


async def test_a_cancellation_goes_on_from_a_shield_in_a_shield(
    now: Callable[[], float], caplog: pytest.LogCaptureFixture
) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await anyio.sleep_forever()
        finally:
            with shield(grace=5):
                with pytest.raises(TimeoutError, match="timed out"), timeout(2):
                    await anyio.sleep_forever()
                with shield(grace=1):
                    await anyio.sleep_forever()
                pytest.fail("it went on")
    _cancelled(scope)
    assert now() == 3
    assert len(caplog.records) == 1


async def test_a_native_cancellation_at_every_point(only_asyncio: None) -> None:
    async def use(points: Points) -> None:
        try:
            await points()
            with shield(grace=1):
                await points()
        finally:
            with shield(grace=5):
                await points()
                with shield(grace=1):
                    await points()

    assert await every_point_natively(use) == 4


async def test_an_error_in_the_clean_up_goes_before_the_cancellation() -> None:
    with pytest.raises(InjectedError), anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await anyio.sleep_forever()
        finally:
            with shield(grace=5):
                await anyio.sleep(1)
                raise InjectedError
