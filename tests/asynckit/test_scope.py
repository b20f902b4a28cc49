"""Scopes and the handles on their children."""

# an error leaves a scope at the end of its block, whatever raised it there

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any, Literal

import anyio
import pytest
from anyio.abc import TaskStatus
from anyio.lowlevel import checkpoint

from asynckit import ChildCancelledError, Handle, Scope, open_scope
from support.points import Points, every_point

pytestmark = pytest.mark.anyio


async def give(value: Any) -> Any:
    await checkpoint()
    return value


async def fail(message: str) -> None:
    await checkpoint()
    raise ValueError(message)


def messages(group: BaseExceptionGroup[BaseException]) -> list[str]:
    return [str(error) for error in group.exceptions]


async def test_the_block_ends_when_all_children_have() -> None:
    async with open_scope() as scope:
        one = scope.start_soon(give, 1)
        two = scope.create_task(give(2))
        assert not one.done()
    assert one.done()
    assert (one.result(), two.result()) == (1, 2)
    assert one.exception() is two.exception() is None
    assert not one.cancelled()


async def test_a_handle_can_be_awaited_by_many_and_again() -> None:
    async with open_scope() as scope:
        child = scope.start_soon(give, 1)

        async def ask() -> int:
            return int(await child)

        others = [scope.start_soon(ask) for _ in range(3)]
        assert await child == await child == 1
    assert [other.result() for other in others] == [1, 1, 1]


async def test_a_handle_knows_its_name_and_state() -> None:
    async with open_scope() as scope:
        named = scope.start_soon(give, 1, name="first")
        by_function = scope.start_soon(give, 1)
        by_coroutine = scope.create_task(give(1))
        assert repr(named) == "<Handle first running>"
    assert (named.name, by_function.name, by_coroutine.name) == ("first", "give", "give")
    assert repr(named) == "<Handle first completed>"


async def test_a_running_child_has_no_result_yet() -> None:
    async with open_scope() as scope:
        child = scope.start_soon(give, 1)
        with pytest.raises(RuntimeError, match="`give` is still running: await its handle"):
            child.result()
        with pytest.raises(RuntimeError, match="`give` is still running"):
            child.exception()


async def test_a_failure_cancels_the_body_and_the_siblings() -> None:
    reached = False
    with pytest.raises(ExceptionGroup) as caught:
        async with open_scope() as scope:
            sibling = scope.start_soon(anyio.sleep_forever)
            failed = scope.start_soon(fail, "one")
            await anyio.sleep_forever()
            reached = True
    assert messages(caught.value) == ["one"]
    assert not reached
    assert sibling.cancelled()
    assert isinstance(failed.exception(), ValueError)
    with pytest.raises(ValueError, match="one"):
        failed.result()


async def test_an_error_raised_again_from_its_handle_is_reported_once() -> None:
    with pytest.raises(ExceptionGroup, match="errors in downloads") as caught:
        async with open_scope(name="downloads") as scope:
            await scope.start_soon(fail, "one")
    assert messages(caught.value) == ["one"]


async def test_an_error_of_the_body_cancels_the_children() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with open_scope(on_error="collect") as scope:
            child = scope.start_soon(anyio.sleep_forever)
            raise KeyError("body")
    assert messages(caught.value) == ["'body'"]
    assert child.cancelled()


async def test_a_group_raised_by_the_body_stays_a_group() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with open_scope():
            raise ExceptionGroup("inner", [ValueError("one")])
    assert messages(caught.value) == ["inner (1 sub-exception)"]


async def test_collect_lets_the_siblings_go_on_and_raises_all_errors() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with open_scope(on_error="collect") as scope:
            scope.start_soon(fail, "one")
            two = scope.start_soon(fail, "two")
            with pytest.raises(ValueError, match="two"):
                await two
            three = scope.start_soon(give, 3)
    assert sorted(messages(caught.value)) == ["one", "two"]
    assert three.result() == 3


async def test_collect_does_not_collect_what_ends_the_program() -> None:
    class Ending(BaseException):
        pass

    async def end() -> None:
        raise Ending

    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_scope(on_error="collect") as scope:
            sibling = scope.start_soon(anyio.sleep_forever)
            scope.start_soon(end)
    assert caught.group_contains(Ending)
    assert sibling.cancelled()


