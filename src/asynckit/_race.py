"""Coroutines side by side, of which the first to end counts, or a few, or each as it ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Literal, TypeVar, overload

import anyio

from asynckit._checks import checked_choice, checked_limit, checked_seconds
from asynckit._coroutines import Coroutines
from asynckit._errors import ChildCancelledError
from asynckit._flow import Flow
from asynckit._group import Group
from asynckit._native import native_task
from asynckit._outcome import Failure, Outcome, Success
from asynckit._steps import cancelled_from_outside
from asynckit._stream import Stream

R = TypeVar("R")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
R_co = TypeVar("R_co", covariant=True)

ReturnWhen = Literal["first_completed", "first_exception", "all"]


@overload
def as_completed(
    a: Coroutine[Any, Any, A], b: Coroutine[Any, Any, B], /, *, limit: float | None = ...
) -> Stream[A | B]: ...
@overload
def as_completed(
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    c: Coroutine[Any, Any, C],
    /,
    *,
    limit: float | None = ...,
) -> Stream[A | B | C]: ...
@overload
def as_completed(
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    c: Coroutine[Any, Any, C],
    d: Coroutine[Any, Any, D],
    /,
    *,
    limit: float | None = ...,
) -> Stream[A | B | C | D]: ...
@overload
def as_completed(*coros: Coroutine[Any, Any, R], limit: float | None = ...) -> Stream[R]: ...
def as_completed(*coros: Coroutine[Any, Any, Any], limit: float | None = None) -> Stream[Any]:
    """Await coroutines side by side and give each result as soon as it is there.

    Use it as `async with as_completed(…) as results`, with `async for result in results` inside. Break out of the loop
    when you have enough: leaving the block cancels what still runs and waits for it. To know which result is whose,
    let the coroutines say so, or use `stream_outcomes` over their arguments.

    Each coroutine runs in a copy of the context in which `as_completed` was called. They do not wait for the loop.

    Args:
        coros: Coroutine objects, each once. Those that have not begun when the block is left are closed, without the
            warning that they were never awaited.
        limit: How many run at once; `None` for all.

    Returns:
        An async context manager, and the async iterator of the results that it gives; see `stream`.

    Raises:
        ExceptionGroup: On leaving the block: what the coroutines raised. The first failure cancels the others, and the
            block where it waits; no result is given after it.
        RuntimeError: Results are asked for outside the block, or the block is entered again.
        TypeError, ValueError: An argument is wrong; all coroutines are closed.

    Cancellation:
        Cancels all coroutines and waits for them. A coroutine that raises the back end's cancellation exception unasked
        fails with `ChildCancelledError`; see `amap`.

    Example:
        >>> import anyio
        >>> from asynckit import as_completed
        >>> async def after(steps):
        ...     for _ in range(steps):
        ...         await anyio.sleep(0)
        ...     return steps
        >>> async def main():
        ...     async with as_completed(after(9), after(1), after(3)) as results:
        ...         return [steps async for steps in results]
        >>> anyio.run(main)
        [1, 3, 9]
    """
    owned = Coroutines(coros, name="as_completed")
    try:
        flow = Flow[Any, Any](
            _itself,
            coros,
            limit=checked_limit(limit),
            ordered=False,
            buffer=math.inf,
            on_error="cancel",
            item_timeout=math.inf,
            rate=None,
        )
    except BaseException:
        owned.close()
        raise
    return _CoroutineStream(flow, owned)


class _CoroutineStream(Stream[R]):
    """A stream that closes the coroutines that have not begun."""

    __slots__ = ("_owned",)

    def __init__(self, flow: Flow[Any, R], owned: Coroutines[R]) -> None:
        super().__init__(flow)
        self._owned = owned

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            return await super().__aexit__(kind, error, trace)
        finally:
            del error, trace  # an error refers to this frame
            self._owned.close()


def _itself(coro: Coroutine[Any, Any, R]) -> Coroutine[Any, Any, R]:
    return coro


@overload
def race(
    a: Coroutine[Any, Any, A], b: Coroutine[Any, Any, B], /, *, delay: float | None = ...
) -> Coroutine[Any, Any, A | B]: ...
@overload
def race(
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    c: Coroutine[Any, Any, C],
    /,
    *,
    delay: float | None = ...,
) -> Coroutine[Any, Any, A | B | C]: ...
@overload
def race(
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    c: Coroutine[Any, Any, C],
    d: Coroutine[Any, Any, D],
    /,
    *,
    delay: float | None = ...,
) -> Coroutine[Any, Any, A | B | C | D]: ...
@overload
def race(*coros: Coroutine[Any, Any, R], delay: float | None = ...) -> Coroutine[Any, Any, R]: ...
def race(*coros: Coroutine[Any, Any, Any], delay: float | None = None) -> Coroutine[Any, Any, Any]:
    """Await coroutines side by side until one succeeds, and cancel the others.

    Args:
        coros: Coroutine objects, at least one, each once. Those that have not begun when one wins never do: they are
            closed.
        delay: Seconds from the start of one to the start of the next, in order; each failure starts one more at once.
            This is the staggered start of "Happy Eyeballs" (RFC 8305, section 5). `None` starts all at once; infinity
            starts one only when another has failed.

    Returns:
        What the first to succeed returned. The others have been cancelled and have ended by then; what they raise on
        being cancelled is dropped, like the failures before.

    Raises:
        ExceptionGroup: All have failed: what each of them raised, in the order of the coroutines (PEP 654).
        TypeError, ValueError: An argument is wrong; all coroutines are closed. Raised by the call, before the `await`.

    Cancellation:
        Cancels all coroutines and waits for them. A coroutine that raises the back end's cancellation exception unasked
        has failed, with `ChildCancelledError`.

    Example:
        >>> import anyio
        >>> from asynckit import race
        >>> async def ask(mirror, steps):
        ...     for _ in range(steps):
        ...         await anyio.sleep(0)
        ...     return mirror
        >>> async def main():
        ...     return await race(ask("far", 9), ask("near", 1))
        >>> anyio.run(main)
        'near'
    """
    owned = Coroutines(coros, name="race")
    try:
        if not coros:
            raise ValueError("`race` needs at least one coroutine: without any, nobody can win")
        stagger = 0.0 if delay is None else checked_seconds(delay, name="delay")
    except BaseException:
        owned.close()
        raise
    return _race(owned, stagger)


async def _race(coros: Coroutines[R], delay: float) -> R:
    contest = _Contest(coros, ends=lambda outcome: isinstance(outcome, Success))
    await contest.run(delay)
    for outcome in contest.outcomes.values():
        if isinstance(outcome, Success):
            return outcome.value
    failures = sorted(contest.outcomes.items())
    raise ExceptionGroup(
        f"all {len(failures)} coroutines of a race failed",
        [outcome.exception for _, outcome in failures if isinstance(outcome, Failure)],
    )


@dataclass(frozen=True, slots=True)
class Waited(Generic[R_co]):
    """What `wait` gives.

    Attributes:
        done: How the coroutines ended, by their positions, the first to end first.
        cancelled: The positions of those that were cancelled before they ended, or never began.
    """

    done: dict[int, Outcome[R_co]]
    cancelled: tuple[int, ...]


@overload
def wait(
    a: Coroutine[Any, Any, A], b: Coroutine[Any, Any, B], /, *, return_when: ReturnWhen = ...
) -> Coroutine[Any, Any, Waited[A | B]]: ...
@overload
def wait(
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    c: Coroutine[Any, Any, C],
    /,
    *,
    return_when: ReturnWhen = ...,
) -> Coroutine[Any, Any, Waited[A | B | C]]: ...
@overload
def wait(
    a: Coroutine[Any, Any, A],
    b: Coroutine[Any, Any, B],
    c: Coroutine[Any, Any, C],
    d: Coroutine[Any, Any, D],
    /,
    *,
    return_when: ReturnWhen = ...,
) -> Coroutine[Any, Any, Waited[A | B | C | D]]: ...
@overload
def wait(*coros: Coroutine[Any, Any, R], return_when: ReturnWhen = ...) -> Coroutine[Any, Any, Waited[R]]: ...
def wait(*coros: Coroutine[Any, Any, Any], return_when: ReturnWhen = "all") -> Coroutine[Any, Any, Waited[Any]]:
    """Await coroutines side by side until some have ended, and cancel the others.

    Unlike `asyncio.wait`, it leaves nothing pending: when it returns, each coroutine has ended or was closed.

    Args:
        coros: Coroutine objects, each once. Those that have not begun when the wait is over never do: they are closed.
        return_when: When the wait is over: `first_completed`, as soon as one has returned or raised; `first_exception`,
            as soon as one has raised, or all have returned; `all`, when all have returned or raised.

    Returns:
        The outcomes by position, and the positions of those that were cancelled. A coroutine that returns or raises
        while it is being cancelled has an outcome like any other.

    Raises:
        BaseExceptionGroup: A coroutine raised what is no `Exception`, such as `KeyboardInterrupt`.
        TypeError, ValueError: An argument is wrong; all coroutines are closed. Raised by the call, before the `await`.

    Cancellation:
        Cancels all coroutines and waits for them. A coroutine that raises the back end's cancellation exception unasked
        has failed, with `ChildCancelledError`.

    Example:
        >>> import anyio
        >>> from asynckit import wait
        >>> async def after(steps):
        ...     for _ in range(steps):
        ...         await anyio.sleep(0)
        ...     return steps
        >>> async def main():
        ...     return await wait(after(9), after(1), return_when="first_completed")
        >>> anyio.run(main)
        Waited(done={1: Success(value=1)}, cancelled=(0,))
    """
    owned = Coroutines(coros, name="wait")
    try:
        checked_choice(return_when, ("first_completed", "first_exception", "all"), name="return_when")
    except BaseException:
        owned.close()
        raise
    return _wait(owned, return_when)


async def _wait(coros: Coroutines[R], return_when: ReturnWhen) -> Waited[R]:
    contest = _Contest(
        coros,
        ends=lambda outcome: (
            return_when == "first_completed" or (return_when == "first_exception" and isinstance(outcome, Failure))
        ),
    )
    await contest.run(delay=0)
    done = contest.outcomes
    return Waited(done, tuple(position for position in range(len(coros)) if position not in done))


class _Contest(Generic[R]):
    """Coroutines side by side, each in a task of its own, until an outcome ends it."""

    def __init__(self, coros: Coroutines[R], *, ends: Callable[[Outcome[R]], bool]) -> None:
        self._coros = coros
        self._ends = ends
        self._failed = anyio.Event()
        self._failures = self._made_up_for = 0
        self.outcomes: dict[int, Outcome[R]] = {}
        """By position, in the order in which they came."""

    async def run(self, delay: float) -> None:
        """Run them; at the end all have ended, or were closed.

        Args:
            delay: Seconds between the starts of two, unless there are failures.
        """
        try:
            async with Group() as self._group:
                for position, coro in enumerate(self._coros):
                    if position and delay:
                        await self._wait_for_turn(delay)
                    self._group.start_soon(self._contend, position, coro)
        finally:
            self._coros.close()

    async def _wait_for_turn(self, delay: float) -> None:
        if self._failures == self._made_up_for:
            self._failed = anyio.Event()
            with anyio.move_on_after(delay) as late:
                await self._failed.wait()
            if late.cancelled_caught:
                return
        self._made_up_for += 1

    async def _contend(self, position: int, coro: Coroutine[Any, Any, R]) -> None:
        scope = self._group.cancel_scope
        if scope.cancel_called:  # it is over
            return
        try:
            self._end(position, Success(await coro))
        except anyio.get_cancelled_exc_class():
            if not cancelled_from_outside(scope):
                self._end(position, Failure(ChildCancelledError(f"coroutine {position} cancelled itself")))
            elif native_task() is None:
                raise  # on asyncio, see `Group`
        except Exception as error:  # noqa: BLE001  # an outcome
            self._end(position, Failure(error))
        finally:
            del self  # an error refers to this frame

    def _end(self, position: int, outcome: Outcome[R]) -> None:
        self.outcomes[position] = outcome
        if isinstance(outcome, Failure):
            self._failures += 1
            self._failed.set()
        if self._ends(outcome):
            self._group.cancel_scope.cancel()
