"""Mapping an async function over items, some at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
import sniffio
import trio
from anyio.lowlevel import checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asynckit import ChildCancelledError, RateLimiter, amap
from support.points import Points, every_point

pytestmark = pytest.mark.anyio


async def double(item: int) -> int:
    await checkpoint()
    return 2 * item


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        await checkpoint()
        yield number


@pytest.mark.parametrize("count", [0, 1, 2, 500])
@pytest.mark.parametrize("limit", [1, 3, None])
async def test_results_come_in_the_order_of_the_items(count: int, limit: int | None) -> None:
    expected = [2 * number for number in range(count)]
    assert await amap(double, range(count), limit=limit) == expected
    assert await amap(double, numbers(count), limit=limit) == expected


async def test_results_come_in_order_whichever_item_ends_first() -> None:
    ended = [anyio.Event() for _ in range(5)]

    async def after_the_next(item: int) -> int:
        if item < 4:
            await ended[item + 1].wait()
        ended[item].set()
        return item

    assert await amap(after_the_next, range(5)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_never_more_than_limit_run_at_once(limit: int) -> None:
    running = most = 0

    async def watch(item: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(item % 5 + 1):
            await checkpoint()
        running -= 1

    await amap(watch, range(100), limit=limit)
    assert most == limit


async def test_items_are_taken_only_as_workers_get_free() -> None:
    taken = 0
    gate = anyio.Event()

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    async def wait(item: int) -> None:
        await gate.wait()

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: amap(wait, endless(), limit=3))
        await anyio.wait_all_tasks_blocked()
        assert taken == 3
        group.cancel_scope.cancel()


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("limit", [1, 5, 16])
async def test_as_many_as_limit_run_at_once_if_there_are_items(is_async: bool, limit: int) -> None:
    running = 0
    together = anyio.Event()

    async def meet(item: int) -> None:
        nonlocal running
        running += 1
        if running == limit:
            together.set()
        await together.wait()

    await amap(meet, numbers(2 * limit) if is_async else range(2 * limit), limit=limit)


async def test_without_a_limit_all_run_at_once_and_none_is_started_in_vain(only_asyncio: None) -> None:
    count = 500
    running = most = 0
    together = anyio.Event()

    async def meet(item: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, len(asyncio.all_tasks()))
        if running == count:
            together.set()
        await together.wait()

    await amap(meet, range(count), limit=None)
    assert most < 2 * count


async def test_a_slow_source_does_not_hold_up_the_items() -> None:
    more = anyio.Event()

    async def items() -> AsyncIterator[int]:
        yield 0
        await more.wait()
        yield 1

    async def work(item: int) -> int:
        await checkpoint()
        if item == 0:
            more.set()
        return item

    assert await amap(work, items(), limit=5) == [0, 1]


async def test_no_more_tasks_than_workers(only_asyncio: None) -> None:
    before = len(asyncio.all_tasks())
    most = 0

    async def count(item: int) -> None:
        nonlocal most
        await checkpoint()
        most = max(most, len(asyncio.all_tasks()))

    await amap(count, range(1000), limit=4)
    assert most - before <= 4


async def test_a_context_variable_set_by_an_item_is_seen_by_nobody_else() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    variable.set("outer")
    seen = []

    async def use(item: int) -> str:
        seen.append(variable.get())
        variable.set(f"item {item}")
        await checkpoint()
        return variable.get()

    assert await amap(use, range(10), limit=2) == [f"item {item}" for item in range(10)]
    assert set(seen) == {"outer"}
    assert variable.get() == "outer"


@pytest.mark.parametrize("is_async", [False, True])
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

    await amap(use, async_items() if is_async else items(), limit=3)
    assert set(seen) == {"unset"}
    assert variable.get() == "unset"

    async def fail(item: int) -> None:
        raise ValueError

    with pytest.raises(ExceptionGroup) as caught:
        await amap(fail, async_items() if is_async else items())
    assert caught.value.__context__ is None


async def test_an_item_knows_its_task_and_its_library(on_asyncio: bool) -> None:
    async def use(item: int) -> tuple[str, bool]:
        before = asyncio.current_task() if on_asyncio else trio.lowlevel.current_task()
        await checkpoint()
        after = asyncio.current_task() if on_asyncio else trio.lowlevel.current_task()
        return sniffio.current_async_library(), before is after is not None

    assert await amap(use, range(3)) == [("asyncio" if on_asyncio else "trio", True)] * 3


async def test_scopes_and_child_tasks_work_inside_an_item(on_asyncio: bool) -> None:
    async def use(item: int) -> str:
        with anyio.move_on_after(0) as scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught
        if on_asyncio:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await asyncio.Event().wait()
        async with anyio.create_task_group() as group:
            group.start_soon(checkpoint)
        return await anyio.to_thread.run_sync(str, item)

    assert await amap(use, range(4), limit=2) == ["0", "1", "2", "3"]


async def test_the_first_failure_cancels_the_others_and_takes_no_more_items() -> None:
    taken, cancelled = [], []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    async def work(item: int) -> None:
        if item == 2:
            raise ValueError("item 2")
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            cancelled.append(item)
            raise

    with pytest.raises(ExceptionGroup) as caught:
        await amap(work, items(), limit=4)
    assert [str(error) for error in caught.value.exceptions] == ["item 2"]
    assert len(taken) <= 5
    assert sorted([*cancelled, 2]) == taken


async def test_no_source_is_asked_after_a_failure() -> None:
    class Source:
        asked = 0

        def __aiter__(self) -> Source:
            return self

        async def __anext__(self) -> int:
            self.asked += 1
            await checkpoint()
            if self.asked == 3:
                raise LookupError
            return self.asked

    source = Source()
    with pytest.raises(ExceptionGroup):
        await amap(double, source, limit=10)
    assert source.asked == 3


async def test_a_stream_given_as_items_stays_open() -> None:
    send, receive = anyio.create_memory_object_stream[int](10)

    async def work(item: int) -> int:
        if item == 1:
            raise ValueError
        return item

    async with send, receive:
        for number in range(5):
            send.send_nowait(number)
        with pytest.raises(ExceptionGroup):
            await amap(work, receive, limit=1)
        assert receive.receive_nowait() == 2


async def test_on_error_return_puts_the_exception_in_its_place() -> None:
    async def work(item: int) -> int:
        await checkpoint()
        return 10 // item

    first, *rest = await amap(work, [0, 5, 2], on_error="return")
    assert isinstance(first, ZeroDivisionError)
    assert rest == [2, 5]


async def test_on_error_skip_leaves_the_item_out() -> None:
    async def work(item: int) -> int:
        return 10 // item

    assert await amap(work, [5, 0, 2, 0], on_error="skip") == [2, 5]


async def test_results_that_are_exceptions_or_none_are_results() -> None:
    error = ValueError("a result")

    async def work(item: int) -> Any:
        return error if item else None

    assert await amap(work, range(2), on_error="skip") == [None, error]


async def test_an_item_that_takes_too_long_fails_alone() -> None:
    async def work(item: int) -> int:
        if item == 1:
            await anyio.sleep_forever()
        return item

    first, second, third = await amap(work, range(3), item_timeout=0.01, on_error="return")
    assert (first, third) == (0, 2)
    assert isinstance(second, TimeoutError)
    assert str(second) == "item 1 took longer than its `item_timeout` of 0.01 s"


@pytest.mark.parametrize("is_async", [False, True])
async def test_progress_is_told_of_each_item_as_it_ends(is_async: bool) -> None:
    told: list[tuple[int, int | None]] = []

    async def work(item: int) -> int:
        await checkpoint()
        return 10 // item

    def progress(ended: int, total: int | None) -> None:
        told.append((ended, total))

    items = [1, 0, 2]
    source = numbers(3) if is_async else items
    await amap(work, source, on_error="skip", limit=2, progress=progress)
    assert told == [(ended, None if is_async else 3) for ended in (1, 2, 3)]


async def test_progress_is_told_when_the_results_are_in_their_places() -> None:
    told: list[int] = []
    assert await amap(double, iter(range(3)), limit=1, progress=lambda ended, _: told.append(ended)) == [0, 2, 4]
    assert told == [1, 2, 3]


async def test_what_progress_raises_ends_the_call() -> None:
    def progress(ended: int, total: int | None) -> None:
        raise LookupError("no terminal")

    with pytest.raises(ExceptionGroup) as caught:
        await amap(double, range(3), on_error="return", progress=progress)
    assert caught.group_contains(LookupError, match="no terminal")


async def test_progress_must_be_a_plain_function() -> None:
    async def wait(ended: int, total: int | None) -> None:
        raise AssertionError

    with pytest.raises(TypeError, match="`progress` must be a plain function, not async"):
        await amap(double, range(3), progress=wait)


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_limiter_holds_the_items_up(is_async: bool) -> None:
    limiter = RateLimiter(1, per=3600, burst=3)
    begun = []

    async def work(item: int) -> None:
        begun.append(item)

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: amap(work, numbers(5) if is_async else range(5), rate=limiter))
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
    assert begun == [0, 1, 2]


async def test_a_wrong_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="`rate` must be above 0"):
        await amap(double, range(3), rate=0)


@pytest.mark.parametrize("is_async", [False, True])
async def test_an_error_of_the_source_is_raised_and_cancels_the_items(is_async: bool) -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise LookupError("no more")

    async def async_items() -> AsyncIterator[int]:
        for item in items():
            yield item

    async def work(item: int) -> None:
        await anyio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        await amap(work, async_items() if is_async else items(), limit=10)
    assert [str(error) for error in caught.value.exceptions] == ["no more"]


async def test_an_async_generator_is_closed_on_failure() -> None:
    closed = anyio.Event()

    async def items() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            await checkpoint()
            closed.set()

    async def work(item: int) -> None:
        raise ValueError

    with pytest.raises(ExceptionGroup):
        await amap(work, items(), limit=3)
    assert closed.is_set()


async def test_items_that_never_wait_let_the_loop_breathe() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await checkpoint()

    async def at_once(item: int) -> None:
        pass

    async with anyio.create_task_group() as group:
        group.start_soon(count)
        await amap(at_once, range(6400), limit=100)
        group.cancel_scope.cancel()
    assert turns >= 6400 // 64 - 1


@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration, GeneratorExit, asyncio.QueueEmpty])
async def test_odd_exceptions_of_an_item_are_not_lost(error: type[BaseException]) -> None:
    class Odd:
        def __await__(self) -> Iterator[None]:
            yield from checkpoint().__await__()
            raise error("odd")

    def plain(item: int) -> Awaitable[None]:
        return Odd()

    with pytest.raises((BaseExceptionGroup, GeneratorExit)) as caught:
        await amap(plain, range(3))
    if isinstance(caught.value, BaseExceptionGroup):
        assert caught.value.subgroup(lambda e: isinstance(e, error) or isinstance(e.__cause__, error)) is not None


@pytest.mark.parametrize("policy", ["cancel", "return"])
async def test_stop_iteration_of_the_function_itself_is_not_lost(policy: Any) -> None:
    def stop(item: int) -> Awaitable[None]:
        raise StopIteration

    async def main() -> list[Any]:
        return await amap(stop, range(2), on_error=policy)

    if policy == "return":
        assert [type(result) for result in await main()] == [RuntimeError, RuntimeError]
    else:
        with pytest.raises(ExceptionGroup) as caught:
            await main()
        assert caught.group_contains(RuntimeError)


def test_the_shutdown_of_asyncio_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        task = asyncio.create_task(amap(lambda _: anyio.sleep_forever(), range(3), on_error="return"))
        await anyio.wait_all_tasks_blocked()
        assert not task.done()

    asyncio.run(main())
    assert caplog.records == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_exceptions_that_end_the_program_pass_through(error: type[BaseException], anyio_backend: Any) -> None:
    async def work(item: int) -> None:
        await checkpoint()
        raise error

    async def main() -> None:
        await amap(work, range(3), limit=1, on_error="return")

    with pytest.raises((error, BaseExceptionGroup)) as caught:
        anyio.run(main, backend=anyio_backend[0], backend_options=anyio_backend[1])
    assert isinstance(caught.value, error) or caught.value.subgroup(error) is not None


async def test_an_item_that_raises_cancellation_unasked_fails_alone(only_asyncio: None) -> None:
    async def work(item: int) -> int:
        await checkpoint()
        if item == 1:
            gone = asyncio.get_running_loop().create_future()
            gone.cancel()
            await gone
        if item == 2:
            raise asyncio.CancelledError
        return item

    results = await amap(work, range(6), limit=2, on_error="return")
    assert [type(result) for result in results] == [int, ChildCancelledError, ChildCancelledError, int, int, int]
    assert await amap(work, range(6), limit=1, on_error="skip") == [0, 3, 4, 5]
    with pytest.raises(ExceptionGroup) as caught:
        await amap(work, range(6), limit=2)
    assert caught.group_contains(ChildCancelledError, match="item 1 was cancelled")


async def test_a_native_cancellation_from_outside_is_not_kept(only_asyncio: None) -> None:
    started = asyncio.Event()

    async def work(item: int) -> None:
        started.set()
        await anyio.sleep_forever()

    task = asyncio.create_task(amap(work, range(3), on_error="return"))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_item_that_fails_on_being_cancelled_takes_no_more_items() -> None:
    begun = []

    async def work(item: int) -> None:
        begun.append(item)
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: amap(work, range(10), limit=2, on_error="return"))
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught
    assert begun == [0, 1]


async def test_the_callers_cancellation_count_is_right_after_a_failure(only_asyncio: None) -> None:

    async def work(item: int) -> None:
        raise ValueError

    with pytest.raises(ExceptionGroup):
        await amap(work, range(3))
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_cancelling_at_every_point_leaves_nothing_running() -> None:
    async def run(points: Points) -> None:
        running = 0

        async def source() -> AsyncIterator[int]:
            for number in range(4):
                await points()
                yield number

        async def work(item: int) -> None:
            nonlocal running
            running += 1
            try:
                await points()
                await points()
            finally:
                running -= 1

        try:
            await amap(work, source(), limit=2)
        finally:
            assert running == 0

    assert await every_point(run, cancel=True) >= 12


async def test_failing_at_every_point_raises_that_error_and_leaves_nothing_running() -> None:
    async def run(points: Points) -> None:
        async def source() -> AsyncIterator[int]:
            for number in range(4):
                await points()
                yield number

        async def work(item: int) -> None:
            await points()
            await points()

        await amap(work, source(), limit=2)

    assert await every_point(run, cancel=False) >= 12


async def test_nested_in_itself() -> None:
    async def row(number: int) -> list[int]:
        return await amap(double, range(number), limit=2)

    assert await amap(row, range(4), limit=2) == [[], [0], [0, 2], [0, 2, 4]]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=40), limit=st.integers(1, 8))
async def test_every_item_is_done_once_whatever_fails(plan: list[tuple[int, bool]], limit: int) -> None:
    done: list[int] = []

    async def work(place: int) -> int:
        steps, fails = plan[place]
        for _ in range(steps):
            await checkpoint()
        done.append(place)
        if fails:
            raise ValueError(place)
        return place

    results = await amap(work, range(len(plan)), limit=limit, on_error="return")
    assert sorted(done) == list(range(len(plan)))
    for place, result in enumerate(results):
        assert result.args == (place,) if isinstance(result, Exception) else result == place
        assert isinstance(result, Exception) == plan[place][1]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"limit": 0}, ValueError, "`limit` must be 1 or more"),
        ({"limit": 2.5}, TypeError, "`limit` must be a whole number"),
        ({"limit": True}, TypeError, "`limit` must be a whole number"),
        ({"on_error": "ignore"}, ValueError, '`on_error` must be "cancel", "return" or "skip"'),
        ({"item_timeout": -1}, ValueError, "`item_timeout` must be 0 or more seconds"),
        ({"item_timeout": "1"}, TypeError, "`item_timeout` must be a number of seconds"),
    ],
)
async def test_wrong_arguments_are_refused_before_an_item_is_taken(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    items = iter([1])
    with pytest.raises(error, match=message):
        await amap(double, items, **arguments)
    assert next(items) == 1


async def test_what_is_no_iterable_or_no_async_function_is_refused() -> None:
    with pytest.raises(TypeError, match="`items` must be an iterable"):
        await amap(double, 7)  # type: ignore[call-overload]
    not_async: Callable[[int], Any] = str
    with pytest.raises(ExceptionGroup) as caught:
        await amap(not_async, [7])
    assert caught.group_contains(TypeError, match="the function must be async")