async def test_cancelling_one_child_leaves_the_others_alone() -> None:
    async with open_scope() as scope:
        child = scope.start_soon(anyio.sleep_forever)
        sibling = scope.start_soon(give, 1)
        await checkpoint()
        child.cancel()
        with pytest.raises(ChildCancelledError, match="`sleep_forever` was cancelled"):
            await child
    assert child.cancelled()
    assert child.done()
    assert sibling.result() == 1
    with pytest.raises(ChildCancelledError):
        child.exception()


async def test_a_child_cancelled_before_it_began_never_does() -> None:
    begun = False

    async def begin() -> None:
        nonlocal begun
        begun = True

    async with open_scope() as scope:
        soon = scope.start_soon(begin)
        task = scope.create_task(begin())
        soon.cancel()
        task.cancel()
    assert not begun
    assert soon.cancelled()
    assert task.cancelled()


async def test_cancelling_a_child_that_has_ended_changes_nothing() -> None:
    async with open_scope() as scope:
        child = scope.start_soon(give, 1)
        await child
        child.cancel()
    assert child.result() == 1


async def test_a_child_that_ends_in_spite_of_being_cancelled_has_its_result() -> None:
    async def stubborn() -> int:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            pass
        return 1

    async with open_scope() as scope:
        child = scope.start_soon(stubborn)
        await anyio.wait_all_tasks_blocked()
        child.cancel()
    assert child.result() == 1


async def test_cancelling_who_awaits_a_handle_does_not_cancel_the_child() -> None:
    released = anyio.Event()

    async def wait() -> int:
        await released.wait()
        return 1

    async with open_scope() as scope:
        child = scope.start_soon(wait)
        with anyio.move_on_after(0):
            await child
        assert not child.done()
        released.set()
    assert child.result() == 1


async def test_a_child_that_raises_cancellation_unasked_is_cancelled(only_asyncio: None) -> None:
    async def cancel_itself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await checkpoint()

    async with open_scope() as scope:
        child = scope.start_soon(cancel_itself)
        sibling = scope.start_soon(give, 1)
    assert child.cancelled()
    assert sibling.result() == 1


# anyio closes no coroutine of a task that never begins.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
async def test_a_child_whose_task_is_cancelled_before_it_begins_is_not_lost_in_silence(only_asyncio: None) -> None:
    begun: list[str] = []

    async def child() -> None:
        begun.append("child")

    before = asyncio.all_tasks()
    with pytest.raises(ExceptionGroup) as caught:
        async with open_scope() as scope:
            scope.start_soon(child)
            for task in asyncio.all_tasks() - before:
                task.cancel()
            if not begun:
                await anyio.sleep_forever()
            raise ChildCancelledError("it had begun: tasks are eager")
    assert [type(error) for error in caught.value.exceptions] == [ChildCancelledError]


async def test_a_child_says_only_once_that_it_is_ready() -> None:
    async def serve(*, task_status: TaskStatus[None]) -> None:
        task_status.started()
        task_status.started()

    with pytest.raises(RuntimeError, match="only once"):
        async with open_scope(collapse=True) as scope:
            await scope.start(serve)


async def test_starting_a_child_that_is_cancelled_before_it_is_ready(only_asyncio: None) -> None:
    async def serve(*, task_status: TaskStatus[None]) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await checkpoint()

    async with open_scope() as scope:
        with pytest.raises(ChildCancelledError, match="serve"):
            await scope.start(serve)


async def test_who_gives_up_starting_a_child_waits_for_its_end() -> None:
    ended: list[str] = []

    async def serve(*, task_status: TaskStatus[None]) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.wait_all_tasks_blocked()
            ended.append("child")

    async with open_scope() as scope:
        with anyio.move_on_after(0.001) as deadline:
            await scope.start(serve)
        assert deadline.cancelled_caught
        assert ended == ["child"]
        ended.append("body")
    assert ended == ["child", "body"]


@pytest.mark.parametrize("on_error", ["cancel", "collect"])
async def test_what_a_child_raises_when_nobody_waits_any_more_for_it_to_start(
    on_error: Literal["cancel", "collect"],
) -> None:
    async def serve(*, task_status: TaskStatus[None]) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise LookupError("no port")

    with pytest.raises(LookupError, match="no port"):
        async with open_scope(on_error=on_error, collapse=True) as scope:
            with anyio.move_on_after(0.001):
                await scope.start(serve)


