"""The helpers beside their peers: CPU time of this process, as ratios in one run.

Items are of two kinds: one that never waits, which shows what a helper itself costs, and one that waits for the loop
once, as every real one does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import anyio

import asynckit
from table import Table, cpu

with suppress(ImportError):
    import aiometer
with suppress(ImportError):
    from aiostream import pipe
    from aiostream import stream as aiostream
with suppress(ImportError):
    import stamina
with suppress(ImportError):
    import tenacity
with suppress(ImportError):
    from quattro import TaskGroup as QuattroGroup

ITEMS, LIMIT, PEER_ITEMS = 100_000, 100, 10_000
"""Peers that cost tens of microseconds an item are measured on fewer."""
CALLS, TASKS, GROUP = 100_000, 20_000, 100
DISTRIBUTIONS = ("anyio", "aiometer", "aiostream", "quattro", "stamina", "tenacity")

Work = Callable[[int], Awaitable[int]]
Times = Callable[[int], Awaitable[Any]]


def tables() -> Iterator[Table]:
    """Maps, streams, timeouts, tasks and retries."""
    yield _maps()
    yield _timeouts()
    yield from _tasks()
    yield _retries()


async def no_op(item: int) -> int:
    """An item that never waits."""
    return item


async def sleep_0(item: int) -> int:
    """An item that waits for the next pass of the loop."""
    await asyncio.sleep(0)
    return item


# -- maps ------------------------------------------------------------------------------------------------------------


async def sequential(work: Work, items: int) -> None:
    for item in range(items):
        await work(item)


async def amap(work: Work, items: int) -> None:
    await asynckit.amap(work, range(items), limit=LIMIT)


async def stream(work: Work, items: int) -> None:
    async with asynckit.stream(work, range(items), limit=LIMIT) as results:
        async for _ in results:
            pass


async def ordered_stream(work: Work, items: int) -> None:
    async with asynckit.stream(work, range(items), limit=LIMIT, ordered=True) as results:
        async for _ in results:
            pass


async def gather_and_semaphore(work: Work, items: int) -> None:
    semaphore = asyncio.Semaphore(LIMIT)

    async def bounded(item: int) -> int:
        async with semaphore:
            return await work(item)

    await asyncio.gather(*(bounded(item) for item in range(items)))


async def amap_and_limiter(work: Work, items: int) -> None:
    limiter = anyio.CapacityLimiter(LIMIT)

    async def bounded(item: int) -> int:
        async with limiter:
            return await work(item)

    await anyio.amap(bounded, range(items))


async def run_on_each(work: Work, items: int) -> None:
    await aiometer.run_on_each(work, list(range(items)), max_at_once=LIMIT)


async def aiometer_amap(work: Work, items: int) -> None:
    async with aiometer.amap(work, list(range(items)), max_at_once=LIMIT) as results:
        async for _ in results:
            pass


async def aiostream_map(work: Work, items: int) -> None:
    await (aiostream.iterate(range(items)) | pipe.map(work, ordered=True, task_limit=LIMIT))


def _maps() -> Table:
    table = Table(
        f"Maps and streams, {LIMIT} at once",
        ["", "no-op, µs an item", "to sequential", "`sleep(0)`, µs an item", "to sequential"],
    )
    peers: list[tuple[str, str, Callable[[Work, int], Awaitable[None]], int]] = [
        ("await one after the other", "", sequential, ITEMS),
        ("`asynckit.amap`", "", amap, ITEMS),
        ("`asynckit.stream`", "", stream, ITEMS),
        ("`asynckit.stream`, ordered", "", ordered_stream, ITEMS),
        ("`asyncio.gather` and a `Semaphore`", "", gather_and_semaphore, ITEMS),
        ("`aiometer.run_on_each`", "aiometer", run_on_each, PEER_ITEMS),
        ("`aiometer.amap`", "aiometer", aiometer_amap, PEER_ITEMS),
        ("`aiostream` map, ordered", "aiostream", aiostream_map, PEER_ITEMS),
        ("`anyio.amap` and a `CapacityLimiter`", "", amap_and_limiter, PEER_ITEMS),
    ]
    peers = [peer for peer in peers if not peer[1] or peer[1] in globals()]
    table.rows = [[name] for name, *_ in peers]
    for work in (no_op, sleep_0):
        times = cpu([partial(_run, run, work, items) for *_, run, items in peers])
        costs = [seconds / items for seconds, (*_, items) in zip(times, peers, strict=True)]
        for row, cost in zip(table.rows, costs, strict=True):
            row += [f"{cost * 1e6:.2f}", f"{cost / costs[0]:.2f} x"]
    return table


def _run(func: Callable[..., Awaitable[Any]], *args: Any) -> None:
    async def main() -> None:
        await func(*args)

    asyncio.run(main())


# -- what is done once a call ------------------------------------------------------------------------------------------


def _compared(
    title: str, unit: str, times: int, peers: list[tuple[str, str, Callable[[int], Awaitable[Any]]]]
) -> Table:
    """Microseconds of each, and ratios to the first."""
    table = Table(title, ["", unit, f"to {peers[0][0]}"])
    peers = [peer for peer in peers if not peer[1] or peer[1] in globals()]
    costs = [seconds / times for seconds in cpu([partial(_run, run, times) for *_, run in peers])]
    for (name, *_), cost in zip(peers, costs, strict=True):
        table.rows.append([name, f"{cost * 1e6:.2f}", f"{cost / costs[0]:.2f} x"])
    return table


async def _each(times: int, block: Callable[[], Any]) -> None:
    for _ in range(times):
        with block():
            pass


async def asyncio_timeout(times: int) -> None:
    for _ in range(times):
        async with asyncio.timeout(60):
            pass


def _timeouts() -> Table:
    return _compared(
        "A deadline around a block that does nothing",
        "µs a block",
        CALLS,
        [
            ("`asyncio.timeout`", "", asyncio_timeout),
            ("`asynckit.timeout`", "", lambda times: _each(times, lambda: asynckit.timeout(60))),
            ("`asynckit.move_on_after`", "", lambda times: _each(times, lambda: asynckit.move_on_after(60))),
            ("`anyio.fail_after`", "", lambda times: _each(times, lambda: anyio.fail_after(60))),
        ],
    )


async def _groups(group: Times, times: int) -> None:
    for _ in range(times // GROUP):
        await group(GROUP)


async def anyio_group(times: int) -> None:
    async with anyio.create_task_group() as group:
        for number in range(times):
            group.start_soon(sleep_0, number)


async def scope_start_soon(times: int) -> None:
    async with asynckit.open_scope() as scope:
        for number in range(times):
            scope.start_soon(sleep_0, number)


async def asyncio_group(times: int) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(times):
            group.create_task(sleep_0(number))


async def quattro_group(times: int) -> None:
    async with QuattroGroup() as group:
        for number in range(times):
            group.create_task(sleep_0(number))


def _tasks() -> Iterator[Table]:
    peers: list[tuple[str, str, Times]] = [
        ("anyio's task group", "", anyio_group),
        ("`asynckit.open_scope`", "", scope_start_soon),
        ("`asyncio.TaskGroup`", "", asyncio_group),
        ("quattro's task group", "QuattroGroup", quattro_group),
    ]
    small = [(name, module, partial(_groups, group)) for name, module, group in peers]
    title = "A task that waits for the loop once, {:,} in a group"
    yield _compared(title.format(GROUP), "µs a task", TASKS, small)
    yield _compared(title.format(TASKS), "µs a task", TASKS, peers)


async def _calls(times: int, func: Work) -> None:
    for number in range(times):
        await func(number)


def _retries() -> Table:
    peers: list[tuple[str, str, Times]] = [
        ("the bare call", "", lambda times: _calls(times, no_op)),
        ("`asynckit.retry`", "", lambda times: _calls(times, asynckit.retry(on=OSError)(no_op))),
    ]
    if "stamina" in globals():
        retried = stamina.retry(on=OSError)(no_op)
        peers.append(("stamina", "", lambda times: _calls(times, retried)))
    if "tenacity" in globals():
        again = tenacity.retry(retry=tenacity.retry_if_exception_type(OSError))(no_op)
        peers.append(("tenacity", "", lambda times: _calls(times, again)))
    return _compared("A call that succeeds at once", "µs a call", CALLS, peers)
