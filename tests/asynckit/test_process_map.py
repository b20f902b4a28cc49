"""Mapping over items in worker processes."""

from __future__ import annotations

import itertools
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from asynckit import NotPicklableError, ProcessPool, WorkerCrashed, process_map, to_process
from support import leftovers, work

pytestmark = pytest.mark.anyio


@pytest.fixture
async def pool() -> AsyncIterator[ProcessPool]:
    async with ProcessPool(2) as pool:
        yield pool


async def one_after_the_other(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


@pytest.mark.parametrize("chunk", ["auto", 1, 7, 1000])
async def test_results_come_in_the_order_of_the_items(pool: ProcessPool, chunk: Any) -> None:
    async with process_map(work.increment, range(500), chunk=chunk, pool=pool) as results:
        assert [result async for result in results] == list(range(1, 501))


@pytest.mark.parametrize("chunk", ["auto", 1, 7])
async def test_an_async_source(pool: ProcessPool, chunk: Any) -> None:
    async with process_map(work.increment, one_after_the_other(100), chunk=chunk, pool=pool) as results:
        assert [result async for result in results] == list(range(1, 101))


async def test_unordered_gives_each_result_once(pool: ProcessPool) -> None:
    async with process_map(work.increment, range(500), ordered=False, pool=pool) as results:
        assert sorted([result async for result in results]) == list(range(1, 501))


async def test_no_items(pool: ProcessPool) -> None:
    async with process_map(work.increment, [], pool=pool) as results:
        assert [result async for result in results] == []


async def test_an_endless_source_is_read_no_further_than_there_is_room(pool: ProcessPool) -> None:
    taken = itertools.count()
    async with process_map(work.increment, taken, chunk=10, limit=2, buffer=1, pool=pool) as results:
        first = [await anext(results) for _ in range(15)]
        await anyio.sleep(0.05)
    assert first == list(range(1, 16))
    assert next(taken) <= 15 + 10 * (2 + 1 + 1)


async def test_an_endless_async_source_is_closed(pool: ProcessPool) -> None:
    closed = False

    async def endless() -> AsyncIterator[int]:
        nonlocal closed
        try:
            for number in itertools.count():
                yield number
        finally:
            closed = True

    async with process_map(work.increment, endless(), pool=pool) as results:
        assert [await anext(results) for _ in range(3)] == [1, 2, 3]
    assert closed


async def test_what_a_slow_async_source_has_given_does_not_wait_for_more(pool: ProcessPool) -> None:
    more = anyio.Event()

    async def slow() -> AsyncIterator[int]:
        yield 1
        await more.wait()
        yield 2

    async with process_map(work.increment, slow(), chunk=100, pool=pool) as results:
        assert await anext(results) == 2
        more.set()
        assert [result async for result in results] == [3]


async def test_a_failure_ends_it(pool: ProcessPool) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with process_map(work.fail_at_5, itertools.count(), pool=pool) as results:
            async for result in results:
                assert result < 5
    assert caught.group_contains(ValueError, match="five")


async def test_failures_can_be_returned(pool: ProcessPool) -> None:
    async with process_map(work.fail_at_5, range(10), chunk=4, on_error="return", pool=pool) as results:
        given = [result async for result in results]
    assert given[:5] + given[6:] == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert isinstance(given[5], ValueError)
    assert "in fail_at_5" in str(given[5].__cause__)


@pytest.mark.parametrize("function", [work.fail_at_5, work.lock_at_5])
async def test_failures_can_be_skipped(pool: ProcessPool, function: Any) -> None:
    async with process_map(function, range(10), chunk=4, on_error="skip", pool=pool) as results:
        assert [result async for result in results] == [0, 1, 2, 3, 4, 6, 7, 8, 9]


async def test_a_result_that_cannot_be_pickled_is_one_failure_of_a_chunk(pool: ProcessPool) -> None:
    async with process_map(work.lock_at_5, range(10), chunk=10, on_error="return", pool=pool) as results:
        given = [result async for result in results]
    assert isinstance(given[5], NotPicklableError)
    assert given[:5] + given[6:] == [0, 1, 2, 3, 4, 6, 7, 8, 9]


async def test_a_crash_costs_its_chunk(pool: ProcessPool) -> None:
    async with process_map(work.crash_at_5, range(12), chunk=4, on_error="return", pool=pool) as results:
        given = [result async for result in results]
    assert given[:4] + given[8:] == [0, 1, 2, 3, 8, 9, 10, 11]
    assert all(isinstance(each, WorkerCrashed) for each in given[4:8])
    async with process_map(work.crash_at_5, range(12), chunk=1, on_error="skip", pool=pool) as results:
        assert [result async for result in results] == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]


