"""Walking the outline of an async function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from asynclint.syntax import Call, Function, Statement


def statements_in(block: Iterable[Statement]) -> Iterator[Statement]:
    """All statements of a block and of the blocks inside it, in source order."""
    for statement in block:
        yield statement
        for _, inner in statement.blocks:
            yield from statements_in(inner)


def blocks_in(block: list[Statement]) -> Iterator[list[Statement]]:
    """The block itself and all blocks inside it, in any order."""
    pending = [block]
    while pending:
        block = pending.pop()
        yield block
        for statement in block:
            if statement.blocks:
                pending += [inner for _, inner in statement.blocks]


def calls_in(function: Function, statement: Statement) -> Iterator[Call]:
    """The calls of a statement and of its blocks."""
    for inner in statements_in([statement]):
        yield from function.calls[inner.first_call : inner.last_call]
