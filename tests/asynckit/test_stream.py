"""Mapping an async function over items and taking the results while the rest still runs."""

from __future__ import annotations

import asyncio
import gc
import itertools
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asynckit._map import amap
from asynckit._outcome import Failure, Success
from asynckit._stream import stream, stream_outcomes

pytestmark = pytest.mark.anyio

both_orders = pytest.mark.parametrize("ordered", [False, True], ids=["completed", "ordered"])
both_sources = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


async def double(item: int) -> int:
    await checkpoint()
    return 2 * item


async def at_once(item: int) -> int:
    return item


async def forever(item: int) -> None:
    await anyio.sleep_forever()


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        await checkpoint()
        yield number


@both_sources
@both_orders
@pytest.mark.parametrize(("limit", "buffer"), [(1, 0), (1, 1), (3, 0), (3, 5), (100, None), (None, None)])
async def test_every_item_gives_one_result(
    limit: int | None, buffer: int | None, ordered: bool, is_async: bool
) -> None:
    for count, func in itertools.product([0, 1, 2, 300], [double, at_once]):
        items = numbers(count) if is_async else range(count)
        async with stream(func, items, limit=limit, buffer=buffer, ordered=ordered) as results:
            given = [result async for result in results]
            assert [result async for result in results] == [], "it stays at its end"
        expected = [number if func is at_once else 2 * number for number in range(count)]
        assert (given if ordered else sorted(given)) == expected


async def test_results_come_as_items_complete() -> None:
    ended = [anyio.Event() for _ in range(5)]

    async def after_the_next(item: int) -> int:
        if item < 4:
            await ended[item + 1].wait()
        ended[item].set()
        return item

    async with stream(after_the_next, range(5)) as results:
        assert [result async for result in results] == [4, 3, 2, 1, 0]


async def test_ordered_results_come_in_the_order_of_the_items_whichever_ends_first() -> None:
    ended = [anyio.Event() for _ in range(5)]

    async def after_the_next(item: int) -> int:
        if item < 4:
            await ended[item + 1].wait()
        ended[item].set()
        return item

    async with stream(after_the_next, range(5), ordered=True) as results:
        assert [result async for result in results] == [0, 1, 2, 3, 4]


@both_orders
async def test_the_first_result_is_there_while_others_run(ordered: bool) -> None:
    async def work(item: int) -> int:
        if item:
            await anyio.sleep_forever()
        return item

    async with stream(work, range(3), ordered=ordered) as results:
        assert await anext(results) == 0


