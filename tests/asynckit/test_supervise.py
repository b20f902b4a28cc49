"""Keeping a service alive. The clock is virtual: times are exact, and take no time."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asynckit._supervise import Restart, supervise
from support.clock import with_virtual_clock
from support.points import InjectedError, Points, every_point, every_point_natively

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend(anyio_backend: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    return with_virtual_clock(anyio_backend)


@pytest.fixture
async def now(anyio_backend: object) -> Callable[[], float]:
    """Seconds since the test began."""
    start = anyio.current_time()
    return lambda: round(anyio.current_time() - start, 6)


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each delay is as long as it may be."""
    monkeypatch.setattr(random, "uniform", lambda low, high: high)


class Fails:
    """A service that fails some times, after a while each."""

    def __init__(self, times: float, *, after: float = 0) -> None:
        self.times = times
        self.after = after
        self.starts: list[float] = []

    async def __call__(self, *args: object) -> tuple[object, ...]:
        self.starts.append(anyio.current_time())
        await anyio.sleep(self.after)
        if len(self.starts) <= self.times:
            raise OSError(f"failure {len(self.starts)}")
        return args


def _quiet(restart: Restart) -> None:
    """Keeps restarts out of the log."""


async def test_what_it_returns_ends_it() -> None:
    assert await supervise(Fails(0), "a", 1) == ("a", 1)


@pytest.mark.usefixtures("longest")
async def test_failures_are_followed_by_restarts_after_delays_that_grow(now: Callable[[], float]) -> None:
    service = Fails(4)
    start = anyio.current_time()
    restarts: list[Restart] = []
    assert await supervise(service, 1, backoff=(1, 3, 10), on_restart=restarts.append, name="service") == (1,)
    assert [begun - start for begun in service.starts] == [0, 1, 4, 13, 23]
    assert [(restart.name, restart.number, str(restart.error), restart.delay) for restart in restarts] == [
        ("service", 1, "failure 1", 1),
        ("service", 2, "failure 2", 3),
        ("service", 3, "failure 3", 9),
        ("service", 4, "failure 4", 10),
    ]


async def test_delays_are_spread_at_random() -> None:
    delays: list[float] = []
    await supervise(
        Fails(1000), restarts=None, backoff=(1, 1, 1), on_restart=lambda restart: delays.append(restart.delay)
    )
    assert 0 <= min(delays) < 0.05
    assert 0.95 < max(delays) <= 1
    assert 0.4 < sum(delays) / len(delays) < 0.6


@pytest.mark.usefixtures("longest")
async def test_too_many_failures_in_a_time_raise_the_last() -> None:
    service = Fails(math.inf)
    with pytest.raises(OSError, match="failure 4") as caught:
        await supervise(service, restarts=3, per=60, backoff=(1, 1, 1), on_restart=_quiet, name="db")
    assert caught.value.__notes__ == ["supervise: `db` failed after 3 restarts in 60 s, the most allowed"]
    assert len(service.starts) == 4


@pytest.mark.parametrize(
    ("restarts", "per", "note"),
    [
        (0, 60, "`Fails` failed after 0 restarts in 60 s, the most allowed"),
        (1, None, "`Fails` failed after 1 restart, the most allowed"),
    ],
)
async def test_few_restarts(restarts: int, per: float | None, note: str) -> None:
    service = Fails(math.inf)
    with pytest.raises(OSError, match=f"failure {restarts + 1}") as caught:
        await supervise(service, restarts=restarts, per=per, on_restart=_quiet, name="Fails")
    assert caught.value.__notes__ == [f"supervise: {note}"]


@pytest.mark.usefixtures("longest")
async def test_failures_that_are_far_apart_may_go_on_for_ever(now: Callable[[], float]) -> None:
    service = Fails(100, after=9)
    await supervise(service, restarts=3, per=30, backoff=(1, 1, 1), on_restart=_quiet)
    assert now() == 100 * 10 + 9
    with pytest.raises(OSError, match="failure 4"):
        await supervise(Fails(100, after=8), restarts=3, per=30, backoff=(1, 1, 1), on_restart=_quiet)


