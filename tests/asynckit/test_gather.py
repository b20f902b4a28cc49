"""Awaiting coroutines side by side."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asynckit import ChildCancelledError, amap, gather
from support.points import Points, every_point

pytestmark = pytest.mark.anyio


async def give(value: Any) -> Any:
    await checkpoint()
    return value


async def fail(message: str) -> None:
    await checkpoint()
    raise ValueError(message)


async def test_results_come_in_the_order_of_the_arguments() -> None:
    last = anyio.Event()

    async def first() -> str:
        await last.wait()
        return "first"

    async def second() -> int:
        last.set()
        return 2

    assert await gather(first(), second()) == ("first", 2)


async def test_nothing_gives_nothing() -> None:
    assert await gather() == ()


async def test_all_run_at_once() -> None:
    count = 200
    running = 0
    together = anyio.Event()

    async def meet() -> None:
        nonlocal running
        running += 1
        if running == count:
            together.set()
        await together.wait()

    await gather(*(meet() for _ in range(count)))


async def test_never_more_than_limit_run_at_once() -> None:
    running = most = 0

    async def watch() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await checkpoint()
        running -= 1

    await gather(*(watch() for _ in range(20)), limit=3)
    assert most == 3


async def test_the_first_failure_cancels_the_others() -> None:
    cancelled = False

    async def wait() -> None:
        nonlocal cancelled
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            cancelled = True
            raise

    with pytest.raises(ExceptionGroup) as caught:
        await gather(wait(), fail("one"))
    assert [str(error) for error in caught.value.exceptions] == ["one"]
    assert cancelled


async def test_coroutines_that_have_not_begun_are_closed_after_a_failure() -> None:
    with pytest.raises(ExceptionGroup):
        await gather(fail("one"), give(2), give(3), limit=1)


async def test_coroutines_that_have_not_begun_are_closed_on_cancellation() -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await gather(give(1), give(2), limit=1)
    assert scope.cancelled_caught


async def test_coroutines_are_closed_if_it_is_never_awaited() -> None:
    coros = [give(1), give(2)]
    gather(*coros).close()
    assert [inspect.getcoroutinestate(coro) for coro in coros] == [inspect.CORO_CLOSED] * 2


async def test_coroutines_are_closed_if_its_task_is_cancelled_before_it_begins(only_asyncio: None) -> None:
    task = asyncio.create_task(gather(give(1), give(2)))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_return_exceptions_puts_them_in_their_places() -> None:
    one, two, three = await gather(give(1), fail("two"), give(3), return_exceptions=True)
    assert (one, three) == (1, 3)
    assert isinstance(two, ValueError)


async def test_return_exceptions_returns_no_cancellation() -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await gather(anyio.sleep_forever(), anyio.sleep_forever(), return_exceptions=True)
    assert scope.cancelled_caught


async def test_a_coroutine_that_awaits_a_cancelled_task_fails_alone(only_asyncio: None) -> None:
    gone = asyncio.ensure_future(asyncio.sleep(3600))
    gone.cancel()

    async def wait() -> None:
        await gone

    failed, given = await gather(wait(), give(1), return_exceptions=True)
    assert isinstance(failed, ChildCancelledError)
    assert given == 1


async def test_each_coroutine_has_its_own_context() -> None:
    variable: ContextVar[int] = ContextVar("variable", default=0)

    async def use(value: int) -> int:
        before = variable.get()
        variable.set(value)
        await checkpoint()
        assert variable.get() == value
        return before

    assert await gather(use(1), use(2), use(3), limit=1) == (0, 0, 0)
    assert variable.get() == 0


async def several(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (7, "argument 1 of `gather` must be a coroutine, not 7"),
        (give, r"call it: `gather\(give\(…\)\)`"),
        ([], r"unpack it with a star: `gather\(\*coros\)`"),
        (several(1), "argument 1 of `gather` must be a coroutine"),
    ],
)
async def test_what_is_no_coroutine_is_refused_and_the_others_are_closed(wrong: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        await gather(give(1), wrong, give(3))


async def test_a_future_is_refused_with_advice(only_asyncio: None) -> None:
    future: Any = asyncio.get_running_loop().create_future()
    with pytest.raises(TypeError, match="await it in an async function"):
        await gather(future)


async def test_the_same_coroutine_twice_is_refused_and_closed() -> None:
    coro = give(1)
    with pytest.raises(ValueError, match="argument 1 of `gather` was passed before"):
        await gather(coro, coro)


async def test_a_wrong_limit_is_refused_and_the_coroutines_are_closed() -> None:
    with pytest.raises(ValueError, match="`limit` must be 1 or more, not 0"):
        await gather(give(1), limit=0)


async def _steps(points: Points, count: int) -> None:
    for _ in range(count):
        await points()


@pytest.mark.parametrize("limit", [None, 1, 2])
@pytest.mark.parametrize("cancel", [True, False], ids=["cancelling", "failing"])
async def test_ending_at_every_point_leaves_nothing_behind(limit: int | None, cancel: bool) -> None:
    async def run(points: Points) -> None:
        await gather(_steps(points, 3), _steps(points, 1), _steps(points, 2), limit=limit)

    assert await every_point(run, cancel=cancel) == 6


async def test_inside_amap() -> None:
    async def pair(number: int) -> tuple[int, int]:
        return await gather(give(number), give(number + 1))

    assert await amap(pair, range(3), limit=2) == [(0, 1), (1, 2), (2, 3)]
