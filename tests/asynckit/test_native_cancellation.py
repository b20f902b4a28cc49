"""What happens when asyncio itself cancels: a task that uses a helper, at every place where it may wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from asynckit import amap, gather, open_scope, timeout
from support.points import Points, every_point_natively

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("only_asyncio")]


async def _steps(points: Points, count: int) -> None:
    for _ in range(count):
        await points()


async def _amap(points: Points) -> None:
    async def work(item: int) -> None:
        await _steps(points, item)

    await amap(work, range(4), limit=2, on_error="return")


async def _amap_in_time(points: Points) -> None:
    async def work(item: int) -> None:
        await _steps(points, item)

    await amap(work, range(4), limit=2, on_error="skip", item_timeout=3600)


async def _gather(points: Points) -> None:
    await gather(_steps(points, 3), _steps(points, 1), _steps(points, 2), limit=2, return_exceptions=True)


async def _open_scope(points: Points) -> None:
    async with open_scope(limit=1, timeout=3600, on_error="collect") as scope:
        scope.start_soon(_steps, points, 2)
        scope.create_task(_steps(points, 1))
        await _steps(points, 3)


async def _timeout(points: Points) -> None:
    with timeout(3600):
        with timeout(7200):
            await _steps(points, 3)
        await _steps(points, 3)


@pytest.mark.parametrize("use", [_amap, _amap_in_time, _gather, _open_scope, _timeout])
async def test_a_task_cancelled_anywhere_ends_cancelled_and_leaves_nothing(
    use: Callable[[Points], Awaitable[None]],
) -> None:
    assert await every_point_natively(use) == 6


async def test_a_timeout_of_asyncio_around_a_helper_is_its_own() -> None:
    async def forever(item: int) -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0):
            await amap(forever, range(3), item_timeout=3600)
    assert str(caught.value) == ""


async def test_a_timeout_of_asyncio_inside_a_helper_is_its_items() -> None:
    async def late(item: int) -> None:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    results = await amap(late, range(3), limit=1, on_error="return")
    assert [type(result) for result in results] == [TimeoutError] * 3


async def test_a_task_group_of_asyncio_works_inside_an_item_and_around() -> None:
    async def work(item: int) -> int:
        async with asyncio.TaskGroup() as group:
            child = group.create_task(asyncio.sleep(0, item))
        return child.result()

    async with asyncio.TaskGroup() as group:
        outer = group.create_task(amap(work, range(3)))
    assert outer.result() == [0, 1, 2]


async def test_a_failing_task_group_of_asyncio_in_an_item_is_a_failure_of_the_item() -> None:
    async def fail() -> None:
        raise ValueError

    async def work(item: int) -> int:
        if item == 1:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                await asyncio.Event().wait()
        return item

    first, second, third = await amap(work, range(3), limit=1, on_error="return")
    assert (first, third) == (0, 2)
    assert isinstance(second, ExceptionGroup)
