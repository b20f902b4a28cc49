"""Coroutines side by side, of which the first to end counts, or a few, or each as it ends."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asynckit._errors import ChildCancelledError
from asynckit._outcome import Failure, Success
from asynckit._race import Waited, as_completed, race, wait
from support.points import InjectedError, Points, every_point, every_point_natively

pytestmark = pytest.mark.anyio


async def give(value: Any, steps: int = 1) -> Any:
    for _ in range(steps):
        await checkpoint()
    return value


async def fail(message: str, steps: int = 1) -> Any:
    for _ in range(steps):
        await checkpoint()
    raise ValueError(message)


class Forever:
    """Coroutines that never end by themselves; counts those that run."""

    def __init__(self) -> None:
        self.running = 0

    async def __call__(self) -> None:
        self.running += 1
        try:
            await anyio.sleep_forever()
        finally:
            self.running -= 1


async def _steps(points: Points, count: int) -> int:
    for _ in range(count):
        await points()
    return count


async def all_of(*coros: Coroutine[Any, Any, Any], limit: int | None = None) -> list[Any]:
    async with as_completed(*coros, limit=limit) as results:
        return [result async for result in results]


# --- as_completed


@pytest.mark.parametrize("limit", [None, 1, 2, 3])
async def test_as_completed_gives_each_result_once(limit: int | None) -> None:
    assert sorted(await all_of(*(give(number, number % 3) for number in range(20)), limit=limit)) == list(range(20))


async def test_as_completed_gives_results_as_they_come() -> None:
    assert await all_of(give("last", 9), give("first", 1), give("second", 4)) == ["first", "second", "last"]


async def test_as_completed_of_nothing_and_of_one() -> None:
    assert await all_of() == []
    assert await all_of(give(None)) == [None]


async def test_as_completed_runs_no_more_than_limit_at_once() -> None:
    running = most = 0

    async def watch() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await checkpoint()
        running -= 1

    await all_of(*(watch() for _ in range(20)), limit=3)
    assert most == 3


async def test_as_completed_does_not_wait_for_the_loop() -> None:
    ended = []

    async def work(number: int) -> None:
        await checkpoint()
        ended.append(number)

    async with as_completed(*(work(number) for number in range(20)), limit=2):
        await anyio.wait_all_tasks_blocked()
        assert sorted(ended) == list(range(20))


async def test_breaking_out_of_as_completed_cancels_what_runs_and_closes_what_has_not_begun() -> None:
    forever = Forever()
    unbegun = give(1)
    async with as_completed(give(0), forever(), forever(), unbegun, limit=2) as results:
        assert await anext(results) == 0
        assert inspect.getcoroutinestate(unbegun) == inspect.CORO_CREATED
    assert inspect.getcoroutinestate(unbegun) == inspect.CORO_CLOSED
    assert forever.running == 0


async def test_a_failure_ends_as_completed() -> None:
    forever = Forever()
    with pytest.raises(ExceptionGroup) as caught:
        await all_of(fail("one"), forever(), give(2), limit=2)
    assert [str(error) for error in caught.value.exceptions] == ["one"]
    assert forever.running == 0


async def test_as_completed_that_is_cancelled_before_it_begins_closes_all() -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await all_of(give(1), give(2), limit=1)
    assert scope.cancelled_caught


async def test_as_completed_without_its_block_is_refused_and_closes_all() -> None:
    with pytest.raises(RuntimeError, match="enter the stream by `async with"):
        async for _ in as_completed(give(1), give(2)):
            pass


async def test_as_completed_gives_each_coroutine_its_own_context() -> None:
    variable: ContextVar[int] = ContextVar("variable", default=0)

    async def use(value: int) -> int:
        before = variable.get()
        variable.set(value)
        await checkpoint()
        assert variable.get() == value
        return before

    assert await all_of(use(1), use(2), use(3), limit=1) == [0, 0, 0]
    assert variable.get() == 0


# --- race


async def test_the_first_to_succeed_wins_and_the_others_are_cancelled() -> None:
    forever = Forever()
    assert await race(forever(), give("second", 3), forever(), fail("failed"), give("late", 9)) == "second"
    assert forever.running == 0


async def test_a_race_of_one() -> None:
    assert await race(give(1)) == 1
    with pytest.raises(ExceptionGroup) as caught:
        await race(fail("one"))
    assert [str(error) for error in caught.value.exceptions] == ["one"]


async def test_who_has_not_begun_when_one_wins_never_does() -> None:
    begun = []

    async def at_once(number: int) -> int:
        begun.append(number)
        return number

    winner = await race(at_once(0), at_once(1), at_once(2))
    assert begun == [winner]


async def test_a_race_that_all_lose_raises_all_errors_in_order() -> None:
    with pytest.raises(ExceptionGroup, match="all 3 coroutines of a race failed") as caught:
        await race(fail("one", 5), fail("two", 1), fail("three", 3))
    assert [str(error) for error in caught.value.exceptions] == ["one", "two", "three"]


async def test_results_that_are_exceptions_or_none_win() -> None:
    error = ValueError()
    assert await race(give(None), Forever()()) is None
    assert await race(give(error), Forever()()) is error


async def test_what_losers_raise_on_being_cancelled_is_dropped() -> None:
    async def stubborn() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError

    async def unmoved() -> str:
        with anyio.CancelScope(shield=True):
            await give(None, 5)
        return "too late"

    assert await race(stubborn(), unmoved(), give("winner", 2)) == "winner"


async def test_the_losers_have_ended_when_the_race_has() -> None:
    ended = False

    async def slow_to_leave() -> None:
        nonlocal ended
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await give(None, 9)
            ended = True

    await race(slow_to_leave(), give(1, 2))
    assert ended


async def test_an_endless_delay_starts_the_next_only_when_one_has_failed() -> None:
    begun = []

    async def contend(number: int, *, fails: bool) -> int:
        begun.append(number)
        await give(None, 3)
        if fails:
            raise ValueError(number)
        return number

    assert await race(*(contend(number, fails=number < 2) for number in range(5)), delay=float("inf")) == 2
    assert begun == [0, 1, 2]


async def test_a_race_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="`race` needs at least one coroutine"):
        await race()


@pytest.mark.parametrize(
    ("delay", "error", "message"),
    [(-1, ValueError, "`delay` must be 0 or more seconds"), ("1", TypeError, "`delay` must be a number of seconds")],
)
async def test_a_wrong_delay_is_refused_and_the_coroutines_are_closed(
    delay: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        await race(give(1), delay=delay)


# --- wait


async def test_wait_for_all() -> None:
    waited = await wait(give("a", 3), fail("b", 1), give("c", 2))
    assert list(waited.done) == [1, 2, 0]
    assert waited.done[0] == Success("a")
    assert waited.done[2].unwrap() == "c"
    failed = waited.done[1]
    assert isinstance(failed, Failure)
    assert str(failed.exception) == "b"
    assert waited.cancelled == ()


@pytest.mark.parametrize("first", [give, fail])
async def test_wait_for_the_first_to_end_in_any_way(first: Callable[[str], Coroutine[Any, Any, Any]]) -> None:
    forever = Forever()
    waited = await wait(forever(), first("x"), forever(), return_when="first_completed")
    assert list(waited.done) == [1]
    assert isinstance(waited.done[1], Success) == (first is give)
    assert waited.cancelled == (0, 2)
    assert forever.running == 0


async def test_wait_for_the_first_failure() -> None:
    forever = Forever()
    waited = await wait(forever(), give("a", 1), fail("b", 5), return_when="first_exception")
    assert list(waited.done) == [1, 2]
    assert waited.cancelled == (0,)
    assert forever.running == 0


async def test_wait_for_the_first_failure_if_there_is_none() -> None:
    waited = await wait(give("a"), give("b"), return_when="first_exception")
    assert waited == Waited({0: Success("a"), 1: Success("b")}, ())


async def test_wait_for_nothing() -> None:
    assert await wait() == Waited({}, ())


async def test_what_has_not_begun_when_the_wait_is_over_never_does() -> None:
    begun = []

    async def at_once(number: int) -> int:
        begun.append(number)
        return number

    waited = await wait(at_once(0), at_once(1), at_once(2), return_when="first_completed")
    assert begun == list(waited.done)
    assert len(begun) == 1
    assert len(waited.cancelled) == 2


async def test_what_ends_while_it_is_cancelled_has_an_outcome() -> None:
    async def stubborn() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError

    waited = await wait(stubborn(), give("a", 2), return_when="first_completed")
    assert list(waited.done) == [1, 0]
    assert isinstance(waited.done[0], Failure)
    assert waited.cancelled == ()


async def test_wait_for_a_wrong_event_is_refused_and_the_coroutines_are_closed() -> None:
    when: Any = "FIRST_COMPLETED"
    with pytest.raises(ValueError, match='`return_when` must be "first_completed", "first_exception" or "all"'):
        await wait(give(1), return_when=when)


# --- all three


USES: list[Callable[..., Awaitable[Any]]] = [all_of, race, wait]

each = pytest.mark.parametrize("use", USES, ids=["as_completed", "race", "wait"])


@each
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (7, "argument 1 of `{}` must be a coroutine, not 7"),
        (give, r"call it: `{}\(give\(…\)\)`"),
        ([], r"unpack it with a star: `{}\(\*coros\)`"),
    ],
)
async def test_what_is_no_coroutine_is_refused_and_the_others_are_closed(use: Any, wrong: Any, message: str) -> None:
    name = "as_completed" if use is all_of else use.__name__
    with pytest.raises(TypeError, match=message.format(name)):
        await use(give(1), wrong, give(3))


@each
async def test_a_future_is_refused_with_advice(use: Any, only_asyncio: None) -> None:
    future: Any = asyncio.get_running_loop().create_future()
    with pytest.raises(TypeError, match="await it in an async function"):
        await use(future)


@each
async def test_the_same_coroutine_twice_is_refused_and_closed(use: Any) -> None:
    coro = give(1)
    with pytest.raises(ValueError, match="was passed before"):
        await use(coro, coro)


async def test_a_wrong_limit_is_refused_and_the_coroutines_are_closed() -> None:
    with pytest.raises(ValueError, match="`limit` must be 1 or more, not 0"):
        await all_of(give(1), limit=0)


@pytest.mark.parametrize("use", [race, wait])
async def test_a_task_that_is_cancelled_before_it_begins_leaves_no_coroutine_behind(
    use: Any, only_asyncio: None
) -> None:
    task = asyncio.create_task(use(give(1), give(2)))
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


@pytest.mark.parametrize("use", [race, wait])
async def test_cancelled_before_it_begins(use: Any) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await use(give(1), give(2), Forever()())
    assert scope.cancelled_caught


@pytest.mark.parametrize("use", [race, wait])
@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration])
async def test_odd_exceptions_are_failures(use: Any, error: type[Exception]) -> None:
    async def odd() -> None:
        await checkpoint()
        raise error

    if use is wait:
        assert isinstance((await wait(odd())).done[0], Failure)
    else:
        with pytest.raises(ExceptionGroup):
            await race(odd())


@each
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_exceptions_that_end_the_program_pass_through(use: Any, error: type[BaseException], anyio_backend: Any) -> None:
    async def work() -> None:
        await checkpoint()
        raise error

    async def main() -> None:
        # By one worker, for anyio lets a worker that has not begun when the loop breaks warn that it was never awaited.
        await (all_of(work(), limit=1) if use is all_of else use(work(), Forever()()))

    with pytest.raises((error, BaseExceptionGroup)) as caught:
        anyio.run(main, backend=anyio_backend[0], backend_options=anyio_backend[1])
    assert isinstance(caught.value, error) or caught.value.subgroup(error) is not None


@each
async def test_a_coroutine_that_cancels_itself_has_failed(use: Any, only_asyncio: None) -> None:
    gone = asyncio.ensure_future(asyncio.sleep(3600))
    gone.cancel()

    async def await_gone() -> None:
        await gone

    if use is wait:
        failed = (await wait(await_gone(), give(1))).done[0]
        assert isinstance(failed, Failure)
        assert isinstance(failed.exception, ChildCancelledError)
    else:
        with pytest.raises(ExceptionGroup) as caught:
            await use(await_gone())
        assert caught.group_contains(ChildCancelledError, depth=1)
    if use is race:
        assert await race(await_gone(), give(1)) == 1


@pytest.mark.parametrize("use", [race, wait])
async def test_a_contender_whose_task_is_cancelled_has_failed(use: Any, only_asyncio: None) -> None:
    async def cancel_me() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    if use is race:
        assert await race(cancel_me(), give(1, 5)) == 1
    else:
        waited = await wait(cancel_me(), give(1, 5))
        assert isinstance(waited.done[0], Failure)
        assert waited.done[1] == Success(1)


async def _points_as_completed(points: Points) -> None:
    try:
        async with as_completed(_steps(points, 3), _steps(points, 1), _steps(points, 2), limit=2) as results:
            async for _ in results:
                await points()
    except InjectedError as error:
        raise ExceptionGroup("as `every_point` likes it", [error]) from None


async def _points_race(points: Points) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await race(*(_fail_after(points, count) for count in (3, 1, 2)), delay=float("inf"))
    assert len(caught.value.exceptions) == 3


async def _fail_after(points: Points, count: int) -> None:
    await _steps(points, count)
    raise ValueError(count)


async def _points_wait(points: Points) -> None:
    waited = await wait(_steps(points, 3), _steps(points, 1), _steps(points, 2))
    for outcome in waited.done.values():
        if isinstance(outcome, Failure):
            raise ExceptionGroup("as `every_point` likes it", [outcome.exception])


@pytest.mark.parametrize(("use", "count"), [(_points_as_completed, 9), (_points_race, 6), (_points_wait, 6)])
async def test_cancelling_at_every_point_leaves_nothing_behind(use: Any, count: int) -> None:
    assert await every_point(use, cancel=True) == count


@pytest.mark.parametrize(("use", "count"), [(_points_as_completed, 9), (_points_wait, 6)])
async def test_failing_at_every_point_leaves_nothing_behind(use: Any, count: int) -> None:
    assert await every_point(use, cancel=False) == count


@pytest.mark.parametrize(("use", "count"), [(_points_as_completed, 9), (_points_race, 6), (_points_wait, 6)])
async def test_a_native_cancellation_anywhere_ends_cancelled_and_leaves_nothing(
    only_asyncio: None, use: Callable[[Points], Awaitable[None]], count: int
) -> None:
    assert await every_point_natively(use) == count


@each
async def test_the_callers_cancellation_count_is_right_afterwards(use: Any, only_asyncio: None) -> None:
    await use(give(1), give(2, 5))
    if use is not wait:
        with pytest.raises(ExceptionGroup):
            await use(fail("one"))
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_nested_in_each_other() -> None:
    assert await race(race(give(1, 9), give(2, 3)), give(3, 20)) == 2
    waited = await wait(race(give(1)), wait(give(2), give(3)))
    assert waited.done[0] == Success(1)
    assert waited.done[1].unwrap().done[1] == Success(3)
    assert sorted(await all_of(race(give(1)), give(2))) == [1, 2]
