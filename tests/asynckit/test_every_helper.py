"""What holds for every helper, whatever it is for: each runs one async function here, as an item or in its block."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asynckit import (
    KeyedLock,
    Queue,
    RateLimiter,
    amap,
    as_completed,
    gather,
    idle_timeout,
    move_on_after,
    open_scope,
    periodic,
    produce_consume,
    race,
    retry,
    shield,
    stream,
    stream_outcomes,
    supervise,
    timeout,
    timeout_at,
    wait,
    with_timeout,
)
from support.points import InjectedError, Points, every_point, every_point_natively

pytestmark = pytest.mark.anyio

Func = Callable[[], Awaitable[Any]]
Use = Callable[[Func], Awaitable[Any]]

variable: ContextVar[str] = ContextVar("variable", default="default")


async def _amap(func: Func) -> Any:
    async def item(_: int) -> Any:
        return await func()

    return (await amap(item, [0]))[0]


async def _as_completed(func: Func) -> Any:
    async with as_completed(_coroutine(func)) as results:
        return await anext(results)


async def _gather(func: Func) -> Any:
    return (await gather(_coroutine(func)))[0]


async def _idle_timeout(func: Func) -> Any:
    with idle_timeout(60):
        return await func()


async def _keyed_lock(func: Func) -> Any:
    async with KeyedLock()("key"):
        return await func()


async def _move_on_after(func: Func) -> Any:
    with move_on_after(60):
        return await func()


async def _open_scope(func: Func) -> Any:
    async with open_scope() as scope:
        child = scope.start_soon(func)
    return child.result()


async def _periodic(func: Func) -> Any:
    await anext(periodic(60))
    return await func()


async def _produce_consume(func: Func) -> Any:
    results = []

    async def consume(_: int) -> None:
        results.append(await func())

    await produce_consume([0], consume, workers=1, buffer=1)
    return results[0]


async def _queue(func: Func) -> Any:
    queue = Queue[Func](max_items=1)
    await queue.put(func)
    return await (await queue.get())()


async def _race(func: Func) -> Any:
    return await race(_coroutine(func))


async def _rate_limiter(func: Func) -> Any:
    await RateLimiter(1000).acquire()
    return await func()


async def _retry(func: Func) -> Any:
    return await retry(on=OSError)(func)()


async def _shield(func: Func) -> Any:
    with shield(grace=60):
        return await func()


async def _stream(func: Func) -> Any:
    async def item(_: int) -> Any:
        return await func()

    async with stream(item, [0]) as results:
        return await anext(results)


async def _stream_outcomes(func: Func) -> Any:
    async def item(_: int) -> Any:
        return await func()

    async with stream_outcomes(item, [0]) as outcomes:
        return (await anext(outcomes))[1].unwrap()


async def _supervise(func: Func) -> Any:
    return await supervise(func, restarts=0)


async def _timeout(func: Func) -> Any:
    with timeout(60):
        return await func()


async def _timeout_at(func: Func) -> Any:
    with timeout_at(anyio.current_time() + 60):
        return await func()


async def _wait(func: Func) -> Any:
    return (await wait(_coroutine(func))).done[0].unwrap()


async def _with_timeout(func: Func) -> Any:
    return await with_timeout(60)(func)()


async def _coroutine(func: Func) -> Any:
    return await func()


BLOCKS: list[Use] = [
    _idle_timeout,
    _keyed_lock,
    _move_on_after,
    _periodic,
    _queue,
    _rate_limiter,
    _retry,
    _shield,
    _supervise,
    _timeout,
    _timeout_at,
    _with_timeout,
]
"""Those that run it in the caller's task and context."""
ITEMS: list[Use] = [
    _amap,
    _as_completed,
    _gather,
    _open_scope,
    _produce_consume,
    _race,
    _stream,
    _stream_outcomes,
    _wait,
]
"""Those that run it beside the caller, in a context of its own."""

each_helper = pytest.mark.parametrize("use", [*BLOCKS, *ITEMS])


def _leaf(error: BaseException) -> BaseException:
    """The one exception in groups."""
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    return error


@each_helper
@pytest.mark.parametrize("result", [ValueError("a result"), KeyboardInterrupt(), None], ids=repr)
async def test_a_result_is_a_result_be_it_an_exception(use: Use, result: object) -> None:
    async def func() -> object:
        await checkpoint()
        return result

    assert await use(func) is result


@each_helper
async def test_nested_in_itself(use: Use) -> None:
    async def func() -> str:
        await checkpoint()
        return "result"

    assert await use(lambda: use(lambda: use(func))) == "result"


@each_helper
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "late"])
def test_what_ends_the_program_passes_through(
    use: Use, error: type[BaseException], late: bool, anyio_backend: tuple[str, dict[str, Any]]
) -> None:
    async def func() -> None:
        if late:
            await checkpoint()
        raise error("the end")

    async def main() -> None:
        await use(func)

    with pytest.raises((error, BaseExceptionGroup)) as caught:
        anyio.run(main, backend=anyio_backend[0], backend_options=anyio_backend[1])
    assert isinstance(_leaf(caught.value), error)


