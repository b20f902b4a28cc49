"""Whatever happens in a worker process costs one call, and leaves nothing behind."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from asynckit import NotPicklableError, ProcessPool, RemoteError, WorkerCrashed, gather, run_in_process
from support import leftovers, work
from support.long import LONG

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.anyio,
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks for what is left in /proc"),
]


async def no_busy_threads() -> None:
    while leftovers.busy_threads():
        await anyio.sleep(0.01)


@pytest.fixture(autouse=True)
async def nothing_remains(anyio_backend: object) -> AsyncIterator[None]:
    """No process, descriptor, shared memory, semaphore or busy thread outlives a pool."""
    await no_busy_threads()  # an earlier test may have left one to itself
    before = leftovers.children(), leftovers.descriptors(), leftovers.shared_memory()
    yield
    await no_busy_threads()
    assert (leftovers.children(), leftovers.descriptors(), leftovers.shared_memory()) == before


@pytest.fixture
async def pool(nothing_remains: None) -> AsyncIterator[ProcessPool]:
    async with ProcessPool(2) as pool:
        yield pool


async def begun(path: Path) -> int:
    """Wait until a call that hangs has begun.

    Returns:
        Its process.
    """
    while not (path.exists() and path.read_text()):
        await anyio.sleep(0.01)
    return int(path.read_text())


@pytest.mark.parametrize(
    ("crash", "args", "message", "exit_code", "by_signal"),
    [
        (work.segfault, (), "was killed by SIGSEGV", None, signal.SIGSEGV),
        (work.be_killed, (), "was killed by SIGKILL, perhaps for want of memory", None, signal.SIGKILL),
        (work.exit_hard, (3,), "ended with exit code 3", 3, None),
        (work.exit_softly, (4,), "ended with exit code 4", 4, None),
        (work.exit_softly, (0,), "ended with exit code 0", 0, None),
        (work.exit_softly, (-1,), "ended with exit code 255", 255, None),
        (work.exit_softly, (None,), "ended with exit code 0", 0, None),
    ],
)
async def test_a_crash_costs_its_own_call_only(
    pool: ProcessPool,
    crash: Callable[..., Any],
    args: tuple[Any, ...],
    message: str,
    exit_code: int | None,
    by_signal: int | None,
) -> None:
    error, total = await gather(pool.run(crash, *args), pool.run(work.add, 1, 2), return_exceptions=True)
    assert isinstance(error, WorkerCrashed)
    assert str(error) == f"the worker process of `{crash.__name__}` {message}"
    assert (error.exit_code, error.signal) == (exit_code, by_signal)
    assert total == 3
    assert await gather(*(pool.run(work.add, number) for number in range(4))) == (0, 1, 2, 3)


async def test_a_worker_that_will_not_end_for_its_threads_is_killed(pool: ProcessPool) -> None:
    with pytest.raises(WorkerCrashed) as caught:
        await pool.run(work.exit_with_a_thread_left, 5)
    assert caught.value.exit_code == 5  # that it was killed in the end is not what its function has done
    assert await pool.run(work.add, 1) == 1


async def test_a_crash_is_seen_though_a_forked_child_of_the_worker_lives_on(pool: ProcessPool, tmp_path: Path) -> None:
    with pytest.raises(WorkerCrashed):
        await pool.run(work.fork_and_die, str(tmp_path / "end"))
    (tmp_path / "end").touch()


async def test_a_worker_killed_while_idle_costs_nothing(pool: ProcessPool) -> None:
    process = await pool.run(work.process_id)
    os.kill(process, signal.SIGKILL)
    while leftovers.is_alive(process):
        await anyio.sleep(0.01)
    assert await pool.run(work.process_id) != process


async def test_what_a_worker_raises_has_its_traceback_there(pool: ProcessPool) -> None:
    with pytest.raises(ValueError, match="of the worker") as caught:
        await pool.run(work.fail, "of the worker")
    cause = caught.value.__cause__
    assert isinstance(cause, RemoteError)
    assert cause.summary == "ValueError: of the worker"
    assert "raise ValueError(message)" in str(cause)
    assert "_worker.py" not in str(cause)


@pytest.mark.parametrize(("function", "summary"), [(work.raise_local, "local"), (work.raise_picky, "1 and 2")])
async def test_an_exception_that_cannot_travel_is_told_in_words(
    pool: ProcessPool, function: Callable[[], Any], summary: str
) -> None:
    process = await pool.run(work.process_id)
    with pytest.raises(RemoteError, match=summary) as caught:
        await pool.run(function)
    assert f"in {function.__name__}" in caught.value.traceback
    assert await pool.run(work.process_id) == process


@pytest.mark.parametrize(
    ("function", "args", "message"),
    [
        (work.give_a_lock, (), r"the result of `give_a_lock` cannot be pickled: .*; return plain data"),
        (work.give_refusing, (), r"the result of `give_refusing` cannot be unpickled: ValueError: I will not"),
        (work.echo, (threading.Lock(),), r"the arguments of `echo` cannot be pickled: .*; pass plain data"),
        (work.echo, (work.Refusing(),), r"cannot unpickle the call of `echo`: ValueError: I will not"),
        (work.echo, ([bytes(10**6), work.Refusing(), bytes(10**6)],), r"cannot unpickle the call of `echo`"),
    ],
)
async def test_what_cannot_travel_leaves_the_worker_whole(
    pool: ProcessPool, function: Callable[..., Any], args: tuple[Any, ...], message: str
) -> None:
    process = await pool.run(work.process_id)
    with pytest.raises(NotPicklableError, match=message):
        await pool.run(function, *args)
    assert await pool.run(work.process_id) == process


async def test_an_interruption_that_a_function_raises_does_not_interrupt_this_process(pool: ProcessPool) -> None:
    with pytest.raises(RemoteError, match="KeyboardInterrupt"):
        await pool.run(work.interrupt_itself)


async def test_stop_iteration_becomes_a_runtime_error(pool: ProcessPool) -> None:
    with pytest.raises(RuntimeError, match="the function raised StopIteration"):
        await pool.run(work.stop)


async def test_what_a_worker_writes_does_not_disturb_the_messages(
    pool: ProcessPool, capfd: pytest.CaptureFixture[str]
) -> None:
    assert await pool.run(work.write_raw, 300_000) == 300_000
    assert await pool.run(work.echo, bytes(300_000)) == bytes(300_000)
    assert capfd.readouterr().out == "\n" * 300_000


async def test_a_worker_can_start_programs(pool: ProcessPool) -> None:
    assert await pool.run(work.start_a_program) == "ran\n"


@pytest.mark.parametrize("hang", [work.hang, work.hang_in_c])
async def test_cancelling_kills_that_worker_and_no_other(
    pool: ProcessPool, tmp_path: Path, hang: Callable[[str], Any]
) -> None:
    other = await pool.run(work.process_id)
    stays = tmp_path / "stays"
    goes = tmp_path / "goes"
    async with anyio.create_task_group() as group:
        group.start_soon(pool.run, work.hang, str(stays))
        assert await begun(stays) == other
        async with anyio.create_task_group() as inner:
            inner.start_soon(pool.run, hang, str(goes))
            killed = await begun(goes)
            inner.cancel_scope.cancel()
        assert not leftovers.is_alive(killed)
        assert leftovers.is_alive(other)
        assert await pool.run(work.add, 1) == 1
        group.cancel_scope.cancel()
    assert not leftovers.is_alive(other)


async def test_cancelled_in_the_middle_of_a_large_argument(pool: ProcessPool, tmp_path: Path) -> None:
    """The worker stands still, so what is sent fills the socket."""
    process = await pool.run(work.process_id)
    os.kill(process, signal.SIGSTOP)
    with anyio.move_on_after(0.1):
        await pool.run(work.echo, bytes(10**7))
        pytest.fail("nobody can have read that")
    assert not leftovers.is_alive(process)
    assert await pool.run(work.add, 1) == 1


async def test_a_crash_in_the_middle_of_a_large_argument(pool: ProcessPool) -> None:
    process = await pool.run(work.process_id)
    os.kill(process, signal.SIGSTOP)
    async with anyio.create_task_group() as group:

        async def ask() -> None:
            with pytest.raises(WorkerCrashed, match="SIGKILL"):
                await pool.run(work.echo, bytes(10**7))

        group.start_soon(ask)
        while not leftovers.busy_threads("asynckit._wire"):  # the call has its worker, which may not die before
            await anyio.lowlevel.checkpoint()
        os.kill(process, signal.SIGKILL)
    assert await pool.run(work.add, 1) == 1


async def test_past_its_timeout_a_call_ends_with_its_worker(pool: ProcessPool, tmp_path: Path) -> None:
    process = await pool.run(work.process_id)
    with pytest.raises(TimeoutError, match=r"`hang` took longer than its timeout of 0.1 s; its worker was killed"):
        await run_in_process(work.hang, str(tmp_path / "begun"), timeout=0.1, pool=pool)
    assert not leftovers.is_alive(process)
    assert await pool.run(work.add, 1) == 1


async def test_offloading_in_a_worker_is_an_error_at_once(pool: ProcessPool) -> None:
    with pytest.raises(RuntimeError, match="this runs in a worker process already"):
        await pool.run(work.nested.sync)
    with pytest.raises(RuntimeError, match="call the function itself"):
        await pool.run(work.nested_by_function)


async def test_a_worker_may_have_a_pool_of_its_own(pool: ProcessPool) -> None:
    assert await pool.run(work.nested_in_its_own_pool, 2) == 0


async def test_a_fork_bomb_of_nested_calls_is_no_bomb(pool: ProcessPool) -> None:
    errors = await gather(*(pool.run(work.nested_by_function) for _ in range(20)), return_exceptions=True)
    assert all(isinstance(error, RuntimeError) and "worker process already" in str(error) for error in errors)
    assert repr(pool) == "<ProcessPool of 2, 2 started, 2 idle>"


async def test_errors_that_are_not_read_hold_up_their_own_call_only(pool: ProcessPool, tmp_path: Path) -> None:
    """Standard error is a pipe that is full, so who writes to it stands still, and must be killed."""
    reader, writer = os.pipe()
    standard_error = os.dup(2)
    os.dup2(writer, 2)
    try:
        await pool.run(work.add, 1)  # a worker has the pipe
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)
    path = tmp_path / "begun"
    async with anyio.create_task_group() as group:
        group.start_soon(pool.run, work.fill_errors, str(path))
        stuck = await begun(path)
        while select.select([], [writer], [], 0)[1]:
            await anyio.sleep(0.01)
        assert await pool.run(work.add, 1) == 1
        group.cancel_scope.cancel()
    os.close(reader)
    os.close(writer)
    assert not leftovers.is_alive(stuck)
    assert await pool.run(work.add, 1) == 1


@pytest.mark.skipif(not LONG, reason="takes two gigabytes of memory, so only with ASYNCKIT_LONG=1")
async def test_a_gigabyte_as_an_argument(pool: ProcessPool) -> None:
    turns = 0
    done = anyio.Event()

    async def beat() -> None:
        nonlocal turns
        while not done.is_set():
            await anyio.sleep(0.001)
            turns += 1

    data = bytes(2**30)
    async with anyio.create_task_group() as group:
        group.start_soon(beat)
        await anyio.sleep(0)
        assert await pool.run(work.size_and_type, data) == (2**30, "bytes")
        done.set()
    assert turns > 10


async def test_large_data_does_not_hold_up_the_event_loop(pool: ProcessPool) -> None:
    """Turns of the event loop are counted, while 100 MB go there and come back."""
    turns = 0
    done = anyio.Event()

    async def beat() -> None:
        nonlocal turns
        while not done.is_set():
            await anyio.sleep(0.001)
            turns += 1

    data = bytes(10**8)
    async with anyio.create_task_group() as group:
        group.start_soon(beat)
        await anyio.sleep(0)
        assert len(await pool.run(work.echo, data)) == len(data)
        done.set()
    assert turns > 10
