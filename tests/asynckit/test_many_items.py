"""Memory does not grow with the items, and items that never wait keep nobody from running.

Set ASYNCKIT_LONG=1 for a million items.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asynckit import amap, as_completed, gather, produce_consume, stream, stream_outcomes
from support.long import LONG

pytestmark = [pytest.mark.anyio, pytest.mark.thorough]

ITEMS = 1_000_000 if LONG else 5_000

Item = Callable[[int], Awaitable[None]]


async def _amap(item: Item, items: Iterable[int]) -> object:
    return await amap(item, items, limit=10)


async def _amap_async(item: Item, items: Iterable[int]) -> object:
    async def source() -> AsyncIterator[int]:
        for number in items:
            yield number

    return await amap(item, source(), limit=10)


async def _produce_consume(item: Item, items: Iterable[int]) -> object:
    return await produce_consume(items, item, workers=10, buffer=10)


async def _stream(item: Item, items: Iterable[int]) -> object:
    async with stream(item, items, limit=10) as results:
        async for _ in results:
            pass
    return None


async def _stream_ordered(item: Item, items: Iterable[int]) -> object:
    async with stream(item, items, limit=10, ordered=True) as results:
        async for _ in results:
            pass
    return None


async def _stream_outcomes(item: Item, items: Iterable[int]) -> object:
    async with stream_outcomes(item, items, limit=10) as outcomes:
        async for _ in outcomes:
            pass
    return None


async def _as_completed(item: Item, items: Iterable[int]) -> object:
    async with as_completed(*map(_coroutine(item), items)) as results:
        async for _ in results:
            pass
    return None


async def _gather(item: Item, items: Iterable[int]) -> object:
    return await gather(*map(_coroutine(item), items))


def _coroutine(item: Item) -> Callable[[int], Any]:
    async def call(number: int) -> None:
        await item(number)

    return call


LAZY = [_amap, _amap_async, _produce_consume, _stream, _stream_ordered, _stream_outcomes]


@pytest.mark.parametrize("use", LAZY)
async def test_memory_grows_by_the_results_and_no_more_than_a_megabyte(
    use: Callable[[Item, Iterable[int]], Awaitable[object]],
) -> None:
    async def item(number: int) -> None:
        if number % 16 == 0:
            await checkpoint()

    async def growth(items: int) -> int:
        gc.collect()
        gc.disable()  # nothing waits for the collector; and what it finalises for others is not counted
        tracemalloc.start()
        try:
            results = await use(item, range(items))
            return tracemalloc.get_traced_memory()[1] - sys.getsizeof(results)
        finally:
            tracemalloc.stop()
            gc.enable()

    await use(item, range(1000))  # what is made once is there
    half = await growth(ITEMS // 2)
    whole = min([await growth(ITEMS) for _ in range(2)])  # what another thread took meanwhile, it does not take again
    assert whole <= 2**20
    assert whole - half <= 2**14, "a reference for each item, at 8 bytes, is more"


async def _amap_keeping_errors(item: Item, items: Iterable[int]) -> object:
    return await amap(item, items, limit=10, on_error="return")


async def _amap_in_time(item: Item, items: Iterable[int]) -> object:
    return await amap(item, items, limit=10, item_timeout=3600)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("use", [*LAZY, _as_completed, _gather, _amap_keeping_errors, _amap_in_time, _stream_outcomes])
async def test_items_that_never_wait_let_the_loop_breathe(
    use: Callable[[Item, Iterable[int]], Awaitable[object]], fails: bool
) -> None:
    if fails and use not in {_amap_keeping_errors, _stream_outcomes}:
        pytest.skip("the first failure ends it")
    in_a_row = longest = 0

    async def item(number: int) -> None:
        nonlocal in_a_row, longest
        in_a_row += 1
        longest = max(longest, in_a_row)
        if fails:
            raise ValueError(number)

    async def other() -> None:
        nonlocal in_a_row
        while True:
            in_a_row = 0
            await checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        await checkpoint()
        await use(item, range(1000))
        group.cancel_scope.cancel()
    # In each round of the loop, at most 64. trio shuffles who is first in a round, so two can come in a row.
    assert 0 < longest <= 2 * 64