@both_orders
@pytest.mark.parametrize("limit", [1, 2, 7])
@pytest.mark.parametrize("buffer", [0, 3])
async def test_as_many_as_limit_run_at_once_and_never_more(limit: int, buffer: int, ordered: bool) -> None:
    running = most = 0
    full = anyio.Event()

    async def watch(item: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == limit:
            full.set()
        await full.wait()
        for _ in range(item % 5 + 1):
            await checkpoint()
        running -= 1

    async with stream(watch, range(100), limit=limit, buffer=buffer, ordered=ordered) as results:
        async for _ in results:
            pass
    assert most == limit


@both_sources
@both_orders
@pytest.mark.parametrize("func", [double, at_once])
@pytest.mark.parametrize(("limit", "buffer", "room"), [(1, 0, 1), (3, 2, 5), (4, None, 8)])
async def test_no_more_is_taken_than_there_is_room_for(
    limit: int, buffer: int | None, room: int, func: Any, ordered: bool, is_async: bool
) -> None:
    taken = delivered = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    async def async_endless() -> AsyncIterator[int]:
        for number in endless():
            await checkpoint()
            yield number

    items = async_endless() if is_async else endless()
    async with stream(func, items, limit=limit, buffer=buffer, ordered=ordered) as results:
        async for _ in results:
            delivered += 1
            assert taken - delivered <= room
            if delivered % 5 == 0:
                for _ in range(20):  # enough for all to go as far as they can
                    await checkpoint()
                assert taken - delivered == room, "each result that is taken makes room for one more"
            if delivered == 50:
                break


@both_orders
async def test_a_slow_first_item_holds_up_only_what_is_ordered(ordered: bool) -> None:
    begun: list[int] = []

    async def work(item: int) -> int:
        begun.append(item)
        if item == 0:
            await anyio.sleep_forever()
        await checkpoint()
        return item

    async with stream(work, itertools.count(), limit=2, buffer=3, ordered=ordered) as results:
        if ordered:
            await anyio.wait_all_tasks_blocked()
            assert begun == [0, 1, 2, 3, 4]
        else:
            assert [await anext(results) for _ in range(20)] == list(range(1, 21))


async def test_memory_holds_no_more_results_than_there_is_room_for() -> None:
    class Result:
        pass

    living: weakref.WeakSet[Result] = weakref.WeakSet()

    async def work(item: int) -> Result:
        result = Result()
        living.add(result)
        return result

    async with stream(work, itertools.count(), limit=5, buffer=5) as results:
        count = 0
        async for _ in results:
            count += 1
            assert len(living) <= 12
            if count == 1000:
                break


async def test_a_slow_source_does_not_hold_up_the_items() -> None:
    more = anyio.Event()

    async def items() -> AsyncIterator[int]:
        yield 0
        await more.wait()
        yield 1

    async with stream(double, items(), limit=5) as results:
        async for result in results:
            assert result == 0
            more.set()
            break
        assert await anext(results) == 2


async def test_no_more_tasks_than_workers(only_asyncio: None) -> None:
    before = len(asyncio.all_tasks())
    async with stream(double, range(1000), limit=4) as results:
        async for _ in results:
            assert len(asyncio.all_tasks()) - before <= 4


async def test_without_a_limit_all_run_at_once() -> None:
    count = 300
    running = 0
    together = anyio.Event()

    async def meet(item: int) -> None:
        nonlocal running
        running += 1
        if running == count:
            together.set()
        await together.wait()

    async with stream(meet, range(count), limit=None) as results:
        assert len([result async for result in results]) == count


@both_orders
async def test_on_error_return_gives_the_exception_in_the_place_of_the_result(ordered: bool) -> None:
    async def work(item: int) -> int:
        await checkpoint()
        return 10 // item

    async with stream(work, [0, 5, 2], on_error="return", ordered=ordered, limit=1) as results:
        first, *rest = [result async for result in results]
    assert isinstance(first, ZeroDivisionError)
    assert rest == [2, 5]


@both_orders
@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("limit", [1, 3])
async def test_on_error_skip_leaves_the_item_out(limit: int, wait: bool, ordered: bool) -> None:
    async def work(item: int) -> int:
        if wait:
            await checkpoint()
        if item % 3:
            raise ValueError
        return item

    async with stream(work, range(200), on_error="skip", ordered=ordered, limit=limit, buffer=1) as results:
        assert sorted([result async for result in results]) == list(range(0, 200, 3))


@both_orders
async def test_all_skipped(ordered: bool) -> None:
    async def work(item: int) -> int:
        await checkpoint()
        raise ValueError

    async with stream(work, range(50), on_error="skip", ordered=ordered, limit=2, buffer=0) as results:
        assert [result async for result in results] == []


async def test_skipped_items_hold_up_nobody_who_is_slow_to_ask() -> None:
    async def work(item: int) -> int:
        if item < 100:
            raise ValueError
        return item

    async with stream(work, range(102), on_error="skip", limit=2, buffer=0) as results:
        await anyio.wait_all_tasks_blocked()
        assert [result async for result in results] == [100, 101]


async def test_results_that_are_exceptions_or_none_are_results() -> None:
    error = ValueError("a result")

    async def work(item: int) -> Any:
        return [None, error, asyncio.CancelledError, StopAsyncIteration()][item]

    async with stream(work, range(4), on_error="skip", ordered=True) as results:
        given = [result async for result in results]
    assert given[:3] == [None, error, asyncio.CancelledError]
    assert isinstance(given[3], StopAsyncIteration)


async def test_a_memory_stream_given_as_items_stays_open_and_nothing_of_it_is_lost() -> None:
    send, receive = anyio.create_memory_object_stream[int](10)
    async with send, receive:
        for number in range(5):
            send.send_nowait(number)
        async with stream(at_once, receive, limit=1, buffer=0) as results:
            assert await anext(results) == 0
        assert receive.receive_nowait() == 1


async def test_a_context_variable_set_by_an_item_is_seen_by_nobody_else() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    variable.set("outer")
    seen = []

    async def use(item: int) -> str:
        seen.append(variable.get())
        variable.set(f"item {item}")
        await checkpoint()
        return variable.get()

    async with stream(use, range(10), limit=2, ordered=True) as results:
        async for result in results:
            variable.set("body")
            assert result.startswith("item")
        assert variable.get() == "body"
    assert set(seen) == {"outer"}


@both_sources
async def test_a_source_has_one_context_of_its_own(is_async: bool) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    seen = []

    def items() -> Iterator[int]:
        for number in range(6):
            token = variable.set(f"item {number}")
            yield number
            variable.reset(token)

    async def async_items() -> AsyncIterator[int]:
        for number in range(6):
            token = variable.set(f"item {number}")
            try:
                await checkpoint()
                yield number
            finally:
                variable.reset(token)

    async def use(item: int) -> None:
        seen.append(variable.get())
        await checkpoint()

    async with stream(use, async_items() if is_async else items(), limit=3, buffer=0) as results:
        async for _ in results:
            if is_async and len(seen) == 4:
                break  # and the generator's `finally` runs in the same context
    assert set(seen) == {"unset"}
    assert variable.get() == "unset"


@both_orders
async def test_several_tasks_share_the_results(ordered: bool) -> None:
    given: list[int] = []

    async with stream(double, range(50), limit=3, ordered=ordered) as results:

        async def take() -> None:
            async for result in results:
                given.append(result)
                await checkpoint()

        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(take)
    assert sorted(given) == [2 * number for number in range(50)]


async def test_items_and_loops_that_never_wait_let_the_loop_breathe() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await checkpoint()

    for limit in (100, None):
        turns = 0
        async with anyio.create_task_group() as group:
            group.start_soon(count)
            async with stream(at_once, range(6400), limit=limit) as results:
                async for _ in results:
                    pass
            group.cancel_scope.cancel()
        assert turns >= 6400 // 200


async def test_taking_many_results_that_are_there_lets_the_loop_breathe() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await checkpoint()

    async with stream(at_once, range(6400), limit=None) as results, anyio.create_task_group() as group:
        await anyio.wait_all_tasks_blocked()
        group.start_soon(count)
        async for _ in results:
            pass
        group.cancel_scope.cancel()
    assert turns >= 6400 // 64 - 1


async def test_nested_in_itself() -> None:
    async def row(number: int) -> list[int]:
        async with stream(double, range(number), limit=2, ordered=True) as results:
            return [result async for result in results]

    async with stream(row, range(4), limit=2, ordered=True) as rows:
        assert [row async for row in rows] == [[], [0], [0, 2], [0, 2, 4]]


async def test_one_feeds_another() -> None:
    async with (
        stream(double, itertools.count(), limit=3, ordered=True) as doubled,
        stream(double, doubled, limit=2, ordered=True) as quadrupled,
    ):
        assert [await anext(quadrupled) for _ in range(5)] == [0, 4, 8, 12, 16]
    assert await amap(double, [1]) == [2]


async def test_outcomes_tell_how_each_item_ended() -> None:
    error = ValueError("a result")

    async def work(item: int) -> Any:
        await checkpoint()
        return error if item == 1 else 10 // item

    async with stream_outcomes(work, [0, 1, 5], ordered=True, limit=2) as outcomes:
        (first, failed), (second, given), (third, five) = [pair async for pair in outcomes]
    assert (first, second, third) == (0, 1, 5)
    assert isinstance(failed, Failure)
    assert isinstance(failed.exception, ZeroDivisionError)
    assert given == Success(error)
    assert five.unwrap() == 2
    with pytest.raises(ZeroDivisionError):
        failed.unwrap()


async def test_outcomes_come_as_items_complete() -> None:
    async def work(item: int) -> int:
        for _ in range(item):
            await checkpoint()
        return item

    async with stream_outcomes(work, [9, 1, 5]) as outcomes:
        assert [pair async for pair in outcomes] == [(1, Success(1)), (5, Success(5)), (9, Success(9))]


def test_an_outcome_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Success(1).value = 2  # type: ignore[misc]
    assert Success(1) == Success(1) != Success(2)
    assert repr(Failure(ValueError("x"))) == "Failure(exception=ValueError('x'))"
    assert len({Success(1), Success(1), Success(2)}) == 2


async def test_a_stream_is_used_inside_its_block_and_once() -> None:
    results = stream(double, range(3))
    with pytest.raises(RuntimeError, match=r"enter the stream by `async with stream\(…\) as results`"):
        await anext(results)
    async with results:
        assert repr(results) == "<Stream, open>"
    with pytest.raises(RuntimeError, match="the block of this stream has been left"):
        await anext(results)
    with pytest.raises(RuntimeError, match="a stream can be entered once"):
        async with results:
            pass


async def test_nothing_keeps_a_stream_alive() -> None:
    async with stream(double, range(3)) as results:
        async for _ in results:
            pass
    gone = weakref.ref(results._flow)
    del results
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"limit": 0}, ValueError, "`limit` must be 1 or more"),
        ({"limit": 2.5}, TypeError, "`limit` must be a whole number"),
        ({"buffer": -1}, ValueError, "`buffer` must be 0 or more, not -1"),
        ({"buffer": 1.5}, TypeError, "`buffer` must be a whole number"),
        ({"buffer": True}, TypeError, "`buffer` must be a whole number"),
        ({"on_error": "ignore"}, ValueError, '`on_error` must be "cancel", "return" or "skip"'),
        ({"item_timeout": -1}, ValueError, "`item_timeout` must be 0 or more seconds"),
        ({"rate": 0}, ValueError, "`rate` must be above 0"),
        ({"rate": "1"}, TypeError, "`rate` must be a number"),
    ],
)
async def test_wrong_arguments_are_refused_before_an_item_is_taken(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    items = iter([1])
    with pytest.raises(error, match=message):
        stream(double, items, **arguments)
    assert next(items) == 1


async def test_what_is_no_iterable_or_no_async_function_is_refused() -> None:
    with pytest.raises(TypeError, match="`items` must be an iterable"):
        stream(double, 7)  # type: ignore[call-overload]
    coro: Any = double(1)
    with pytest.raises(TypeError, match="pass the function itself, without calling it"):
        stream(coro, [7])
    coro.close()
    not_async: Callable[[int], Any] = str
    with pytest.raises(ExceptionGroup) as caught:
        async with stream(not_async, [7]) as results:
            await anext(results)
    assert caught.group_contains(TypeError, match="the function must be async")
