"""How streams end: at their end, or early, by a failure, by a cancellation, or because nobody wants any more."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Iterator
from functools import partial
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asynckit._errors import ChildCancelledError
from asynckit._outcome import Failure, Success
from asynckit._stream import stream, stream_outcomes
from support.points import InjectedError, Points, every_point, every_point_natively

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
async def test_breaking_out_leaves_nothing_behind(ordered: bool, is_async: bool) -> None:
    begun, ended = set(), set()
    closed = not is_async

    async def endless() -> AsyncIterator[int]:
        nonlocal closed
        try:
            for number in itertools.count():
                await checkpoint()
                yield number
        finally:
            with anyio.CancelScope(shield=True):
                await checkpoint()
            closed = True

    async def work(item: int) -> int:
        begun.add(item)
        try:
            await checkpoint()
            if item > 3:
                await anyio.sleep_forever()
        finally:
            ended.add(item)
        return item

    async with stream(work, endless() if is_async else itertools.count(), limit=3, ordered=ordered) as results:
        async for result in results:
            if result == 2:
                break
        taken = len(begun)
    assert begun == ended
    assert len(begun) <= taken + 1
    assert closed


@both_sources
async def test_a_block_that_asks_for_nothing(is_async: bool) -> None:
    async with stream(forever, numbers(5) if is_async else range(5)):
        pass
    async with stream(forever, numbers(5) if is_async else range(5)):
        await anyio.wait_all_tasks_blocked()


@both_orders
async def test_a_failure_surfaces_at_once_and_cancels_the_rest(ordered: bool) -> None:
    begun, cancelled = [], []

    async def work(item: int) -> int:
        begun.append(item)
        if item == 2:
            raise ValueError("item 2")
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            cancelled.append(item)
            raise
        return item

    with pytest.raises(ExceptionGroup) as caught:
        async with stream(work, range(100), limit=4, ordered=ordered) as results:
            async for _ in results:
                pytest.fail("item 0 never ends")
    assert [str(error) for error in caught.value.exceptions] == ["item 2"]
    assert len(begun) <= 4
    assert sorted([*cancelled, 2]) == begun


@both_orders
async def test_no_result_comes_after_a_failure(ordered: bool) -> None:
    async def work(item: int) -> int:
        if item == 3:
            raise ValueError
        return item

    given = []
    with pytest.raises(ExceptionGroup):
        async with stream(work, range(10), ordered=ordered) as results:
            async for result in results:
                given.append(result)
    assert given == [], "all four ended before the loop got to ask"


async def test_a_failure_cancels_the_block_wherever_it_waits() -> None:
    async def work(item: int) -> int:
        await checkpoint()
        raise ValueError

    with pytest.raises(ExceptionGroup) as caught:
        async with stream(work, range(3), limit=1):
            await anyio.sleep_forever()
    assert caught.group_contains(ValueError, depth=1)


async def test_a_failure_after_the_loop_was_left_is_not_lost() -> None:
    async def work(item: int) -> int:
        if item == 0:
            return item
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("on leaving")

    with pytest.raises(ExceptionGroup) as caught:
        async with stream(work, range(2)) as results:
            assert await anext(results) == 0
            await anyio.wait_all_tasks_blocked()
    assert [str(error) for error in caught.value.exceptions] == ["on leaving"]


async def test_a_shielded_loop_is_told_of_a_failure() -> None:
    async def work(item: int) -> int:
        if item == 1:
            raise ValueError
        await anyio.sleep_forever()
        return item

    with pytest.raises(ExceptionGroup) as caught:
        async with stream(work, range(2)) as results:
            with anyio.CancelScope(shield=True):
                async for _ in results:
                    pass
    assert caught.group_contains(ValueError, depth=1)
    assert caught.group_contains(RuntimeError, match="this stream has failed or was cancelled", depth=1)


async def test_a_shielded_loop_is_told_of_a_cancellation() -> None:
    with anyio.CancelScope() as scope:
        async with stream(forever, range(2)) as results:
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
            with anyio.CancelScope(shield=True), pytest.raises(RuntimeError, match="failed or was cancelled"):
                await anext(results)
            await checkpoint()
    assert scope.cancelled_caught


class OfTheBlockError(Exception):
    pass


async def test_what_the_block_raises_comes_as_it_is() -> None:
    error = OfTheBlockError()
    with pytest.raises(OfTheBlockError) as caught:
        async with stream(forever, range(3)):
            await anyio.wait_all_tasks_blocked()
            raise error
    assert caught.value is error
    assert error.__context__ is None


async def test_a_group_that_the_block_raises_comes_as_it_is() -> None:
    error = ExceptionGroup("of the block", [ValueError(), ExceptionGroup("inner", [TypeError()])])
    with pytest.raises(ExceptionGroup) as caught:
        async with stream(double, range(9)):
            raise error
    assert caught.value is error


async def test_what_the_block_raises_comes_with_what_items_do() -> None:
    async def work(item: int) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError

    with pytest.raises(ExceptionGroup) as caught:
        async with stream(work, range(1)):
            await anyio.wait_all_tasks_blocked()
            raise OfTheBlockError
    assert sorted(type(error).__name__ for error in caught.value.exceptions) == ["OfTheBlockError", "ValueError"]


@both_orders
@both_sources
async def test_an_error_of_the_source_is_raised_and_cancels_the_items(is_async: bool, ordered: bool) -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise LookupError("no more")

    async def async_items() -> AsyncIterator[int]:
        for item in items():
            yield item

    with pytest.raises(ExceptionGroup) as caught:
        async with stream(forever, async_items() if is_async else items(), ordered=ordered, on_error="skip") as results:
            async for _ in results:
                pytest.fail("no item ends")
    assert [str(error) for error in caught.value.exceptions] == ["no more"]


@both_sources
async def test_an_error_of_the_source_after_all_has_been_taken_is_not_its_end(is_async: bool) -> None:
    asked = anyio.Event()

    def items() -> Iterator[int]:
        yield 1
        if not asked.is_set():
            raise LookupError

    async def async_items() -> AsyncIterator[int]:
        yield 1
        await asked.wait()
        raise LookupError

    given = []
    with pytest.raises(ExceptionGroup) as caught:
        async with stream(at_once, async_items() if is_async else items(), limit=1, buffer=0) as results:
            async for result in results:
                given.append(result)
                if is_async:
                    asked.set()
            pytest.fail("it looked like the end")
    assert caught.group_contains(LookupError, depth=1)
    assert given == [1]


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
        async with stream(double, source, limit=10) as results:
            async for _ in results:
                pass
    assert source.asked == 3


@both_orders
async def test_giving_up_on_a_result_loses_none(ordered: bool) -> None:
    gate = anyio.Event()

    async def work(item: int) -> int:
        await gate.wait()
        return item

    async with stream(work, range(3), ordered=ordered) as results:
        for _ in range(3):
            with anyio.move_on_after(0):
                await anext(results)
        gate.set()
        assert sorted([result async for result in results]) == [0, 1, 2]


@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration, GeneratorExit, asyncio.QueueEmpty])
async def test_odd_exceptions_of_an_item_are_not_lost(error: type[BaseException]) -> None:
    class Odd:
        def __await__(self) -> Iterator[None]:
            yield from checkpoint().__await__()
            raise error("odd")

    def plain(item: int) -> Awaitable[None]:
        return Odd()

    with pytest.raises((BaseExceptionGroup, GeneratorExit)) as caught:
        async with stream(plain, range(3)) as results:
            async for _ in results:
                pass
            pytest.fail("it looked like the end")
    if isinstance(caught.value, BaseExceptionGroup):
        assert caught.value.subgroup(lambda e: isinstance(e, error) or isinstance(e.__cause__, error)) is not None


@pytest.mark.parametrize("policy", ["cancel", "return"])
async def test_stop_iteration_of_the_function_itself_is_not_lost(policy: Any) -> None:
    def stop(item: int) -> Awaitable[None]:
        raise StopIteration

    async def main() -> list[Any]:
        async with stream(stop, range(2), on_error=policy) as results:
            return [result async for result in results]

    if policy == "return":
        assert [type(result) for result in await main()] == [RuntimeError, RuntimeError]
    else:
        with pytest.raises(ExceptionGroup) as caught:
            await main()
        assert caught.group_contains(RuntimeError)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("of_item", [False, True])
def test_exceptions_that_end_the_program_pass_through(
    error: type[BaseException], of_item: bool, anyio_backend: Any
) -> None:
    async def work(item: int) -> None:
        await checkpoint()
        if of_item:
            raise error
        await anyio.sleep_forever()

    async def main() -> None:
        async with stream(work, range(3), limit=1, on_error="return") as results:
            if not of_item:
                await anyio.wait_all_tasks_blocked()
                raise error
            async for _ in results:
                pytest.fail("no item ends")

    with pytest.raises((error, BaseExceptionGroup)) as caught:
        anyio.run(main, backend=anyio_backend[0], backend_options=anyio_backend[1])
    assert isinstance(caught.value, error) or caught.value.subgroup(error) is not None


async def _use(points: Points, *, ordered: bool, is_async: bool) -> None:
    running = 0

    def items() -> Iterator[int]:
        yield from range(4)

    async def async_items() -> AsyncIterator[int]:
        for number in range(4):
            await points()
            yield number

    async def work(item: int) -> int:
        nonlocal running
        running += 1
        try:
            await points()
            await points()
        finally:
            running -= 1
        return item

    try:
        source = async_items() if is_async else items()
        async with stream(work, source, limit=2, buffer=1, ordered=ordered) as results:
            async for _ in results:
                await points()
            await points()
    except InjectedError as error:  # of the block
        raise ExceptionGroup("as `every_point` likes it", [error]) from None
    finally:
        assert running == 0


@both_sources
@both_orders
@pytest.mark.parametrize("cancel", [True, False], ids=["cancelling", "failing"])
async def test_ending_at_every_point_leaves_nothing_running(cancel: bool, ordered: bool, is_async: bool) -> None:
    async def run(points: Points) -> None:
        await _use(points, ordered=ordered, is_async=is_async)

    assert await every_point(run, cancel=cancel) == (17 if is_async else 13)


@both_orders
async def test_a_native_cancellation_anywhere_ends_cancelled_and_leaves_nothing(
    only_asyncio: None, ordered: bool
) -> None:
    assert await every_point_natively(partial(_use, ordered=ordered, is_async=True)) == 17


@pytest.mark.parametrize("failing", [False, True])
async def test_the_callers_cancellation_count_is_right_afterwards(only_asyncio: None, failing: bool) -> None:
    async def work(item: int) -> int:
        await checkpoint()
        if failing and item == 2:
            raise ValueError
        return item

    async def use(breaking: bool) -> None:
        async with stream(work, range(5), limit=2) as results:
            async for _ in results:
                if breaking:
                    break

    for breaking in (False, True):
        if failing and not breaking:
            with pytest.raises(ExceptionGroup):
                await use(breaking)
        else:
            await use(breaking)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        await asyncio.sleep(0)


async def test_a_timeout_of_asyncio_around_a_stream_is_its_own(only_asyncio: None) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0), stream(forever, range(3)) as results:
            async for _ in results:
                pass


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

    async with stream(work, range(6), limit=2, on_error="return", ordered=True) as results:
        kinds = [type(result) async for result in results]
    assert kinds == [int, ChildCancelledError, ChildCancelledError, int, int, int]
    async with stream(work, range(6), limit=1, on_error="skip") as skipping:
        assert [result async for result in skipping] == [0, 3, 4, 5]
    async with stream_outcomes(work, range(3), ordered=True) as outcomes:
        pairs = [pair async for pair in outcomes]
    assert pairs[0] == (0, Success(0))
    assert [isinstance(outcome, Failure) for _, outcome in pairs] == [False, True, True]
    with pytest.raises(ExceptionGroup) as caught:
        async with stream(work, range(6), limit=2) as cancelling:
            async for _ in cancelling:
                pass
    assert caught.group_contains(ChildCancelledError, match="item 1 was cancelled")


def test_the_shutdown_of_asyncio_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    async def use() -> None:
        async with stream(forever, range(3), on_error="return") as results:
            async for _ in results:
                pass

    async def main() -> None:
        task = asyncio.create_task(use())
        await anyio.wait_all_tasks_blocked()
        assert not task.done()

    asyncio.run(main())
    assert caplog.records == []


async def test_who_waits_elsewhere_is_told_that_the_block_was_left() -> None:
    told = False

    async def take(results: AsyncIterator[None]) -> None:
        nonlocal told
        with pytest.raises(RuntimeError, match="the block of this stream has been left"):
            await anext(results)
        told = True

    async with anyio.create_task_group() as group, stream(forever, range(3)) as results:
        group.start_soon(take, results)
        await anyio.wait_all_tasks_blocked()
    assert told


async def test_a_timeout_of_asyncio_around_one_result_loses_none(only_asyncio: None) -> None:
    gate = asyncio.Event()

    async def work(item: int) -> int:
        await gate.wait()
        return item

    async with stream(work, range(3), ordered=True) as results:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await anext(results)
        gate.set()
        assert [result async for result in results] == [0, 1, 2]
