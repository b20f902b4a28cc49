"""What an access path may stand for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModuleValue:
    """A module or package of the program, by its file, or a namespace package, by its directory."""

    location: str


@dataclass(frozen=True, slots=True)
class ClassValue:
    """A class of the program."""

    path: str
    index: int


@dataclass(frozen=True, slots=True)
class Instance:
    """An object of a class of the program, or of a subclass.

    Attributes:
        after: Attributes are looked up behind this class in the resolution order: what `super()` gives.
    """

    cls: ClassValue
    after: ClassValue | None = None


@dataclass(frozen=True, slots=True)
class FunctionValue:
    """A function of the program; `receiver` is the class it was looked up on."""

    path: str
    index: int
    receiver: ClassValue | None = None


@dataclass(frozen=True, slots=True)
class Coroutine:
    """What calling an async function gives."""

    function: FunctionValue


@dataclass(frozen=True, slots=True)
class External:
    """A module, class, function or attribute outside the program, by its dotted name."""

    name: str


@dataclass(frozen=True, slots=True)
class ExternalInstance:
    """An object of a class outside the program."""

    name: str


Value = ModuleValue | ClassValue | Instance | FunctionValue | Coroutine | External | ExternalInstance
