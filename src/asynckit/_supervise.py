"""Keeping a service alive: it is started again when it fails, but not for ever."""

from __future__ import annotations

import inspect
import logging
import math
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeVar, TypeVarTuple, overload

import anyio
from anyio.lowlevel import checkpoint

from asynckit._checks import checked_seconds
from asynckit._native import came_of_cancellation, native_requests
from asynckit._retry import Backoff, _checked_backoff
from asynckit._steps import as_coroutine

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_logger = logging.getLogger("asynckit.supervise")


@dataclass(frozen=True, slots=True)
class Restart:
    """What `on_restart` of `supervise` is told, before the delay.

    Attributes:
        name: The name of the service.
        number: Which restart it is, from 1.
        error: What it died of; `None` if it returned.
        delay: Seconds until it is started again.
    """

    name: str
    number: int
    error: Exception | None
    delay: float


@overload
async def supervise(
    func: Callable[[*Ts], Awaitable[object]],
    *args: *Ts,
    restart_on_return: Literal[True],
    restarts: int | None = ...,
    per: float | None = ...,
    backoff: tuple[float, float, float] = ...,
    on_restart: Callable[[Restart], object] | None = ...,
    name: str | None = ...,
) -> NoReturn: ...
@overload
async def supervise(
    func: Callable[[*Ts], Awaitable[T]],
    *args: *Ts,
    restart_on_return: bool = ...,
    restarts: int | None = ...,
    per: float | None = ...,
    backoff: tuple[float, float, float] = ...,
    on_restart: Callable[[Restart], object] | None = ...,
    name: str | None = ...,
) -> T: ...
async def supervise(
    func: Callable[[*Ts], Awaitable[Any]],
    *args: *Ts,
    restart_on_return: bool = False,
    restarts: int | None = 5,
    per: float | None = 60.0,
    backoff: tuple[float, float, float] = Backoff(),
    on_restart: Callable[[Restart], object] | None = None,
    name: str | None = None,
) -> Any:
    """Keep a service alive: call an async function, and call it again when it fails.

    Cancellation, `KeyboardInterrupt`, `SystemExit` and whatever else is no `Exception` end it. Failing again and again
    ends it too, so that whoever runs it hears of that: more than `restarts` in `per` seconds, as with supervisors of
    Erlang/OTP ("maximum restart intensity").

    Before a restart it waits, as `retry` does: evenly at random between 0 and a bound that grows with each restart, and
    is as at the beginning when the service has run for `per` seconds. Unlike `retry`, which is for one result that is
    wanted soon, it bounds how often, not how many times in all.

    Args:
        func: An async function, or one that returns something to await. It is called anew for each run, so it must set
            up whatever it needs.
        args: Its positional arguments; for keywords use `functools.partial`.
        restart_on_return: Whether returning, too, is a reason to start it again. If not, it ends.
        restarts: How many restarts there are in `per` seconds at most; 0 for none, `None` for no bound.
        per: Seconds in which they are counted; `None` and infinity count them all.
        backoff: The bound on the delay: its first value in seconds, the factor it grows by, its maximum in seconds.
        on_restart: Called before each delay with what happened: for logs and metrics. What it raises ends it all.
            Without it, restarts are logged as warnings, with the traceback, by the logger `asynckit.supervise`.
        name: What to call the service in messages, the function's name if not given.

    Returns:
        What `func` returns, unless `restart_on_return` is set.

    Raises:
        Exception: What the last run raised, the same object, with a note that says how many restarts there were.
        RuntimeError: With `restart_on_return`, it has returned too often.
        TypeError, ValueError: An argument is wrong.

    Cancellation:
        Passes through at once, from a run as well as from a delay. A run that fails while it is being cancelled, also
        natively by asyncio, is not started again: its error is raised.

    Example:
        >>> import anyio
        >>> from asynckit import supervise
        >>> failures = iter([OSError("lost the connection")])
        >>> async def serve():
        ...     for failure in failures:
        ...         raise failure
        ...     return "done"
        >>> async def main():
        ...     return await supervise(serve, backoff=(0.001, 2, 1), on_restart=lambda restart: print(restart.error))
        >>> anyio.run(main)
        lost the connection
        'done'
    """
    work: object = func
    if not callable(work) or inspect.isasyncgenfunction(work):
        hint = "; pass the function itself, without calling it" if isinstance(work, Awaitable) else ""
        if inspect.iscoroutine(work):
            work.close()
        raise TypeError(f"`supervise` takes an async function and its arguments, not {work!r}{hint}")
    hook: object = on_restart
    if hook is not None and (not callable(hook) or inspect.iscoroutinefunction(hook)):
        raise TypeError(f"`on_restart` must be a plain function, not async, of one argument; not {hook!r}")
    service = _Service(
        name or str(getattr(func, "__qualname__", None) or repr(func)),
        _checked_restarts(restarts),
        _checked_per(per),
        _checked_backoff(backoff),
        on_restart or _log,
    )
    while True:
        error = None
        started = anyio.current_time()
        requests = native_requests()
        run = as_coroutine(func(*args))  # in no `try`: what is not async will not be the next time either
        try:
            returned = await run
        except Exception as raised:
            if anyio.current_effective_deadline() == -math.inf:
                raise
            if native_requests() > requests and came_of_cancellation(raised):
                raise
            error = raised
        else:
            if not restart_on_return:
                return returned
            await checkpoint()  # a cancellation that the run has swallowed ends it here
            if native_requests() > requests:
                raise anyio.get_cancelled_exc_class()("the service returned when it was cancelled")
        try:
            delay = service.restart(error, anyio.current_time() - started)
        finally:
            del error, run  # an exception that is kept keeps the frames it went through, and this is one of them
        await anyio.sleep(delay)


