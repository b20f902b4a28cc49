"""Blocking iterators as async ones."""

from __future__ import annotations

import functools
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.from_thread
import pytest
from anyio.lowlevel import checkpoint

from asynckit import OffloadedIterator, ThreadPool, iterate_in_thread, run_in_thread, to_thread
from support.points import Points, every_point

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_thread_works")]


class Source:
    """An iterator that says what it does, and waits for leave before each item if told so."""

    def __init__(self, count: int, *, gated: bool = False) -> None:
        self.count = count
        self.made = 0
        self.closed = False
        self.threads: set[int] = set()
        self._leave = threading.Semaphore(0 if gated else 1_000_000)

    def allow(self, count: int) -> None:
        self._leave.release(count)

    def __call__(self) -> Generator[int]:
        try:
            for item in range(self.count):
                self.threads.add(threading.get_ident())
                self._leave.acquire()
                self.made += 1
                yield item
        finally:
            self.threads.add(threading.get_ident())
            self.closed = True


@pytest.mark.parametrize("look_ahead", [0, 1, 2, 16, 1000])
async def test_all_items_come_in_order_from_one_thread(look_ahead: int) -> None:
    source = Source(300)
    async with iterate_in_thread(source, look_ahead=look_ahead) as items:
        assert [item async for item in items] == list(range(300))
    assert source.closed
    assert len(source.threads) == 1
    assert threading.get_ident() not in source.threads


@pytest.mark.parametrize(
    "source", [[1, 2], (each for each in (1, 2)), range(1, 3), lambda: [1, 2], lambda: iter([1, 2])]
)
async def test_any_iterable_will_do_and_a_function_that_gives_one(source: Any) -> None:
    if isinstance(source, Generator):
        source = (each for each in (1, 2))  # the test is run for several back ends
    async with iterate_in_thread(source) as items:
        assert [item async for item in items] == [1, 2]


async def test_no_items_are_no_items() -> None:
    async with iterate_in_thread(()) as items:
        assert [item async for item in items] == []
        with pytest.raises(StopAsyncIteration):
            await anext(items)


@pytest.mark.parametrize("look_ahead", [0, 1, 5])
async def test_no_more_items_are_made_than_may_wait(look_ahead: int) -> None:
    source = Source(1000)
    async with iterate_in_thread(source, look_ahead=look_ahead) as items:
        for taken in range(1, 50):
            await anext(items)
            for _ in range(3):
                await checkpoint()
            assert source.made <= taken + look_ahead
        while source.made < taken + (look_ahead + 1) // 2:
            await checkpoint()


async def test_a_loop_may_be_left_at_any_time() -> None:
    source = Source(1_000_000)
    async with iterate_in_thread(source) as items:
        async for item in items:
            if item == 3:
                break
    assert source.closed
    assert source.made <= 4 + 16


async def test_a_source_that_is_not_looked_at_is_closed_all_the_same() -> None:
    generator = Source(10)()
    async with iterate_in_thread(generator) as items:
        assert await anext(items) == 0
    with pytest.raises(StopIteration):
        next(generator)


async def test_what_a_function_gives_is_closed_but_not_what_was_given() -> None:
    class Closable:
        closed = False

        def __iter__(self) -> Iterator[int]:
            return self

        def __next__(self) -> int:
            return 1

        def close(self) -> None:
            self.closed = True

    for source, closed in ((given := Closable(), False), (lambda: given, True)):
        async with iterate_in_thread(source) as items:
            assert await anext(items) == 1
        assert given.closed == closed


class CustomError(Exception):
    pass


async def test_what_the_source_raises_comes_in_its_place() -> None:
    def fail() -> Generator[int]:
        yield 1
        yield 2
        raise CustomError

    seen: list[int] = []
    with pytest.raises(CustomError):
        async with iterate_in_thread(fail) as items:
            async for item in items:
                seen.append(item)
    assert seen == [1, 2]