@pytest.mark.usefixtures("longest")
async def test_the_delay_starts_over_after_a_good_time() -> None:
    delays: list[float] = []
    service = Fails(8)

    async def serve() -> None:
        service.after = 60 if len(service.starts) == 4 else 0
        await service()

    await supervise(serve, restarts=None, backoff=(1, 2, 100), on_restart=lambda restart: delays.append(restart.delay))
    assert delays == [1, 2, 4, 8, 1, 2, 4, 8]


async def test_returning_may_be_a_reason_to_restart(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RuntimeError, match="`serve` returned after 5 restarts in 60 s, the most allowed; allow more"):
        await supervise(Fails(0), restart_on_return=True, name="serve")
    assert "`serve` returned; restart 5 in " in caplog.messages[-1]
    restarts: list[Restart] = []
    service = Fails(2)
    with anyio.move_on_after(3600):
        await supervise(service, restart_on_return=True, restarts=None, backoff=(1, 1, 1), on_restart=restarts.append)
    assert [restart.error is None for restart in restarts[:4]] == [False, False, True, True]


async def test_restarts_are_logged_if_nobody_asks_for_them(caplog: pytest.LogCaptureFixture) -> None:
    await supervise(Fails(1), name="service", backoff=(0, 1, 0))
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("asynckit.supervise", logging.WARNING)
    assert record.getMessage() == "`service` failed; restart 1 in 0 s"
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "failure 1"


