"""What asyncio of Python 3.13 publishes of its task groups, timeouts and queues holds for our helpers on every Python.

Each scenario is run with ours; on 3.13 also with asyncio's own, so that the measure is measured.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, cast

import anyio
import pytest

from asynckit import KeyedLock, Queue, QueueClosed, move_on_after, open_scope, run_in_thread, timeout, timeout_at

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("only_asyncio")]

IS_MEASURE = pytest.mark.skipif(sys.version_info < (3, 13), reason="the measure is asyncio of Python 3.13")
SCOPES = pytest.mark.parametrize(
    "scope", [pytest.param(open_scope, id="ours"), pytest.param(asyncio.TaskGroup, id="asyncio", marks=IS_MEASURE)]
)
MakeScope = Callable[[], Any]


async def _rounds(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def _fail(error: BaseException) -> None:
    raise error


def _requests() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def _forever() -> None:
    await asyncio.Event().wait()


def _types(group: BaseExceptionGroup[BaseException]) -> list[str]:
    return sorted(type(error).__name__ for error in group.exceptions)


@SCOPES
async def test_an_error_of_a_child_cancels_the_body_and_the_others(scope: MakeScope) -> None:
    cancelled: list[str] = []

    async def wait(name: str) -> None:
        try:
            await _forever()
        except asyncio.CancelledError:
            cancelled.append(name)
            raise

    async def fail_after(event: asyncio.Event) -> None:
        await event.wait()
        raise ValueError

    ready = asyncio.Event()
    with pytest.raises(ExceptionGroup) as caught:
        async with scope() as children:
            children.create_task(wait("sibling"))
            children.create_task(fail_after(ready))
            await _rounds()
            ready.set()
            await wait("body")
    assert _types(caught.value) == ["ValueError"]
    assert sorted(cancelled) == ["body", "sibling"]
    assert _requests() == 0


@SCOPES
async def test_errors_of_the_body_and_of_children_that_clean_up_come_together(scope: MakeScope) -> None:
    async def fail_on_cancel() -> None:
        try:
            await _forever()
        finally:
            raise KeyError

    with pytest.raises(ExceptionGroup) as caught:
        async with scope() as children:
            children.create_task(fail_on_cancel())
            children.create_task(fail_on_cancel())
            await _rounds()
            raise ValueError
    assert _types(caught.value) == ["KeyError", "KeyError", "ValueError"]
    assert _requests() == 0


@SCOPES
async def test_a_cancelled_parent_waits_for_its_children_and_is_cancelled(scope: MakeScope) -> None:
    may_end = asyncio.Event()
    ended: list[str] = []

    async def parent() -> None:
        async with scope() as children:
            children.create_task(_shielded_end(may_end, ended))

    task = asyncio.create_task(parent())
    await _rounds()
    task.cancel()
    await _rounds()
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["child"]
    assert task.cancelled()


async def _shielded_end(may_end: asyncio.Event, ended: list[str]) -> None:
    try:
        await _forever()
    except asyncio.CancelledError:
        with anyio.CancelScope(shield=True):
            await may_end.wait()
        ended.append("child")
        raise


@SCOPES
async def test_a_parent_cancelled_while_a_child_fails_in_clean_up_raises_the_error(scope: MakeScope) -> None:
    async def fail_on_cancel() -> None:
        try:
            await _forever()
        finally:
            raise ValueError

    seen: list[object] = []

    async def parent() -> None:
        try:
            async with scope() as children:
                children.create_task(fail_on_cancel())
        except* ValueError:
            seen.append("error")
        try:
            await _rounds()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    task = asyncio.create_task(parent())
    await _rounds()
    task.cancel()
    await asyncio.wait([task])
    assert seen == ["error", "cancelled"]
    assert task.cancelled()


@SCOPES
async def test_a_child_that_is_cancelled_alone_ends_alone(scope: MakeScope) -> None:
    ended: list[str] = []

    async def work() -> None:
        await _rounds()
        ended.append("work")

    async with scope() as children:
        alone = children.create_task(_forever())
        children.create_task(work())
        await _rounds(3)
        alone.cancel()
    assert ended == ["work"]
    assert alone.cancelled()
    assert _requests() == 0


@SCOPES
async def test_a_child_may_start_others_after_the_body_has_ended(scope: MakeScope) -> None:
    ended: list[str] = []

    async def grandchild() -> None:
        await _rounds()
        ended.append("grandchild")

    async def child(children: Any) -> None:
        await _rounds()
        children.create_task(grandchild())

    async with scope() as children:
        children.create_task(child(children))
    assert ended == ["grandchild"]


@SCOPES
async def test_no_task_can_be_created_when_it_is_over(scope: MakeScope) -> None:
    async with scope() as children:
        pass
    coro = _forever()
    with pytest.raises(RuntimeError):
        children.create_task(coro)
    coro.close()


@SCOPES
async def test_a_child_created_while_the_others_are_cancelled_does_not_live_on(scope: MakeScope) -> None:
    started: list[str] = []

    async def latecomer() -> None:
        started.append("latecomer")
        await _forever()

    async def create_on_cancel(children: Any) -> None:
        try:
            await _forever()
        finally:
            coro = latecomer()
            try:
                children.create_task(coro)
            except RuntimeError:  # asyncio refuses; ours may cancel it as it begins
                coro.close()

    with pytest.raises(ExceptionGroup) as caught:
        async with scope() as children:
            children.create_task(create_on_cancel(children))
            await _rounds()
            raise ValueError
    assert _types(caught.value) == ["ValueError"]


@SCOPES
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
async def test_what_ends_the_program_cancels_the_children_and_is_raised_by_the_body(
    scope: MakeScope, error: type[BaseException]
) -> None:
    ended: list[str] = []

    async def child() -> None:
        try:
            await _forever()
        finally:
            ended.append("child")

    raised: list[type[BaseException]] = []
    try:
        async with scope() as children:
            children.create_task(child())
            await _rounds()
            raise error
    except* error as group:  # asyncio raises it bare, ours in a group
        raised.extend(type(one) for one in group.exceptions)
    assert raised == [error]
    assert ended == ["child"]
    assert _requests() == 0


@SCOPES
async def test_a_scope_is_entered_once(scope: MakeScope) -> None:
    block = scope()
    async with block:
        pass
    with pytest.raises((RuntimeError, StopAsyncIteration)):
        async with block:
            pass


@SCOPES
async def test_an_error_passes_from_an_inner_scope_to_the_outer(scope: MakeScope) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with scope() as outer:
            outer.create_task(_forever())
            async with scope() as inner:
                inner.create_task(_forever())
                inner.create_task(_fail(ValueError()))
    (group,) = caught.value.exceptions
    assert isinstance(group, ExceptionGroup)
    assert _types(group) == ["ValueError"]
    assert _requests() == 0


@SCOPES
async def test_a_failure_leaves_a_timeout_around_it_working(scope: MakeScope) -> None:
    tries: list[int] = []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3600) as deadline:
            for _ in range(3):
                try:
                    async with scope() as children:
                        children.create_task(_fail(ValueError()))
                        await _forever()
                except* ValueError:
                    tries.append(_requests())
            deadline.reschedule(0)
            await _forever()
    assert tries == [0, 0, 0]
    assert _requests() == 0


def _until_past(seconds: float) -> Any:
    """Ours refuses to wait for less than nothing, and has `timeout_at` for a time that has passed."""
    return timeout_at(asyncio.get_running_loop().time() - seconds)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: timeout(0), id="ours"),
        pytest.param(lambda: _until_past(1), id="ours in the past"),
        pytest.param(lambda: asyncio.timeout(0), id="asyncio", marks=IS_MEASURE),
        pytest.param(lambda: asyncio.timeout(-1), id="asyncio in the past", marks=IS_MEASURE),
    ],
)
async def test_a_time_that_is_up_ends_a_block_at_its_first_wait(make: Callable[[], Any]) -> None:
    reached: list[str] = []
    with pytest.raises(TimeoutError):
        await _within(make(), reached)
    assert reached == ["begun"]
    assert _requests() == 0


async def _within(block: Any, reached: list[str]) -> None:
    if hasattr(block, "__aenter__"):
        async with block:
            reached.append("begun")
            await _forever()
    else:
        with block:
            reached.append("begun")
            await _forever()


async def test_a_cancellation_that_comes_before_the_time_is_up_is_none_of_the_timeouts() -> None:
    async def work() -> None:
        with timeout(3600):
            await _forever()

    task = asyncio.create_task(work())
    await _rounds()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_result_that_is_there_when_the_time_is_up_is_not_lost() -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[str] = loop.create_future()
    future.set_result("there")
    results: list[str] = []
    with timeout(0) as deadline:
        results.append(await future)  # it does not wait
    assert results == ["there"]
    assert not deadline.expired


async def test_a_cancellation_that_comes_with_the_end_of_the_time_is_not_lost() -> None:
    after: list[str] = []

    async def work() -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            with timeout(0):
                task.cancel()
                await _forever()
        except TimeoutError:
            after.append("late")
        await _rounds()
        after.append("went on")

    task = asyncio.create_task(work())
    await asyncio.wait([task])
    assert task.cancelled()
    assert "went on" not in after


async def test_of_nested_timeouts_the_one_that_is_up_raises() -> None:
    with timeout(3600), pytest.raises(TimeoutError), timeout(0), timeout(3600):
        await _forever()
    with pytest.raises(TimeoutError), timeout(0), move_on_after(3600):
        await _forever()
    assert _requests() == 0


async def test_a_block_may_be_given_less_time() -> None:
    with pytest.raises(TimeoutError), timeout(3600) as deadline:
        deadline.reschedule(0)
        await _forever()
    assert deadline.expired


async def test_a_thread_sees_the_context_and_does_not_change_it() -> None:
    var = ContextVar("var", default="unset")
    var.set("outside")

    def work() -> str:
        before = var.get()
        var.set("inside")
        return before

    runs: list[Callable[[Callable[[], str]], Awaitable[str]]] = [run_in_thread, asyncio.to_thread]
    for run in runs:
        assert await run(work) == "outside"
        assert var.get() == "outside"


def _queue_of(kind: str) -> tuple[Any, Callable[[bool], object], type[Exception]]:
    """A queue of ours or of asyncio, how to shut it, at once or not, and what it raises then."""
    if kind == "ours":
        ours = Queue[int](2)
        return ours, lambda at_once: ours.close(drain=not at_once), QueueClosed
    theirs = cast("Any", asyncio.Queue[int](2))
    return theirs, lambda at_once: theirs.shutdown(immediate=at_once), vars(asyncio)["QueueShutDown"]


QUEUES = pytest.mark.parametrize("kind", ["ours", pytest.param("asyncio", marks=IS_MEASURE)])


@QUEUES
@pytest.mark.parametrize("at_once", [False, True])
async def test_a_queue_that_is_shut(kind: str, at_once: bool) -> None:
    queue, shut, closed = _queue_of(kind)
    await queue.put(1)
    await queue.put(2)
    putter = asyncio.create_task(queue.put(3))
    await _rounds()
    shut(at_once)
    with pytest.raises(closed):
        await putter
    with pytest.raises(closed):
        queue.put_nowait(4)
    if not at_once:
        assert [await queue.get(), queue.get_nowait()] == [1, 2]
        queue.task_done()
        queue.task_done()
    await queue.join()
    with pytest.raises(closed):
        await queue.get()
    with pytest.raises(closed):
        queue.get_nowait()


@QUEUES
async def test_who_waits_for_an_item_is_told_that_none_will_come(kind: str) -> None:
    queue, shut, closed = _queue_of(kind)
    getters = [asyncio.create_task(queue.get()) for _ in range(3)]
    await _rounds()
    shut(False)
    results = await asyncio.gather(*getters, return_exceptions=True)
    assert [type(result) for result in results] == [closed] * 3


@QUEUES
async def test_a_task_done_too_often_is_a_value_error(kind: str) -> None:
    queue, _, _ = _queue_of(kind)
    await queue.put(1)
    await queue.get()
    queue.task_done()
    with pytest.raises(ValueError, match="called"):
        queue.task_done()


@QUEUES
async def test_getters_are_served_in_order_and_a_cancelled_one_takes_nothing(kind: str) -> None:
    queue, _, _ = _queue_of(kind)
    getters = [asyncio.create_task(queue.get()) for _ in range(3)]
    await _rounds()
    queue.put_nowait(1)
    getters[0].cancel()  # it has been called on and has not run yet
    queue.put_nowait(2)
    assert [await getter for getter in getters[1:]] == [1, 2]
    assert getters[0].cancelled()
    assert queue.empty()


@QUEUES
async def test_a_cancelled_put_puts_nothing_and_its_place_goes_on(kind: str) -> None:
    queue, _, _ = _queue_of(kind)
    for item in (1, 2):
        queue.put_nowait(item)
    putters = [asyncio.create_task(queue.put(item)) for item in (3, 4)]
    await _rounds()
    assert queue.get_nowait() == 1
    putters[0].cancel()
    await putters[1]
    assert putters[0].cancelled()
    assert [queue.get_nowait(), queue.get_nowait()] == [2, 4]


@pytest.mark.parametrize("kind", ["ours", pytest.param("asyncio", marks=IS_MEASURE)])
async def test_a_lock_goes_in_order_and_a_cancelled_waiter_passes_it_on(kind: str) -> None:
    keys, lock = KeyedLock(), asyncio.Lock()
    held: list[int] = []

    async def hold(number: int) -> None:
        async with keys("key") if kind == "ours" else lock:
            held.append(number)

    async with keys("key") if kind == "ours" else lock:
        tasks = [asyncio.create_task(hold(number)) for number in range(4)]
        await _rounds()
        tasks[1].cancel()
    tasks[0].cancel()  # the lock is on its way to it
    await asyncio.wait(tasks)
    assert held == [2, 3]


@pytest.mark.parametrize("rounds", range(6))
@pytest.mark.parametrize("kind", ["ours", pytest.param("asyncio", marks=IS_MEASURE)])
async def test_a_limit_lets_them_in_in_order_and_a_cancelled_waiter_passes_it_on(kind: str, rounds: int) -> None:
    semaphore, released = asyncio.Semaphore(1), asyncio.Event()
    within: list[int] = []

    async def hold(number: int) -> None:
        within.append(number)
        await released.wait()

    async def hold_with_semaphore(number: int) -> None:
        async with semaphore:
            await hold(number)

    async with open_scope(limit=1 if kind == "ours" else None) as scope:
        work = hold if kind == "ours" else hold_with_semaphore
        children = [scope.start_soon(work, number) for number in range(5)]
        await _rounds()
        assert within == [0]
        children[1].cancel()
        released.set()
        for _ in range(rounds):  # the room is not there yet, on its way to the next, or taken
            await asyncio.sleep(0)
        children[2].cancel()
    assert [number for number in within if number != 2] == [0, 3, 4]
    assert within == sorted(within)


# anyio closes no coroutine of a task that never begins.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@SCOPES
async def test_a_child_whose_task_is_cancelled_before_it_begins_ends_alone(
    scope: MakeScope, anyio_backend: tuple[str, dict[str, Any]], request: pytest.FixtureRequest
) -> None:
    if "loop_factory" in anyio_backend[1]:
        pytest.skip("eager tasks have begun when they are there")
    if scope is open_scope:
        reason = "anyio 4.16 cancels the whole group, and says nothing, if a task is cancelled before it begins"
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    before = asyncio.all_tasks()
    ended: list[str] = []
    async with scope() as children:
        children.create_task(_rounds())
        for task in asyncio.all_tasks() - before:
            task.cancel()
        await _rounds()
        ended.append("body")
    assert ended == ["body"]