@pytest.mark.parametrize("background", [False, True])
async def test_a_child_that_cancels_its_task_and_returns_ends_alone(only_asyncio: None, background: bool) -> None:
    async def cancel_itself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    async with open_scope(limit=1) as scope:
        child = scope.start_soon(cancel_itself, background=background)
        sibling = scope.start_soon(give, 1)
        await child._task.wait()
    assert child.cancelled()
    assert sibling.result() == 1


async def test_cancelling_the_scope_ends_the_block_without_an_error() -> None:
    async with open_scope() as scope:
        child = scope.start_soon(anyio.sleep_forever)
        scope.cancel()
        await checkpoint()
        pytest.fail("the body is cancelled too")
    assert child.cancelled()


async def test_a_cancellation_from_outside_cancels_the_children() -> None:
    with anyio.CancelScope() as outer:
        async with open_scope() as scope:
            child = scope.start_soon(anyio.sleep_forever)
            await checkpoint()
            outer.cancel()
    assert outer.cancelled_caught
    assert child.cancelled()


async def test_collected_errors_are_not_lost_by_a_cancellation() -> None:
    with pytest.raises(ExceptionGroup) as caught, anyio.CancelScope() as outer:
        async with open_scope(on_error="collect") as scope:
            child = scope.start_soon(fail, "one")
            with pytest.raises(ValueError, match="one"):
                await child
            outer.cancel()
            await checkpoint()
    assert messages(caught.value) == ["one"]


async def test_a_native_cancellation_goes_through(only_asyncio: None) -> None:
    started = asyncio.Event()

    async def run() -> None:
        async with open_scope() as scope:
            scope.start_soon(anyio.sleep_forever)
            started.set()

    task = asyncio.create_task(run())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_late_scope_raises_where_its_deadline_was_set() -> None:
    line = test_a_late_scope_raises_where_its_deadline_was_set.__code__.co_firstlineno + 3
    with pytest.raises(TimeoutError) as caught:
        async with open_scope(timeout=0) as scope:
            child = scope.start_soon(anyio.sleep_forever)
    assert str(caught.value) == f"timed out after 0 s, by the deadline set at {__file__}:{line}"
    assert child.cancelled()


async def test_a_late_scope_with_errors_raises_them_all() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with open_scope(timeout=0, on_error="collect") as scope:

            async def fail_late() -> None:
                try:
                    await anyio.sleep_forever()
                finally:
                    raise ValueError("late")

            scope.start_soon(fail_late)
    assert caught.group_contains(ValueError, match="late")
    assert caught.group_contains(TimeoutError, match="timed out after 0 s")


async def test_a_scope_cancelled_while_its_deadline_is_far_does_not_time_out() -> None:
    async with open_scope(timeout=3600) as scope:
        scope.start_soon(anyio.sleep_forever)
        scope.cancel()


