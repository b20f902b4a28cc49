"""Items that end in every way, sources in bursts, slow consumers and cancellation, all at random, on a virtual clock.

Set ASYNCKIT_LONG=1 for 10,000 items and 100 seeds on each loop.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio

from asynckit import (
    ChildCancelledError,
    Failure,
    Success,
    amap,
    produce_consume,
    stream_outcomes,
)
from support.clock import with_virtual_clock
from support.long import LONG

pytestmark = [pytest.mark.anyio, pytest.mark.thorough]

ITEMS, SEEDS = (10_000, 25) if LONG else (300, 2)  # seeds for each of four ways
ITEM_TIMEOUT = 5.0
INNER = 2
FATES = {
    "at once": 30,
    "soon": 20,
    "sleeps": 20,
    "fails": 5,
    "fails late": 5,
    "hangs": 3,
    "cancels a scope of its own": 5,
    "cancels itself": 5,
    "nests": 7,
}
FAILS = {
    "fails": ValueError,
    "fails late": ValueError,
    "hangs": TimeoutError,
    "cancels itself": ChildCancelledError,
}


@pytest.fixture
def anyio_backend(anyio_backend: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """The back end a test runs on, with a clock that jumps."""
    return with_virtual_clock(anyio_backend)


def _living(*, on_asyncio: bool) -> int:
    return len(asyncio.all_tasks()) if on_asyncio else trio.lowlevel.current_statistics().tasks_living


class Chaos:
    """What happens in one run, and what has happened."""

    def __init__(self, seed: int, *, on_asyncio: bool) -> None:
        self.random = random.Random(seed)
        fates = {fate: weight for fate, weight in FATES.items() if on_asyncio or fate != "cancels itself"}
        self.fates = self.random.choices(list(fates), list(fates.values()), k=ITEMS)
        self.limit = self.random.choice([1, 7, 100])
        self.taken = 0
        self.started: list[int] = []
        self.running = 0
        self._on_asyncio = on_asyncio
        self._nested = 0
        self._before = _living(on_asyncio=on_asyncio)
        self.scope = anyio.CancelScope()
        self._cancel_at = self.random.randrange(ITEMS) if self.random.random() < 0.3 else None
        if self.random.random() < 0.2:
            self.scope.deadline = anyio.current_time() + self.random.uniform(0, ITEMS / self.limit)

    def source(self) -> Iterable[int] | AsyncIterator[int]:
        return self._in_bursts() if self.random.random() < 0.5 else self._at_once()

    def _at_once(self) -> Iterable[int]:
        for index in range(ITEMS):
            self.taken += 1
            yield index

    async def _in_bursts(self) -> AsyncIterator[int]:
        for index in self._at_once():
            if self.random.random() < 0.02:
                await anyio.sleep(self.random.uniform(0, 3))
            yield index

    async def item(self, index: int) -> int:
        """Meet the fate of an item."""
        self.started.append(index)
        self.running += 1
        assert self.running <= self.limit
        if index % 50 == 0:
            tasks = _living(on_asyncio=self._on_asyncio) - self._before
            assert tasks <= self.limit + 3 + self._nested * INNER
        if index == self._cancel_at:
            self.scope.cancel()
        try:
            await self._meet(self.fates[index])
        finally:
            self.running -= 1
        return index

    async def _meet(self, fate: str) -> None:
        match fate:
            case "soon":
                await anyio.lowlevel.checkpoint()
            case "sleeps":
                await anyio.sleep(self.random.uniform(0, 1))
            case "fails":
                raise ValueError(fate)
            case "fails late":
                await anyio.sleep(self.random.uniform(0, 1))
                raise ValueError(fate)
            case "hangs":
                await anyio.sleep_forever()
            case "cancels a scope of its own":
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    await anyio.lowlevel.checkpoint()
            case "cancels itself":
                raise asyncio.CancelledError
            case "nests":
                self._nested += 1
                try:
                    assert await amap(_double, range(5), limit=INNER) == [0, 2, 4, 6, 8]
                finally:
                    self._nested -= 1

    async def consume(self, index: int) -> None:
        """An item that deals with its own failures."""
        try:
            with anyio.fail_after(ITEM_TIMEOUT):
                await self.item(index)
        except (ValueError, TimeoutError):
            assert self.fates[index] in FAILS

    def check(self, delivered: list[int]) -> None:
        """Check what there is at the end."""
        assert not self.running
        assert len(set(self.started)) == len(self.started), "an item was done twice"
        assert len(set(delivered)) == len(delivered), "a result was given twice"
        assert set(delivered) <= set(self.started)
        if not self.scope.cancelled_caught:
            assert self.taken == len(self.started) == len(delivered) == ITEMS


async def _double(number: int) -> int:
    await anyio.lowlevel.checkpoint()
    return 2 * number


def _is_fate(fate: str, index: int, result: object) -> bool:
    return isinstance(result, FAILS[fate]) if fate in FAILS else result == index


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_amap(seed: int, on_asyncio: bool) -> None:
    chaos = Chaos(seed, on_asyncio=on_asyncio)
    results: list[Any] = []
    with chaos.scope:
        results = await amap(
            chaos.item, chaos.source(), limit=chaos.limit, on_error="return", item_timeout=ITEM_TIMEOUT
        )
    assert all(map(_is_fate, chaos.fates, range(ITEMS), results))
    chaos.check(list(range(len(results))))


@pytest.mark.parametrize("ordered", [False, True], ids=["completed", "ordered"])
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_stream(seed: int, ordered: bool, on_asyncio: bool) -> None:
    chaos = Chaos(seed, on_asyncio=on_asyncio)
    delivered = []
    buffer = chaos.random.choice([0, 1, 50])
    with chaos.scope:
        async with stream_outcomes(
            chaos.item,
            chaos.source(),
            limit=chaos.limit,
            ordered=ordered,
            buffer=buffer,
            item_timeout=ITEM_TIMEOUT,
        ) as outcomes:
            async for index, outcome in outcomes:
                match outcome:
                    case Success(value):
                        assert _is_fate(chaos.fates[index], index, value)
                    case Failure(exception):
                        assert _is_fate(chaos.fates[index], index, exception)
                delivered.append(index)
                assert len(chaos.started) - len(delivered) <= chaos.limit + buffer
                if chaos.random.random() < 0.02:
                    await anyio.sleep(chaos.random.uniform(0, 5))
    assert not ordered or delivered == sorted(delivered)
    chaos.check(delivered)


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_produce_consume(seed: int, on_asyncio: bool) -> None:
    chaos = Chaos(seed, on_asyncio=on_asyncio)
    chaos.fates = ["sleeps" if fate == "cancels itself" else fate for fate in chaos.fates]
    with chaos.scope:
        await produce_consume(
            chaos.source(), chaos.consume, workers=chaos.limit, buffer=chaos.random.choice([1, 10, 100])
        )
    chaos.check(chaos.started)