class _Service:
    """The restarts of one call."""

    __slots__ = ("_backoff", "_bound", "_count", "_hook", "_name", "_per", "_recent", "_restarts")

    def __init__(
        self, name: str, restarts: float, per: float, backoff: Backoff, hook: Callable[[Restart], object]
    ) -> None:
        self._name = name
        self._restarts = restarts
        self._per = per
        self._backoff = backoff
        self._hook = hook
        self._bound = backoff.initial
        self._count = 0
        self._recent: deque[float] = deque()  # when the restarts of the last `per` seconds were

    def restart(self, error: Exception | None, lasted: float) -> float:
        """A run that lasted so long has ended.

        Returns:
            Seconds until the next.

        Raises:
            Exception: There are no more: the error of the run.
        """
        now = anyio.current_time()
        while self._recent and now - self._recent[0] >= self._per:
            self._recent.popleft()
        if len(self._recent) >= self._restarts:
            within = "" if self._per == math.inf else f" in {self._per:g} s"
            restarts = f"{len(self._recent)} restart{'s' * (len(self._recent) != 1)}{within}, the most allowed"
            if error is None:
                raise RuntimeError(f"`{self._name}` returned after {restarts}; allow more if it is to return so often")
            error.add_note(f"supervise: `{self._name}` failed after {restarts}")
            try:
                raise error
            finally:
                del error  # it refers to this frame
        if self._restarts < math.inf:
            self._recent.append(now)
        if lasted >= self._per:
            self._bound = self._backoff.initial
        # Drawn at random to spread load, not to keep secrets.
        delay = random.uniform(0, self._bound)  # noqa: S311
        self._bound = min(self._bound * self._backoff.factor, self._backoff.maximum)
        self._count += 1
        self._hook(Restart(self._name, self._count, error, delay))
        return delay


def _log(restart: Restart) -> None:
    _logger.warning(
        "`%s` %s; restart %d in %.3g s",
        restart.name,
        "returned" if restart.error is None else "failed",
        restart.number,
        restart.delay,
        exc_info=restart.error,
    )


def _checked_restarts(restarts: object) -> float:
    if restarts is None or restarts == math.inf:
        return math.inf
    if isinstance(restarts, bool) or not isinstance(restarts, int):
        raise TypeError(f"`restarts` must be a whole number of 0 or more, or None for no bound, not {restarts!r}")
    if restarts < 0:
        raise ValueError(f"`restarts` must be 0 or more, not {restarts}; pass None for no bound")
    return restarts


def _checked_per(per: object) -> float:
    seconds = checked_seconds(per, name="per")
    if seconds == 0:
        raise ValueError("`per` must be above 0 seconds: no restart would count; pass `restarts=None` for no bound")
    return seconds
