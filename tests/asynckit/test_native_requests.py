"""The count of requests to cancel a task of asyncio is right after every helper that runs children, whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from asynckit import (
    amap,
    as_completed,
    gather,
    open_scope,
    produce_consume,
    race,
    retry,
    stream,
    stream_outcomes,
    supervise,
    wait,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("only_asyncio")]

Work = Callable[[], Awaitable[None]]


async def with_amap(work: Work) -> None:
    await amap(lambda _: work(), range(3))


async def with_gather(work: Work) -> None:
    async def one() -> None:
        await work()

    await gather(one(), one())


async def with_stream(work: Work) -> None:
    async with stream(lambda _: work(), range(3)) as results:
        async for _ in results:
            pass


async def with_stream_outcomes(work: Work) -> None:
    async def items() -> Any:
        yield 1
        await work()

    async with stream_outcomes(lambda _: asyncio.sleep(0), items()) as results:
        async for _ in results:
            pass


async def with_as_completed(work: Work) -> None:
    async def one() -> None:
        await work()

    async with as_completed(one(), one()) as results:
        async for _ in results:
            pass


async def with_race(work: Work) -> None:
    async def one() -> None:
        await work()

    await race(one(), one())


async def with_open_scope(work: Work) -> None:
    async with open_scope() as scope:
        scope.start_soon(work)
        scope.start_soon(asyncio.sleep, 3600)


async def with_a_body_that_waits(work: Work) -> None:
    async with open_scope() as scope:
        scope.start_soon(work)
        await asyncio.sleep(3600)


async def with_a_background_child(work: Work) -> None:
    async with open_scope(collapse=True) as scope:
        scope.start_soon(work, background=True)
        scope.start_soon(asyncio.sleep, 3600)


async def with_collected_errors(work: Work) -> None:
    async with open_scope(on_error="collect", limit=1, timeout=3600) as scope:
        scope.start_soon(work)


async def with_produce_consume(work: Work) -> None:
    await produce_consume(range(3), lambda _: work(), workers=2, buffer=1)


async def with_supervise(work: Work) -> None:
    await supervise(work, restarts=0)


async def with_retry(work: Work) -> None:
    @retry(on=ValueError, attempts=1)
    async def one() -> None:
        await work()

    await one()


THAT_RUN_CHILDREN = [
    with_amap,
    with_gather,
    with_stream,
    with_stream_outcomes,
    with_as_completed,
    with_open_scope,
    with_a_body_that_waits,
    with_a_background_child,
    with_produce_consume,
]


def requests() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def fail() -> None:
    raise ValueError


@pytest.mark.parametrize(
    "use", [*THAT_RUN_CHILDREN, with_collected_errors, with_race, with_supervise, with_retry], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("steps", range(4))
async def test_a_retry_under_a_timeout_of_asyncio_works_after_a_failure(
    use: Callable[[Work], Awaitable[None]], steps: int
) -> None:
    async def work() -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        raise ValueError

    async with asyncio.timeout(3600):
        for _ in range(2):
            with pytest.raises((ValueError, ExceptionGroup)):
                await use(work)
            assert requests() == 0
            await asyncio.sleep(0)


async def test_wait_leaves_no_request_either() -> None:
    for when in ("first_exception", "first_completed"):
        await wait(fail(), asyncio.sleep(3600), return_when=when)  # type: ignore[call-overload]
        assert requests() == 0
        await asyncio.sleep(0)


@pytest.mark.parametrize("use", THAT_RUN_CHILDREN, ids=lambda f: f.__name__)
@pytest.mark.parametrize("later", range(5))
async def test_a_request_that_comes_together_with_a_failure_is_not_lost(
    use: Callable[[Work], Awaitable[None]], later: int
) -> None:
    go = asyncio.Event()
    met: list[int] = []

    async def work() -> None:
        await go.wait()
        raise ValueError

    async def main() -> None:
        with pytest.raises((ValueError, ExceptionGroup)):
            await use(work)
        try:
            await asyncio.Event().wait()
        finally:
            met.append(requests())

    task = asyncio.create_task(main())
    for _ in range(10):
        await asyncio.sleep(0)
    go.set()
    for _ in range(later):
        await asyncio.sleep(0)
    task.cancel()
    assert (await asyncio.wait([task]))[0]
    assert task.cancelled()
    assert met == [1]


@pytest.mark.parametrize("use", THAT_RUN_CHILDREN, ids=lambda f: f.__name__)
async def test_a_request_that_a_timeout_has_taken_back_is_not_repeated(
    use: Callable[[Work], Awaitable[None]],
) -> None:
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError  # so that the timeout and the failure come together

    with pytest.raises((ValueError, ExceptionGroup, TimeoutError)):
        async with asyncio.timeout(0):
            await use(work)
    assert requests() == 0
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_request_that_a_task_group_of_asyncio_left_is_not_repeated() -> None:
    """That of Python 3.11 and 3.12 leaves one when it fails."""
    with pytest.raises(ExceptionGroup):
        async with open_scope(), asyncio.TaskGroup() as group:
            group.create_task(fail())
            await asyncio.Event().wait()
    for _ in range(3):
        await asyncio.sleep(0)