async def test_an_item_past_its_timeout(pool: ProcessPool, tmp_path: Path) -> None:
    process = await pool.run(work.process_id)
    items = [str(tmp_path / "begun")]
    async with process_map(work.hang, items, item_timeout=0.1, on_error="return", pool=pool) as results:
        (error,) = [result async for result in results]
    assert isinstance(error, TimeoutError)
    assert not leftovers.is_alive(process)


async def test_leaving_the_block_kills_its_workers_and_no_others(pool: ProcessPool, tmp_path: Path) -> None:
    stays, goes = tmp_path / "stays", tmp_path / "goes"
    async with anyio.create_task_group() as group:
        group.start_soon(pool.run, work.hang, str(stays))
        async with process_map(work.hang, [str(goes)], pool=pool):
            while not all(path.exists() and path.read_text() for path in (stays, goes)):
                await anyio.sleep(0.01)
        assert not leftovers.is_alive(int(goes.read_text()))
        assert leftovers.is_alive(int(stays.read_text()))
        group.cancel_scope.cancel()


async def test_a_source_that_fails(pool: ProcessPool) -> None:
    def source() -> Iterator[int]:
        yield from range(3)
        raise LookupError("no more")

    with pytest.raises(ExceptionGroup) as caught:
        async with process_map(work.increment, source(), pool=pool) as results:
            async for _ in results:
                pass
    assert caught.group_contains(LookupError, match="no more")


async def test_an_async_source_that_fails(pool: ProcessPool) -> None:
    async def source() -> AsyncIterator[int]:
        yield 1
        raise LookupError("no more")

    with pytest.raises(ExceptionGroup) as caught:
        async with process_map(work.increment, source(), pool=pool) as results:
            async for _ in results:
                pass
    assert caught.group_contains(LookupError, match="no more")


async def test_items_that_cannot_travel(pool: ProcessPool) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with process_map(work.echo, [threading.Lock()], pool=pool) as results:
            await anext(results)
    assert caught.group_contains(NotPicklableError, match="the arguments of `echo` cannot be pickled")


async def test_progress_is_told(pool: ProcessPool) -> None:
    told: list[int] = []
    async with process_map(work.increment, range(10), chunk=4, limit=1, progress=told.append, pool=pool) as results:
        assert [result async for result in results] == list(range(1, 11))
    assert told == [4, 8, 10]


async def test_chunks_grow_while_items_are_tiny(pool: ProcessPool) -> None:
    done: list[int] = []
    async with process_map(work.increment, range(2000), limit=1, progress=done.append, pool=pool) as results:
        async for _ in results:
            pass
    sizes = [after - before for before, after in itertools.pairwise([0, *done])]
    assert sizes[0] == 1
    assert max(sizes) > 10


async def test_a_decorated_function_in_the_pool_of_the_program() -> None:
    async with process_map(to_process(work.increment).sync, range(3)) as results:
        assert [result async for result in results] == [1, 2, 3]


async def test_it_is_entered_once_and_read_inside(pool: ProcessPool) -> None:
    results = process_map(work.increment, [1], pool=pool)
    with pytest.raises(RuntimeError, match="nothing runs yet"):
        await anext(results)
    async with results:
        assert await anext(results) == 2
    with pytest.raises(RuntimeError, match="has been left"):
        await anext(results)
    with pytest.raises(RuntimeError, match="can be entered once"):
        async with results:
            pytest.fail("it must not be")


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"items": 5}, TypeError, "`items` must be an iterable"),
        ({"chunk": 0}, ValueError, "`chunk` must be 1 or more"),
        ({"chunk": None}, TypeError, "`chunk` must be"),
        ({"chunk": "big"}, TypeError, "`chunk` must be"),
        ({"limit": 0}, ValueError, "`limit` must be 1 or more"),
        ({"buffer": -1}, ValueError, "`buffer` must be 0 or more"),
        ({"on_error": "ignore"}, ValueError, "`on_error` must be"),
        ({"item_timeout": -1}, ValueError, "`item_timeout` must be 0 or more seconds"),
        ({"func": lambda item: item}, TypeError, "define it with `def` at the top level"),
        ({"func": test_no_items}, TypeError, "is async already"),
        ({"func": to_process(work.increment)}, TypeError, "is off the event loop already"),
    ],
)
def test_wrong_arguments_are_refused(wrong: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {"func": work.increment, "items": [], **wrong}
    with pytest.raises(error, match=message):
        process_map(arguments.pop("func"), arguments.pop("items"), **arguments)
