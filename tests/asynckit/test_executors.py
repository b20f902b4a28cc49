"""Functions that run in executors."""

from __future__ import annotations

import importlib
import math
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asynckit import (
    ChildCancelledError,
    Failure,
    Offloaded,
    Success,
    amap,
    offload,
    run_in_executor,
    stream,
    stream_outcomes,
)

pytestmark = pytest.mark.anyio


_WORK = """
import functools
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from asynckit import offload

@functools.cache
def make():
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

@offload(make)
def add(a, b=0):
    return a + b, os.getpid()
"""


class ByHand:
    """An executor that a test carries out itself."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []

    def submit(self, fn: Any, /, *args: Any) -> Future[Any]:
        self.futures.append(Future())
        return self.futures[-1]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


async def until(condition: Any) -> None:
    while not condition():
        await checkpoint()


async def test_it_runs_in_the_executor(pool: ThreadPoolExecutor) -> None:
    @offload(pool)
    def add(a: int, b: int = 0) -> tuple[int, int]:
        return a + b, threading.get_ident()

    assert isinstance(add, Offloaded)
    total, thread = await add(1, b=2)
    assert total == 3
    assert thread != threading.get_ident()
    assert add.sync(1, 1)[0] == 2
    assert await run_in_executor(pool, pow, 2, 3) == 8


async def test_a_process_pool_runs_it_elsewhere(processes: ProcessPoolExecutor) -> None:
    assert await run_in_executor(processes, os.getpid) != os.getpid()


async def test_a_decorated_function_is_found_by_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work_for_executors.py").write_text(_WORK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "work_for_executors", raising=False)
    work = importlib.import_module("work_for_executors")
    total, process = await work.add(1, b=2)
    work.make().shutdown()
    assert total == 3
    assert process != os.getpid()


async def test_an_error_keeps_its_remote_traceback(processes: ProcessPoolExecutor) -> None:
    with pytest.raises(ValueError, match="math domain error") as caught:
        await run_in_executor(processes, math.sqrt, -1.0)
    assert type(caught.value.__cause__).__name__ == "_RemoteTraceback"


async def test_a_dead_worker_is_explained() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        for _ in range(2):  # the call that was lost, and one that comes later
            with pytest.raises(BrokenExecutor) as caught:
                await run_in_executor(pool, os._exit, 3)
            assert "make a new one" in caught.value.__notes__[0]


async def test_an_executor_that_is_shut_down_is_explained(pool: ThreadPoolExecutor) -> None:
    pool.shutdown()
    with pytest.raises(RuntimeError, match=r"`ThreadPoolExecutor` takes no call: .*inside its `with` block"):
        await run_in_executor(pool, int)


async def test_a_factory_is_called_once_and_at_the_first_call(pool: ThreadPoolExecutor) -> None:
    made: list[int] = []

    def make() -> Executor:
        made.append(threading.get_ident())
        return pool

    @offload(make)
    def double(number: int) -> int:
        return 2 * number

    assert made == []
    assert await amap(double, range(20)) == [2 * number for number in range(20)]
    assert len(made) == 1
    assert made[0] != threading.get_ident()


async def test_context_variables_are_carried_into_threads_and_not_out(pool: ThreadPoolExecutor) -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("outer")

    def use() -> str:
        before = variable.get()
        variable.set("inner")
        return before

    assert await run_in_executor(pool, use) == "outer"
    assert variable.get() == "outer"


async def test_a_result_that_is_there_is_given(anyio_backend: object) -> None:
    class AtOnce:
        def submit(self, fn: Any, /, *args: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_result(fn(*args))
            return future

    assert await run_in_executor(AtOnce(), pow, 2, 3) == 8


async def test_cancelling_cancels_the_future() -> None:
    executor = ByHand()
    async with anyio.create_task_group() as group:
        group.start_soon(run_in_executor, executor, int)
        await until(lambda: executor.futures)
        group.cancel_scope.cancel()
    assert executor.futures[0].cancelled()


async def test_a_call_that_cannot_be_stopped_is_waited_for() -> None:
    executor = ByHand()
    ended = False

    async def call() -> None:
        nonlocal ended
        try:
            await run_in_executor(executor, int)
        finally:
            ended = True

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await until(lambda: executor.futures)
        assert executor.futures[0].set_running_or_notify_cancel()
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            for _ in range(10):
                await checkpoint()
            assert not ended
            executor.futures[0].set_result(1)
    assert ended


async def test_a_call_that_cannot_be_stopped_may_be_abandoned(caplog: pytest.LogCaptureFixture) -> None:
    executor = ByHand()
    async with anyio.create_task_group() as group:
        group.start_soon(partial(run_in_executor, executor, int, abandon_on_cancel=True))
        await until(lambda: executor.futures)
        assert executor.futures[0].set_running_or_notify_cancel()
        group.cancel_scope.cancel()
    assert "`int` was cancelled, but `ByHand` cannot stop it" in caplog.text
    executor.futures[0].set_result(1)  # nobody listens


async def test_a_timeout_says_whether_the_call_was_stopped() -> None:
    executor = ByHand()
    with pytest.raises(TimeoutError, match="`int` took longer than 0 s in the executor; it was stopped"):
        await run_in_executor(executor, int, timeout=0)

    class Started(ByHand):
        def submit(self, fn: Any, /, *args: Any) -> Future[Any]:
            future = super().submit(fn, *args)
            future.set_running_or_notify_cancel()
            return future

    with pytest.raises(TimeoutError, match="could not be stopped and runs on"):
        await run_in_executor(Started(), int, timeout=0.01, abandon_on_cancel=True)


async def test_what_others_cancel_is_no_cancellation_of_the_caller() -> None:
    executor = ByHand()

    async def cancel() -> None:
        await until(lambda: executor.futures)
        executor.futures[0].cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(cancel)
        with pytest.raises(ChildCancelledError, match="`int` was cancelled in its executor"):
            await run_in_executor(executor, int)


async def test_stop_iteration_comes_through_as_the_cause_of_a_runtime_error(pool: ThreadPoolExecutor) -> None:
    with pytest.raises(RuntimeError, match="the function raised StopIteration"):
        await run_in_executor(pool, next, iter(()))


async def test_what_gives_no_future_is_refused() -> None:
    class Client:
        def submit(self, fn: Any, /, *args: Any) -> Any:
            return "task"

        def get_executor(self) -> None: ...

    with pytest.raises(TypeError, match=r"must return a .*, not 'task'; pass `client.get_executor\(\)`"):
        await run_in_executor(Client(), int)


async def test_what_is_no_executor_is_refused(anyio_backend: object) -> None:
    wrong: Any = 5
    with pytest.raises(TypeError, match=r"`executor` must have a method `submit`.* not 5"):
        offload(wrong)
    with pytest.raises(TypeError, match=r"must return an executor.* it returned None"):
        await run_in_executor(lambda: wrong and None, int)  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError, match="for synchronous functions"):
        offload(ByHand())(until)


async def test_a_stream_maps_over_an_executor(processes: ProcessPoolExecutor) -> None:
    async with stream(math.factorial, range(5), ordered=True, executor=processes) as results:
        assert [result async for result in results] == [1, 1, 2, 6, 24]


async def test_a_stream_of_outcomes_keeps_what_failed_in_an_executor(pool: ThreadPoolExecutor) -> None:
    async with stream_outcomes(math.sqrt, [4, -1], ordered=True, executor=lambda: pool) as outcomes:
        (_, root), (_, failed) = [outcome async for outcome in outcomes]
    assert root == Success(2.0)
    assert isinstance(failed, Failure)
    assert isinstance(failed.exception, ValueError)


async def test_a_stream_submits_no_more_than_its_limit_and_cancels_what_is_left() -> None:
    executor = ByHand()
    async with stream(abs, range(1000), limit=3, buffer=0, executor=executor) as results:
        await until(lambda: len(executor.futures) == 3)
        for _ in range(10):
            await checkpoint()
        assert len(executor.futures) == 3
        executor.futures[0].set_result("first")
        assert await anext(results) == "first"
        await until(lambda: len(executor.futures) == 4)
    assert all(future.cancelled() for future in executor.futures[1:])


async def test_a_failure_in_an_executor_cancels_the_other_items_of_a_stream() -> None:
    executor = ByHand()
    with pytest.raises(ExceptionGroup) as caught:
        async with stream(abs, range(1000), limit=3, executor=executor) as results:
            await until(lambda: len(executor.futures) == 3)
            executor.futures[1].set_exception(ValueError("remote"))
            await anext(results)
    assert [str(error) for error in caught.value.exceptions] == ["remote"]
    assert executor.futures[0].cancelled()
    assert executor.futures[2].cancelled()


async def test_a_stream_over_an_executor_refuses_async_functions(anyio_backend: object) -> None:
    wrong: Any = until
    with pytest.raises(TypeError, match="`executor=` is for synchronous functions; `until` is async already"):
        stream(wrong, [1], executor=ByHand())
    wrong = 5
    with pytest.raises(TypeError, match="`func` must be a synchronous function of one item, not 5"):
        stream(wrong, [1], executor=ByHand())
