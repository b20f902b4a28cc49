"""Limiting how often something happens."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from types import TracebackType

import anyio

_EVEN = 100
"""Up to which rate items start one by one. The timers of event loops are too coarse to keep much higher ones up so."""


@dataclass(frozen=True, slots=True)
class RateLimiterStatistics:
    """What a `RateLimiter` is doing: what its method `statistics` gives.

    Attributes:
        available: How many could pass at once now.
        tasks_waiting: Tasks that wait for their turn.
        delay: Seconds until one more could pass, behind those that wait.
    """

    available: int
    tasks_waiting: int
    delay: float


class RateLimiter:
    """Lets `rate` things happen in `per` seconds, and no more than `burst` of them at once.

    It spaces them evenly: one every `per / rate` seconds; who has waited longer than that may catch up, with up to
    `burst` at once. So in any span of `s` seconds, wherever it begins, at most `burst + s * rate / per` pass: a counter
    that starts anew every `per` seconds would let twice `rate` pass around its start. This is the generic cell rate
    algorithm (ITU-T I.371), whose whole memory is one point in time.

    Tasks pass in the order they asked; of several that may pass at the same moment, any may come first on trio, which
    shuffles what it runs next. Only the first waits for the clock, the others for those before them: nobody wakes in
    vain, and who gives up leaves nothing behind, so those after it move up and no rate is lost.

    Use it with `async with`, or call `acquire`. It may be made anywhere; it goes by the clock of the event loop, and
    serves one event loop at a time.

    Args:
        rate: How many may pass in `per` seconds; a float above 0.
        per: Seconds.
        burst: How many may pass at once, 1 or more.

    Raises:
        TypeError, ValueError: An argument is wrong.

    Example:
        >>> import anyio
        >>> from asynckit import RateLimiter
        >>> async def main():
        ...     limiter = RateLimiter(1000, burst=10)
        ...     start = anyio.current_time()
        ...     for _ in range(30):
        ...         async with limiter:
        ...             pass
        ...     return anyio.current_time() - start > 0.019
        >>> anyio.run(main)
        True
    """

    __slots__ = ("_burst", "_called", "_called_for", "_interval", "_passed", "_per", "_rate", "_since", "_waiting")

    def __init__(self, rate: float, per: float = 1.0, burst: int = 1) -> None:
        self._rate = _checked_positive(rate, name="rate", hint="pass 0.5 for one every two seconds")
        self._per = _checked_positive(per, name="per", hint="it is the span in seconds that `rate` counts in")
        if isinstance(burst, bool) or not isinstance(burst, int):
            raise TypeError(f"`burst` must be a whole number of 1 or more, not {burst!r}")
        if burst < 1:
            raise ValueError(f"`burst` must be 1 or more, not {burst}: nothing would pass; pass 1 for even spacing")
        self._burst = burst
        self._interval = self._per / self._rate
        # How many have passed since when: a sum of intervals would gather errors, by which the last of a burst is late.
        self._since, self._passed = -math.inf, 0
        # Who waits, in order, for how many; and how many tasks, for how many in all, have been called on: those that
        # may pass now, or one that may not yet, and waits for the clock.
        self._waiting: OrderedDict[anyio.Event, int] = OrderedDict()
        self._called = self._called_for = 0

    def __repr__(self) -> str:
        return f"<RateLimiter {self._rate:g} per {self._per:g} s, burst {self._burst}, {self._tasks} waiting>"

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is given back: that it has happened counts, whatever came of it."""

    async def acquire(self, n: int = 1) -> None:
        """Wait until `n` may pass, behind those who wait already.

        Args:
            n: How many things are to happen, from 1 to `burst`.

        Raises:
            TypeError: `n` is not a whole number.
            ValueError: `n` is below 1, or above `burst`: so many may never pass at once.

        Cancellation:
            Nothing has passed, and those behind move up.
        """
        self._check(n)
        turn = anyio.Event()
        self._waiting[turn] = n
        self._call()
        try:
            # What lets pass comes after all waiting, so that a cancellation cannot come between.
            await turn.wait()
            while not self._pass(n):  # by the clock; which may be early, by its resolution
                now = anyio.current_time()
                await anyio.sleep(max(0.0, self._time(n, now) - now))
        finally:
            if self._waiting.pop(turn, None) is None:
                self._called -= 1
                self._called_for -= n
                self._call()

    def acquire_nowait(self, n: int = 1) -> None:
        """Let `n` pass now, or raise.

        Args:
            n: How many things are to happen, from 1 to `burst`.

        Raises:
            anyio.WouldBlock: It is too early, or others wait already.
            TypeError: `n` is not a whole number.
            ValueError: `n` is below 1, or above `burst`.
        """
        self._check(n)
        now = anyio.current_time()
        if self._waiting or self._time(self._called_for + n, now) > now or not self._pass(n):
            raise anyio.WouldBlock

    @property
    def available(self) -> int:
        """How many `acquire_nowait` would let pass now, from 0 to `burst`."""
        if self._waiting:
            return 0
        now = anyio.current_time()
        spare = (now - self._arrival) / self._interval + self._burst
        count = int(max(0, min(spare, self._burst)))
        # The division may be off by one, where the comparison that counts is not.
        if count < self._burst and self._time(count + 1, now) <= now:
            count += 1
        elif count and self._time(count, now) > now:
            count -= 1
        return max(0, count - self._called_for)

    def statistics(self) -> RateLimiterStatistics:
        """How things stand, for logs and metrics."""
        now = anyio.current_time()
        ahead = self._called_for + sum(self._waiting.values())
        return RateLimiterStatistics(self.available, self._tasks, max(0.0, self._time(ahead + 1, now) - now))

    @property
    def _tasks(self) -> int:
        return self._called + len(self._waiting)

    def _call(self) -> None:
        """Call on all that may pass now, or on the first if none may."""
        now = anyio.current_time()
        while self._waiting:
            turn, n = next(iter(self._waiting.items()))
            if self._called and self._time(self._called_for + n, now) > now:
                break
            del self._waiting[turn]
            self._called += 1
            self._called_for += n
            turn.set()

    @property
    def _arrival(self) -> float:
        """The theoretical arrival time of I.371: when all that has passed would have, had it been evenly spaced."""
        return self._since + self._passed * self._interval

    def _time(self, n: int, now: float) -> float:
        """From when on `n` may pass, now or later: I.371's virtual scheduling, for `n` cells at once."""
        if self._arrival <= now:
            return now + (n - self._burst) * self._interval
        return self._since + (self._passed + n - self._burst) * self._interval

    def _pass(self, n: int) -> bool:
        """Let `n` pass if it is time."""
        now = anyio.current_time()
        # It is never later, except by the clock of another event loop: then begin with nothing to spare.
        if self._arrival > now + self._burst * self._interval:
            self._since, self._passed = now, self._burst
        if self._time(n, now) > now:
            return False
        if self._arrival <= now:
            self._since, self._passed = now, 0
        self._passed += n
        return True

    def _check(self, n: object) -> None:
        if isinstance(n, bool) or not isinstance(n, int):
            raise TypeError(f"`n` must be a whole number of 1 or more, not {n!r}")
        if n < 1:
            raise ValueError(f"`n` must be 1 or more, not {n}")
        if n > self._burst:
            raise ValueError(
                f"`n` is {n}, and no more than {self._burst} may pass at once: raise `burst`, or acquire in parts"
            )


def limiter_of(rate: float | RateLimiter | None) -> RateLimiter | None:
    """The limiter itself, or one of that rate.

    Raises:
        TypeError, ValueError: It is no rate.
    """
    if rate is None or isinstance(rate, RateLimiter):
        return rate
    limiter = RateLimiter(rate)
    return limiter if rate <= _EVEN else RateLimiter(rate, burst=int(rate / _EVEN))


def _checked_positive(value: object, *, name: str, hint: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"`{name}` must be a number above 0, not {value!r}; {hint}")
    if not 0 < value < math.inf:
        raise ValueError(f"`{name}` must be above 0 and finite, not {value!r}; {hint}")
    return value
