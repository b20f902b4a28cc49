"""A pool of workers behind a queue."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asynckit import ChildCancelledError
from asynckit._produce import produce_consume
from support.points import Points, every_point

pytestmark = pytest.mark.anyio


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        await checkpoint()
        yield number


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("count", [0, 1, 2, 100])
@pytest.mark.parametrize(("workers", "buffer"), [(1, 1), (3, 2), (10, math.inf), (None, 1)])
async def test_each_item_is_consumed_once(is_async: bool, count: int, workers: float | None, buffer: float) -> None:
    seen = []

    async def consume(item: int) -> None:
        await checkpoint()
        seen.append(item)

    await produce_consume(numbers(count) if is_async else range(count), consume, workers=workers, buffer=buffer)
    assert sorted(seen) == list(range(count))


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("buffer", [1, 5])
async def test_the_producer_runs_ahead_as_far_as_the_buffer(workers: int, buffer: int) -> None:
    taken = running = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    async def consume(item: int) -> None:
        nonlocal running
        running += 1
        await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: produce_consume(endless(), consume, workers=workers, buffer=buffer))
        await anyio.wait_all_tasks_blocked()
        assert running == workers
        assert taken == workers + buffer + 1
        group.cancel_scope.cancel()


async def test_few_items_start_few_workers(only_asyncio: None) -> None:
    most = 0
    before = len(asyncio.all_tasks())

    async def consume(item: int) -> None:
        nonlocal most
        most = max(most, len(asyncio.all_tasks()))

    await produce_consume(range(3), consume, workers=1000, buffer=10)
    assert most - before <= 3


async def test_a_context_variable_set_by_an_item_is_seen_by_nobody_else() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    variable.set("outer")
    seen = []

    async def consume(item: int) -> None:
        seen.append(variable.get())
        variable.set("inner")
        await checkpoint()
        assert variable.get() == "inner"

    await produce_consume(range(10), consume, workers=2, buffer=1)
    assert seen == ["outer"] * 10
    assert variable.get() == "outer"


async def test_the_producer_may_hold_a_scope_over_its_yield() -> None:
    seen = []

    async def items() -> AsyncIterator[int]:
        async with anyio.create_task_group() as group:
            group.start_soon(checkpoint)
            for number in range(5):
                yield number

    async def consume(item: int) -> None:
        seen.append(item)

    await produce_consume(items(), consume, workers=2, buffer=2)
    assert sorted(seen) == list(range(5))


@pytest.mark.parametrize("is_async", [False, True])
async def test_an_error_of_the_producer_cancels_the_workers(is_async: bool) -> None:
    cancelled = []

    def items() -> Iterator[int]:
        yield from range(2)
        raise LookupError("no more")

    async def async_items() -> AsyncIterator[int]:
        for item in items():
            yield item
            await anyio.wait_all_tasks_blocked()

    async def consume(item: int) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.append(item)

    with pytest.raises(ExceptionGroup) as caught:
        await produce_consume(async_items() if is_async else items(), consume, workers=4, buffer=1)
    assert [str(error) for error in caught.value.exceptions] == ["no more"]
    assert not is_async or sorted(cancelled) == [0, 1]


async def test_an_error_of_a_consumer_cancels_the_producer_and_closes_it() -> None:
    closed = anyio.Event()

    async def items() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    async def consume(item: int) -> None:
        raise LookupError("no good")

    with pytest.raises(ExceptionGroup) as caught:
        await produce_consume(items(), consume, workers=2, buffer=3)
    assert {str(error) for error in caught.value.exceptions} == {"no good"}
    assert closed.is_set()


async def test_a_cancellation_cancels_all_and_closes_the_producer() -> None:
    started, ended = [], []

    async def items() -> AsyncIterator[int]:
        try:
            for number in range(100):
                yield number
        finally:
            ended.append("producer")

    async def consume(item: int) -> None:
        started.append(item)
        if len(started) == 2:
            scope.cancel()
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(str(item))

    with anyio.CancelScope() as scope:
        await produce_consume(items(), consume, workers=2, buffer=2)
    assert scope.cancelled_caught
    assert sorted(ended) == ["0", "1", "producer"]


@pytest.mark.parametrize("how", ["raised", "task", "task, waiting"])
@pytest.mark.parametrize("workers", [1, 3])
async def test_a_consumer_that_is_cancelled_on_its_own_ends_it_all(only_asyncio: None, how: str, workers: int) -> None:
    seen = []

    async def consume(item: int) -> None:
        seen.append(item)
        await checkpoint()
        if item == 2:
            if how == "raised":
                raise asyncio.CancelledError
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            if how == "task, waiting":
                await asyncio.sleep(0)

    with pytest.raises(ExceptionGroup) as caught:
        await produce_consume(range(100), consume, workers=workers, buffer=1)
    assert caught.group_contains(ChildCancelledError, match="a consumer cancelled itself")
    assert len(seen) < 3 + 3 * workers


@pytest.mark.parametrize("workers", [1, 3])
async def test_the_last_consumer_is_told_from_one_that_was_not_cancelled(only_asyncio: None, workers: int) -> None:
    async def consume(item: int) -> None:
        await checkpoint()
        if item == 2:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()  # and nothing is left that the worker would wait for

    with pytest.raises(ExceptionGroup) as caught:
        await produce_consume(range(3), consume, workers=workers, buffer=5)
    assert caught.group_contains(ChildCancelledError, match="a consumer cancelled itself")


# anyio makes the coroutine of a task that is to start soon, and nobody closes it if the task never begins.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize("workers", [1, 3])
async def test_a_worker_that_is_cancelled_before_it_begins_loses_no_item_silently(
    only_asyncio: None, workers: int
) -> None:
    before = asyncio.all_tasks()
    seen: list[int] = []

    async def items() -> AsyncIterator[int]:
        yield 0
        for task in asyncio.all_tasks() - before:  # the worker, which begins when this waits
            task.cancel()
        yield 1

    async def consume(item: int) -> None:
        await checkpoint()
        seen.append(item)

    try:
        await produce_consume(items(), consume, workers=workers, buffer=1)
    except* ChildCancelledError:
        seen = [0, 1]  # it was said, which is all that is asked
    assert sorted(seen) == [0, 1]


async def test_a_consumer_that_another_task_cancels_ends_it_all(only_asyncio: None) -> None:
    tasks: list[asyncio.Task[object]] = []
    ended: list[int] = []

    async def consume(item: int) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(item)

    async def cancel_one() -> None:
        while len(tasks) < 2:
            await checkpoint()
        tasks[0].cancel()

    killer = asyncio.create_task(cancel_one())
    with pytest.raises(ExceptionGroup) as caught:
        await produce_consume(range(9), consume, workers=2, buffer=1)
    await killer
    assert caught.group_contains(ChildCancelledError, match="a consumer cancelled itself, or its task was")
    assert sorted(ended) == [0, 1]


async def test_a_native_cancellation_from_outside_is_not_kept(only_asyncio: None) -> None:
    started = asyncio.Event()

    async def consume(item: int) -> None:
        started.set()
        await anyio.sleep_forever()

    task = asyncio.create_task(produce_consume(range(9), consume, workers=2, buffer=1))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("cancel", [True, False])
async def test_cancelling_or_failing_at_every_point_leaves_nothing_running(cancel: bool) -> None:
    async def run(points: Points) -> None:
        running = 0

        async def source() -> AsyncIterator[int]:
            for number in range(4):
                await points()
                yield number

        async def consume(item: int) -> None:
            nonlocal running
            running += 1
            try:
                await points()
                await points()
            finally:
                running -= 1

        try:
            await produce_consume(source(), consume, workers=2, buffer=1)
        finally:
            assert running == 0

    assert await every_point(run, cancel=cancel) == 12


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=20),
    workers=st.integers(1, 5),
    buffer=st.integers(1, 5),
)
async def test_never_more_than_workers_at_once_nor_ahead_more_than_the_buffer(
    steps: list[tuple[int, int]], workers: int, buffer: int
) -> None:
    produced = begun = running = 0
    done = []

    async def source() -> AsyncIterator[int]:
        nonlocal produced
        for number, (before, _) in enumerate(steps):
            for _ in range(before):
                await checkpoint()
            produced += 1
            assert produced - begun <= buffer + 1
            yield number

    async def consume(item: int) -> None:
        nonlocal begun, running
        begun += 1
        running += 1
        assert running <= workers
        for _ in range(steps[item][1]):
            await checkpoint()
        running -= 1
        done.append(item)

    await produce_consume(source(), consume, workers=workers, buffer=buffer)
    assert sorted(done) == list(range(len(steps)))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"workers": 0}, ValueError, "`workers` must be 1 or more"),
        ({"workers": "2"}, TypeError, "`workers` must be a whole number"),
        ({"buffer": 0}, ValueError, "`buffer` must be 1 or more, not 0; pass math.inf for no bound"),
        ({"buffer": 1.5}, TypeError, "`buffer` must be a whole number"),
    ],
)
async def test_wrong_arguments_are_refused_before_an_item_is_taken(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    async def consume(item: int) -> None: ...

    items = iter([1])
    with pytest.raises(error, match=message):
        await produce_consume(items, consume, **{"workers": 1, "buffer": 1, **arguments})
    assert next(items) == 1


async def test_what_is_no_iterable_or_no_async_function_is_refused() -> None:
    async def consume(item: int) -> None: ...

    with pytest.raises(TypeError, match="`producer` must be an iterable or an async iterable, not 7"):
        await produce_consume(7, consume, workers=1, buffer=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="call it: the iterable is what it gives"):
        await produce_consume(numbers, consume, workers=1, buffer=1)  # type: ignore[arg-type]
    coro = consume(1)
    with pytest.raises(TypeError, match=r"`consume` must be an async function of one item.*pass the function itself"):
        await produce_consume([1], coro, workers=1, buffer=1)  # type: ignore[arg-type]
    coro.close()
    not_async: Any = str
    with pytest.raises(ExceptionGroup) as caught:
        await produce_consume([1], not_async, workers=1, buffer=1)
    assert caught.group_contains(TypeError, match="the function must be async")
