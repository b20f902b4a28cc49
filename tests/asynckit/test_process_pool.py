"""Pools of worker processes."""

from __future__ import annotations

import functools
import math
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from asynckit import NotPicklableError, ProcessPool, WorkerCrashed, gather, run_in_process, to_process
from support import leftovers, work

pytestmark = pytest.mark.anyio


@pytest.fixture
async def pool() -> AsyncIterator[ProcessPool]:
    async with ProcessPool(2) as pool:
        yield pool


async def test_workers_are_reused(pool: ProcessPool) -> None:
    assert len({await pool.run(work.process_id) for _ in range(5)}) == 1
    assert repr(pool) == "<ProcessPool of 2, 1 started, 1 idle>"


async def test_there_are_no_more_workers_than_asked_for(pool: ProcessPool) -> None:
    assert len(set(await gather(*(pool.run(work.process_id) for _ in range(20))))) <= 2


async def test_a_warm_pool_has_all_its_workers() -> None:
    async with ProcessPool(2, warm=True) as pool:
        assert repr(pool) == "<ProcessPool of 2, 2 started, 2 idle>"
    assert repr(pool) == "<ProcessPool of 2, 0 started, 0 idle>"


async def test_a_worker_is_replaced_after_max_tasks() -> None:
    async with ProcessPool(1, max_tasks=2) as pool:
        calls = [await pool.run(work.count_calls) for _ in range(5)]
    assert calls == [1, 2, 1, 2, 1]


async def test_a_worker_that_nobody_needs_is_ended() -> None:
    async with ProcessPool(2, idle=0) as pool:
        first = await pool.run(work.process_id)
        while leftovers.is_alive(first):
            await anyio.sleep(0.01)
        assert await pool.run(work.process_id) != first


async def test_the_initializer_runs_in_each_worker_before_its_first_call() -> None:
    async with ProcessPool(1, initializer=work.setup, initargs=("key", "value")) as pool:
        assert await pool.run(work.set_up, "key") == "value"
        with pytest.raises(WorkerCrashed):
            await pool.run(work.be_killed)
        assert await pool.run(work.set_up, "key") == "value"


async def test_an_initializer_that_fails_fails_the_calls() -> None:
    async with ProcessPool(1, initializer=work.fail, initargs=("not today",)) as pool:
        for _ in range(2):
            with pytest.raises(RuntimeError, match="the initializer of the pool failed") as caught:
                await pool.run(work.add, 1)
            assert str(caught.value.__cause__) == "not today"
        assert repr(pool) == "<ProcessPool of 1, 0 started, 0 idle>"


async def test_an_initializer_that_kills_its_worker_fails_the_calls() -> None:
    async with ProcessPool(1, initializer=work.be_killed) as pool:
        with pytest.raises(WorkerCrashed, match=r"the initializer .* was killed by SIGKILL"):
            await pool.run(work.add, 1)


async def test_a_warm_pool_whose_initializer_fails_is_not_entered() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with ProcessPool(2, initializer=work.fail, initargs=("not today",), warm=True):
            pytest.fail("it must not be")
    assert caught.group_contains(RuntimeError, match="the initializer of the pool failed")


async def test_leaving_the_block_kills_what_still_runs(tmp_path: Path) -> None:
    path = tmp_path / "begun"

    async def hang(pool: ProcessPool) -> None:
        with pytest.raises(RuntimeError, match="the pool was closed while `hang` ran in it"):
            await pool.run(work.hang, str(path))

    async with anyio.create_task_group() as group:
        async with ProcessPool(1) as pool:
            group.start_soon(hang, pool)
            while not (path.exists() and path.read_text()):
                await anyio.sleep(0.01)
        assert not leftovers.is_alive(int(path.read_text()))


async def test_outside_its_block_a_pool_cannot_be_used() -> None:
    pool = ProcessPool(1)
    with pytest.raises(RuntimeError, match="this pool is not open; use it inside its `async with"):
        await pool.run(work.add, 1)
    async with pool:
        pass
    with pytest.raises(RuntimeError, match="this pool is not open"):
        await run_in_process(work.add, 1, pool=pool)
    with pytest.raises(RuntimeError, match="a pool can be entered once"):
        async with pool:
            pytest.fail("it must not be")


