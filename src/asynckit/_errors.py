"""What only asynckit raises, and how it says that an argument is wrong."""

from __future__ import annotations

import math


class ChildCancelledError(Exception):
    """A child that somebody waits for was cancelled on its own, while its scope went on.

    Raised instead of the back end's cancellation exception, which would look like a cancellation of the one who waits.
    """


def checked_limit(limit: object, *, name: str = "limit") -> int | None:
    """A bound on how many run at once; `None` and infinity mean no bound.

    Raises:
        TypeError: It is not a number of things.
        ValueError: It is below 1.
    """
    if limit is None or (isinstance(limit, float) and math.isinf(limit) and limit > 0):
        return None
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"`{name}` must be a whole number of 1 or more, or None for no bound, not {limit!r}")
    if limit < 1:
        raise ValueError(f"`{name}` must be 1 or more, or nothing would ever run, not {limit}; None means no bound")
    return limit


def checked_seconds(value: object, *, name: str) -> float:
    """A duration in seconds; `None` is infinity.

    Raises:
        TypeError: It is not a number.
        ValueError: It is negative or not a number at all (NaN).
    """
    if value is None:
        return math.inf
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"`{name}` must be a number of seconds, or None for no end, not {value!r}")
    if not value >= 0:
        raise ValueError(f"`{name}` must be 0 or more seconds, not {value!r}")
    return value
