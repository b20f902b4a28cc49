"""Deadlines at a time, without an error, of functions; and loops that were blocked. The clock is virtual."""

from __future__ import annotations

import asyncio
import datetime
import functools
import inspect
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest
import trio
from anyio.lowlevel import checkpoint

import asynckit._timed
from asynckit._deadline import Deadline, move_on_after, remaining, timeout, timeout_at, with_timeout
from support.clock import VirtualLoop, with_virtual_clock
from support.points import Points, every_point, every_point_natively

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend(anyio_backend: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    return with_virtual_clock(anyio_backend)


@pytest.fixture
async def block(anyio_backend: tuple[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Keep the event loop from running for some seconds, by computing."""
    computed = 0.0
    monkeypatch.setattr(asynckit._timed, "thread_time", lambda: computed)

    def block(seconds: float) -> None:
        nonlocal computed
        computed += seconds
        if anyio_backend[0] == "trio":
            trio.lowlevel.current_clock().jump(seconds)  # type: ignore[attr-defined]
        else:
            asyncio.get_running_loop()._now += seconds  # type: ignore[attr-defined]

    return block


def _line(function: Callable[..., object], offset: int) -> str:
    return f"{__file__}:{function.__code__.co_firstlineno + offset}"


async def test_a_deadline_at_a_time_says_how_long_the_block_had() -> None:
    when = anyio.current_time() + 3
    await anyio.sleep(1)
    with pytest.raises(TimeoutError) as caught, timeout_at(when) as deadline:
        await anyio.sleep_forever()
    place = _line(test_a_deadline_at_a_time_says_how_long_the_block_had, 3)
    assert str(caught.value) == f"timed out after 2 s, by the deadline set at {place}"
    assert anyio.current_time() == deadline.deadline == when


async def test_a_time_that_has_passed_gives_up_at_the_first_checkpoint() -> None:
    with pytest.raises(TimeoutError, match="after 0 s"), timeout_at(-math.inf):
        await checkpoint()
    with timeout_at(anyio.current_time() - 1) as deadline:
        pass
    assert not deadline.expired


@pytest.mark.parametrize("when", [None, math.inf])
async def test_a_time_that_never_comes(when: float | None) -> None:
    with timeout_at(when) as deadline:
        await anyio.sleep(1e6)
        assert deadline.remaining() == math.inf


async def test_a_time_before_its_block() -> None:
    deadline = timeout_at(5)
    assert repr(deadline).startswith("<Deadline at 5, deadline set at ")
    with pytest.raises(RuntimeError, match="begins when its `with` block is entered"):
        deadline.remaining()


@pytest.mark.parametrize(
    ("when", "error", "message"),
    [
        (math.nan, ValueError, "`when` must be a time on the event loop's clock, not nan; pass None for no end"),
        (True, TypeError, "`when` must be a time on the event loop's clock in seconds, or None, not True"),
        ("5", TypeError, "not '5'"),
        (datetime.datetime.now(datetime.UTC), TypeError, r"the clock is `anyio.current_time\(\)`"),
    ],
)
async def test_what_is_no_time_is_refused(when: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        timeout_at(when)


async def test_moving_on_raises_nothing_and_says_whether_it_was_late() -> None:
    start = anyio.current_time()
    with move_on_after(2) as late:
        await anyio.sleep_forever()
    with move_on_after(2) as early:
        await anyio.sleep(1)
    assert (late.expired, early.expired) == (True, False)
    assert anyio.current_time() == start + 3


async def test_moving_on_lets_errors_and_cancellations_pass() -> None:
    with pytest.raises(KeyError), move_on_after(1):
        raise KeyError
    with anyio.CancelScope() as scope:
        with move_on_after(1) as deadline:
            scope.cancel()
            await checkpoint()
        pytest.fail("it went on")
    assert not deadline.expired
    with pytest.raises(TimeoutError, match="after 1 s"), timeout(1), move_on_after(2):
        await anyio.sleep_forever()


async def test_moving_on_can_be_put_off() -> None:
    start = anyio.current_time()
    with move_on_after(1) as deadline:
        deadline.reschedule(5)
        await anyio.sleep_forever()
    assert anyio.current_time() == start + 5


async def test_remaining_is_of_the_nearest_deadline() -> None:
    assert remaining() == math.inf
    with timeout(10):
        assert remaining() == 10
        with timeout(60):
            await anyio.sleep(1)
            assert remaining() == 9
            with anyio.fail_after(3), move_on_after(4):
                assert remaining() == 3
            with anyio.CancelScope(shield=True):
                assert remaining() == math.inf
    with timeout(0):
        assert remaining() == 0
    with anyio.CancelScope() as scope:
        scope.cancel()
        assert remaining() == 0


def test_remaining_is_for_async_code() -> None:
    with pytest.raises(RuntimeError):
        remaining()


class Client:
    @with_timeout(2)
    async def load(self, seconds: float, /, *, result: str = "loaded") -> str:
        """Load."""
        await anyio.sleep(seconds)
        return result

    @staticmethod
    @with_timeout(1)
    async def static(seconds: float) -> None:
        await anyio.sleep(seconds)


async def test_each_call_of_a_function_has_its_own_time() -> None:
    client = Client()
    start = anyio.current_time()
    assert [await client.load(1.5, result=str(number)) for number in range(3)] == ["0", "1", "2"]
    with pytest.raises(TimeoutError) as caught:
        await client.load(5)
    assert anyio.current_time() == start + 6.5
    line = inspect.getsourcelines(Client.load)[1]
    assert str(caught.value) == f"timed out after 2 s, by the deadline of `Client.load` set at {__file__}:{line}"
    with pytest.raises(TimeoutError, match=r"`Client\.static`"):
        await Client.static(2)


async def test_calls_at_once_do_not_share_their_time() -> None:
    ends = []

    async def call(delay: float) -> None:
        await anyio.sleep(delay)
        try:
            await Client().load(3 - delay)
        except TimeoutError:
            ends.append(delay)

    async with anyio.create_task_group() as group:
        for delay in (0, 0.5, 1.5, 2):
            group.start_soon(call, delay)
    assert ends == [0, 0.5]


def test_a_decorated_function_looks_like_the_original() -> None:
    assert inspect.iscoroutinefunction(Client.load)
    assert (Client.load.__name__, Client.load.__doc__) == ("load", "Load.")
    assert str(inspect.signature(Client.load)).startswith("(self, seconds: 'float', /, *, result: 'str' = 'loaded')")


async def test_what_returns_something_to_await_can_be_decorated() -> None:
    await with_timeout(5)(functools.partial(anyio.sleep, 1))()
    with pytest.raises(TimeoutError, match=r"deadline of `functools\.partial"):
        await with_timeout(5)(functools.partial(anyio.sleep, 10))()


async def _generate() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (5, "`with_timeout` decorates an async function, not 5"),
        (staticmethod(checkpoint), "`@with_timeout` goes below `@staticmethod`"),
        (classmethod(checkpoint), "`@with_timeout` goes below `@classmethod`"),
        (_generate, "cannot decorate the async generator _generate"),
    ],
)
def test_what_is_no_async_function_is_refused(wrong: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        with_timeout(5)(wrong)


async def test_a_function_that_is_not_async_is_refused_when_called() -> None:
    not_async: Any = len
    with pytest.raises(TypeError, match="the function must be async, or return something to await; it returned 3"):
        await with_timeout(5)(not_async)("abc")
    coro = checkpoint()
    wrong: Any = coro
    with pytest.raises(TypeError, match="pass the function itself, without calling it"):
        with_timeout(5)(wrong)
    coro.close()
    with pytest.raises(TypeError, match="`delay` must be a number of seconds, or None for no end, not <function"):
        with_timeout(not_async and Client.static)  # type: ignore[arg-type]


async def test_of_nested_deadlines_the_one_that_fired_is_named() -> None:
    async def nested(outer: float, middle: float, inner: float) -> None:
        first = timeout(outer)
        second = timeout(middle)
        third = timeout(inner)
        with first, second, third:
            await anyio.sleep_forever()

    for delays, offset in (((1, 2, 3), 1), ((3, 1, 2), 2), ((3, 2, 1), 3)):
        with pytest.raises(TimeoutError) as caught:
            await nested(*delays)
        assert str(caught.value) == f"timed out after 1 s, by the deadline set at {_line(nested, offset)}"


async def test_of_nested_deadlines_the_outer_is_named_if_it_fires_in_the_clean_up_of_the_inner() -> None:
    with pytest.raises(TimeoutError, match="after 2 s"), timeout(2), timeout(1):
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(5)


@pytest.mark.parametrize("use", [timeout, lambda delay: timeout_at(anyio.current_time() + delay)])
async def test_a_blocked_loop_is_told_apart(use: Callable[[float], Deadline], block: Callable[[float], None]) -> None:
    with pytest.raises(TimeoutError) as caught, use(0.5):
        await checkpoint()
        block(3.5)
        await checkpoint()
    assert str(caught.value).startswith("timed out after 0.5 s, by the deadline set at ")
    assert str(caught.value).endswith("; the event loop was blocked for about 3 s when the time was up")


async def test_another_task_may_have_blocked_it(block: Callable[[float], None]) -> None:
    async with anyio.create_task_group() as group:
        with pytest.raises(TimeoutError, match=r"the event loop was blocked for about 2 s"), timeout(0):
            group.start_soon(checkpoint)
            block(2)
            await anyio.sleep_forever()


async def test_slow_clean_up_is_not_held_for_a_blocked_loop(block: Callable[[float], None]) -> None:
    with pytest.raises(TimeoutError, match=r":\d+$"), timeout(1):
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(10)


async def test_a_loop_that_is_blocked_later_is_not_held_for_blocked(
    block: Callable[[float], None], only_asyncio: None
) -> None:
    with pytest.raises(TimeoutError, match=r":\d+$"), timeout(1):
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(1)
            block(10)


async def test_a_loop_that_was_blocked_before_is_not_held_for_blocked(block: Callable[[float], None]) -> None:
    with pytest.raises(TimeoutError, match=r":\d+$"), timeout(20):
        block(10)
        await anyio.sleep_forever()


async def test_a_short_stall_is_not_worth_to_tell(block: Callable[[float], None]) -> None:
    with pytest.raises(TimeoutError, match=r":\d+$"), timeout(0.5):
        block(0.55)
        await checkpoint()


async def test_a_stall_at_the_end_of_a_long_time_is_seen(block: Callable[[float], None], only_asyncio: None) -> None:
    with pytest.raises(TimeoutError, match="the event loop was blocked for about 4 s"), timeout(100):
        await anyio.sleep(99)
        block(5)
        await checkpoint()


async def test_of_many_deadlines_each_knows_whether_it_was_blocked(
    block: Callable[[float], None], only_asyncio: None
) -> None:
    messages = {}

    async def wait(number: int) -> None:
        try:
            with timeout(number):
                await anyio.sleep_forever()
        except TimeoutError as error:
            messages[number] = re.findall("about (.*) s", str(error))

    async with anyio.create_task_group() as group:
        for number in range(1, 10):
            group.start_soon(wait, number)
        with timeout(3600) as deadline:
            await anyio.sleep(3.5)
            deadline.reschedule(5)
            await checkpoint()
            block(3)
            await anyio.sleep(1)
    assert messages == {1: [], 2: [], 3: [], 4: ["2.5"], 5: ["1.5"], 6: ["0.5"], 7: [], 8: [], 9: []}


async def test_a_deadline_moved_nearer_is_seen(block: Callable[[float], None]) -> None:
    with pytest.raises(TimeoutError, match=r"deadline moved.*blocked for about 4 s"), timeout(3600) as deadline:
        deadline.reschedule(1)
        block(5)
        await checkpoint()


def test_event_loops_one_after_another_and_side_by_side() -> None:
    async def late() -> str:
        try:
            with timeout(1):
                asyncio.get_running_loop()._now += 3  # type: ignore[attr-defined]
                await checkpoint()
        except TimeoutError as error:
            return str(error).partition("; ")[2]
        return "in time"

    loops = [VirtualLoop() for _ in range(2)]
    expected = "the event loop was blocked for about 2 s when the time was up"
    try:
        assert [loop.run_until_complete(late()) for loop in loops * 2] == [expected] * 4
        with ThreadPoolExecutor() as pool:
            assert list(pool.map(lambda loop: loop.run_until_complete(late()), loops)) == [expected] * 2
    finally:
        for loop in loops:
            loop.close()


async def test_asyncio_without_anyio_around_it(only_asyncio: None, block: Callable[[float], None]) -> None:
    async def late() -> None:
        with timeout(1):
            block(2)
            await asyncio.sleep(0)

    task = asyncio.get_running_loop().create_task(late())
    with pytest.raises(TimeoutError, match="blocked for about 1 s"):
        await task
    assert task.cancelling() == 0


async def _move_on(points: Points) -> None:
    with move_on_after(3600):
        await points()
        with timeout_at(anyio.current_time() + 7200):
            await points()
    await points()


async def _decorated(points: Points) -> None:
    @with_timeout(3600)
    async def inner() -> None:
        await points()
        await with_timeout(5)(points)()
        await points()

    await inner()


@pytest.mark.parametrize("cancel", [True, False])
@pytest.mark.parametrize("use", [_move_on, _decorated])
async def test_cancelling_and_failing_at_every_point(use: Callable[[Points], Awaitable[None]], cancel: bool) -> None:
    async def run(points: Points) -> None:
        async with anyio.create_task_group():  # whose group is what an injected error is expected in
            await use(points)

    assert await every_point(run, cancel=cancel) == 3


@pytest.mark.parametrize("use", [_move_on, _decorated])
async def test_a_native_cancellation_at_every_point(
    use: Callable[[Points], Awaitable[None]], only_asyncio: None
) -> None:
    assert await every_point_natively(use) == 3


async def test_timeouts_leave_no_request_of_cancellation(only_asyncio: None) -> None:
    task = asyncio.current_task()
    assert task is not None
    with move_on_after(1):
        await anyio.sleep_forever()
    with pytest.raises(TimeoutError):
        await with_timeout(1)(anyio.sleep_forever)()
    with pytest.raises(TimeoutError), timeout_at(0):
        await anyio.sleep_forever()
    assert task.cancelling() == 0
