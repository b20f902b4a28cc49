"""Time and threads: each scenario runs with asyncio's own, of Python 3.13, and with ours on every version."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import pytest

from asynckit import move_on_after, run_in_thread, timeout, with_timeout

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("only_asyncio", "no_eager_tasks")]

MODERN = sys.version_info >= (3, 13)
theirs_is_modern = pytest.mark.skipif(not MODERN, reason="asyncio does this from 3.13 on")


@pytest.fixture
def no_eager_tasks(anyio_backend: tuple[str, dict[str, Any]]) -> None:
    if "loop_factory" in anyio_backend[1]:
        pytest.skip("when an eager task takes its first step is its own affair")


def ours_and_theirs(ours: object, theirs: object) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "make", [pytest.param(ours, id="ours"), pytest.param(theirs, id="asyncio", marks=theirs_is_modern)]
    )


def cancelling() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def fail(text: str) -> None:
    await asyncio.sleep(0)
    raise ValueError(text)


# -- time --------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def in_time(delay: float | None) -> Any:
    with timeout(delay) as deadline:
        yield deadline


timeouts = ours_and_theirs(in_time, asyncio.timeout)


@timeouts
async def test_no_time_at_all_is_enough_for_what_does_not_wait(make: Callable[[float], Any]) -> None:
    async with make(0):
        pass
    await asyncio.sleep(0)
    assert cancelling() == 0


@timeouts
@pytest.mark.parametrize("delay", [0, -1, 0.001])
async def test_who_waits_too_long_is_late(make: Callable[[float], Any], delay: float) -> None:
    with pytest.raises(TimeoutError) as caught:
        async with make(delay):
            await asyncio.Event().wait()
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    assert cancelling() == 0


@timeouts
async def test_who_is_cancelled_as_well_is_cancelled(make: Callable[[float], Any]) -> None:
    async def wait() -> None:
        async with make(0.001):
            try:
                await asyncio.Event().wait()
            finally:
                task.cancel()  # before the timeout is told

    task = asyncio.create_task(wait())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelling() == 1


@timeouts
async def test_an_error_in_the_clean_up_of_who_is_late_goes_first(make: Callable[[float], Any]) -> None:
    with pytest.raises(LookupError, match="clean-up"):
        async with make(0):
            try:
                await asyncio.Event().wait()
            finally:
                raise LookupError("in its clean-up")
    assert cancelling() == 0
    await asyncio.sleep(0)


@timeouts
async def test_of_nested_times_the_outer_one_is_late_if_it_is_the_shorter(make: Callable[[float], Any]) -> None:
    with pytest.raises(TimeoutError):
        async with make(0):
            with suppress(TimeoutError):
                async with make(60):
                    await asyncio.Event().wait()
            pytest.fail("the outer one was late")
    assert cancelling() == 0


async def wait_for(work: Callable[[], Awaitable[Any]], delay: float) -> Any:
    return await with_timeout(delay)(work)()


calls = ours_and_theirs(wait_for, lambda work, delay: asyncio.wait_for(work(), delay))


@calls
async def test_a_call_in_time_gives_its_result_or_raises_its_error(make: Callable[..., Awaitable[Any]]) -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert await make(work, 60) == 7
    with pytest.raises(ValueError, match="its own"):
        await make(lambda: fail("its own"), 60)


@calls
async def test_a_late_call_is_cancelled_and_waited_for(make: Callable[..., Awaitable[Any]]) -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            with anyio.CancelScope(shield=True):  # anyio cancels again, at each await
                await asyncio.sleep(0.001)
            ended.append("its clean-up")

    with pytest.raises(TimeoutError):
        await make(work, 0.001)
    assert ended == ["its clean-up"]


async def test_moving_on_leaves_no_request_of_cancellation() -> None:
    with move_on_after(0):
        await asyncio.Event().wait()
    assert cancelling() == 0
    await asyncio.sleep(0)


# -- threads -----------------------------------------------------------------------------------------------------------

threads = ours_and_theirs(run_in_thread, asyncio.to_thread)
name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")


@threads
async def test_a_thread_sees_the_context_of_its_caller_and_does_not_change_it(make: Callable[..., Any]) -> None:
    def work() -> str:
        seen = name.get()
        name.set("the thread")
        return seen

    name.set("the caller")
    assert await make(work) == "the caller"
    assert name.get() == "the caller"


@threads
async def test_a_thread_gives_back_what_is_raised(make: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await make(int, "seven")
