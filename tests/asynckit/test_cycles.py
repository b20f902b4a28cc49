"""Nothing that a helper leaves behind waits for the collector of cycles: exceptions, results and frames go at once.

A program may switch the collector off, and even where it runs, an exception that refers to itself by the frames it went
through keeps all that their variables hold: connections, files, large results.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from weakref import ref

import anyio
import pytest
from anyio.lowlevel import checkpoint

import asynckit
from asynckit import (
    KeyedLock,
    ProcessPool,
    Queue,
    QueueEmpty,
    RateLimiter,
    amap,
    as_completed,
    gather,
    idle_timeout,
    iterate_in_thread,
    move_on_after,
    open_scope,
    periodic,
    process_map,
    produce_consume,
    race,
    remaining,
    retry,
    run_in_executor,
    run_in_thread,
    shield,
    stream,
    stream_outcomes,
    supervise,
    timeout,
    timeout_at,
    to_process,
    to_thread,
    wait,
    with_timeout,
)
from support import work as work_for_processes

Work = Callable[[], Coroutine[Any, Any, object]]
Use = Callable[[Work], Awaitable[object]]


class Held:
    """What a variable holds where something is going on."""


class Watched:
    """Things that must be gone at the end."""

    def __init__(self) -> None:
        self._refs: list[ref[Any]] = []

    def held(self) -> Held:
        held = Held()
        self._refs.append(ref(held))
        return held

    def error(self, error: BaseException | None) -> None:
        """An exception, with all that it is made of; most of them cannot be referred to weakly, but have attributes."""
        if error is None or "_held" in vars(error):
            return
        vars(error)["_held"] = self.held()
        for other in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
            self.error(other)

    def left(self) -> list[Any]:
        return [thing for known in self._refs if (thing := known()) is not None]

    def __len__(self) -> int:
        return len(self._refs)


# Each use of a helper awaits `work()`, once or more, in each place where the helper runs what it is given.


async def use_amap(work: Work) -> object:
    return await amap(lambda _: work(), range(3), limit=2)


async def use_amap_of_async_items(work: Work) -> object:
    async def items() -> AsyncIterator[object]:
        for _ in range(3):
            yield await work()

    return await amap(lambda item: work(), items(), item_timeout=3600, rate=RateLimiter(1000, burst=5))


async def use_amap_keeping_errors(work: Work) -> object:
    return await amap(lambda _: work(), range(3), on_error="return", progress=lambda *_: None)


async def use_amap_skipping(work: Work) -> object:
    return await amap(lambda _: work(), range(3), on_error="skip")


async def use_as_completed(work: Work) -> object:
    async with as_completed(work(), work(), work(), limit=2) as results:
        return [result async for result in results]


async def use_gather(work: Work) -> object:
    return await gather(work(), work(), work(), limit=2)


async def use_gather_keeping_errors(work: Work) -> object:
    return await gather(work(), work(), return_exceptions=True)


async def use_idle_timeout(work: Work) -> object:
    with idle_timeout(3600) as idle:
        idle.beat()
        return await work()


async def use_key(work: Work) -> object:
    locks = KeyedLock()
    async with locks("key"):
        return await work()


async def use_move_on_after(work: Work) -> object:
    with move_on_after(3600):
        return await work()


async def use_scope(work: Work) -> object:
    async with open_scope(timeout=3600) as scope:
        scope.start_soon(work)
        scope.create_task(work(), background=True)
        await work()
    return None


async def use_scope_with_limit(work: Work) -> object:
    async with open_scope(limit=1) as scope:
        for _ in range(3):
            scope.start_soon(work)
    return None


async def use_scope_collecting(work: Work) -> object:
    async with open_scope(on_error="collect") as scope:
        scope.start_soon(work)
        scope.start_soon(work)
    return None


async def use_scope_collapsing(work: Work) -> object:
    async with open_scope(collapse=True) as scope:
        scope.start_soon(work)
        for _ in range(5):
            await checkpoint()
    return None


async def use_scope_start(work: Work) -> object:
    async def serve(*, task_status: Any) -> None:
        await work()
        task_status.started()
        await work()

    async with open_scope() as scope:
        await scope.start(serve)
    return None


async def use_periodic(work: Work) -> object:
    async for _ in periodic(3600):
        return await work()
    return None


async def use_periodic_function(work: Work) -> object:
    with move_on_after(0.01):
        await periodic(3600, work)


async def use_produce_consume(work: Work) -> object:
    async def items() -> AsyncIterator[object]:
        yield await work()
        yield await work()

    await produce_consume(items(), lambda _: work(), workers=2, buffer=1)
    return None


async def use_queue(work: Work) -> object:
    queue = Queue[object](1)
    await queue.put(await work())
    with move_on_after(0):
        await queue.put(await work())
    await queue.get()
    with pytest.raises(QueueEmpty):
        queue.get_nowait()
    with pytest.raises(TimeoutError), timeout(0):
        await queue.get()
    return await work()


async def use_race(work: Work) -> object:
    return await race(work(), work())


async def use_race_with_delay(work: Work) -> object:
    return await race(work(), work(), delay=3600)


async def use_rate_limiter(work: Work) -> object:
    async with RateLimiter(1000, burst=2):
        return await work()


async def use_remaining(work: Work) -> object:
    remaining()
    return await work()


async def use_retry(work: Work) -> object:
    @retry(on=Exception, attempts=2, backoff=(0.001, 2, 1))
    async def attempt() -> object:
        return await work()

    return await attempt()


async def use_retry_loop(work: Work) -> object:
    async for attempt in retry(on=Exception, attempts=2, backoff=(0.001, 2, 1)):
        with attempt:
            return await work()
    return None


async def use_shield(work: Work) -> object:
    with shield(0.005):
        return await work()


async def use_stream(work: Work) -> object:
    async with stream(lambda _: work(), range(3), limit=2) as results:
        return [result async for result in results]


async def use_ordered_stream(work: Work) -> object:
    async with stream(lambda _: work(), range(3), ordered=True, on_error="return") as results:
        return [result async for result in results]


async def use_stream_and_break(work: Work) -> object:
    async with stream(lambda _: work(), range(9), limit=2) as results:
        async for result in results:
            return result
    return None


async def use_stream_with_work_in_its_block(work: Work) -> object:
    async with stream(lambda _: checkpoint(), range(9), limit=2) as results:
        async for _ in results:
            await work()


async def use_stream_outcomes(work: Work) -> object:
    async with stream_outcomes(lambda _: work(), range(3)) as outcomes:
        return [outcome async for outcome in outcomes]


async def use_supervise(work: Work) -> object:
    return await supervise(work, restarts=1, backoff=(0.001, 2, 1), on_restart=lambda restart: None)


async def use_timeout(work: Work) -> object:
    with timeout(3600) as deadline:
        deadline.reschedule(7200)
        return await work()


async def use_timeout_at(work: Work) -> object:
    with timeout_at(anyio.current_time() + 3600):
        return await work()


async def use_to_thread(work: Work) -> object:
    @to_thread
    def in_thread(thing: object, *, fail: bool) -> object:
        if fail:
            raise LookupError(thing)
        return [thing]

    with pytest.raises(LookupError):
        await in_thread(Held(), fail=True)
    return await in_thread(await work(), fail=False)


async def use_run_in_thread(work: Work) -> object:
    return await run_in_thread(lambda thing: [thing], await work())


async def use_iterate_in_thread(work: Work) -> object:
    async with iterate_in_thread([1, 2]) as numbers:
        return [(number, await work()) async for number in numbers]


async def use_run_in_executor(work: Work) -> object:
    with ThreadPoolExecutor(1) as executor:
        return await run_in_executor(executor, lambda thing: [thing], await work())


async def use_wait(work: Work) -> object:
    return await wait(work(), work())


async def use_wait_for_the_first(work: Work) -> object:
    return await wait(work(), work(), return_when="first_completed")


async def use_with_timeout(work: Work) -> object:
    @with_timeout(3600)
    async def bounded() -> object:
        return await work()

    return await bounded()


USES = [use for name, use in sorted(globals().items()) if name.startswith("use_")]

# What a use of each public name is, where its name does not say so.
COVERED_BY = {
    "KeyedLock": use_key,
    "Queue": use_queue,
    "RateLimiter": use_rate_limiter,
    "offload": use_run_in_executor,
    "open_scope": use_scope,
}
NOT_HERE = {
    *("advise", "default_thread_pool"),  # nothing is awaited
    "run",  # `asyncio.run` and `trio.run` leave cycles themselves, at the end of their event loops
    *("to_process", "run_in_process", "process_map"),  # see the last test
}


def test_every_helper_is_here() -> None:
    functions = {
        name for name, thing in vars(asynckit).items() if name in asynckit.__all__ and inspect.isfunction(thing)
    }
    used = {use.__name__.removeprefix("use_") for use in USES}
    assert functions - used - NOT_HERE - set(COVERED_BY) == set()


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def succeeding(watched: Watched, steps: int) -> Work:
    async def work() -> object:
        held = watched.held()
        for _ in range(steps):
            await checkpoint()
        return held

    return work


def failing(watched: Watched, steps: int) -> Work:
    async def work() -> object:
        held = watched.held()
        for _ in range(steps):
            await checkpoint()
        raise ValueError(held)

    return work


def failing_late(watched: Watched) -> Work:
    """The second call fails, the first waits; so that helpers have something to cancel, and something to close."""
    calls = 0

    async def work() -> object:
        nonlocal calls
        held = watched.held()
        calls += 1
        if calls == 1:
            await anyio.sleep(0.005)
        await checkpoint()
        raise LookupError(held)

    return work


def failing_on_cancellation(watched: Watched) -> Work:
    """Each call but those after a failure waits to be cancelled."""
    failed = False

    async def work() -> object:
        nonlocal failed
        held = watched.held()
        try:
            if not failed:
                await anyio.sleep_forever()
        finally:
            failed = True
            raise LookupError(held)

    return work


def waiting(watched: Watched) -> Work:
    async def work() -> object:
        held = watched.held()
        await anyio.sleep_forever()
        return held

    return work


async def catching(use: Use, work: Work, watched: Watched) -> None:
    try:
        await use(work)
    except BaseException as error:
        watched.error(error)
        if not isinstance(error, Exception):
            raise


async def to_the_end(use: Use, work: Work, watched: Watched) -> None:
    await catching(use, work, watched)


async def cancelled(use: Use, work: Work, watched: Watched) -> None:
    async def cancel() -> None:
        await anyio.wait_all_tasks_blocked()
        scope.cancel()

    scope = anyio.CancelScope()
    # It is not a task of this group that is cancelled: anyio itself leaves a cycle then.
    async with anyio.create_task_group() as group:
        group.start_soon(cancel)
        with suppress(ExceptionGroup), scope:  # without the cancellation in it, if there was one
            await catching(use, work, watched)


async def timed_out(use: Use, work: Work, watched: Watched) -> None:
    async def use_in_time(work: Work) -> None:
        with timeout(0.001):
            await use(work)

    await catching(use_in_time, work, watched)


async def natively_cancelled(use: Use, work: Work, watched: Watched) -> None:
    task = asyncio.create_task(catching(use, work, watched))
    await anyio.wait_all_tasks_blocked()
    task.cancel()
    await asyncio.wait([task])


PATHS: dict[str, tuple[Callable[[Use, Work, Watched], Awaitable[None]], Callable[[Watched], Work]]] = {
    "success": (to_the_end, lambda watched: succeeding(watched, 1)),
    "success at once": (to_the_end, lambda watched: succeeding(watched, 0)),
    "failure": (to_the_end, lambda watched: failing(watched, 1)),
    "failure at once": (to_the_end, lambda watched: failing(watched, 0)),
    "failure with others running": (to_the_end, failing_late),
    "cancellation": (cancelled, waiting),
    "failure on cancellation": (cancelled, failing_on_cancellation),
    "timeout": (timed_out, waiting),
    "failure on timeout": (timed_out, failing_on_cancellation),
    "native cancellation": (natively_cancelled, waiting),
    "failure on native cancellation": (natively_cancelled, failing_on_cancellation),
}


FAILING = {"failure", "failure at once", "failure with others running"}
WITH_A_CYCLE_IN_START = {
    True: FAILING,
    False: {*FAILING, "cancellation", "failure on cancellation", "timeout", "failure on timeout"},
}


@pytest.mark.anyio
@pytest.mark.thorough
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__.removeprefix("use_"))
async def test_nothing_is_left_to_the_collector(
    use: Use, path: str, no_collector: None, on_asyncio: bool, request: pytest.FixtureRequest
) -> None:
    drive, make = PATHS[path]
    if drive is natively_cancelled and not on_asyncio:
        pytest.skip("about tasks of asyncio")
    watched = Watched()
    await drive(use, make(watched), watched)
    for _ in range(5):
        await checkpoint()  # event loops hold on to what has just ended
    with anyio.move_on_after(5):
        while watched.left():
            await anyio.sleep(0.001)  # and so does a thread, until it has come to its end; a cycle stays for good
    assert len(watched) > 0
    assert watched.left() == []


async def call_that_fails(pool: ProcessPool) -> None:
    await pool.run(int, "no number")


async def call_that_crashes(pool: ProcessPool) -> None:
    await pool.run(work_for_processes.segfault)


async def call_that_is_late(pool: ProcessPool) -> None:
    await pool.run(time.sleep, 60, timeout=0.01)


async def call_that_cannot_be_sent(pool: ProcessPool) -> None:
    await pool.run(print, lambda: None)


async def decorated_call_that_fails(pool: ProcessPool) -> None:
    await to_process(pool=pool)(work_for_processes.add)(1, "2")  # type: ignore[arg-type]


async def map_that_fails(pool: ProcessPool) -> None:
    async with process_map(int, ["1", "no number", "2"], pool=pool) as results:
        async for _ in results:
            pass


@pytest.mark.anyio
@pytest.mark.thorough
@pytest.mark.parametrize(
    "call",
    [
        call_that_fails,
        call_that_crashes,
        call_that_is_late,
        call_that_cannot_be_sent,
        decorated_call_that_fails,
        map_that_fails,
    ],
)
async def test_errors_of_processes_are_not_left_to_the_collector(
    call: Callable[[ProcessPool], Awaitable[None]], no_collector: None
) -> None:
    watched = Watched()
    async with ProcessPool(1) as pool:
        try:
            await call(pool)
        except Exception as error:  # noqa: BLE001  # whatever it is, it must not stay
            watched.error(error)
    assert len(watched) > 0
    with anyio.move_on_after(5):
        while watched.left():
            await anyio.sleep(0.001)
    assert watched.left() == []
