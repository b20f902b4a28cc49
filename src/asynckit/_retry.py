"""Trying again what failed, with delays that grow and are spread at random."""

from __future__ import annotations

import functools
import inspect
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Literal, NamedTuple, ParamSpec, Self, TypeVar

import anyio

from asynckit._checks import checked_seconds
from asynckit._native import came_of_cancellation, native_requests
from asynckit._steps import as_coroutine

P = ParamSpec("P")
T = TypeVar("T")

_UNFIT = "`on` does not hold for this error"

On = type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool]


class Backoff(NamedTuple):
    """How the longest possible delay between attempts grows: `initial`, `initial * factor`, … up to `maximum`.

    Attributes:
        initial: Before the second attempt, in seconds.
        factor: From one to the next, 1 or more.
        maximum: Never longer than this, in seconds.
    """

    initial: float = 0.1
    factor: float = 2.0
    maximum: float = 30.0


def retry(
    on: On,
    *,
    attempts: int | None = 5,
    backoff: tuple[float, float, float] = Backoff(),
    delay_from: Callable[[Exception], float | None] | None = None,
    on_retry: Callable[[Attempt], object] | None = None,
) -> Retry:
    """Try again what failed: a decorator for async functions, and a loop over attempts.

    The delay before the next attempt is drawn evenly between 0 and a bound that grows from attempt to attempt: "full
    jitter", which of the ways to spread retries puts the least load on what they retry (Marc Brooker, "Exponential
    Backoff And Jitter", AWS Architecture Blog, 2015).

    It never sleeps past a deadline set around it, by `timeout`, `anyio.fail_after` or the like: if the next attempt
    would begin too late, the error is raised at once, which says more than a `TimeoutError` later.

    Cancellation, `KeyboardInterrupt`, `SystemExit` and whatever else is no `Exception` are never retried.

    Args:
        on: What to try again on: an exception type, a tuple of them, or a function that is given the exception and
            says. An `ExceptionGroup` is tried again if that holds for every exception in it, however deep.
        attempts: How many attempts there are in all; `None` for no bound.
        backoff: The bound on the delay: its first value in seconds, the factor it grows by, its maximum in seconds.
        delay_from: Given the exception, says how many seconds to wait instead, or `None`: for a `Retry-After` of
            HTTP. What it says is neither spread nor bounded by `backoff`.
        on_retry: Called with each failed attempt that is followed by another, before the delay: for logs and metrics.
            What it raises ends it all.

    Returns:
        A decorator, which is an async iterable of attempts as well. It can be used many times, also at once.

    Raises:
        Exception: What the last attempt raised, the same object, with a note that says how many attempts were made in
            how many seconds and why there are no more.
        TypeError, ValueError: An argument is wrong.

    Cancellation:
        Passes through at once, from an attempt as well as from a delay. Its `__context__` is then the error of the last
        attempt, so that a traceback shows what the attempts died of.

    Example:
        >>> import anyio
        >>> from asynckit import retry
        >>> failures = iter([OSError("busy"), OSError("busy")])
        >>> @retry(on=OSError, backoff=(0.001, 2, 1))
        ... async def fetch():
        ...     for failure in failures:
        ...         raise failure
        ...     return "page"
        >>> anyio.run(fetch)
        'page'
        >>> async def main():
        ...     async for attempt in retry(on=OSError, attempts=3):
        ...         with attempt:
        ...             page = await fetch()
        ...     return attempt.number, page
        >>> anyio.run(main)
        (1, 'page')
    """
    for hook, name in ((delay_from, "delay_from"), (on_retry, "on_retry")):
        given: object = hook
        if given is not None and (not callable(given) or inspect.iscoroutinefunction(given)):
            raise TypeError(f"`{name}` must be a plain function, not async, of one argument; not {hook!r}")
    return Retry(_checked_on(on), _checked_attempts(attempts), _checked_backoff(backoff), delay_from, on_retry)


