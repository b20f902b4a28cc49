"""Executors that are not of the standard library, or not of every Python: what is absent is skipped, and says so."""

from __future__ import annotations

import concurrent.futures
import os
import pickle
import re
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import anyio
import pytest

from asynckit import run_in_executor, stream
from support import work

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def loky_pool() -> Iterator[Any]:
    loky = pytest.importorskip("loky", reason="loky is not installed")
    with loky.ProcessPoolExecutor(2) as pool:
        yield pool


@pytest.fixture(scope="module")
def ray_pool() -> Iterator[Any]:
    """The adapter of the guide, as it stands there."""
    ray = pytest.importorskip("ray", reason="ray is not installed")
    guide = (Path(__file__).parents[2] / "docs/guide/executors.md").read_text()
    (adapter,) = re.findall(r"```python\n((?:(?!```).)*class RayExecutor.*?)```", guide, re.S)
    namespace: dict[str, Any] = {}
    exec(adapter, namespace)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield namespace["RayExecutor"]()
    ray.shutdown()


class TestLoky:
    """Its pools of processes mend themselves, and pickle with cloudpickle."""

    async def test_it_runs_in_another_process(self, loky_pool: Any) -> None:
        assert await run_in_executor(loky_pool, os.getpid) != os.getpid()

    async def test_a_decorated_function_travels(self, loky_pool: Any) -> None:
        assert await run_in_executor(loky_pool, work.plainly, work.in_process, 1) == 2

    async def test_an_error_keeps_its_remote_traceback(self, loky_pool: Any) -> None:
        with pytest.raises(ValueError, match="there") as caught:
            await run_in_executor(loky_pool, work.fail, "there")
        assert "in fail" in str(caught.value.__cause__)

    async def test_a_stream_maps_over_it(self, loky_pool: Any) -> None:
        async with stream(work.increment, range(100), limit=4, executor=loky_pool) as results:
            assert sorted([result async for result in results]) == list(range(1, 101))

    @pytest.mark.thorough
    async def test_a_dead_worker_is_explained(self) -> None:
        loky = pytest.importorskip("loky", reason="loky is not installed")
        with loky.ProcessPoolExecutor(1) as pool, pytest.raises(BrokenExecutor) as caught:
            await run_in_executor(pool, work.be_killed)
        assert "make a new one" in caught.value.__notes__[0]


class Interpreters(ThreadPoolExecutor):
    """As `concurrent.futures.InterpreterPoolExecutor`: a pool of threads, but calls and results are pickled."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        pickled = pickle.dumps((fn, args, kwargs))

        def call() -> Any:
            there, its_args, its_kwargs = pickle.loads(pickled)
            return pickle.loads(pickle.dumps(there(*its_args, **its_kwargs)))

        return super().submit(call)


class TestInterpreters:
    """Pools of interpreters come with Python 3.14; whether there are any is looked for when a call is made."""

    @pytest.fixture(params=["like", "real"])
    def pool(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        kind = Interpreters
        if request.param == "like":
            monkeypatch.setattr(concurrent.futures, "InterpreterPoolExecutor", Interpreters, raising=False)
        elif hasattr(concurrent.futures, "InterpreterPoolExecutor"):
            kind = concurrent.futures.InterpreterPoolExecutor
        else:
            pytest.skip("interpreters have a pool from Python 3.14 on")
        with kind(1) as pool:
            yield pool

    async def test_no_context_is_sent(self, pool: Any) -> None:
        """It cannot be pickled; threads would get one."""
        ContextVar[object]("cannot be pickled").set(lambda: None)
        assert await run_in_executor(pool, work.add, 1, 2) == 3

    async def test_a_decorated_function_travels(self, pool: Any) -> None:
        assert await run_in_executor(pool, work.plainly, work.in_process, 1) == 2
        assert await run_in_executor(pool, work.in_process.sync, 1) == 2


@pytest.mark.thorough
class TestRay:
    """What the guide says of Ray works where that is installed."""

    async def test_it_runs_in_another_process(self, ray_pool: Any) -> None:
        assert await run_in_executor(ray_pool, os.getpid) != os.getpid()
        async with stream(abs, range(-20, 0), limit=4, ordered=True, executor=ray_pool) as results:
            assert [result async for result in results] == list(range(20, 0, -1))

    async def test_an_error_comes_through(self, ray_pool: Any) -> None:
        with pytest.raises(ZeroDivisionError):
            await run_in_executor(ray_pool, divmod, 1, 0)

    async def test_cancelling_cancels_it_there(self, ray_pool: Any, tmp_path: Path) -> None:
        def wait_for_the_end(begun: Path, interrupted: Path) -> None:
            begun.touch()
            try:
                while True:
                    time.sleep(0.01)  # Ray interrupts between two steps of Python
            except BaseException:
                interrupted.touch()
                raise

        begun, interrupted = tmp_path / "begun", tmp_path / "interrupted"
        async with anyio.create_task_group() as group:
            group.start_soon(run_in_executor, ray_pool, wait_for_the_end, begun, interrupted)
            while not begun.exists():
                await anyio.sleep(0.01)
            group.cancel_scope.cancel()
        while not interrupted.exists():
            await anyio.sleep(0.01)
