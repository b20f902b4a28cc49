"""How something ended: with a value, or with an exception; typed, so that a checker tells them apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NoReturn, TypeAlias, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Success(Generic[T_co]):
    """It returned.

    Attributes:
        value: What it returned, be it an exception.
    """

    value: T_co

    def unwrap(self) -> T_co:
        """The value."""
        return self.value


@dataclass(frozen=True, slots=True)
class Failure:
    """It raised.

    Attributes:
        exception: What it raised.
    """

    exception: Exception

    def unwrap(self) -> NoReturn:
        """Raise the exception, the same object each time.

        Raises:
            Exception: What it raised.
        """
        raise self.exception


Outcome: TypeAlias = Success[T] | Failure
"""Either; tell them apart with `isinstance` or `match`, or call `unwrap` to get the value or raise the exception."""
