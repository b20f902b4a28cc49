"""Trying again what failed. The clock is virtual: delays are exact, and take no time."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asynckit import timeout
from asynckit._retry import Attempt, Backoff, retry
from support.clock import with_virtual_clock
from support.points import InjectedError, Points, every_point

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend(anyio_backend: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    return with_virtual_clock(anyio_backend)


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every delay be the longest possible."""
    monkeypatch.setattr(random, "uniform", lambda low, high: high)


class Failing:
    """An async function that raises what it is given, one after another, and then returns."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.times: list[float] = []

    async def __call__(self, result: str = "done") -> str:
        self.times.append(anyio.current_time())
        await checkpoint()
        if self.errors:
            raise self.errors.pop(0)
        return result

    @property
    def delays(self) -> list[float]:
        return [round(after - before, 6) for before, after in zip(self.times, self.times[1:], strict=False)]


async def test_what_succeeds_is_called_once() -> None:
    func = Failing()
    assert await retry(OSError)(func)("result") == "result"
    assert len(func.times) == 1


async def test_it_is_called_until_it_succeeds() -> None:
    func = Failing(OSError(), OSError(), OSError(), OSError())
    assert await retry(on=OSError)(func)() == "done"
    assert len(func.times) == 5


async def test_the_loop_gives_attempts_until_one_succeeds() -> None:
    func = Failing(OSError(), OSError())
    seen = []
    async for attempt in retry(on=OSError):
        with attempt:
            seen.append((attempt.number, await func()))
    assert seen == [(3, "done")]
    assert attempt.error is None


async def test_the_loop_may_be_left_from_within_an_attempt() -> None:
    async def run() -> str:
        async for attempt in retry(on=OSError):
            with attempt:
                return await Failing()()
        raise AssertionError

    assert await run() == "done"
    async for attempt in retry(on=OSError):
        with attempt:
            break


async def test_the_last_error_is_raised_as_it_is_with_a_note(longest: None) -> None:
    errors = [OSError(number) for number in range(9)]
    func = Failing(*errors)
    with pytest.raises(OSError, match="2") as caught:
        await retry(on=OSError, attempts=3, backoff=(1, 2, 60))(func)()
    assert caught.value is errors[2]
    assert caught.value.__notes__ == ["retry: 3 attempts in 3 s, and no more: all have been used"]
    assert caught.value.__context__ is None


async def test_one_attempt_is_no_second() -> None:
    func = Failing(ConnectionError())
    with pytest.raises(ConnectionError) as caught:
        await retry(on=OSError, attempts=1)(func)()
    assert caught.value.__notes__ == ["retry: 1 attempt in 0 s, and no more: all have been used"]


async def test_other_errors_are_raised_at_once(longest: None) -> None:
    func = Failing(LookupError())
    with pytest.raises(LookupError) as caught:
        await retry(on=OSError)(func)()
    assert not hasattr(caught.value, "__notes__")
    func = Failing(OSError(), LookupError())
    with pytest.raises(LookupError) as caught:
        await retry(on=OSError, backoff=(1, 1, 1))(func)()
    assert caught.value.__notes__ == ["retry: 2 attempts in 1 s, and no more: `on` does not hold for this error"]


async def test_on_may_be_a_tuple_or_a_function() -> None:
    assert await retry(on=(KeyError, OSError))(Failing(KeyError(), OSError()))() == "done"
    assert await retry(on=lambda error: "soft" in str(error))(Failing(ValueError("soft")))() == "done"
    with pytest.raises(ValueError, match="hard"):
        await retry(on=lambda error: "soft" in str(error))(Failing(ValueError("hard")))()


async def test_a_group_is_tried_again_if_everything_in_it_is() -> None:
    soft = ExceptionGroup("outer", [OSError(), ExceptionGroup("inner", [TimeoutError(), KeyError()])])
    assert await retry(on=(OSError, KeyError))(Failing(soft))() == "done"
    hard = ExceptionGroup("outer", [OSError(), ExceptionGroup("inner", [TimeoutError(), ValueError()])])
    with pytest.raises(ExceptionGroup) as caught:
        await retry(on=(OSError, KeyError))(Failing(hard))()
    assert caught.value is hard
    with pytest.raises(ExceptionGroup):
        await retry(on=Exception, attempts=2)(Failing(hard, hard))()


@pytest.mark.parametrize("error", [GeneratorExit, type("Odd", (BaseException,), {})])
async def test_what_is_no_exception_is_never_tried_again(error: type[BaseException]) -> None:
    func = Failing(error())
    with pytest.raises(error):
        await retry(on=lambda error: True)(func)()
    assert len(func.times) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_is_never_tried_again(
    error: type[BaseException], anyio_backend: tuple[str, dict[str, Any]]
) -> None:
    func = Failing(error())
    with pytest.raises(error):
        anyio.run(retry(on=Exception)(func), backend=anyio_backend[0], backend_options=anyio_backend[1])
    assert len(func.times) == 1


async def test_cancellation_raised_unasked_is_never_tried_again(only_asyncio: None) -> None:
    func = Failing(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await retry(on=lambda error: True)(func)()
    assert len(func.times) == 1


async def test_the_bound_on_delays_grows_up_to_its_maximum(longest: None) -> None:
    func = Failing(*(OSError() for _ in range(6)))
    await retry(on=OSError, attempts=None, backoff=Backoff(initial=0.5, factor=3, maximum=10))(func)()
    assert func.delays == [0.5, 1.5, 4.5, 10, 10, 10]


async def test_delays_are_drawn_evenly_between_nothing_and_the_bound() -> None:
    func = Failing(*(OSError() for _ in range(1000)))
    await retry(on=OSError, attempts=None, backoff=(10, 1, 10))(func)()
    assert 0 <= min(func.delays) < 1
    assert 9 < max(func.delays) <= 10
    assert 4 < sum(func.delays) / 1000 < 6


async def test_endless_attempts_overflow_nothing() -> None:
    func = Failing(*(OSError() for _ in range(2000)))
    await retry(on=OSError, attempts=None, backoff=(0, 10, math.inf))(func)()
    assert func.delays == [0] * 2000


async def test_delay_from_says_how_long_to_wait(longest: None) -> None:
    func = Failing(OSError(77), OSError(None), OSError(0), OSError(None))
    await retry(on=OSError, delay_from=lambda error: error.args[0], backoff=(1, 2, 2))(func)()
    assert func.delays == [77, 2, 0, 2]


@pytest.mark.parametrize(("answer", "error"), [(-1, ValueError), ("7", TypeError)])
async def test_a_wrong_answer_of_delay_from_is_told(answer: Any, error: type[Exception]) -> None:
    failure = OSError()
    with pytest.raises(error, match=r"`delay_from\(\)` must be") as caught:
        await retry(on=OSError, delay_from=lambda error: answer)(Failing(failure))()
    assert caught.value.__context__ is failure


async def test_on_retry_is_called_for_each_failure_that_another_attempt_follows(longest: None) -> None:
    seen = []

    def note(attempt: Attempt) -> None:
        seen.append((attempt.number, attempt.error, attempt.delay))

    errors = [OSError(1), OSError(2), OSError(3)]
    with pytest.raises(OSError, match="3"):
        await retry(on=OSError, attempts=3, backoff=(1, 2, 9), on_retry=note)(Failing(*errors))()
    assert seen == [(1, errors[0], 1), (2, errors[1], 2)]


async def test_what_on_retry_raises_ends_it() -> None:
    def note(attempt: Attempt) -> None:
        raise LookupError

    func = Failing(OSError())
    with pytest.raises(LookupError) as caught:
        await retry(on=OSError, on_retry=note)(func)()
    assert isinstance(caught.value.__context__, OSError)
    assert len(func.times) == 1


@pytest.mark.parametrize(("seconds", "calls"), [(0.5, 1), (1, 1), (1.01, 2), (3, 2), (3.01, 3)])
async def test_it_never_sleeps_past_a_deadline(seconds: float, calls: int, longest: None) -> None:
    func = Failing(*(OSError(number) for number in range(1, 9)))
    start = anyio.current_time()
    with pytest.raises(OSError, match=str(calls)) as caught, timeout(seconds):
        await retry(on=OSError, backoff=(1, 2, 9))(func)()
    assert len(func.times) == calls
    assert anyio.current_time() - start == sum(func.delays)
    assert caught.value.__notes__[0].endswith("s later, would come too late for the deadline around them")


async def test_a_wait_without_end_is_past_every_deadline() -> None:
    with pytest.raises(OSError, match="busy"):
        await retry(on=OSError, delay_from=lambda error: math.inf)(Failing(OSError("busy")))()


async def test_a_deadline_for_each_attempt_is_an_error_like_others(longest: None) -> None:
    begun = 0

    @retry(on=TimeoutError, attempts=3, backoff=(1, 1, 1))
    async def slow() -> None:
        nonlocal begun
        begun += 1
        with timeout(10):
            await anyio.sleep_forever()

    start = anyio.current_time()
    with pytest.raises(TimeoutError):
        await slow()
    assert (begun, anyio.current_time() - start) == (3, 32)


@pytest.mark.parametrize("seconds", [0.5, 1.5])
async def test_a_cancellation_shows_the_error_before_it(seconds: float, longest: None) -> None:
    failure = OSError("first")
    attempts = 0

    @retry(on=OSError, backoff=(1, 1, 1))
    async def work() -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise failure
        await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def cancel() -> None:
                await anyio.sleep(seconds)
                scope.cancel()

            group.start_soon(cancel)
            with pytest.raises(anyio.get_cancelled_exc_class()) as caught:
                await work()
            assert caught.value.__context__ is failure
            raise caught.value
    assert scope.cancelled_caught


async def test_an_error_raised_on_being_cancelled_is_not_tried_again() -> None:
    begun = 0

    @retry(on=OSError, backoff=(0, 1, 0))
    async def work() -> None:
        nonlocal begun
        begun += 1
        try:
            await anyio.sleep_forever()
        finally:
            raise ConnectionError

    with pytest.raises(ConnectionError), anyio.CancelScope() as scope:
        scope.cancel()
        await work()
    assert begun == 1


async def test_even_a_delay_of_nothing_lets_others_run_and_be_cancelled() -> None:
    calls = 0

    @retry(on=OSError, attempts=None, backoff=(0, 1, 0))
    async def at_once() -> None:
        nonlocal calls
        calls += 1
        raise OSError

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(at_once)
            for _ in range(10):
                await checkpoint()
            scope.cancel()
    assert 5 < calls < 20


async def test_a_policy_serves_many_calls_at_once() -> None:
    policy = retry(on=OSError, attempts=3)
    results = []

    async def call(number: int) -> None:
        results.append(await policy(Failing(*(OSError() for _ in range(number % 3))))(str(number)))

    async with anyio.create_task_group() as group:
        for number in range(9):
            group.start_soon(call, number)
    assert sorted(results) == [str(number) for number in range(9)]


async def test_methods_and_names_stay_what_they_are() -> None:
    class Client:
        calls = 0

        @retry(on=OSError, backoff=(0, 1, 0))
        async def fetch(self, path: str, *, size: int = 1) -> str:
            """Fetch it."""
            self.calls += 1
            if self.calls < 3:
                raise OSError
            return path * size

    assert await Client().fetch("a", size=2) == "aa"
    assert (Client.fetch.__name__, Client.fetch.__doc__) == ("fetch", "Fetch it.")
    assert asyncio.iscoroutinefunction(Client.fetch)


async def test_a_function_that_returns_something_to_await_is_async_enough() -> None:
    func = Failing(OSError())
    assert await retry(on=OSError)(partial(func, "partial"))() == "partial"
    assert await retry(on=OSError)(lambda: func("lambda"))() == "lambda"

    class Odd:
        def __await__(self) -> Any:
            yield from checkpoint().__await__()
            return 7

    assert await retry(on=OSError)(Odd)() == 7


async def test_a_function_that_fails_before_it_gives_something_to_await_is_tried_again() -> None:
    calls = 0

    def made() -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError
        return Failing()()

    assert await retry(on=OSError)(made)() == "done"


async def test_a_function_that_is_not_async_is_called_once_and_told() -> None:
    calls: list[int] = []
    not_async: Any = partial(calls.append, 1)
    with pytest.raises(TypeError, match="the function must be async"):
        await retry(on=Exception)(not_async)()
    assert calls == [1]


def test_what_cannot_be_decorated_is_refused() -> None:
    async def generate() -> AsyncIterator[int]:
        yield 1

    with pytest.raises(TypeError, match="cannot decorate the async generator"):
        retry(on=OSError)(generate)  # type: ignore[arg-type]
    coro = Failing()()
    with pytest.raises(TypeError, match="pass the function itself"):
        retry(on=OSError)(coro)  # type: ignore[arg-type]
    coro.close()


async def test_an_attempt_must_be_used_and_only_once() -> None:
    with pytest.raises(RuntimeError, match=r"<Attempt 1> was not used: write `with attempt:`"):
        async for _ in retry(on=OSError):
            pass
    async for attempt in retry(on=OSError):
        with attempt:
            pass
        with pytest.raises(RuntimeError, match="<Attempt 1> has been used"), attempt:
            pass


async def test_no_error_is_kept_once_it_is_over() -> None:
    iterator = aiter(retry(on=OSError, backoff=(0, 1, 0)))
    for fail in (True, False):
        attempt = await anext(iterator)
        with attempt:
            if fail:
                raise OSError
    assert iterator._error is None  # type: ignore[attr-defined]
    with pytest.raises(StopAsyncIteration):
        await anext(iterator)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"on": OSError()}, TypeError, "`on` must be an exception type, a tuple of them"),
        ({"on": 7}, TypeError, "`on` must be an exception type"),
        ({"on": int}, TypeError, "`on` must be an exception type"),
        ({"on": (OSError, "OSError")}, TypeError, "`on` must be an exception type"),
        ({"on": ()}, ValueError, "`on` is an empty tuple"),
        ({"on": ExceptionGroup}, TypeError, "`on` must name what is in groups"),
        ({"on": BaseException}, TypeError, "`on` must name subclasses of Exception, not BaseException"),
        ({"on": (OSError, asyncio.CancelledError)}, TypeError, "not CancelledError"),
        ({"on": checkpoint}, TypeError, r"is an async function; decorate with `@retry\(on=OSError\)`"),
        ({"attempts": 0}, ValueError, "`attempts` must be 1 or more, not 0: the first call is an attempt, too"),
        ({"attempts": 2.5}, TypeError, "`attempts` must be a whole number"),
        ({"attempts": True}, TypeError, "`attempts` must be a whole number"),
        ({"backoff": 1}, TypeError, "`backoff` must be the initial delay in seconds, a factor and the longest delay"),
        ({"backoff": (1, 2)}, TypeError, "`backoff` must be"),
        ({"backoff": (-1, 2, 3)}, ValueError, r"`backoff\[0\]` must be 0 or more seconds"),
        ({"backoff": (1, 0.5, 3)}, ValueError, r"`backoff\[1\]`, the factor, must be 1 or more"),
        ({"backoff": (1, "2", 3)}, TypeError, r"`backoff\[1\]`, the factor, must be a number"),
        ({"backoff": (4, 2, 3)}, ValueError, "more than its maximum"),
        ({"backoff": (math.inf, 2, math.inf)}, ValueError, r"`backoff\[0\]` must be finite"),
        ({"delay_from": 7}, TypeError, "`delay_from` must be a plain function"),
        ({"on_retry": checkpoint}, TypeError, "`on_retry` must be a plain function, not async"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        retry(**{"on": OSError, **arguments})


def _use(points: Points) -> Callable[[], Any]:
    calls = 0

    async def work() -> int:
        nonlocal calls
        calls += 1
        await points()
        await points()
        if calls < 3:
            raise OSError(calls)
        await points()
        return calls

    return work


async def test_cancelling_at_every_point_ends_it() -> None:
    async def run(points: Points) -> None:
        await retry(on=OSError)(_use(points))()

    assert await every_point(run, cancel=True) == 7


async def test_failing_at_every_point_raises_that_error() -> None:
    async def run(points: Points) -> None:
        try:
            await retry(on=OSError)(_use(points))()
        except InjectedError as error:
            raise ExceptionGroup("points", [error]) from None

    assert await every_point(run, cancel=False) == 7


async def test_a_native_cancellation_in_a_delay_ends_it(only_asyncio: None, longest: None) -> None:
    func = Failing(OSError(), OSError())
    task = asyncio.create_task(retry(on=OSError, backoff=(10, 1, 10))(func)())
    await anyio.sleep(5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(func.times) == 1


@pytest.mark.parametrize("grouped", [False, True])
async def test_an_error_raised_on_a_native_cancellation_is_not_tried_again(grouped: bool, only_asyncio: None) -> None:
    calls = 0

    @retry(on=OSError, backoff=(0, 1, 0))
    async def work() -> None:
        nonlocal calls
        calls += 1
        try:
            await asyncio.Event().wait()
        finally:
            error = OSError("clean-up failed")
            raise ExceptionGroup("of clean-up", [error]) if grouped else error

    task = asyncio.create_task(work())
    await checkpoint()
    task.cancel()
    await asyncio.wait([task])
    assert calls == 1
    assert isinstance(task.exception(), ExceptionGroup if grouped else OSError)


async def test_a_failed_task_group_of_asyncio_is_tried_again(only_asyncio: None) -> None:
    calls = 0

    async def fail() -> None:
        await asyncio.sleep(0)
        raise OSError

    @retry(on=OSError, backoff=(0, 1, 0))
    async def work() -> int:
        nonlocal calls
        calls += 1
        if calls < 3:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
        return calls

    assert await work() == 3
