"""Annotations as text: their parts."""

from __future__ import annotations

COLLECTIONS = frozenset(
    (
        *("list", "set", "frozenset", "deque", "Sequence", "MutableSequence", "Collection", "AbstractSet"),
        *("Iterable", "Iterator", "Generator", "AsyncIterable", "AsyncIterator", "AsyncGenerator"),
        *("List", "Set", "FrozenSet", "Deque", "MutableSet", "KeysView", "ValuesView", "ContextVar"),
    )
)
MAPPINGS = frozenset(
    ("dict", "Dict", "defaultdict", "DefaultDict", "OrderedDict", "Mapping", "MutableMapping", "WeakValueDictionary")
)
TUPLES = frozenset(("tuple", "Tuple"))
CALLABLES = frozenset(("Callable",))
GENERICS = COLLECTIONS | MAPPINGS | TUPLES | CALLABLES
"""Types of `builtins`, `collections` and `typing` whose arguments tell what comes out of them."""


def split(annotation: str, separator: str) -> list[str]:
    """The parts of `A|B[C|D]` or `K,V` between separators that stand in no brackets."""
    if "[" not in annotation:
        return annotation.split(separator)
    parts: list[str] = []
    depth = start = 0
    for index, character in enumerate(annotation):
        if character == "[":
            depth += 1
        elif character == "]":
            depth -= 1
        elif character == separator and not depth:
            parts.append(annotation[start:index])
            start = index + 1
    parts.append(annotation[start:])
    return parts
