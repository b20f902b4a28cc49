"""Annotations as text: their parts."""

from __future__ import annotations

from collections.abc import Iterator

COLLECTIONS = frozenset(
    (
        *("list", "set", "frozenset", "deque", "Sequence", "MutableSequence", "Collection", "AbstractSet"),
        *("Iterable", "Iterator", "Generator", "AsyncIterable", "AsyncIterator", "AsyncGenerator"),
        *("List", "Set", "FrozenSet", "Deque", "MutableSet", "KeysView", "ValuesView"),
    )
)
MAPPINGS = frozenset(
    ("dict", "Dict", "defaultdict", "DefaultDict", "OrderedDict", "Mapping", "MutableMapping", "WeakValueDictionary")
)
TUPLES = frozenset(("tuple", "Tuple"))
CALLABLES = frozenset(("Callable",))
GENERICS = COLLECTIONS | MAPPINGS | TUPLES | CALLABLES
"""Types of `builtins`, `collections` and `typing` whose arguments tell what comes out of them."""


def split(annotation: str, separator: str) -> Iterator[str]:
    """The parts of `A|B[C|D]` or `K,V` between separators that stand in no brackets."""
    if separator not in annotation:  # mostly
        yield annotation
        return
    depth = start = 0
    for index, character in enumerate(annotation):
        if character == "[":
            depth += 1
        elif character == "]":
            depth -= 1
        elif character == separator and not depth:
            yield annotation[start:index]
            start = index + 1
    yield annotation[start:]