async def test_an_error_that_nobody_came_to_is_no_error() -> None:
    def fail() -> Generator[int]:
        yield 1
        raise CustomError

    async with iterate_in_thread(fail) as items:
        assert await anext(items) == 1


async def test_a_source_that_cannot_be_made_says_so() -> None:
    def fail() -> list[int]:
        raise CustomError

    with pytest.raises(CustomError):
        async with iterate_in_thread(fail) as items:
            await anext(items)
    wrong: Any = lambda: 5  # noqa: E731
    with pytest.raises(TypeError, match="'int' object is not iterable"):
        async with iterate_in_thread(wrong) as items:
            await anext(items)


async def test_what_closing_raises_comes_from_leaving_the_block() -> None:
    def fail() -> Generator[int]:
        try:
            yield from range(1000)
        finally:
            raise CustomError

    with pytest.raises(CustomError):
        async with iterate_in_thread(fail) as items:
            assert await anext(items) == 0
    with pytest.raises(CustomError) as caught:
        async with iterate_in_thread(fail) as items:
            await anext(items)
            raise ValueError
    assert isinstance(caught.value.__context__, ValueError)


async def test_a_source_that_was_never_made_is_never_closed() -> None:
    source = Source(10)
    with pytest.raises(CustomError):
        async with iterate_in_thread(source):
            raise CustomError
    assert not source.threads


async def test_what_the_block_raises_goes_on_its_way() -> None:
    for error in (CustomError(), KeyboardInterrupt(), ExceptionGroup("a group", [CustomError()])):
        source = Source(1000)
        with pytest.raises(type(error)) as caught:
            async with iterate_in_thread(source) as items:
                await anext(items)
                raise error
        assert caught.value is error
        assert source.closed


async def test_several_tasks_may_take_items_and_none_is_lost() -> None:
    seen: list[int] = []
    async with iterate_in_thread(Source(500), look_ahead=3) as items, anyio.create_task_group() as group:

        async def take() -> None:
            async for item in items:
                seen.append(item)

        for _ in range(5):
            group.start_soon(take)
    assert sorted(seen) == list(range(500))


async def test_cancelling_who_waits_for_an_item_loses_none() -> None:
    source = Source(10, gated=True)
    async with iterate_in_thread(source) as items:
        for _ in range(3):
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(anext, items)
                    await checkpoint()
                    scope.cancel()
            assert scope.cancelled_caught
        source.allow(10)
        assert [item async for item in items] == list(range(10))


async def test_a_cancelled_block_waits_for_the_item_that_is_being_made() -> None:
    source = Source(10, gated=True)
    iterator = iterate_in_thread(source)
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def use() -> None:
                async with iterator as items:
                    await anext(items)

            group.start_soon(use)
            while not source.threads:
                await checkpoint()
            scope.cancel()
            with anyio.CancelScope(shield=True):
                while "left" not in repr(iterator):
                    await checkpoint()
            source.allow(1)
    assert source.closed
    assert source.made == 1


async def test_a_cancelled_block_may_abandon_the_thread() -> None:
    source = Source(10, gated=True)
    pool = ThreadPool("pool", 1)
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def use() -> None:
                async with iterate_in_thread(source, limiter=pool, abandon_on_cancel=True) as items:
                    await anext(items)

            group.start_soon(use)
            while not source.threads:
                await checkpoint()
            scope.cancel()
    assert not source.closed
    assert pool.statistics().busy == pool.statistics().abandoned == 1
    source.allow(1)
    while pool.statistics().busy:
        await checkpoint()
    assert source.closed


async def _iterate(points: Points) -> None:
    def source() -> Generator[int]:
        for item in range(3):
            anyio.from_thread.run(points)
            yield item

    # A group, for `every_point` expects one around what it raises.
    async with anyio.create_task_group(), iterate_in_thread(source, look_ahead=0) as items:
        async for _ in items:
            await points()