class Retry:
    """What `retry` gives: decorate an async function with it, or loop over its attempts."""

    __slots__ = ("_attempts", "_backoff", "_delay_from", "_matches", "_on_retry")

    def __init__(
        self,
        matches: Callable[[Exception], bool],
        attempts: float,
        backoff: Backoff,
        delay_from: Callable[[Exception], float | None] | None,
        on_retry: Callable[[Attempt], object] | None,
    ) -> None:
        self._matches = matches
        self._attempts = attempts
        self._backoff = backoff
        self._delay_from = delay_from
        self._on_retry = on_retry

    def __call__(self, func: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        """Let each call of an async function be tried again when it fails.

        Args:
            func: An async function or method, or one that returns something to await.

        Returns:
            An async function with the same parameters.

        Raises:
            TypeError: It cannot be called, or is an async generator.
        """
        work: object = func
        if not callable(work):
            hint = "; pass the function itself, without calling it" if isinstance(work, Awaitable) else ""
            raise TypeError(f"`retry` decorates an async function, not {work!r}{hint}")
        if inspect.isasyncgenfunction(func):
            raise TypeError(
                f"`retry` cannot decorate the async generator {func.__qualname__}: what it has given cannot be taken "
                "back; loop over `retry(…)` around the step that fails"
            )

        @functools.wraps(func)
        async def call(*args: P.args, **kwargs: P.kwargs) -> T:
            async for attempt in self:
                with attempt:
                    made = func(*args, **kwargs)
                    awaitable: object = made
                    if isinstance(awaitable, Awaitable):
                        return await made
                if attempt.error is None:
                    await as_coroutine(made)  # raises TypeError, outside of the attempt: trying again would not help
            raise AssertionError("the last attempt returns or raises")

        return call

    def __aiter__(self) -> AsyncIterator[Attempt]:
        return _Run(self)


class Attempt:
    """One attempt of a loop over `retry(…)`: put what may fail in its `with` block.

    Attributes:
        number: Which attempt it is, from 1.
        error: What it raised, if another attempt follows.
        delay: Seconds until the next attempt, if one follows.
    """

    __slots__ = ("_run", "delay", "error", "number")

    def __init__(self, run: _Run, number: int) -> None:
        self._run = run
        self.number: int = number
        self.error: Exception | None = None
        self.delay: float | None = None

    def __repr__(self) -> str:
        return f"<Attempt {self.number}>"

    def __enter__(self) -> Self:
        self._run.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return self._run.leave(self, error)


class _Run(AsyncIterator[Attempt]):
    """The attempts of one call, or of one loop."""

    __slots__ = ("_attempt", "_bound", "_error", "_policy", "_requests", "_started", "_state")

    def __init__(self, policy: Retry) -> None:
        self._policy = policy
        self._attempt: Attempt | None = None
        self._state: Literal["new", "given", "entered", "failed", "over"] = "new"
        self._error: Exception | None = None
        self._bound = policy._backoff.initial
        self._started = 0.0
        self._requests = 0

    async def __anext__(self) -> Attempt:
        if self._state == "over":
            raise StopAsyncIteration
        last = self._attempt
        if last is None:
            self._started = anyio.current_time()
        elif self._state != "failed" or last.delay is None:
            raise RuntimeError(f"{last!r} was not used: write `with attempt:` in the loop, around what may fail")
        else:
            try:
                await anyio.sleep(last.delay)
            except BaseException as error:
                self._end(error)
                raise
        self._state = "given"
        self._attempt = Attempt(self, 1 if last is None else last.number + 1)
        return self._attempt

    def enter(self, attempt: Attempt) -> None:
        if attempt is not self._attempt or self._state != "given":
            raise RuntimeError(f"{attempt!r} has been used; each attempt of the loop is good for one `with` block")
        self._state = "entered"
        self._requests = native_requests()

    def leave(self, attempt: Attempt, error: BaseException | None) -> bool:
        """End an attempt.

        Returns:
            Whether its error is kept back, since another attempt follows.
        """
        if not isinstance(error, Exception):
            self._end(error)
            return False
        if native_requests() > self._requests and came_of_cancellation(error):
            self._end(error)  # clean-up has failed on the way out; another attempt would undo the cancellation
            return False
        why, delay = self._judge(attempt, error)
        if why:
            if attempt.number > 1 or why != _UNFIT:
                error.add_note(f"retry: {self._tally(attempt.number)}, and no more: {why}")
            self._end(error)
            return False
        self._error = attempt.error = error
        attempt.delay = delay
        if self._policy._on_retry is not None:
            self._policy._on_retry(attempt)
        self._state = "failed"
        return True

    def _judge(self, attempt: Attempt, error: Exception) -> tuple[str, float]:
        """Why there is no other attempt, empty if there is one; and how many seconds later it is."""
        policy = self._policy
        if not all(map(policy._matches, _leaves(error))):
            return _UNFIT, 0
        if attempt.number >= policy._attempts:
            return "all have been used", 0
        asked = None if policy._delay_from is None else policy._delay_from(error)
        # Drawn at random to spread load, not to keep secrets.
        delay = random.uniform(0, self._bound) if asked is None else checked_seconds(asked, name="delay_from()")  # noqa: S311
        self._bound = min(self._bound * policy._backoff.factor, policy._backoff.maximum)
        if anyio.current_time() + delay >= anyio.current_effective_deadline():
            return f"the next, {delay:.3g} s later, would come too late for the deadline around them", delay
        return "", delay

    def _tally(self, number: int) -> str:
        return f"{number} attempt{'s' * (number > 1)} in {anyio.current_time() - self._started:.3g} s"

    def _end(self, error: BaseException | None) -> None:
        """No more attempts: one has succeeded, or failed for good."""
        self._state = "over"
        kept, self._error = self._error, None  # an exception that is kept keeps the frames it went through
        if kept is not None and isinstance(error, anyio.get_cancelled_exc_class()) and error.__context__ is None:
            error.__context__ = kept


def _leaves(error: Exception) -> Iterator[Exception]:
    """The exceptions in a group, however deep; of another exception, itself."""
    rest = [error]
    while rest:
        one = rest.pop()
        if isinstance(one, ExceptionGroup):
            rest.extend(one.exceptions)
        else:
            yield one


def _checked_on(on: object) -> Callable[[Exception], bool]:
    """A function that says whether an exception, no group, is one to try again on."""
    kinds = on if isinstance(on, tuple) else (on,)
    if not isinstance(on, (type, tuple)):
        if inspect.iscoroutinefunction(on):
            raise TypeError(
                f"`on` must say what to try again on, and {on!r} is an async function; decorate with "
                "`@retry(on=OSError)` and the like, and let a function given as `on` be a plain one"
            )
        if not callable(on):
            raise TypeError(f"`on` must be an exception type, a tuple of them, or a function that says, not {on!r}")
        judge: Callable[[Exception], bool] = on
        return judge
    if not kinds:
        raise ValueError("`on` is an empty tuple: nothing would ever be tried again; name an exception type")
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise TypeError(f"`on` must be an exception type, a tuple of them, or a function that says, not {kind!r}")
        if issubclass(kind, BaseExceptionGroup):
            raise TypeError(f"`on` must name what is in groups, not {kind.__name__}: a group is judged by that")
        if not issubclass(kind, Exception):
            raise TypeError(
                f"`on` must name subclasses of Exception, not {kind.__name__}: what ends a task or the program is "
                "never tried again"
            )
    return lambda error: isinstance(error, kinds)


def _checked_attempts(attempts: object) -> float:
    if attempts is None or attempts == math.inf:
        return math.inf
    if isinstance(attempts, bool) or not isinstance(attempts, int):
        raise TypeError(f"`attempts` must be a whole number of 1 or more, or None for no bound, not {attempts!r}")
    if attempts < 1:
        raise ValueError(f"`attempts` must be 1 or more, not {attempts}: the first call is an attempt, too")
    return attempts


def _checked_backoff(backoff: object) -> Backoff:
    if not isinstance(backoff, tuple) or len(backoff) != 3:
        raise TypeError(
            f"`backoff` must be the initial delay in seconds, a factor and the longest delay in seconds, such as "
            f"{tuple(Backoff())}, not {backoff!r}"
        )
    initial, factor, maximum = backoff
    initial = checked_seconds(initial, name="backoff[0]")
    maximum = checked_seconds(maximum, name="backoff[2]")
    if isinstance(factor, bool) or not isinstance(factor, (int, float)):
        raise TypeError(f"`backoff[1]`, the factor, must be a number of 1 or more, not {factor!r}")
    if not 1 <= factor < math.inf:
        raise ValueError(f"`backoff[1]`, the factor, must be 1 or more and finite, not {factor!r}: delays never shrink")
    if not initial <= maximum:
        raise ValueError(f"`backoff` begins with {initial!r} s, which is more than its maximum of {maximum!r} s")
    if initial == math.inf:
        raise ValueError("`backoff[0]` must be finite: there would be no second attempt; pass `attempts=1` for that")
    return Backoff(initial, factor, maximum)
