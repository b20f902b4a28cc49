"""Functions that run in a real cluster of two worker processes."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.to_thread
import pytest

from asynckit import run_in_executor, stream

distributed = pytest.importorskip("distributed")

pytestmark = [pytest.mark.anyio, pytest.mark.thorough]


def _pids(cluster: Any) -> list[int]:
    return [nanny.pid for nanny in cluster.workers.values()]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster
        pids = [pid for pid in _pids(cluster) if pid is not None]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.fixture(scope="module")
def client(cluster: Any) -> Iterator[Any]:
    with distributed.Client(cluster) as client:
        yield client


async def test_it_runs_in_a_worker(cluster: Any, client: Any) -> None:
    assert await run_in_executor(client.get_executor(), os.getpid) in _pids(cluster)


async def test_an_error_keeps_its_remote_traceback(client: Any) -> None:
    def fail_there() -> None:
        raise ValueError("there")

    with pytest.raises(ValueError, match="there") as caught:
        await run_in_executor(client.get_executor(), fail_there)
    assert "fail_there" in [entry.name for entry in caught.traceback]


async def test_the_client_itself_is_no_executor(client: Any) -> None:
    with pytest.raises(TypeError, match=r"pass `client.get_executor\(\)`, not the client"):
        await run_in_executor(client, int)


@pytest.mark.parametrize("anyio_backend", [("trio", {})], ids=["trio"])  # what is tested is the cluster, and it is slow
async def test_a_killed_worker_loses_no_item(cluster: Any, client: Any) -> None:
    client.wait_for_workers(2)

    def double(number: int) -> int:
        return 2 * number

    victim = next(pid for pid in _pids(cluster) if pid is not None)
    results: list[int] = []
    async with stream(double, range(1000), limit=50, executor=client.get_executor()) as doubled:
        async for result in doubled:
            results.append(result)
            if len(results) == 300:
                os.kill(victim, signal.SIGKILL)
    assert sorted(results) == [2 * number for number in range(1000)]


async def test_cancelling_cancels_it_in_the_cluster(client: Any) -> None:
    """The call waits for an event that is set later, so the cluster forgets it only because it is cancelled."""
    name = uuid.uuid4().hex

    def wait_for_event() -> None:
        distributed.Event(name, client=distributed.get_client()).wait(timeout=30)

    before = set(client.futures)
    async with anyio.create_task_group() as group:
        group.start_soon(run_in_executor, client.get_executor(), wait_for_event)
        while client.futures.keys() <= before:
            await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    while not client.futures.keys() <= before:
        await anyio.sleep(0.01)
    # Dask forgets a call that runs, but cannot stop the thread of its worker.
    await anyio.to_thread.run_sync(lambda: distributed.Event(name, client=client).set())