@pytest.mark.parametrize("cancel", [False, True])
async def test_cancelling_or_failing_at_any_point_leaves_nothing(cancel: bool) -> None:
    assert await every_point(_iterate, cancel=cancel) == 6


async def test_iterators_at_rest_take_no_room_of_their_pool() -> None:
    pool = ThreadPool("pool", 1)
    async with (
        iterate_in_thread(Source(100), limiter=pool, look_ahead=2) as first,
        iterate_in_thread(Source(100), limiter=pool, look_ahead=2) as second,
    ):
        for expected in range(50):
            assert await anext(first) == expected
            assert await run_in_thread(str, 1, limiter=pool) == "1"
            assert await anext(second) == expected


async def test_leaving_does_not_wait_for_room_in_the_pool() -> None:
    pool = ThreadPool("pool", 1)
    source, released, begun = Source(100), threading.Event(), threading.Event()

    def stay() -> None:
        begun.set()
        released.wait()

    async with anyio.create_task_group() as group:
        async with iterate_in_thread(source, limiter=pool, look_ahead=1) as items:
            await anext(items)
            while source.made < 2 or pool.statistics().busy:  # the next item is there, and the thread rests
                await checkpoint()
            group.start_soon(functools.partial(run_in_thread, stay, limiter=pool))
            while not begun.is_set():
                await checkpoint()
            await anext(items)
            while not pool.statistics().waiting:
                await checkpoint()
        assert source.closed
        assert pool.statistics().waiting == 0
        released.set()


async def test_a_limiter_of_anyio_gives_a_token_for_the_whole_block() -> None:
    limiter = anyio.CapacityLimiter(1)
    async with iterate_in_thread(Source(100), limiter=limiter, look_ahead=1) as items:
        await anext(items)
        assert limiter.borrowed_tokens == 1
    assert limiter.borrowed_tokens == 0


async def test_a_pool_that_has_been_shut_down_ends_the_loop() -> None:
    pool = ThreadPool("pool", 1)
    async with iterate_in_thread(Source(1000), limiter=pool, look_ahead=2) as items:
        await anext(items)
        await pool.shutdown()
        with pytest.raises(RuntimeError, match="`Source` came too late"):
            async for _ in items:
                pass


async def test_a_source_may_call_back_and_needs_room_for_it() -> None:
    pool = ThreadPool("pool", 1)

    async def double(item: int) -> int:
        return await run_in_thread(lambda: 2 * item, limiter=pool)

    def source() -> Generator[int]:
        for item in range(5):
            yield anyio.from_thread.run(double, item)

    async with iterate_in_thread(source, limiter=pool) as items:
        assert [item async for item in items] == [0, 2, 4, 6, 8]


variable: ContextVar[int] = ContextVar("variable", default=0)


async def test_the_source_has_one_context_of_its_own() -> None:
    def source() -> Generator[int]:
        for _ in range(40):
            variable.set(variable.get() + 1)
            yield variable.get()

    variable.set(5)
    async with iterate_in_thread(source, look_ahead=1) as items:
        assert [item async for item in items] == list(range(6, 46))
    assert variable.get() == 5


async def test_what_is_bound_to_a_thread_works() -> None:
    def rows() -> Generator[int]:
        with sqlite3.connect(":memory:") as connection:
            connection.executescript("create table t (x)")
            connection.executemany("insert into t values (?)", [(each,) for each in range(100)])
            for (each,) in connection.execute("select x from t order by x"):
                yield each
        connection.close()

    async with iterate_in_thread(rows, look_ahead=3) as items:
        assert [item async for item in items] == list(range(100))


async def test_the_event_loop_has_its_turn_while_items_are_taken() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await checkpoint()

    async with iterate_in_thread(range(10_000), look_ahead=10_000) as items, anyio.create_task_group() as group:
        while len(items._producer.items) < 10_000:
            await checkpoint()
        group.start_soon(count)
        async for _ in items:
            pass
        group.cancel_scope.cancel()
    assert turns > 10_000 / 64 / 2


