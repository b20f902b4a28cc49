"""Calls in threads: cancelled, failing, nested, called back from, with their context."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import threading
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.from_thread
import pytest
import sniffio
import trio.from_thread
from anyio.lowlevel import checkpoint

from asynckit import ChildCancelledError, ThreadPool, default_thread_pool, gather, run_in_thread, to_thread
from asynckit._workers import workers
from support.points import Points, every_point

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_thread_works")]


class Gate:
    """A function that waits in its thread until it is let go on."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.released = threading.Event()
        self.ended = threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        self.released.wait()
        self.ended.set()
        return "through"

    async def wait_begun(self) -> None:
        while not self.begun.is_set():
            await checkpoint()

    async def wait_ended(self) -> None:
        while not self.ended.is_set():
            await checkpoint()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.released.set()  # a test that fails must not leave a thread behind


async def test_it_gives_the_result() -> None:
    assert await run_in_thread(pow, 2, 5) == 32
    assert await run_in_thread(functools.partial(int, base=2), "101") == 5


class CustomError(Exception):
    pass


@pytest.mark.parametrize("kind", [CustomError, KeyboardInterrupt, SystemExit, GeneratorExit, StopAsyncIteration])
async def test_whatever_it_raises_comes_through(kind: type[BaseException]) -> None:
    raised = kind("because")

    def fail() -> None:
        raise raised

    with pytest.raises(kind) as caught:
        await run_in_thread(fail)
    assert caught.value is raised


async def test_a_long_argument_is_not_in_the_message() -> None:
    call = functools.partial(coroutine_function, "x" * 1000)
    with pytest.raises(TypeError) as caught:
        await run_in_thread(call)
    assert len(str(caught.value)) < 200


async def test_a_thread_serves_on_after_whatever_was_raised() -> None:
    def leave() -> None:
        raise SystemExit

    for _ in range(50):
        with pytest.raises(SystemExit):
            await run_in_thread(leave)
    assert await run_in_thread(str, 1) == "1"


async def test_a_cancellation_that_nobody_asked_for_is_an_error() -> None:
    kind = anyio.get_cancelled_exc_class()
    if kind is not asyncio.CancelledError:
        pytest.skip("trio lets nobody make one")

    def cancel() -> None:
        raise kind

    with pytest.raises(ChildCancelledError, match="nobody asked for"):
        await run_in_thread(cancel)


async def coroutine_function(*_: object) -> None: ...


def generator_function() -> Generator[int]:
    yield 1


class Awaited:
    def __await__(self) -> Generator[Any, None, int]:
        yield from checkpoint().__await__()
        return 7


