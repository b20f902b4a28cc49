"""Doing something again and again, by the clock."""

from __future__ import annotations

import inspect
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, overload

import anyio

from asynckit._checks import checked_choice, checked_seconds

OnOverrun = Literal["skip", "delay", "burst"]


@dataclass(frozen=True, slots=True)
class Tick:
    """One turn of `periodic`.

    Attributes:
        number: How many came before it, from 0.
        due: When it was due, without jitter, on the event loop's clock (`anyio.current_time`), in seconds.
        skipped: How many were left out since the tick before it, because that took too long.
    """

    number: int
    due: float
    skipped: int


@overload
def periodic(
    interval: float,
    func: None = ...,
    *,
    jitter: float = ...,
    initial_delay: float = ...,
    on_overrun: OnOverrun = ...,
) -> AsyncIterator[Tick]: ...
@overload
def periodic(
    interval: float,
    func: Callable[[], Awaitable[object]],
    *,
    jitter: float = ...,
    initial_delay: float = ...,
    on_overrun: OnOverrun = ...,
) -> Coroutine[Any, Any, NoReturn]: ...
def periodic(
    interval: float,
    func: Callable[[], Awaitable[object]] | None = None,
    *,
    jitter: float = 0,
    initial_delay: float = 0,
    on_overrun: OnOverrun = "skip",
) -> AsyncIterator[Tick] | Coroutine[Any, Any, NoReturn]:
    """Call an async function every `interval` seconds, or give a tick to each turn of an `async for`.

    It does not drift: ticks are due at multiples of the interval from the first, however long each turn takes and
    however late the event loop is. A turn begins only when the one before it has ended. If that took longer than the
    interval, `on_overrun` says what becomes of the ticks that were due meanwhile (the choices are those of
    `MissedTickBehavior` in Rust's tokio; there, `skip` still gives the first of them).

    Args:
        interval: Seconds from one tick to the next, above 0.
        func: An async function without arguments, or one that returns something to await; use `functools.partial` for
            arguments. Without it, ticks are given.
        jitter: Each tick comes up to so many seconds late, evenly at random, so that many processes do not do the same
            thing at the same time. It does not add up. At most `interval`.
        initial_delay: Seconds until the first tick, from the first turn of the loop or the await.
        on_overrun: `skip` leaves the missed ticks out and waits for the next that is due; `delay` lets the next come at
            once and counts the interval from there; `burst` lets all come one after another at once, until none is
            missing.

    Returns:
        With `func`, a coroutine to await, which never returns: start it in a task group, by
        `group.start_soon(periodic, 60, func)`. Without it, an async iterator of ticks for one `async for`, which may be
        left and gone on with.

    Raises:
        BaseException: What `func` raises ends it.
        TypeError, ValueError: An argument is wrong.

    Cancellation:
        Ends it, in a turn as well as between turns. A tick whose wait was cancelled is still to come if the iterator is
        asked again; when it is overdue by then, `on_overrun` holds for it.

    Example:
        >>> import anyio
        >>> from asynckit import periodic
        >>> async def main():
        ...     async for tick in periodic(0.001):
        ...         if tick.number == 3:
        ...             return "three intervals later"
        >>> anyio.run(main)
        'three intervals later'
    """
    interval = _checked_finite(interval, name="interval")
    if interval == 0:
        raise ValueError("`interval` must be above 0 seconds: there would be no end of ticks")
    jitter = _checked_finite(jitter, name="jitter")
    if jitter > interval:
        raise ValueError(f"`jitter` is {jitter!r} s, more than the interval of {interval!r} s: ticks would overlap")
    initial_delay = _checked_finite(initial_delay, name="initial_delay")
    checked_choice(on_overrun, ("skip", "delay", "burst"), name="on_overrun")
    ticks = _Ticks(interval, jitter, initial_delay, on_overrun)
    if func is None:
        return ticks
    work: object = func
    if not callable(work) or inspect.isasyncgenfunction(work):
        hint = "; pass the function itself, without calling it" if isinstance(work, Awaitable) else ""
        raise TypeError(f"`func` must be an async function without arguments, not {work!r}{hint}")
    return _call(ticks, func)


async def _call(ticks: AsyncIterator[Tick], func: Callable[[], Awaitable[object]]) -> NoReturn:
    async for _ in ticks:
        made = func()
        awaitable: object = made
        if not isinstance(awaitable, Awaitable):
            raise TypeError(f"`func` must be async, or return something to await; it returned {awaitable!r}")
        await made
    raise AssertionError("ticks never end")


class _Ticks(AsyncIterator[Tick]):
    """The ticks of one call of `periodic`."""

    __slots__ = ("_initial_delay", "_interval", "_jitter", "_late", "_number", "_on_overrun", "_place", "_start")

    def __init__(self, interval: float, jitter: float, initial_delay: float, on_overrun: OnOverrun) -> None:
        self._interval = interval
        self._jitter = jitter
        self._initial_delay = initial_delay
        self._on_overrun = on_overrun
        self._number = 0
        # Ticks are due at `start + place * interval`: sums of floats would drift.
        self._start: float | None = None
        self._place = 0
        self._late: float | None = None  # the jitter of the next tick, if its wait has begun

    async def __anext__(self) -> Tick:
        now = anyio.current_time()
        if self._start is None:
            self._start = now + self._initial_delay
        if self._late is None:
            self._late = random.uniform(0, self._jitter)  # noqa: S311  # to spread load, not to keep secrets
        skipped = 0
        if self._number and self._due(self._place) + self._late < now:
            if self._on_overrun == "delay":
                self._start, self._place, self._late = now, 0, 0
            elif self._on_overrun == "skip":
                skipped = math.ceil((now - self._late - self._due(self._place)) / self._interval)
                # The division may be off by one, where the comparison is not.
                if self._due(self._place + skipped - 1) + self._late >= now:
                    skipped -= 1
                elif self._due(self._place + skipped) + self._late < now:
                    skipped += 1
        due = self._due(self._place + skipped)
        await anyio.sleep(max(0, due + self._late - now))
        self._late = None
        self._place += skipped + 1
        self._number += 1
        return Tick(self._number - 1, due, skipped)

    def _due(self, place: int) -> float:
        assert self._start is not None
        return self._start + place * self._interval


def _checked_finite(value: object, *, name: str) -> float:
    if value is None or value == math.inf:
        raise ValueError(f"`{name}` must be a finite number of seconds, not {value!r}")
    return checked_seconds(value, name=name)