@each_helper
@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration, GeneratorExit])
async def test_odd_exceptions_are_not_lost(use: Use, error: type[BaseException]) -> None:
    async def func() -> None:
        await checkpoint()
        raise error("odd")

    with pytest.raises((error, RuntimeError, BaseExceptionGroup)) as caught:
        await use(func)
    leaf = _leaf(caught.value)
    # What a coroutine must not raise, it raises as the cause of a RuntimeError (PEP 479).
    assert isinstance(leaf.__cause__ if isinstance(leaf, RuntimeError) else leaf, error)


@each_helper
async def test_a_context_variable_of_the_caller_is_seen(use: Use) -> None:
    async def func() -> str:
        await checkpoint()
        return variable.get()

    token = variable.set("outside")
    try:
        assert await use(func) == "outside"
    finally:
        variable.reset(token)


@pytest.mark.parametrize("use", ITEMS)
async def test_a_context_variable_does_not_leak(use: Use) -> None:
    async def func() -> None:
        variable.set("at once")
        await checkpoint()
        variable.set("inside")

    await use(func)
    assert variable.get() == "default"


async def _use_at_points(use: Use, points: Points) -> None:
    async def func() -> None:
        await points()
        await points()

    try:
        await use(func)
    except InjectedError as error:
        raise ExceptionGroup("as from helpers that raise groups", [error]) from None
    await checkpoint()  # a shield keeps a cancellation back until here


@each_helper
@pytest.mark.parametrize("cancel", [False, True], ids=["fail", "cancel"])
async def test_ending_at_every_point(use: Use, cancel: bool) -> None:
    assert await every_point(partial(_use_at_points, use), cancel=cancel) == 2


@each_helper
async def test_ending_at_every_point_of_one_in_another(use: Use) -> None:
    async def twice(func: Func) -> Any:
        return await use(lambda: use(func))

    for cancel in (False, True):
        assert await every_point(partial(_use_at_points, twice), cancel=cancel) == 2


@each_helper
async def test_a_native_cancellation_at_every_point(use: Use, only_asyncio: None) -> None:
    assert await every_point_natively(partial(_use_at_points, use)) == 2


@each_helper
async def test_the_count_of_native_requests_is_right_after_a_failure(use: Use, only_asyncio: None) -> None:
    async def fail() -> None:
        await checkpoint()
        raise InjectedError

    task = asyncio.current_task()
    assert task is not None
    async with asyncio.timeout(60):  # which takes a request that is left behind for its own
        for _ in range(2):
            with pytest.raises((InjectedError, ExceptionGroup)) as caught:
                await use(fail)
            assert isinstance(_leaf(caught.value), InjectedError)
            assert task.cancelling() == 0
            await checkpoint()


@each_helper
async def test_a_timeout_of_asyncio_around_it_and_in_it(use: Use, only_asyncio: None) -> None:
    async def late() -> str:
        try:
            async with asyncio.timeout(0):
                await anyio.sleep_forever()
        except TimeoutError:
            return "late inside"
        return "never"

    assert await use(late) == "late inside"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await use(anyio.sleep_forever)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await checkpoint()


async def _twice(number: int) -> int:
    await checkpoint()
    return 2 * number


async def _amap_of(count: int) -> list[int]:
    return await amap(_twice, range(count), limit=3)


async def _as_completed_of(count: int) -> list[int]:
    collected: list[int] = []
    async with as_completed(*map(_twice, range(count))) as results:
        collected.extend([result async for result in results])
    return collected


async def _gather_of(count: int) -> list[int]:
    return list(await gather(*map(_twice, range(count)), limit=3))


async def _open_scope_of(count: int) -> list[int]:
    async with open_scope(limit=3) as scope:
        handles = [scope.start_soon(_twice, number) for number in range(count)]
    return [handle.result() for handle in handles]


async def _produce_consume_of(count: int) -> list[int]:
    results: list[int] = []

    async def consume(number: int) -> None:
        results.append(await _twice(number))

    await produce_consume(range(count), consume, workers=3, buffer=1)
    return results


async def _stream_of(count: int) -> list[int]:
    collected: list[int] = []
    async with stream(_twice, range(count), limit=3) as results:
        collected.extend([result async for result in results])
    return collected


async def _stream_outcomes_of(count: int) -> list[int]:
    collected: list[int] = []
    async with stream_outcomes(_twice, range(count), limit=3) as outcomes:
        collected.extend([outcome.unwrap() async for _, outcome in outcomes])
    return collected


async def _wait_of(count: int) -> list[int]:
    waited = await wait(*map(_twice, range(count)))
    return [outcome.unwrap() for outcome in waited.done.values()]


@pytest.mark.parametrize("count", [0, 1, 7])
@pytest.mark.parametrize(
    "use",
    [
        _amap_of,
        _as_completed_of,
        _gather_of,
        _open_scope_of,
        _produce_consume_of,
        _stream_of,
        _stream_outcomes_of,
        _wait_of,
    ],
)
async def test_none_one_and_more_than_the_limit(use: Callable[[int], Awaitable[list[int]]], count: int) -> None:
    assert sorted(await use(count)) == [2 * number for number in range(count)]


@each_helper
async def test_a_scope_that_is_cancelled_inside_stays_inside(use: Use) -> None:
    async def func() -> str:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.sleep_forever()
        await checkpoint()
        return "went on"

    assert await use(func) == "went on"
