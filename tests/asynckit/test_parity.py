"""Where a helper has the duty of something in asyncio, it does what that does in Python 3.13, on every version.

Each scenario runs twice, with asyncio's own (where it is of that version) and with ours, and must be observed to do the
same.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from asynckit import KeyedLock, Queue, QueueClosed, move_on_after, open_scope, run_in_thread, timeout, with_timeout

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("only_asyncio", "no_eager_tasks")]

MODERN = sys.version_info >= (3, 13)
theirs_is_modern = pytest.mark.skipif(not MODERN, reason="asyncio does this from 3.13 on")


@pytest.fixture
def no_eager_tasks(anyio_backend: tuple[str, dict[str, Any]]) -> None:
    if "loop_factory" in anyio_backend[1]:
        pytest.skip("when an eager task takes its first step is its own affair")


def ours_and_theirs(ours: object, theirs: object) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "make", [pytest.param(ours, id="ours"), pytest.param(theirs, id="asyncio", marks=theirs_is_modern)]
    )


def cancelling() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


def leaves(error: BaseException) -> list[str]:
    """The errors in a group, by their texts."""
    if isinstance(error, BaseExceptionGroup):
        return sorted(text for inner in error.exceptions for text in leaves(inner))
    return [str(error)]


# -- groups of tasks ---------------------------------------------------------------------------------------------------

groups = ours_and_theirs(open_scope, asyncio.TaskGroup)
Group = Callable[[], AbstractAsyncContextManager[Any]]


async def forever(ended: list[str], name: str = "child", error: str = "") -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append(name)
        if error:
            raise LookupError(error)


async def fail(text: str) -> None:
    await asyncio.sleep(0)
    raise ValueError(text)


@groups
async def test_a_failing_child_ends_the_others_and_the_body(make: Group) -> None:
    ended: list[str] = []
    with pytest.raises(ExceptionGroup) as caught:
        async with make() as group:
            group.create_task(forever(ended, error="in its clean-up"))
            group.create_task(fail("child"))
            await forever(ended, "body")
    assert leaves(caught.value) == ["child", "in its clean-up"]
    assert sorted(ended) == ["body", "child"]
    assert cancelling() == 0


@groups
async def test_a_failing_body_ends_the_children(make: Group) -> None:
    ended: list[str] = []
    with pytest.raises(ExceptionGroup) as caught:
        async with make() as group:
            group.create_task(forever(ended, error="in its clean-up"))
            await fail("body")
    assert leaves(caught.value) == ["body", "in its clean-up"]
    assert cancelling() == 0


@groups
async def test_after_a_failure_a_timeout_around_works_for_a_second_attempt(make: Group) -> None:
    async def attempt(text: str) -> str:
        async with make() as group:
            group.create_task(fail(text)) if text else None
            await asyncio.sleep(0.01 if text else 0)
        return "done"

    async with asyncio.timeout(60):
        with pytest.raises(ExceptionGroup):
            await attempt("the first time")
        assert await attempt("") == "done"
        await asyncio.sleep(0)


@groups
@pytest.mark.parametrize("body_is_done", [False, True])
async def test_a_cancelled_parent_ends_its_children(make: Group, body_is_done: bool) -> None:
    ended: list[str] = []

    async def parent() -> None:
        async with make() as group:
            group.create_task(forever(ended))
            if not body_is_done:
                await forever(ended, "body")

    task = asyncio.create_task(parent())
    await asyncio.sleep(0.01)
    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == (["child"] if body_is_done else ["body", "child"])
    assert task.cancelling() == 1


@groups
@pytest.mark.parametrize("body_is_done", [False, True])
async def test_a_cancellation_is_not_lost_when_a_child_fails_because_of_it(make: Group, body_is_done: bool) -> None:
    ended: list[str] = []
    seen: list[str] = []

    async def parent() -> None:
        try:
            async with make() as group:
                group.create_task(forever(ended, error="in its clean-up"))
                if not body_is_done:
                    await forever(ended, "body")
        except ExceptionGroup as error:
            seen.extend(leaves(error))
            seen.append(str(cancelling()))
            await asyncio.sleep(0)  # the cancellation has yet to be delivered
            seen.append("survived it")

    task = asyncio.create_task(parent())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["in its clean-up", "1"]


@groups
async def test_cancelling_a_child_is_no_failure(make: Group) -> None:
    ended: list[str] = []
    async with make() as group:
        child = group.create_task(forever(ended))
        await asyncio.sleep(0.01)
        child.cancel()
    assert ended == ["child"]
    assert cancelling() == 0


@groups
async def test_of_nested_groups_only_the_inner_one_fails_if_its_error_is_handled(make: Group) -> None:
    ended: list[str] = []
    async with make() as outer:
        child = outer.create_task(forever(ended))
        with suppress(ExceptionGroup):
            async with make() as inner:
                inner.create_task(fail("inner"))
                await asyncio.Event().wait()
        assert cancelling() == 0
        await asyncio.sleep(0)
        assert ended == []
        child.cancel()


@groups
async def test_a_group_that_has_ended_takes_no_children(make: Group) -> None:
    async with make() as group:
        pass
    child = forever([])
    try:
        with pytest.raises(RuntimeError):
            group.create_task(child)
    finally:
        child.close()


# -- time --------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def in_time(delay: float | None) -> Any:
    with timeout(delay) as deadline:
        yield deadline


timeouts = ours_and_theirs(in_time, asyncio.timeout)


@timeouts
async def test_no_time_at_all_is_enough_for_what_does_not_wait(make: Callable[[float], Any]) -> None:
    async with make(0):
        pass
    await asyncio.sleep(0)
    assert cancelling() == 0


@timeouts
@pytest.mark.parametrize("delay", [0, 0.001])
async def test_who_waits_too_long_is_late(make: Callable[[float], Any], delay: float) -> None:
    with pytest.raises(TimeoutError) as caught:
        async with make(delay):
            await asyncio.Event().wait()
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    assert cancelling() == 0


@timeouts
async def test_who_is_cancelled_as_well_is_cancelled(make: Callable[[float], Any]) -> None:
    async def wait() -> None:
        async with make(0.001):
            try:
                await asyncio.Event().wait()
            finally:
                task.cancel()  # before the timeout is told

    task = asyncio.create_task(wait())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelling() == 1


@timeouts
async def test_an_error_in_the_clean_up_of_who_is_late_goes_first(make: Callable[[float], Any]) -> None:
    with pytest.raises(LookupError, match="clean-up"):
        async with make(0):
            await forever([], error="in its clean-up")
    assert cancelling() == 0
    await asyncio.sleep(0)


@timeouts
async def test_of_nested_times_the_outer_one_is_late_if_it_is_the_shorter(make: Callable[[float], Any]) -> None:
    with pytest.raises(TimeoutError):
        async with make(0):
            with suppress(TimeoutError):
                async with make(60):
                    await asyncio.Event().wait()
            pytest.fail("the outer one was late")
    assert cancelling() == 0


async def wait_for(work: Callable[[], Awaitable[Any]], delay: float) -> Any:
    return await with_timeout(delay)(work)()


calls = ours_and_theirs(wait_for, lambda work, delay: asyncio.wait_for(work(), delay))


@calls
async def test_a_call_in_time_gives_its_result_or_raises_its_error(make: Callable[..., Awaitable[Any]]) -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert await make(work, 60) == 7
    with pytest.raises(ValueError, match="its own"):
        await make(lambda: fail("its own"), 60)


@calls
async def test_a_late_call_is_cancelled_and_waited_for(make: Callable[..., Awaitable[Any]]) -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            with anyio.CancelScope(shield=True):  # anyio cancels again, at each await
                await asyncio.sleep(0.001)
            ended.append("its clean-up")

    with pytest.raises(TimeoutError):
        await make(work, 0.001)
    assert ended == ["its clean-up"]


async def test_moving_on_leaves_no_request_of_cancellation() -> None:
    with move_on_after(0):
        await asyncio.Event().wait()
    assert cancelling() == 0
    await asyncio.sleep(0)


# -- threads -----------------------------------------------------------------------------------------------------------

threads = ours_and_theirs(run_in_thread, asyncio.to_thread)
name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")


@threads
async def test_a_thread_sees_the_context_of_its_caller_and_does_not_change_it(make: Callable[..., Any]) -> None:
    def work() -> str:
        seen = name.get()
        name.set("the thread")
        return seen

    name.set("the caller")
    assert await make(work) == "the caller"
    assert name.get() == "the caller"


@threads
async def test_a_thread_gives_back_what_is_raised(make: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await make(int, "seven")


# -- queues ------------------------------------------------------------------------------------------------------------


@dataclass
class Ends:
    """A queue, how it is closed, and what is raised then."""

    queue: Any
    close: Callable[..., object]
    closed: type[Exception]


def _ours(size: int) -> Ends:
    queue: Queue[int] = Queue(size)
    return Ends(queue, lambda at_once=False: queue.close(drain=not at_once), QueueClosed)


def _theirs(size: int) -> Ends:
    queue: Any = asyncio.Queue(size)
    return Ends(queue, queue.shutdown, asyncio.QueueShutDown)  # type: ignore[attr-defined,unused-ignore]


queues = ours_and_theirs(_ours, _theirs)


@queues
async def test_a_closed_queue_takes_nothing_and_gives_what_it_has(make: Callable[[int], Ends]) -> None:
    ends = make(3)
    ends.queue.put_nowait(1)
    ends.close()
    for put in (ends.queue.put_nowait, ends.queue.put):
        with pytest.raises(ends.closed):
            result = put(2)
            await result
    assert await ends.queue.get() == 1
    for _ in range(2):
        with pytest.raises(ends.closed):
            await ends.queue.get()
    with pytest.raises(ends.closed):
        ends.queue.get_nowait()


@queues
async def test_closing_at_once_drops_what_was_left_and_counts_it_as_done(make: Callable[[int], Ends]) -> None:
    ends = make(3)
    ends.queue.put_nowait(1)
    ends.queue.put_nowait(2)
    ends.close(True)
    assert ends.queue.empty()
    with pytest.raises(ends.closed):
        await ends.queue.get()
    await ends.queue.join()


@queues
@pytest.mark.parametrize("at_once", [False, True])
async def test_closing_tells_who_waits(make: Callable[[int], Ends], at_once: bool) -> None:
    full, empty = make(1), make(1)
    full.queue.put_nowait(1)
    waiting = [asyncio.ensure_future(full.queue.put(2)), asyncio.ensure_future(empty.queue.get())]
    await asyncio.sleep(0.01)
    full.close(at_once)
    empty.close(at_once)
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [full.closed, empty.closed]


@queues
async def test_join_waits_for_what_was_taken_and_is_not_done(make: Callable[[int], Ends]) -> None:
    ends = make(3)
    ends.queue.put_nowait(1)
    await ends.queue.get()
    joining = asyncio.ensure_future(ends.queue.join())
    await asyncio.sleep(0.01)
    assert not joining.done()
    ends.queue.task_done()
    await joining
    with pytest.raises(ValueError, match="task_done"):
        ends.queue.task_done()


@queues
async def test_items_go_to_who_came_first_and_who_was_cancelled_takes_none(make: Callable[[int], Ends]) -> None:
    ends = make(0) if make is _theirs else Ends(Queue(float("inf")), lambda: None, QueueClosed)
    getting = [asyncio.ensure_future(ends.queue.get()) for _ in range(4)]
    await asyncio.sleep(0.01)
    ends.queue.put_nowait("a")
    getting[0].cancel()  # it has been called on, and does not come
    getting[2].cancel()
    ends.queue.put_nowait("b")
    results = await asyncio.gather(*getting, return_exceptions=True)
    assert [result if isinstance(result, str) else type(result) for result in results] == [
        asyncio.CancelledError,
        "a",
        asyncio.CancelledError,
        "b",
    ]


# -- locks -------------------------------------------------------------------------------------------------------------


def _of_key() -> Any:
    locks: KeyedLock[str] = KeyedLock()
    return lambda: locks("key")


def _of_asyncio() -> Any:
    lock = asyncio.Lock()
    return lambda: lock


@ours_and_theirs(_of_key, _of_asyncio)
async def test_a_lock_goes_to_who_came_first_and_who_was_cancelled_does_not_keep_it(make: Callable[[], Any]) -> None:
    lock = make()
    order: list[int] = []

    async def hold(number: int) -> None:
        async with lock():
            order.append(number)
            await asyncio.sleep(0)

    async with lock():
        tasks = [asyncio.create_task(hold(number)) for number in range(5)]
        await asyncio.sleep(0.01)
        tasks[2].cancel()
    tasks[0].cancel()  # it has been called on, and does not come
    with anyio.fail_after(60):
        await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [1, 3, 4]
