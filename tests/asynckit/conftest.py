"""Every helper is tested on every back end, and must leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import time
from collections.abc import AsyncIterator, Iterator
from types import AsyncGeneratorType
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio

from asynckit import default_thread_pool
from asynckit._workers import workers
from support.loops import EagerLoop


def _backends() -> list[Any]:
    backends = [
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
        pytest.param(("trio", {}), id="trio"),
    ]
    if sys.version_info >= (3, 12):  # there are no eager tasks before
        backends.append(pytest.param(("asyncio", {"loop_factory": EagerLoop}), id="eager"))
    return backends


@pytest.fixture(params=_backends())
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """The back end a test runs on."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


@pytest.fixture
def on_asyncio(anyio_backend: tuple[str, dict[str, Any]]) -> bool:
    """Whether the back end has native tasks of asyncio."""
    return anyio_backend[0] == "asyncio"


@pytest.fixture
def only_asyncio(on_asyncio: bool) -> None:
    """For tests of what asyncio alone has."""
    if not on_asyncio:
        pytest.skip("about tasks of asyncio")


def _living() -> int:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return trio.lowlevel.current_statistics().tasks_living
    return len(asyncio.all_tasks())


@pytest.fixture(scope="session", autouse=True)
def only_what_tests_make_is_searched() -> Iterator[None]:
    """Looking for what is left costs a tenth of a second, unless the modules loaded so far are left out."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def _open_generators() -> set[int]:
    return {id(thing) for thing in gc.get_objects() if type(thing) is AsyncGeneratorType and thing.ag_frame is not None}


@pytest.fixture
def tasks_that_may_stay() -> int:
    """For modules to override: how many tasks anyio itself may start that end with the event loop."""
    return 0


@pytest.fixture
async def no_task_is_left(anyio_backend: object, tasks_that_may_stay: int) -> AsyncIterator[None]:
    """No task outlives a test."""
    before = _living()
    yield
    for _ in range(3):
        await anyio.lowlevel.checkpoint()  # tasks that have ended are taken off the books in the next round
    assert _living() <= before + tasks_that_may_stay


@pytest.fixture
def no_thread_works(anyio_backend: object) -> Iterator[None]:
    """No function runs on in a thread when a test is over; idle threads may stay for the next."""
    yield
    while True:  # a thread says what came of a call a moment before it is idle
        living, idle = workers.statistics()
        busy = default_thread_pool().busy()
        if living == idle and not busy:
            break
        time.sleep(0.001)


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """No task, coroutine or async generator outlives a test."""
    if inspect.iscoroutinefunction(request.function):
        request.getfixturevalue("no_task_is_left")
    before = _open_generators()
    yield
    gc.collect()  # a coroutine that was never awaited warns here, and warnings fail
    assert _open_generators() <= before
