"""What an access path may stand for.

Values are never changed. They are not `frozen`: each would take more than twice as long to make, and there are many.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(unsafe_hash=True, slots=True)
class ModuleValue:
    """A module or package of the program, by its file, or a namespace package, by its directory."""

    location: str


@dataclass(unsafe_hash=True, slots=True)
class ClassValue:
    """A class of the program."""

    path: str
    index: int


@dataclass(unsafe_hash=True, slots=True)
class Instance:
    """An object of a class of the program, or of a subclass.

    Attributes:
        after: Attributes are looked up behind this class in the resolution order: what `super()` gives.
    """

    cls: ClassValue
    after: ClassValue | None = None


@dataclass(unsafe_hash=True, slots=True)
class FunctionValue:
    """A function of the program; `receiver` is the class it was looked up on."""

    path: str
    index: int
    receiver: ClassValue | None = None


@dataclass(unsafe_hash=True, slots=True)
class Coroutine:
    """What calling an async function gives."""

    function: FunctionValue


@dataclass(unsafe_hash=True, slots=True)
class Generator:
    """What calling a generator function gives: its body runs when this is iterated over."""

    function: FunctionValue


@dataclass(unsafe_hash=True, slots=True)
class External:
    """A module, class, function or attribute outside the program, by its dotted name."""

    name: str


@dataclass(unsafe_hash=True, slots=True)
class ExternalInstance:
    """An object of a class outside the program."""

    name: str


@dataclass(unsafe_hash=True, slots=True)
class Collection:
    """A list, a dictionary, an iterator … of known things.

    Attributes:
        items: What an index gives, and iteration too where there are no keys.
        keys: What iterating over a dictionary gives; `None` for all other collections.
        source: The function outside the program that gave it, which may do its work while this is iterated over.
    """

    items: tuple[Value, ...]
    keys: tuple[Value, ...] | None = None
    source: str = ""


@dataclass(unsafe_hash=True, slots=True)
class Parts:
    """A tuple, by position."""

    parts: tuple[tuple[Value, ...], ...]


@dataclass(unsafe_hash=True, slots=True)
class Giver:
    """Something that gives known things when it is called, or awaited: a method of a collection, a `Callable[…, T]`."""

    results: tuple[Value, ...]


@dataclass(unsafe_hash=True, slots=True)
class Alias:
    """A name for a type: `Optional[Client]`, as function number `function` of a module reads it."""

    path: str
    function: int
    annotation: str


Value = (
    ModuleValue
    | ClassValue
    | Instance
    | FunctionValue
    | Coroutine
    | Generator
    | External
    | ExternalInstance
    | Collection
    | Parts
    | Giver
    | Alias
)
Values = tuple[Value, ...]
"""All that something may stand for; not known is the empty tuple."""