@pytest.mark.parametrize("limit", [1, 3])
async def test_never_more_than_limit_children_run_at_once(limit: int) -> None:
    running = most = 0
    order = []

    async def watch(number: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        order.append(number)
        await checkpoint()
        running -= 1

    async with open_scope(limit=limit) as scope:
        for number in range(10):
            scope.start_soon(watch, number)
    assert most == limit
    assert sorted(order) == list(range(10))


async def test_a_child_that_waits_for_its_turn_can_be_cancelled() -> None:
    async with open_scope(limit=1) as scope:
        first = scope.start_soon(anyio.sleep_forever)
        await anyio.wait_all_tasks_blocked()
        waiting = scope.create_task(give(1))
        await anyio.wait_all_tasks_blocked()
        waiting.cancel()
        await anyio.wait_all_tasks_blocked()
        assert waiting.cancelled()
        first.cancel()


async def test_start_waits_until_the_child_is_ready() -> None:
    async def serve(port: int, *, task_status: TaskStatus[str]) -> None:
        await checkpoint()
        task_status.started(f"port {port}")
        await anyio.sleep_forever()

    async with open_scope(limit=1) as scope:
        assert await scope.start(serve, 80) == "port 80"
        scope.cancel()


async def test_start_raises_what_happens_before_the_child_is_ready() -> None:
    async def serve(*, task_status: TaskStatus[None]) -> None:
        raise ValueError("no port")

    async with open_scope(on_error="collect") as scope:
        with pytest.raises(ValueError, match="no port"):
            await scope.start(serve)


async def test_what_happens_after_the_child_is_ready_is_the_scopes() -> None:
    async def serve(*, task_status: TaskStatus[None]) -> None:
        task_status.started()
        raise ValueError("broken")

    with pytest.raises(ExceptionGroup) as caught:
        async with open_scope(on_error="collect") as scope:
            await scope.start(serve)
            child = scope.start_soon(give, 1)
    assert messages(caught.value) == ["broken"]
    assert child.result() == 1


@pytest.mark.parametrize("limit", [None, 1])
async def test_the_block_waits_for_children_but_not_for_background_ones(limit: int | None) -> None:
    released = anyio.Event()

    async def release() -> None:
        await checkpoint()
        released.set()

    async with open_scope(limit=limit) as scope:
        background = scope.start_soon(anyio.sleep_forever, background=True)
        coroutine = scope.create_task(anyio.sleep_forever(), background=True)
        child = scope.start_soon(released.wait)
        await checkpoint()
        scope.start_soon(release, background=True)  # what a child waits for may be in the background
    assert child.done()
    assert not child.cancelled()
    assert background.cancelled()
    assert coroutine.cancelled()


async def test_background_children_see_the_last_child_off() -> None:
    served = []

    async def serve() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            served.append("end of service")

    async def late(scope: Scope) -> None:
        await checkpoint()
        served.append("child")
        scope.start_soon(later)

    async def later() -> None:
        await checkpoint()
        served.append("grandchild")

    async with open_scope() as scope:
        scope.start_soon(serve, background=True)
        scope.start_soon(late, scope)
        await anyio.wait_all_tasks_blocked()
        served.append("body")
    assert served == ["child", "grandchild", "body", "end of service"]


async def test_background_children_end_when_there_are_no_others() -> None:
    async with open_scope() as scope:
        child = scope.start_soon(anyio.sleep_forever, background=True)
        await checkpoint()
    assert child.cancelled()


async def test_a_background_child_started_after_all_others_have_ended_never_begins() -> None:
    late: list[Handle[None]] = []

    async def start_another(scope: Scope) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            late.append(scope.start_soon(pytest.fail, "it began", background=True))  # type: ignore[arg-type]

    async with open_scope() as scope:
        scope.start_soon(start_another, scope, background=True)
        await anyio.wait_all_tasks_blocked()
    assert late[0].cancelled()


async def test_a_background_child_that_fails_cancels_the_others() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with open_scope() as scope:
            child = scope.start_soon(fail, "in the background", background=True)
            sibling = scope.start_soon(anyio.sleep_forever)
    assert messages(caught.value) == ["in the background"]
    assert child.exception() is caught.value.exceptions[0]
    assert sibling.cancelled()


async def test_errors_of_background_children_are_collected() -> None:
    failed = anyio.Event()

    async def fail_and_tell() -> None:
        failed.set()
        raise ValueError("in the background")

    with pytest.raises(ExceptionGroup) as caught:
        async with open_scope(on_error="collect") as scope:
            scope.start_soon(fail_and_tell, background=True)
            sibling = scope.start_soon(failed.wait)
    assert messages(caught.value) == ["in the background"]
    assert not sibling.cancelled()


async def test_a_service_that_says_it_is_ready_can_be_in_the_background() -> None:
    ended = False

    async def serve(port: int, *, task_status: TaskStatus[str]) -> None:
        nonlocal ended
        task_status.started(f"port {port}")
        try:
            await anyio.sleep_forever()
        finally:
            ended = True

    async with open_scope(limit=1) as scope:
        assert await scope.start(serve, 80, background=True) == "port 80"
        child = scope.start_soon(give, 1)
        await child
        assert not ended
    assert ended


async def test_the_block_waits_for_a_service_that_is_not_in_the_background() -> None:
    steps = []

    async def serve(*, task_status: TaskStatus[None]) -> None:
        task_status.started()
        await anyio.wait_all_tasks_blocked()
        steps.append("served")

    async def watch() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            steps.append("watched")

    async with open_scope() as scope:
        scope.start_soon(watch, background=True)
        await scope.start(serve)
    assert steps == ["served", "watched"]


async def test_a_single_error_can_be_had_without_a_group() -> None:
    with pytest.raises(ValueError, match="one") as caught:
        async with open_scope(collapse=True) as scope:
            scope.start_soon(fail, "one")
            await anyio.sleep_forever()
    assert caught.value.__context__ is None
    with pytest.raises(KeyError, match="body"):
        async with open_scope(collapse=True) as scope:
            scope.start_soon(anyio.sleep_forever)
            raise KeyError("body")
    with pytest.raises(TimeoutError, match="timed out after 0 s"):
        async with open_scope(collapse=True, timeout=0) as scope:
            scope.start_soon(anyio.sleep_forever)


async def test_the_cause_and_the_context_of_a_single_error_are_kept() -> None:
    async def translate() -> None:
        try:
            await fail("low")
        except ValueError as error:
            raise LookupError("high") from error

    with pytest.raises(LookupError, match="high") as caught:
        async with open_scope(collapse=True) as scope:
            scope.start_soon(translate)
            await anyio.sleep_forever()
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.__context__ is caught.value.__cause__


async def test_several_errors_are_a_group_in_any_case() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with open_scope(collapse=True, on_error="collect") as scope:
            scope.start_soon(fail, "one")
            scope.start_soon(fail, "two")
    assert sorted(messages(caught.value)) == ["one", "two"]


async def test_an_error_that_the_body_met_by_a_handle_is_a_single_one() -> None:
    with pytest.raises(ValueError, match="one"):
        async with open_scope(collapse=True) as scope:
            await scope.start_soon(fail, "one")


async def test_a_child_sees_the_context_it_was_started_in() -> None:
    variable: ContextVar[int] = ContextVar("variable", default=0)

    async def use() -> int:
        before = variable.get()
        variable.set(7)
        return before

    async with open_scope() as scope:
        variable.set(1)
        child = scope.start_soon(use)
        variable.set(2)
    assert child.result() == 1
    assert variable.get() == 2


async def test_a_scope_that_has_ended_starts_nothing() -> None:
    async with open_scope() as scope:
        pass
    with pytest.raises(RuntimeError):
        scope.start_soon(give, 1)
    with pytest.raises(RuntimeError):
        scope.create_task(give(1))


async def test_what_cannot_be_started_is_refused() -> None:
    coro: Any = give(1)
    function: Any = give
    async with open_scope() as scope:
        with pytest.raises(TypeError, match="use `create_task` for a coroutine object"):
            scope.start_soon(coro)
        with pytest.raises(TypeError, match="use `start_soon` for a function"):
            scope.create_task(function)
        with pytest.raises(TypeError, match="not 7"):
            scope.create_task(7)  # type: ignore[arg-type]
        assert await scope.create_task(coro) == 1


async def test_a_function_that_is_not_async_fails_as_a_child() -> None:
    function: Any = len
    with pytest.raises(ExceptionGroup) as caught:
        async with open_scope() as scope:
            scope.start_soon(function, "four")
    assert caught.group_contains(TypeError, match="it returned 4")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"limit": 0}, ValueError, "`limit` must be 1 or more"),
        ({"limit": True}, TypeError, "pass 1 to run one at a time"),
        ({"timeout": -1}, ValueError, "`timeout` must be 0 or more seconds"),
        ({"on_error": "ignore"}, ValueError, '`on_error` must be "cancel" or "collect", not \'ignore\''),
    ],
)
async def test_wrong_arguments_are_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        open_scope(**arguments)


async def _steps(points: Points, count: int) -> None:
    for _ in range(count):
        await points()


@pytest.mark.parametrize("limit", [None, 1, 2])
@pytest.mark.parametrize("on_error", ["cancel", "collect"])
@pytest.mark.parametrize("cancel", [True, False], ids=["cancelling", "failing"])
async def test_ending_at_every_point_leaves_nothing_behind(limit: int | None, on_error: Any, cancel: bool) -> None:
    async def run(points: Points) -> None:
        handles = []
        opened: Scope | None = None
        try:
            async with open_scope(limit=limit, on_error=on_error) as opened:
                handles.append(opened.start_soon(_steps, points, 2))
                handles.append(opened.create_task(_steps(points, 3)))
                await points()
                handles.append(opened.create_task(_steps(points, 1)))
                await points()
        finally:
            assert all(handle.done() for handle in handles)

    assert await every_point(run, cancel=cancel) == 8
