"""Deadlines whose error says what was late, by how much time it was given, and where."""

from __future__ import annotations

import functools
import inspect
import math
import sys
from collections.abc import Awaitable, Callable, Coroutine
from types import FrameType, TracebackType
from typing import Any, ParamSpec, Self, TypeVar

import anyio

from asynckit._checks import checked_delay, checked_seconds
from asynckit._steps import as_coroutine
from asynckit._timed import Place, TimedBlock

P = ParamSpec("P")
T = TypeVar("T")


def timeout(delay: float | None) -> Deadline:
    """Bound the time of a block.

    It is a plain `with`, inside async code: entering and leaving it never wait.

    Args:
        delay: Seconds from entering the block; `None` and infinity for no end. If none are left, 0 or fewer (as in
            `end - now`), the block gives up at its first checkpoint.

    Returns:
        The deadline, to ask how much time remains or to move it.

    Raises:
        TimeoutError: On leaving the block, if it was cancelled because its time was up. The message says how long the
            block had and where the deadline was set; the cause shows where the block was waiting. If the event loop was
            blocked when the time was up, so that nobody could have been in time, it says for how long, from 0.1 s on;
            on trio, which does not tell when it noticed, only if the thread has computed nearly all the time. Of nested
            deadlines, the one that fired raises. A block that ends without meeting a checkpoint is not late.
        TypeError, ValueError: `delay` is not a number of seconds.

    Cancellation:
        The block is cancelled where it stands when the time is up. A cancellation from outside passes through and
        never becomes a `TimeoutError`; nor is a `TimeoutError` that the block raises itself touched.

    Example:
        >>> import anyio
        >>> from asynckit import timeout
        >>> async def main():
        ...     with timeout(5) as deadline:
        ...         await anyio.sleep(0)
        ...         return deadline.remaining() > 0
        >>> anyio.run(main)
        True
    """
    return Deadline(max(0, checked_delay(delay, name="delay")), sys._getframe(1))


def timeout_at(when: float | None) -> Deadline:
    """Bound the time of a block by a point in time, so that many blocks can share one.

    Args:
        when: The time on the event loop's clock, `anyio.current_time()`, in seconds; if it has passed, the block gives
            up at its first checkpoint. `None` and infinity for never. The clocks of different event loops differ.

    Returns:
        The deadline, as `timeout` gives it.

    Raises:
        TimeoutError: As with `timeout`. How long the block had is counted from entering it.
        TypeError, ValueError: `when` is not a number.

    Cancellation:
        As with `timeout`.

    Example:
        >>> import anyio
        >>> from asynckit import timeout_at
        >>> async def main():
        ...     end = anyio.current_time() + 5
        ...     for page in range(3):
        ...         with timeout_at(end):
        ...             await anyio.sleep(0)
        ...     return page
        >>> anyio.run(main)
        2
    """
    return Deadline(math.nan, sys._getframe(1), when=_checked_when(when))


def move_on_after(delay: float | None) -> Deadline:
    """Bound the time of a block, and go on after it when the time is up: `timeout` without the error.

    Args:
        delay: Seconds from entering the block, as for `timeout`.

    Returns:
        The deadline; `expired` says whether the block was cut short.

    Raises:
        TypeError, ValueError: `delay` is not a number of seconds.

    Cancellation:
        The block is cancelled where it stands when the time is up, and what comes after it goes on, as with anyio's
        function of that name. A cancellation from outside passes through.

    Example:
        >>> import anyio
        >>> from asynckit import move_on_after
        >>> async def main():
        ...     with move_on_after(0) as deadline:
        ...         await anyio.sleep_forever()
        ...     return deadline.expired
        >>> anyio.run(main)
        True
    """
    return Deadline(max(0, checked_delay(delay, name="delay")), sys._getframe(1), raises=False)


def with_timeout(delay: float | None) -> WithTimeout:
    """Bound the time of each call of an async function: a decorator.

    Args:
        delay: Seconds a call may take; `None` and infinity for no end.

    Returns:
        A decorator for async functions and methods, which keeps their parameters. It goes below `@staticmethod` and
        `@classmethod`.

    Raises:
        TimeoutError: On a call, as with `timeout`. The message names the function and says where it was decorated.
        TypeError, ValueError: `delay` is not a number of seconds, or what is decorated is no async function.

    Cancellation:
        As with `timeout`.

    Example:
        >>> import anyio
        >>> from asynckit import with_timeout
        >>> @with_timeout(5)
        ... async def load(name):
        ...     await anyio.sleep(0)
        ...     return name
        >>> anyio.run(load, "user")
        'user'
    """
    frame = sys._getframe(1)
    return WithTimeout(checked_seconds(delay, name="delay"), Place(frame.f_code, frame.f_lineno))


