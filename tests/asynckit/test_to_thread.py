"""Functions that run in threads."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import threading
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint

from asynckit import Offloaded, amap, to_thread

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_thread_works")]


@to_thread
def where(a: int, b: int = 2) -> tuple[int, int, int]:
    """Say where it runs."""
    return a, b, threading.get_ident()


async def test_it_runs_in_another_thread() -> None:
    a, b, thread = await where(1, b=3)
    assert (a, b) == (1, 3)
    assert thread != threading.get_ident()


async def test_the_original_is_kept_under_sync() -> None:
    assert where.sync(1) == (1, 2, threading.get_ident())


async def test_it_looks_like_the_original() -> None:
    assert where.__name__ == "where"
    assert where.__doc__ == "Say where it runs."
    assert list(inspect.signature(where).parameters) == ["a", "b"]
    if sys.version_info >= (3, 12):
        assert inspect.iscoroutinefunction(where)
    assert asyncio.iscoroutinefunction(where)
    assert asyncio.iscoroutinefunction(where.__call__)


class Box:
    def __init__(self, content: str) -> None:
        self.content = content

    @to_thread
    def read(self, suffix: str = "") -> str:
        return self.content + suffix

    @staticmethod
    @to_thread
    def static(value: int) -> int:
        return value + 1

    @classmethod
    @to_thread
    def name(cls) -> str:
        return cls.__name__


async def test_methods_work() -> None:
    box = Box("nut")
    assert await box.read("s") == "nuts"
    assert box.read.sync("s") == "nuts"
    assert await Box.read(box) == "nut"
    assert isinstance(Box.read, Offloaded)
    assert await box.static(1) == 2
    assert await Box.name() == await box.name() == "Box"


async def test_an_error_comes_through() -> None:
    @to_thread
    def fail() -> None:
        raise KeyError("key")

    with pytest.raises(KeyError, match="key"):
        await fail()


async def test_stop_iteration_comes_through_as_the_cause_of_a_runtime_error() -> None:
    @to_thread
    def stop() -> None:
        next(iter(()))

    with pytest.raises(RuntimeError, match="the function raised StopIteration") as caught:
        await stop()
    assert isinstance(caught.value.__cause__, StopIteration)


async def test_context_variables_are_carried_in_and_not_out() -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("outer")

    @to_thread
    def use() -> str:
        before = variable.get()
        variable.set("inner")
        return before

    assert await use() == "outer"
    assert variable.get() == "outer"


async def test_a_limiter_bounds_the_threads() -> None:
    limiter = anyio.CapacityLimiter(2)
    most = 0

    @to_thread(limiter=limiter)
    def watch(item: int) -> int:
        nonlocal most
        most = max(most, limiter.borrowed_tokens)
        return item

    assert await amap(watch, range(20), limit=10) == list(range(20))
    assert 1 <= most <= 2


async def test_a_cancelled_call_waits_for_its_thread() -> None:
    begun, released, ended = threading.Event(), threading.Event(), threading.Event()

    @to_thread
    def work() -> None:
        begun.set()
        released.wait()
        ended.set()

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        while not begun.is_set():
            await checkpoint()
        group.cancel_scope.cancel()
        released.set()
    assert ended.is_set()


async def test_a_cancelled_call_may_abandon_its_thread() -> None:
    begun, released, ended = threading.Event(), threading.Event(), threading.Event()

    @to_thread(abandon_on_cancel=True)
    def work() -> None:
        begun.set()
        released.wait()
        ended.set()

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        while not begun.is_set():
            await checkpoint()
        group.cancel_scope.cancel()
    assert not ended.is_set()
    released.set()
    ended.wait()


async def test_the_thread_can_call_back() -> None:
    @to_thread
    def ask() -> str:
        async def answer() -> str:
            await checkpoint()
            return "answer"

        return anyio.from_thread.run(answer)

    assert await ask() == "answer"


class AsyncCallable:
    async def __call__(self) -> None: ...


async def already_async() -> None: ...


def not_a_function() -> Any:
    return 7


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (already_async, "`already_async` is async already: use it as it is"),
        (functools.partial(already_async), "is async already"),
        (AsyncCallable(), "is async already"),
        (where, "`where` is off the event loop already"),
        (not_a_function(), "`to_thread` decorates a function, not 7; pass options by keyword"),
        (staticmethod(len), "`@to_thread` goes below `@staticmethod`"),
    ],
)
def test_what_is_no_synchronous_function_is_refused(wrong: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        to_thread(wrong)


def test_what_is_no_limiter_is_refused() -> None:
    wrong: Any = "five"
    with pytest.raises(TypeError, match=r"must be a `ThreadPool` or an `anyio.CapacityLimiter`, not 'five'"):
        to_thread(limiter=wrong)
