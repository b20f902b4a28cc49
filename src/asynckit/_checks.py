"""Arguments are checked before any work begins; the message says what was expected, what came, and how to mend it."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def checked_limit(limit: object, *, name: str = "limit") -> float:
    """A bound on how many run at once; `None` and infinity mean no bound.

    Returns:
        The bound, infinity for none.

    Raises:
        TypeError: It is not a number of things.
        ValueError: It is below 1.
    """
    if limit is None or limit == math.inf:
        return math.inf
    if isinstance(limit, bool) or not isinstance(limit, int):
        hint = "; pass 1 to run one at a time" if limit is True else ""
        raise TypeError(f"`{name}` must be a whole number of 1 or more, or None for no bound, not {limit!r}{hint}")
    if limit < 1:
        raise ValueError(
            f"`{name}` must be 1 or more, not {limit}: nothing would ever run; pass None for no bound, 1 for one by one"
        )
    return limit


def checked_seconds(value: object, *, name: str) -> float:
    """A duration in seconds; `None` is infinity.

    Raises:
        TypeError: It is not a number.
        ValueError: It is negative, or not a number at all (NaN).
    """
    seconds = checked_delay(value, name=name)
    if seconds < 0:
        raise ValueError(f"`{name}` must be 0 or more seconds, not {value!r}; pass None for no end")
    return seconds


def checked_delay(value: object, *, name: str) -> float:
    """Seconds from now, or before: a time until which there is none left. `None` is infinity.

    Raises:
        TypeError: It is not a number.
        ValueError: It is not a number at all (NaN).
    """
    if value is None:
        return math.inf
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        hint = "; use its `total_seconds()`" if hasattr(value, "total_seconds") else ""
        raise TypeError(f"`{name}` must be a number of seconds, or None for no end, not {value!r}{hint}")
    if math.isnan(value):
        raise ValueError(f"`{name}` must be a number of seconds, not {value!r}; pass None for no end")
    return value


def checked_choice(value: object, choices: tuple[str, ...], *, name: str) -> None:
    """One of a few words.

    Raises:
        ValueError: It is none of them.
    """
    if value not in choices:
        *others, last = (f'"{choice}"' for choice in choices)
        raise ValueError(f"`{name}` must be {', '.join(others)} or {last}, not {value!r}")


def checked_function(func: Callable[[T], Awaitable[R]]) -> Callable[[T], Awaitable[R]]:
    """The function of one item that a helper calls.

    Raises:
        TypeError: It cannot be called.
    """
    what: object = func
    if not callable(what):
        hint = "; pass the function itself, without calling it" if isinstance(what, Awaitable) else ""
        raise TypeError(f"`func` must be an async function of one item, not {what!r}{hint}")
    return func