async def test_items_are_taken_inside_the_block() -> None:
    iterator = iterate_in_thread([1])
    with pytest.raises(RuntimeError, match="inside the block"):
        await anext(iterator)
    async with iterator:
        pass
    with pytest.raises(RuntimeError, match="inside the block"):
        await anext(iterator)
    with pytest.raises(RuntimeError, match="entered once"):
        async with iterator:
            pass
    assert repr(iterator) == "<ThreadIterator of `list`, left>"


async def _async_items() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"source": 5}, TypeError, "`source` must be an iterable, or a function that gives one, not 5"),
        ({"source": [], "look_ahead": -1}, ValueError, "`look_ahead` must be 0 or more"),
        ({"source": [], "look_ahead": 1.5}, TypeError, "`look_ahead` must be a whole number"),
        ({"source": [], "limiter": 5}, TypeError, r"make one: `ThreadPool\(name, 5\)`"),
    ],
)
def test_wrong_arguments_are_refused(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        iterate_in_thread(**arguments)


def test_what_is_async_already_is_refused() -> None:
    wrong: Any = _async_items()
    with pytest.raises(TypeError, match="async already, loop over it as it is"):
        iterate_in_thread(wrong)


# Decorated generator functions


@to_thread
def count(start: int, *, step: int = 1) -> Generator[int]:
    """Count."""
    for number in range(10):
        yield start + number * step


async def test_a_decorated_generator_function_gives_async_iterators() -> None:
    async with count(5, step=2) as numbers:
        assert [number async for number in numbers] == list(range(5, 25, 2))
    assert list(count.sync(0)) == list(range(10))
    assert isinstance(count, OffloadedIterator)
    assert count.__doc__ == "Count."


class Shelf:
    def __init__(self, books: str) -> None:
        self._books = books

    @to_thread(look_ahead=1, limiter=2)
    def books(self) -> Generator[str]:
        yield from self._books

    @classmethod
    @to_thread
    def name(cls) -> Generator[str]:
        yield from cls.__name__

    @staticmethod
    @to_thread
    def letters(word: str) -> Generator[str]:
        yield from word


@pytest.mark.parametrize(
    ("call", "expected"),
    [(Shelf("abc").books, "abc"), (Shelf.name, "Shelf"), (functools.partial(Shelf("").letters, "xy"), "xy")],
)
async def test_generator_methods_work(call: Callable[[], Any], expected: str) -> None:
    async with call() as letters:
        assert "".join([letter async for letter in letters]) == expected


def iterator_of(word: str) -> Iterator[str]:
    return iter(word)


iterator_of.__annotations__["return"] = Iterator[str]  # as it is where annotations are not postponed
letters = to_thread(iterator_of)


@to_thread
def spelled(word: str) -> Iterator[str]:
    return iter(word)


@to_thread
def listed(word: str) -> list[str]:
    return list(word)


async def test_a_decorated_function_that_says_it_returns_an_iterator_gives_async_iterators() -> None:
    async with letters("abc") as found:
        assert [letter async for letter in found] == ["a", "b", "c"]
    async with spelled("abc") as found:
        assert [letter async for letter in found] == ["a", "b", "c"]
    assert next(letters.sync("abc")) == "a"
    assert await listed("abc") == ["a", "b", "c"]


async def test_a_decorated_generator_function_called_in_a_worker_says_how_to_call_it() -> None:
    with pytest.raises(RuntimeError, match=r"`count\.sync\(…\)`"):
        await run_in_thread(count, 1)


def test_the_context_cannot_come_out_of_a_generator() -> None:
    with pytest.raises(TypeError, match="`context_out` is for functions that end"):
        to_thread(context_out=True)(count.sync)