async def test_the_name_is_that_of_the_function() -> None:
    names = []

    async def serve() -> None:
        if not names:
            raise OSError

    await supervise(serve, on_restart=lambda restart: names.append(restart.name))
    assert names == ["test_the_name_is_that_of_the_function.<locals>.serve"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
async def test_what_is_no_exception_ends_it(error: type[BaseException], on_asyncio: bool) -> None:
    calls = 0

    async def serve() -> None:
        nonlocal calls
        calls += 1
        raise error

    with pytest.raises(error):
        await supervise(serve, on_restart=_quiet)
    with pytest.raises(BaseExceptionGroup):
        await supervise(_raising(BaseExceptionGroup("", [OSError(), error()])), on_restart=_quiet)
    assert calls == 1


def _raising(error: BaseException) -> Callable[[], Any]:
    async def serve() -> None:
        raise error

    return serve


async def test_a_group_of_errors_is_a_failure() -> None:
    calls = 0

    async def serve() -> int:
        nonlocal calls
        calls += 1
        async with anyio.create_task_group() as group:
            if calls == 1:
                group.start_soon(_raising(OSError()))
        return calls

    assert await supervise(serve, on_restart=_quiet) == 2


async def test_what_the_hook_raises_ends_it() -> None:
    def fail(restart: Restart) -> None:
        raise KeyError

    service = Fails(3)
    with pytest.raises(KeyError):
        await supervise(service, on_restart=fail)
    assert len(service.starts) == 1


@pytest.mark.parametrize("wait", [0.5, 2])
async def test_cancelling_ends_a_run_and_a_delay(wait: float, now: Callable[[], float], longest: None) -> None:
    service = Fails(math.inf, after=1)
    with anyio.move_on_after(wait) as scope:
        await supervise(service, backoff=(10, 1, 10), on_restart=_quiet)
    assert scope.cancelled_caught
    assert now() == wait
    assert len(service.starts) == 1


async def test_a_run_that_fails_while_it_is_cancelled_is_not_restarted() -> None:
    calls = 0

    async def serve() -> None:
        nonlocal calls
        calls += 1
        try:
            await anyio.sleep_forever()
        finally:
            raise OSError("clean-up failed")

    with pytest.raises(OSError, match="clean-up failed") as caught, anyio.move_on_after(1):
        await supervise(serve, on_restart=_quiet)
    assert not hasattr(caught.value, "__notes__")
    assert calls == 1


async def test_a_run_that_swallows_a_cancellation_does_not_get_round_it() -> None:
    calls = 0

    async def serve() -> None:
        nonlocal calls
        calls += 1
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            return

    with anyio.move_on_after(1) as scope:
        await supervise(serve, restart_on_return=True, on_restart=_quiet)
    assert scope.cancelled_caught
    assert calls == 1


@pytest.mark.parametrize("restart_on_return", [False, True])
@pytest.mark.parametrize("end", ["fail", "fail in a group", "return"])
async def test_a_native_cancellation_that_a_run_swallows(end: str, restart_on_return: bool, only_asyncio: None) -> None:
    calls = 0

    async def serve() -> None:
        nonlocal calls
        calls += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if end == "fail":
                raise OSError from None
            if end == "fail in a group":
                raise ExceptionGroup("of clean-up", [OSError()]) from None

    task = asyncio.create_task(supervise(serve, restart_on_return=restart_on_return, on_restart=_quiet))
    await checkpoint()
    task.cancel()
    await asyncio.wait([task])
    assert calls == 1
    if end == "return":
        assert task.cancelled() == restart_on_return
    else:
        assert isinstance(task.exception(), OSError if end == "fail" else ExceptionGroup)


async def test_a_task_group_of_asyncio_that_fails_is_a_failure(only_asyncio: None) -> None:
    calls = 0

    async def fail() -> None:
        await asyncio.sleep(0)
        raise OSError

    async def serve(in_body: bool) -> int:
        nonlocal calls
        calls += 1
        if calls < 4:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                if in_body:
                    await asyncio.Event().wait()
        return calls

    # Whether the task group leaves a request to cancel depends on the version of Python.
    assert await asyncio.create_task(supervise(serve, False, on_restart=_quiet)) == 4


async def test_cancelling_at_every_point() -> None:
    async def run(points: Points) -> None:
        failures = Fails(2)

        async def serve() -> None:
            await points()
            await points()
            await failures()

        await supervise(serve, on_restart=_quiet)

    assert await every_point(run, cancel=True) == 6


async def test_failing_at_every_point() -> None:
    async def run(points: Points) -> None:
        async def serve() -> None:
            await points()
            async with anyio.create_task_group() as group:
                group.start_soon(points)
                await points()
            await points()

        async with anyio.create_task_group():  # whose group is what an injected error is expected in
            await supervise(serve, restarts=0)

    assert await every_point(run, cancel=False) == 4


@pytest.mark.parametrize("point", range(1, 5))
async def test_a_failure_at_any_point_is_made_good(point: int) -> None:
    def fail() -> None:
        raise InjectedError

    points = Points(point, fail)

    async def serve() -> str:
        for _ in range(4):
            await points()
        return "done"

    assert await supervise(serve, on_restart=_quiet) == "done"
    assert points.count == point + 4


async def test_a_native_cancellation_at_every_point(only_asyncio: None) -> None:
    async def use(points: Points) -> None:
        failures = Fails(1)

        async def serve() -> None:
            await points()
            await points()
            await failures()

        await supervise(serve, on_restart=_quiet)

    assert await every_point_natively(use) == 4


async def test_one_in_another(longest: None) -> None:
    inner, outer = Fails(8), []

    async def serve() -> object:
        return await supervise(inner, restarts=2, on_restart=_quiet)

    await supervise(serve, restarts=2, on_restart=outer.append)
    assert [len(restart.error.__notes__) for restart in outer] == [1, 1]
    assert len(inner.starts) == 9


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"restarts": -1}, ValueError, "`restarts` must be 0 or more, not -1; pass None for no bound"),
        ({"restarts": 1.5}, TypeError, "`restarts` must be a whole number of 0 or more"),
        ({"restarts": True}, TypeError, "not True"),
        ({"per": 0}, ValueError, "`per` must be above 0 seconds"),
        ({"per": -1}, ValueError, "`per` must be 0 or more seconds"),
        ({"backoff": 1}, TypeError, "`backoff` must be the initial delay"),
        ({"on_restart": 1}, TypeError, "`on_restart` must be a plain function"),
        ({"on_restart": checkpoint}, TypeError, "not async"),
    ],
)
async def test_wrong_arguments_are_refused(options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        await supervise(checkpoint, **options)


async def _generate() -> AsyncIterator[int]:
    yield 1


async def test_what_is_no_async_function_is_refused_and_not_tried_again() -> None:
    coro: Any = checkpoint()
    with pytest.raises(TypeError, match="pass the function itself, without calling it"):
        await supervise(coro)
    generate: Any = _generate
    with pytest.raises(TypeError, match="takes an async function and its arguments, not <function _generate"):
        await supervise(generate)
    not_async: Any = int
    restarts: list[Restart] = []
    with pytest.raises(TypeError, match=r"the function must be async.*it returned 0"):
        await supervise(not_async, on_restart=restarts.append)
    assert not restarts