def remaining() -> float:
    """Seconds until the nearest deadline set around this place, infinity without one, 0 when the time is up.

    All of `timeout`, anyio's scopes and, on trio, its own count, up to the nearest shield. `asyncio.timeout` does not:
    asyncio does not tell.

    Raises:
        RuntimeError: No event loop runs here.

    Example:
        >>> import anyio
        >>> from asynckit import remaining, timeout
        >>> async def main():
        ...     with timeout(60), timeout(5):
        ...         return 4 < remaining() <= 5, 0
        >>> anyio.run(main)
        (True, 0)
    """
    return max(0.0, anyio.current_effective_deadline() - anyio.current_time())


class Deadline(TimedBlock):
    """What `timeout` and its like give, bound by `with timeout(…) as deadline`."""

    __slots__ = ("_raises", "_title", "_when")

    def __init__(
        self,
        delay: float,
        frame: FrameType | Place,
        *,
        when: float | None = None,
        raises: bool = True,
        title: str = "deadline set",
    ) -> None:
        super().__init__(delay, frame)
        self._when = when
        self._raises = raises
        self._title = title

    def __enter__(self) -> Self:
        if self._scope is not None:
            raise RuntimeError("a deadline can be entered once; call `timeout` again for another block")
        self._begin(self._delay, self._when)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        cut_short = self._end(kind, error, trace)
        if cut_short and self._raises:
            raise self.error() from error
        return cut_short

    def __repr__(self) -> str:
        moment = f"at {self._when:g}" if math.isnan(self._delay) else f"of {self._delay:g} s"
        return f"<Deadline {moment}, {self._words()}>"

    def _words(self) -> str:
        return f"{self._title} at {self._place}"

    def error(self) -> TimeoutError:
        """The exception that says that this deadline was not met."""
        return TimeoutError(f"timed out after {self._delay:g} s, by the {self._words()}{self._blocked()}")

    def reschedule(self, delay: float | None) -> None:
        """Let the time be up `delay` seconds from now, whatever was set before.

        Args:
            delay: Seconds from now; `None` and infinity for never.

        Raises:
            RuntimeError: The block has not been entered or has been left, or its time is up and it is being cancelled.
            TypeError, ValueError: `delay` is not a number of seconds.
        """
        seconds = max(0, checked_delay(delay, name="delay"))
        if self._left:
            raise RuntimeError("the block has been left; there is nothing more to give time to")
        if self._entered.cancel_called:
            raise RuntimeError("the time of this block is up; it is too late to give it more")
        self._delay = seconds
        self._title = f"{self._title.rpartition(' ')[0]} moved"
        frame = sys._getframe(1)
        self._code, self._line = frame.f_code, frame.f_lineno
        self._move(anyio.current_time() + seconds)


class WithTimeout:
    """What `with_timeout` gives: decorate an async function with it."""

    __slots__ = ("_delay", "_place")

    def __init__(self, delay: float, place: Place) -> None:
        self._delay = delay
        self._place = place

    def __call__(self, func: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        """Let each call of an async function have so much time.

        Args:
            func: An async function or method, or one that returns something to await.

        Returns:
            An async function with the same parameters.

        Raises:
            TypeError: It cannot be called, or is an async generator.
        """
        work: object = func
        if isinstance(work, (staticmethod, classmethod)):
            kind = type(work).__name__
            raise TypeError(f"`@with_timeout` goes below `@{kind}`: it decorates the function, not the {kind}")
        if not callable(work):
            hint = "; pass the function itself, without calling it" if isinstance(work, Awaitable) else ""
            raise TypeError(f"`with_timeout` decorates an async function, not {work!r}{hint}")
        if inspect.isasyncgenfunction(func):
            raise TypeError(
                f"`with_timeout` cannot decorate the async generator {func.__qualname__}: it is not said whose time "
                "counts between its items; use `timeout` around the loop over it, or around each step in it"
            )
        delay, place = self._delay, self._place
        title = f"deadline of `{getattr(func, '__qualname__', None) or repr(func)}` set"

        @functools.wraps(func)
        async def call(*args: P.args, **kwargs: P.kwargs) -> T:
            with Deadline(delay, place, title=title):
                return await as_coroutine(func(*args, **kwargs))
            raise AssertionError("a deadline that raises swallows nothing")

        return call


def _checked_when(when: object) -> float:
    if when is None:
        return math.inf
    if isinstance(when, bool) or not isinstance(when, (int, float)):
        hint = "; the clock is `anyio.current_time()`, not that of the calendar" if hasattr(when, "timestamp") else ""
        raise TypeError(f"`when` must be a time on the event loop's clock in seconds, or None, not {when!r}{hint}")
    if math.isnan(when):
        raise ValueError("`when` must be a time on the event loop's clock, not nan; pass None for no end")
    return when
