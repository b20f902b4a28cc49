"""Functions that run in processes."""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import pytest

from asynckit import WorkerCrashed, _worker_pool, amap, gather, to_process

pytestmark = pytest.mark.anyio

_WORK = """
import os
import time
from asynckit import to_process, to_thread

@to_process
def add(a, b=0):
    return a + b, os.getpid()

@to_process
def fail(message):
    raise ValueError(message)

@to_process
def stop():
    raise StopIteration

@to_process
def crash():
    os._exit(3)

@to_process
def hang(path):
    open(path, "w").close()
    time.sleep(3600)

class Box:
    def __init__(self, content):
        self.content = content

    @to_process
    def read(self, suffix):
        return self.content + suffix

def plain():
    return "plain"

named = to_process(plain)

def wrap(function):
    return lambda: function()

@wrap
@to_process
def hidden():
    return 1
"""


def end_workers() -> None:
    """Let the next call start new ones: a worker knows the import path of when it was started."""
    if _worker_pool._default is not None:
        _worker_pool._default.end_all()
        _worker_pool._forget()


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module that worker processes can import."""
    end_workers()
    (tmp_path / "work_for_processes.py").write_text(_WORK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "work_for_processes", raising=False)
    yield importlib.import_module("work_for_processes")
    end_workers()


@pytest.fixture
def tasks_that_may_stay() -> int:
    """The one that ends anyio's workers."""
    return 1


async def test_it_runs_in_another_process(work: ModuleType) -> None:
    total, process = await work.add(1, b=2)
    assert total == 3
    assert process != os.getpid()
    assert work.add.sync(1) == (1, os.getpid())


async def test_an_error_comes_through(work: ModuleType) -> None:
    with pytest.raises(ValueError, match="of the worker"):
        await work.fail("of the worker")


async def test_stop_iteration_comes_through_as_a_runtime_error(work: ModuleType) -> None:
    with pytest.raises(RuntimeError, match="the function raised StopIteration"):
        await work.stop()


async def test_a_method_runs_with_a_copy_of_its_object(work: ModuleType) -> None:
    assert await work.Box("nut").read("s") == "nuts"


async def test_a_function_decorated_under_another_name_works(work: ModuleType) -> None:
    assert await work.named() == "plain"


async def test_a_crashed_worker_costs_its_own_call_only(work: ModuleType) -> None:
    crashed, added, *_ = await gather(work.crash(), work.add(1), limit=2, return_exceptions=True)
    assert isinstance(crashed, WorkerCrashed)
    assert added[0] == 1
    assert (await work.add(2))[0] == 2


async def test_a_cancelled_call_kills_its_worker(work: ModuleType, tmp_path: Path) -> None:
    sign = tmp_path / "begun"
    async with anyio.create_task_group() as group:
        group.start_soon(work.hang, str(sign))
        while not sign.exists():
            await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    assert (await work.add(1))[0] == 1


async def test_under_amap(work: ModuleType) -> None:
    results = await amap(work.add, range(6), limit=2)
    assert [total for total, _ in results] == list(range(6))
    assert 1 <= len({process for _, process in results}) <= 2


async def test_a_name_that_leads_elsewhere_is_refused(work: ModuleType) -> None:
    with pytest.raises(TypeError, match="let `@to_process` be the topmost decorator"):
        await work.hidden()


def _local() -> Any:
    def function() -> None: ...

    return function


async def already_async() -> None: ...


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: None, "cannot find `<lambda>`; define it with `def` at the top level of a module"),
        (_local(), "cannot find `_local.<locals>.function`"),
        (already_async, "`already_async` is async already"),
    ],
)
def test_what_a_process_cannot_run_is_refused(wrong: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        to_process(wrong)


def test_what_is_no_limiter_is_refused() -> None:
    wrong: Any = 5
    with pytest.raises(TypeError, match="`limiter` of `to_process` must be"):
        to_process(limiter=wrong)


def test_the_example_in_the_docstring_runs_as_a_program(tmp_path: Path) -> None:
    _, _, example = (inspect.getdoc(to_process) or "").partition("in a file of its own::\n")
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(example))
    ran = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True)
    assert ran.stdout == "25\n"