async def test_a_call_that_waits_for_a_worker_is_cancelled_without_harm(tmp_path: Path) -> None:
    async with ProcessPool(1) as pool:
        process = await pool.run(work.process_id)
        path = tmp_path / "begun"
        async with anyio.create_task_group() as group:
            group.start_soon(pool.run, work.hang, str(path))
            while not path.exists():
                await anyio.sleep(0.01)
            with anyio.move_on_after(0.01):
                await pool.run(work.add, 1)
            assert leftovers.is_alive(process)
            group.cancel_scope.cancel()


async def test_a_call_that_is_not_cancellable_ends_first(pool: ProcessPool) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await run_in_process(work.add, 1, cancellable=False, pool=pool)
        pytest.fail("cancelled before it begins")
    results: list[int] = []

    async def call() -> None:
        results.append(await run_in_process(work.add, 1, cancellable=False, pool=pool))

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    assert results in ([1], [])


@pytest.mark.parametrize("size", [0, 1, 2**16 - 40, 2**16, 2**16 + 1, 10**6, 5 * 10**6])
@pytest.mark.parametrize("kind", [bytes, bytearray])
async def test_data_of_any_size_travels_both_ways(pool: ProcessPool, size: int, kind: type[Any]) -> None:
    data = kind(bytes(range(256)) * (size // 256 + 1))[:size]
    assert await pool.run(work.size_and_type, data) == (size, kind.__name__)
    assert await pool.run(work.echo, [data, {"inside": (data, 1)}]) == [data, {"inside": (data, 1)}]


async def test_arrays_travel_beside_the_pickle(pool: ProcessPool) -> None:
    numpy = pytest.importorskip("numpy")
    for length in (10, 10_000, 1_000_000):
        array = numpy.arange(length, dtype="float64")
        back = await pool.run(work.echo, array)
        assert (back == array).all()
        back += 1  # it can be written to
    assert (await pool.run(work.echo, array[::2]) == array[::2]).all()


async def test_a_partial_and_a_decorated_function_and_others_can_be_called(pool: ProcessPool) -> None:
    decorated: Any = to_process(pool=pool)(work.increment)
    assert await decorated(1) == 2
    assert await pool.run(functools.partial(work.add, right=2), 1) == 3
    assert await pool.run(math.factorial, 5) == 120
    assert await pool.run("a-b".split, "-") == ["a", "b"]
    assert await pool.run(dict, a=1) == {"a": 1}


async def test_what_a_worker_cannot_find_is_refused(pool: ProcessPool) -> None:
    with pytest.raises(TypeError, match=r"cannot find `.*<lambda>`; define it with `def` at the top level"):
        await pool.run(lambda: 1)
    with pytest.raises(NotPicklableError, match="cannot be pickled"):
        await pool.run(threading.Lock().acquire)
    wrong: Any = to_process(work.increment)
    with pytest.raises(TypeError, match="`increment` is off the event loop already: await it, or pass its `sync`"):
        await pool.run(wrong, 1)
    wrong = test_workers_are_reused
    with pytest.raises(TypeError, match="is async already"):
        await run_in_process(wrong, pool=pool)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"workers": 0}, ValueError, "`workers` must be 1 or more"),
        ({"workers": 1.5}, TypeError, "`workers` must be a whole number"),
        ({"max_tasks": 0}, ValueError, "`max_tasks` must be 1 or more"),
        ({"idle": -1}, ValueError, "`idle` must be 0 or more seconds"),
        ({"initializer": lambda: None}, TypeError, "define it with `def` at the top level"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ProcessPool(**options)


async def test_a_module_that_only_this_process_can_find_is_found_in_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: ProcessPool
) -> None:
    (tmp_path / "only_here.py").write_text("def answer():\n    return 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here  # type: ignore[import-not-found]

    monkeypatch.delitem(sys.modules, "only_here")
    monkeypatch.setitem(sys.modules, "only_here", only_here)
    assert await pool.run(only_here.answer) == 42