@pytest.mark.parametrize(
    ("func", "message"),
    [
        (coroutine_function, "`coroutine_function` is async: await it as it is"),
        (lambda: coroutine_function() or None, "`.*<lambda>` returned a coroutine"),
        (functools.partial(coroutine_function), "is async: await it as it is"),
        (generator_function, "`generator_function` is a generator function, .* use `async with iterate_in_thread"),
    ],
)
async def test_what_would_run_in_the_event_loop_is_refused(func: Callable[[], object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        await run_in_thread(func)


async def test_what_may_be_awaited_but_is_no_coroutine_is_a_result_like_any_other() -> None:
    assert await (await run_in_thread(Awaited)) == 7
    assert next(await run_in_thread(lambda: (each for each in "ab"))) == "a"


async def test_a_decorated_function_called_in_a_worker_says_how_to_call_it() -> None:
    @to_thread
    def inner(number: int) -> int:
        return number + 1

    def mistaken() -> None:
        inner(1)  # type: ignore[unused-awaitable]

    with pytest.raises(RuntimeError, match=r"`inner\.sync\(…\)` .* `anyio\.from_thread\.run\(inner, …\)`"):
        await run_in_thread(mistaken)
    assert await run_in_thread(lambda: inner.sync(1)) == 2
    assert await run_in_thread(lambda: anyio.from_thread.run(inner, 1)) == 2


async def test_an_event_loop_in_a_worker_may_use_threads_of_its_own(anyio_backend: tuple[str, dict[str, Any]]) -> None:
    def nested() -> int:
        async def main() -> int:
            return await to_thread(lambda: 5)()

        return anyio.run(main, backend=anyio_backend[0], backend_options=anyio_backend[1])

    assert await run_in_thread(nested) == 5


# Context variables

variable: ContextVar[str] = ContextVar("variable", default="unset")
other: ContextVar[str] = ContextVar("other", default="unset")


async def test_context_variables_come_out_on_request() -> None:
    def work() -> None:
        assert variable.get() == "outer"
        variable.set("inner")

    variable.set("outer")
    other.set("kept")
    await run_in_thread(work)
    assert variable.get() == "outer"
    await run_in_thread(work, context_out=True)
    assert variable.get() == "inner"
    assert other.get() == "kept"


async def test_context_variables_come_out_of_what_fails_too() -> None:
    @to_thread(context_out=True)
    def work() -> None:
        variable.set("inner")
        raise CustomError

    with pytest.raises(CustomError):
        await work()
    assert variable.get() == "inner"


async def test_nothing_but_what_was_set_comes_out(anyio_backend: tuple[str, dict[str, Any]]) -> None:
    await run_in_thread(lambda: None, context_out=True)
    assert sniffio.current_async_library() == anyio_backend[0]
    # Were the call itself in this context, a call from here would borrow its room.
    pool = ThreadPool("pool", 1)
    await gather(*(run_in_thread(str, 1, limiter=pool) for _ in range(3)))


async def test_no_async_library_is_seen_in_the_thread() -> None:
    def look() -> None:
        sniffio.current_async_library()

    with pytest.raises(sniffio.AsyncLibraryNotFoundError):
        await run_in_thread(look)


# Calling back


async def test_a_worker_calls_back_by_anyio() -> None:
    async def answer(number: int) -> tuple[int, int]:
        await checkpoint()
        return number, threading.get_ident()

    def ask() -> tuple[tuple[int, int], int]:
        return anyio.from_thread.run(answer, 5), anyio.from_thread.run_sync(threading.get_ident)

    here = threading.get_ident()
    assert await run_in_thread(ask) == ((5, here), here)


async def test_a_worker_on_trio_calls_back_by_trio(on_asyncio: bool) -> None:
    if on_asyncio:
        pytest.skip("about trio")
    assert await run_in_thread(lambda: trio.from_thread.run_sync(threading.get_ident)) == threading.get_ident()


async def test_what_a_worker_calls_back_sees_its_context() -> None:
    async def look() -> str:
        return variable.get()

    def ask() -> str:
        variable.set("inner")
        return anyio.from_thread.run(look)

    assert await run_in_thread(ask) == "inner"


async def test_what_a_worker_calls_back_may_raise() -> None:
    async def fail() -> None:
        await checkpoint()
        raise CustomError

    with pytest.raises(CustomError):
        await run_in_thread(anyio.from_thread.run, fail)


async def test_no_thread_that_was_used_can_call_back_later() -> None:
    threads: list[threading.Thread] = []
    failures: list[BaseException] = []

    def later() -> None:
        try:
            anyio.from_thread.run(checkpoint)
        except RuntimeError as error:
            failures.append(error)

    def work() -> None:
        threads.append(threading.Thread(target=later))

    await run_in_thread(work)
    threads[0].start()
    threads[0].join()
    assert len(failures) == 1


# Cancelling


async def test_nothing_runs_in_a_cancelled_scope() -> None:
    ran = False

    def work() -> None:
        nonlocal ran
        ran = True

    for limiter in (None, anyio.CapacityLimiter(1)):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await run_in_thread(work, limiter=limiter)
        assert scope.cancelled_caught
        assert limiter is None or limiter.borrowed_tokens == 0
    assert not ran


async def test_a_cancelled_call_gives_its_result_and_the_next_checkpoint_is_cancelled(gate: Gate) -> None:
    results: list[str] = []
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def cancel() -> None:
                await gate.wait_begun()
                scope.cancel()
                gate.released.set()

            group.start_soon(cancel)
            results.append(await run_in_thread(gate))
            await checkpoint()
            results.append("not reached")
    assert scope.cancelled_caught
    assert results == ["through"]


async def test_a_cancelled_call_raises_what_the_function_raised(gate: Gate) -> None:
    def fail() -> None:
        gate()
        raise CustomError

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def cancel() -> None:
                await gate.wait_begun()
                scope.cancel()
                gate.released.set()

            group.start_soon(cancel)
            with pytest.raises(CustomError):
                await run_in_thread(fail)
    assert scope.cancel_called


async def test_a_call_that_waits_for_a_thread_is_cancelled_at_once(gate: Gate) -> None:
    pool = ThreadPool("pool", 1)
    ran = False

    def work() -> None:
        nonlocal ran
        ran = True

    async with anyio.create_task_group() as group:
        group.start_soon(functools.partial(run_in_thread, gate, limiter=pool))
        await gate.wait_begun()
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as inner:
                inner.start_soon(functools.partial(run_in_thread, work, limiter=pool))
                while not pool.statistics().waiting:
                    await checkpoint()
                scope.cancel()
        assert scope.cancelled_caught
        assert pool.statistics().waiting == 0
        gate.released.set()
    assert not ran
    assert await run_in_thread(str, 1, limiter=pool) == "1"


async def test_an_abandoned_call_keeps_its_room_until_its_thread_is_done(gate: Gate) -> None:
    pool = ThreadPool("pool", 3)
    limiter = anyio.CapacityLimiter(3)
    for bound in (pool, limiter):
        gates = [Gate() for _ in range(3)]
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                for each in gates:
                    group.start_soon(functools.partial(run_in_thread, each, limiter=bound, abandon_on_cancel=True))
                for each in gates:
                    await each.wait_begun()
                scope.cancel()
        if bound is pool:
            assert pool.statistics().abandoned == pool.statistics().busy == 3
        else:
            assert limiter.borrowed_tokens == 3
        ran = anyio.Event()
        async with anyio.create_task_group() as group:

            async def use(bound: Any = bound, ran: anyio.Event = ran) -> None:
                await run_in_thread(str, 1, limiter=bound)
                ran.set()

            group.start_soon(use)
            for _ in range(10):
                await checkpoint()
            assert not ran.is_set()
            for each in gates:
                each.released.set()
        assert ran.is_set()
    while pool.statistics().abandoned or limiter.borrowed_tokens:
        await checkpoint()


async def test_a_hundred_abandoned_calls_are_no_hundred_threads(gate: Gate) -> None:
    """Those that still wait for a thread when they are abandoned never get one."""
    pool = ThreadPool("pool", 4)
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(functools.partial(run_in_thread, gate, limiter=pool, abandon_on_cancel=True))
            while pool.statistics().busy < 4 or pool.statistics().waiting < 96:
                await checkpoint()
            scope.cancel()
    statistics = pool.statistics()
    assert (statistics.busy, statistics.abandoned, statistics.waiting) == (4, 4, 0)
    gate.released.set()
    while pool.statistics().busy:
        await checkpoint()
    assert pool.statistics().done == 4


async def test_a_worker_can_ask_whether_it_is_still_wanted(gate: Gate) -> None:
    def work() -> None:
        gate()
        while True:
            anyio.from_thread.check_cancelled()

    for abandon in (False, True):
        gate.begun.clear()
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(functools.partial(run_in_thread, work, abandon_on_cancel=abandon))
                await gate.wait_begun()
                gate.released.set()
                scope.cancel()
        assert scope.cancelled_caught
    while default_thread_pool().statistics().busy:
        await checkpoint()


async def test_a_worker_that_is_still_wanted_hears_so() -> None:
    await run_in_thread(anyio.from_thread.check_cancelled)


async def _calls(points: Points) -> None:
    def call_back() -> None:
        anyio.from_thread.run(points)

    async with anyio.create_task_group() as group:
        pool = ThreadPool("pool", 1)
        group.start_soon(functools.partial(run_in_thread, call_back, limiter=pool))
        group.start_soon(functools.partial(run_in_thread, call_back, limiter=pool))
        await points()
        await run_in_thread(call_back)
        await points()


@pytest.mark.parametrize("cancel", [False, True])
async def test_cancelling_or_failing_at_any_point_leaves_nothing(cancel: bool) -> None:
    assert await every_point(_calls, cancel=cancel) == 5


async def test_a_task_that_cancels_itself_by_calling_back(on_asyncio: bool) -> None:
    with anyio.CancelScope() as scope:
        await run_in_thread(lambda: anyio.from_thread.run_sync(scope.cancel))
        await checkpoint()
        pytest.fail("not cancelled")
    assert scope.cancelled_caught


# What asyncio itself cancels


@pytest.mark.usefixtures("only_asyncio")
class TestNativeCancellation:
    async def run_and_cancel(self, call: Callable[[], Awaitable[object]], gate: Gate, *, times: int = 1) -> int:
        """Cancel a task while its function runs; say how many requests it saw."""
        counted = -1

        async def main() -> None:
            nonlocal counted
            try:
                await call()
            finally:
                counted = task.cancelling()

        task = asyncio.create_task(main())
        await gate.wait_begun()
        for _ in range(times):
            task.cancel()
            for _ in range(3):
                await checkpoint()
        gate.released.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        return counted

    @pytest.mark.parametrize("times", [1, 3])
    async def test_it_waits_for_the_thread_and_ends_cancelled(self, gate: Gate, times: int) -> None:
        assert await self.run_and_cancel(lambda: run_in_thread(gate), gate, times=times) == times
        assert gate.ended.is_set()

    async def test_it_may_be_abandoned(self, gate: Gate) -> None:
        task = asyncio.create_task(run_in_thread(gate, abandon_on_cancel=True))
        await gate.wait_begun()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not gate.ended.is_set()
        assert default_thread_pool().statistics().abandoned == 1
        gate.released.set()
        await gate.wait_ended()

    async def test_a_task_cancelled_before_its_first_step_calls_nothing(self, gate: Gate) -> None:
        if asyncio.get_running_loop().get_task_factory() is not None:
            pytest.skip("an eager task has taken its first step when it is there")
        task = asyncio.create_task(run_in_thread(gate))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not gate.begun.is_set()

    async def test_a_failure_is_not_lost(self, gate: Gate) -> None:
        def fail() -> None:
            gate()
            raise CustomError

        task = asyncio.create_task(run_in_thread(fail))
        await gate.wait_begun()
        task.cancel()
        await checkpoint()
        gate.released.set()
        with pytest.raises(CustomError):
            await task

    async def test_after_a_failure_the_next_await_is_cancelled(self, gate: Gate) -> None:
        def fail() -> None:
            gate()
            raise CustomError

        async def main() -> None:
            with pytest.raises(CustomError):
                await run_in_thread(fail)
            await asyncio.Event().wait()

        task = asyncio.create_task(main())
        await gate.wait_begun()
        task.cancel()
        await checkpoint()
        gate.released.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelling() == 1

    async def test_a_timeout_of_asyncio_is_its_own(self, gate: Gate) -> None:
        def wait_until_unwanted() -> None:
            gate.begun.set()
            while True:
                anyio.from_thread.check_cancelled()

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as deadline:
                asyncio.get_running_loop().call_soon(deadline.reschedule, 0)
                await run_in_thread(wait_until_unwanted)

    async def test_what_it_has_called_back_is_cancelled(self, gate: Gate) -> None:
        async def wait() -> None:
            gate.begun.set()
            await anyio.sleep_forever()

        assert await self.run_and_cancel(lambda: run_in_thread(anyio.from_thread.run, wait), gate) == 1

    async def test_closing_the_coroutine_abandons_the_call(self, gate: Gate) -> None:
        class Closing:
            def __await__(self) -> Generator[Any, None, None]:
                coro = run_in_thread(gate)
                coro.send(None)
                while not gate.begun.is_set():
                    yield
                with workers.lock:  # as may be where it is collected as garbage
                    coro.close()

        await Closing()
        while not default_thread_pool().statistics().abandoned:
            await checkpoint()


async def test_an_error_of_a_cancelled_callback_is_no_error_of_the_call(gate: Gate) -> None:
    async def wait() -> None:
        gate.begun.set()
        await anyio.sleep_forever()

    raised: list[BaseException] = []

    def work() -> None:
        try:
            anyio.from_thread.run(wait)
        except BaseException as error:
            raised.append(error)
            raise

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(run_in_thread, work)
            await gate.wait_begun()
            scope.cancel()
    assert scope.cancelled_caught
    assert isinstance(raised[0], (concurrent.futures.CancelledError, anyio.get_cancelled_exc_class()))


@pytest.mark.parametrize("abandon", [False, True])
async def test_a_callback_that_begins_when_the_call_is_cancelled_does_not_hang(
    gate: Gate, abandon: bool, on_asyncio: bool
) -> None:
    reached = False

    async def late() -> None:
        nonlocal reached
        await checkpoint()
        reached = True

    ended = threading.Event()

    def work() -> None:
        gate()
        try:
            anyio.from_thread.run(late)
        finally:
            ended.set()

    async def let_go() -> None:
        """Let the thread go on when nobody has been asking it to end for a while."""
        await gate.wait_begun()
        scope.cancel()
        with anyio.CancelScope(shield=True):
            for _ in range(20):
                await checkpoint()
        gate.released.set()

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(let_go)
            group.start_soon(functools.partial(run_in_thread, work, abandon_on_cancel=abandon))
    assert scope.cancelled_caught
    while not ended.is_set():
        await checkpoint()
    assert reached == (abandon and not on_asyncio), "trio lets an abandoned thread do what it likes"


# Nested calls


@pytest.mark.parametrize("depth", [1, 5])
async def test_nested_calls_at_the_limit_go_on(depth: int) -> None:
    pool = ThreadPool("pool", 2)
    most = 0

    def nest(level: int) -> int:
        nonlocal most
        most = max(most, pool.statistics().busy)
        if level == 0:
            return 1

        async def both() -> int:
            return sum(await gather(call(level - 1), call(level - 1)))

        return anyio.from_thread.run(both)

    async def call(level: int) -> int:
        return await run_in_thread(nest, level, limiter=pool)

    assert sum(await gather(*(call(depth) for _ in range(4)))) == 4 * 2**depth
    assert most <= 4 * (depth + 1), "threads grow with the depth, and not with the number of the calls"
    assert pool.statistics().busy == pool.statistics().waiting == 0


async def test_calls_nested_across_pools_go_on() -> None:
    pools = [ThreadPool("a", 1), ThreadPool("b", 1)]

    def nest(level: int) -> int:
        return anyio.from_thread.run(call, level - 1) + 1 if level else 0

    async def call(level: int) -> int:
        return await run_in_thread(nest, level, limiter=pools[level % 2])

    assert await gather(call(6), call(7), call(6)) == (6, 7, 6)


async def test_room_lent_to_what_outlives_the_lender_stays_taken(gate: Gate) -> None:
    pool = ThreadPool("pool", 1)
    async with anyio.create_task_group() as group:

        async def spawn() -> None:
            group.start_soon(functools.partial(run_in_thread, gate, limiter=pool))
            await gate.wait_begun()

        await run_in_thread(anyio.from_thread.run, spawn, limiter=pool)
        assert pool.statistics().busy == 1
        group.start_soon(functools.partial(run_in_thread, str, 1, limiter=pool))
        while not pool.statistics().waiting:
            await checkpoint()
        gate.released.set()
    assert await run_in_thread(str, 1, limiter=pool) == "1"


async def test_a_nested_call_that_a_limiter_of_anyio_has_no_token_for_is_refused() -> None:
    limiter = anyio.CapacityLimiter(1)

    async def inner() -> str:
        return await run_in_thread(str, 1, limiter=limiter)

    with pytest.raises(RuntimeError, match=r"`str` is called on behalf of `run`.*none of its 1 tokens left"):
        await run_in_thread(anyio.from_thread.run, inner, limiter=limiter)
    assert limiter.borrowed_tokens == 0
    limiter.total_tokens = 2
    assert await run_in_thread(anyio.from_thread.run, inner, limiter=limiter) == "1"
