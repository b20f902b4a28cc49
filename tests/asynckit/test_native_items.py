"""Items whose task is cancelled by asyncio itself: they fail alone, and neither a worker nor an item is lost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asynckit import ChildCancelledError, Failure, RateLimiter, amap, gather, stream, stream_outcomes

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("only_asyncio")]

Item = Callable[[int], Coroutine[Any, Any, int]]
Helper = Callable[[Item, int, int], Awaitable[list[Any]]]


def this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


async def with_amap(work: Item, count: int, limit: int) -> list[Any]:
    return await amap(work, range(count), limit=limit, on_error="return")


async def with_amap_in_time(work: Item, count: int, limit: int) -> list[Any]:
    return await amap(work, range(count), limit=limit, on_error="return", item_timeout=3600)


async def with_amap_of_async_items(work: Item, count: int, limit: int) -> list[Any]:
    return await amap(work, numbers(count), limit=limit, on_error="return")


async def with_gather(work: Item, count: int, limit: int) -> list[Any]:
    return [*await gather(*map(work, range(count)), limit=limit, return_exceptions=True)]


async def with_stream(work: Item, count: int, limit: int) -> list[Any]:
    async with stream(work, range(count), limit=limit, on_error="return", ordered=True) as results:
        return [result async for result in results]


async def with_stream_outcomes(work: Item, count: int, limit: int) -> list[Any]:
    async with stream_outcomes(work, numbers(count), limit=limit, ordered=True) as outcomes:
        return [outcome.exception if isinstance(outcome, Failure) else outcome.value async for _, outcome in outcomes]


HELPERS = [
    with_amap,
    with_amap_in_time,
    with_amap_of_async_items,
    with_gather,
    with_stream,
    with_stream_outcomes,
]


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        await checkpoint()
        yield number


def kinds(results: list[Any]) -> list[Any]:
    return [type(result) if isinstance(result, Exception) else result for result in results]


@pytest.mark.parametrize("helper", HELPERS)
@pytest.mark.parametrize("limit", [1, 2, 5])
@pytest.mark.parametrize("steps_before", [0, 1])
@pytest.mark.parametrize("steps_after", [0, 1])
async def test_items_that_cancel_their_task_fail_alone(
    helper: Helper, limit: int, steps_before: int, steps_after: int
) -> None:
    async def work(item: int) -> int:
        for _ in range(steps_before):
            await checkpoint()
        if item % 3 == 1:
            this_task().cancel()
            for _ in range(steps_after):
                await checkpoint()
        return item

    results = await helper(work, 8, limit)
    assert kinds(results) == [ChildCancelledError if item % 3 == 1 else item for item in range(8)]
    assert str(results[1]) == "item 1 was cancelled"
    assert this_task().cancelling() == 0
    await asyncio.sleep(0)


@pytest.mark.parametrize("helper", HELPERS)
async def test_items_whose_task_others_cancel_fail_alone(helper: Helper) -> None:
    async def work(item: int) -> int:
        if item == 1:
            asyncio.get_running_loop().call_soon(this_task().cancel)
            await anyio.sleep_forever()
        await checkpoint()
        return item

    assert kinds(await helper(work, 5, 2)) == [0, ChildCancelledError, 2, 3, 4]


@pytest.mark.parametrize("helper", HELPERS)
async def test_an_item_that_catches_the_cancellation_has_its_result(helper: Helper) -> None:
    async def work(item: int) -> int:
        if item == 1:
            this_task().cancel()
            with suppress(asyncio.CancelledError):
                await checkpoint()
        await checkpoint()
        return item

    assert await helper(work, 4, 1) == [0, 1, 2, 3]


@pytest.mark.parametrize("helper", HELPERS)
async def test_an_item_that_fails_on_being_cancelled_has_its_error(helper: Helper) -> None:
    async def work(item: int) -> int:
        if item == 1:
            this_task().cancel()
            raise LookupError
        return item

    assert kinds(await helper(work, 4, 1)) == [0, LookupError, 2, 3]


@pytest.mark.parametrize("helper", HELPERS)
async def test_a_timeout_of_asyncio_works_in_an_item_after_one_that_was_cancelled(helper: Helper) -> None:
    async def work(item: int) -> int:
        if item == 0:
            this_task().cancel()
            await checkpoint()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await anyio.sleep_forever()
        assert this_task().cancelling() == 0
        return item

    assert kinds(await helper(work, 3, 1)) == [ChildCancelledError, 1, 2]


async def test_a_cancelled_item_cancels_the_others_if_errors_do() -> None:
    begun = []

    async def work(item: int) -> None:
        begun.append(item)
        await checkpoint()
        if item == 2:
            this_task().cancel()
        await checkpoint()

    with pytest.raises(ExceptionGroup) as caught:
        await amap(work, range(100), limit=3)
    assert caught.group_contains(ChildCancelledError, match="item 2 was cancelled")
    assert len(begun) <= 6
    assert this_task().cancelling() == 0


async def _workers(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    await anyio.wait_all_tasks_blocked()
    return asyncio.all_tasks() - before


async def test_a_worker_that_waits_to_ask_the_source_goes_on() -> None:
    gate = asyncio.Event()
    known = asyncio.all_tasks()

    async def items() -> AsyncIterator[int]:
        yield 0
        yield 1
        known.add(this_task())  # it asks; to cancel this one would be to cancel the source
        await gate.wait()
        yield 2
        yield 3

    async def work(item: int) -> int:
        known.add(this_task())
        if item == 1:
            (waiting,) = await _workers(known)
            waiting.cancel()
            gate.set()
        await gate.wait()
        return item

    assert await amap(work, items(), limit=4) == [0, 1, 2, 3]


async def test_a_worker_that_waits_for_room_goes_on() -> None:
    async def work(item: int) -> int:
        return item

    before = asyncio.all_tasks()
    async with stream(work, itertools.count(), limit=1, buffer=0, ordered=True) as results:
        for expected in range(3):
            (worker,) = await _workers(before)
            worker.cancel()
            assert await anext(results) == expected


async def test_an_item_that_waits_for_its_time_is_not_lost() -> None:
    limiter = RateLimiter(1, per=3600)

    async def work(item: int) -> int:
        return item

    before = asyncio.all_tasks()
    async with stream(work, range(2), limit=1, rate=limiter, ordered=True) as results:
        assert await anext(results) == 0
        (worker,) = await _workers(before)
        worker.cancel()
        await _workers(before)
        limiter._since -= 3600  # an hour later
        worker.cancel()
        assert await anext(results) == 1


async def test_a_source_that_raises_cancellation_unasked_is_not_taken_for_its_end() -> None:
    async def items() -> AsyncIterator[int]:
        yield 1
        raise asyncio.CancelledError

    async def work(item: int) -> int:
        return item

    with pytest.raises(ExceptionGroup) as caught:
        await amap(work, items(), on_error="return")
    assert caught.group_contains(ChildCancelledError, match="the source of the items was cancelled")
    with pytest.raises(ExceptionGroup) as caught:
        await amap(work, cancelled_iterator(), on_error="return")
    assert caught.group_contains(ChildCancelledError, match="the source of the items raised a cancellation unasked")


def cancelled_iterator() -> Any:
    yield 1
    raise asyncio.CancelledError


# anyio makes the coroutine of a task that is to start soon, and nobody closes it if the task never begins.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
async def test_a_worker_that_is_cancelled_before_it_begins_is_not_lost_silently() -> None:
    async def work(item: int) -> int:
        return item

    async def cancel_what_has_not_begun() -> None:
        for task in asyncio.all_tasks() - before - {this_task()}:
            task.cancel()

    async def use_amap() -> None:
        await amap(work, range(3))

    async def use_stream() -> None:
        async with stream(work, range(3)) as results:
            await anext(results)

    for use in (use_amap, use_stream):
        known = asyncio.all_tasks()
        user = asyncio.create_task(use())
        before = known | {user}
        killer = asyncio.create_task(cancel_what_has_not_begun())  # it runs after the user, and before the worker
        with pytest.raises(ExceptionGroup) as caught:
            await user
        assert caught.group_contains(ChildCancelledError, match="a worker was cancelled before it began")
        await killer
