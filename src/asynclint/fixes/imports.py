"""Where a new import goes: among the imports of its kind, below docstring and `__future__`.

Imports that a fix leaves unused (`time`, once nobody sleeps by it) stay: importing may have effects, other modules may
take the name from here, and linters for unused imports judge this better.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import libcst as cst

Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement


def add_imports(module: cst.Module, modules: Iterable[str]) -> cst.Module:
    """Add `import NAME` statements.

    Args:
        module: The module.
        modules: Absolute names of modules that it does not import by these names yet.
    """
    for name in sorted(modules):
        module = _add(module, name)
    return module


def _add(module: cst.Module, name: str) -> cst.Module:
    body = list(module.body)
    start = next((i for i, statement in enumerate(body) if not _is_preamble(statement, first=i == 0)), len(body))
    sections = _sections(body, start)
    wanted = _kind(name)
    section = next((s for s in sections if _kind_of(body[s.start]) == wanted), None)
    line = cst.SimpleStatementLine([cst.Import([cst.ImportAlias(cst.Name(name))])])
    if section is not None:
        index = next((i for i in section if _comes_after(body[i], name)), section.stop)
        if index == section.start:
            body[index : index + 1] = _before(line, body[index])
        else:
            body.insert(index, line)
    else:
        earlier = [s for s in sections if _kind_of(body[s.start]) < wanted]
        _insert_section(body, earlier[-1].stop if earlier else start, line, follows=bool(earlier) or start > 0)
    return module.with_changes(body=body)


def _before(line: cst.SimpleStatementLine, successor: Statement) -> list[Statement]:
    """The new line takes the blank lines above its successor, which keeps the comments that are about it."""
    lines = list(successor.leading_lines)
    blank = next((i for i in reversed(range(len(lines))) if lines[i].comment is None), -1)
    return [
        line.with_changes(leading_lines=lines[: blank + 1]),
        successor.with_changes(leading_lines=lines[blank + 1 :]),
    ]


def _insert_section(body: list[Statement], index: int, line: cst.SimpleStatementLine, *, follows: bool) -> None:
    """Insert a line as a section of its own, set off by blank lines."""
    blank = cst.EmptyLine(indent=False)
    body.insert(index, line.with_changes(leading_lines=[blank] if follows else []))
    if index + 1 < len(body):
        successor = body[index + 1]
        if not successor.leading_lines or successor.leading_lines[0].comment is not None:
            body[index + 1] = successor.with_changes(leading_lines=[blank, *successor.leading_lines])


def _is_preamble(statement: Statement, *, first: bool) -> bool:
    """Whether a statement must stay above all imports."""
    if not isinstance(statement, cst.SimpleStatementLine):
        return False
    head = statement.body[0]
    if isinstance(head, cst.Expr):
        return first and isinstance(head.value, (cst.SimpleString, cst.ConcatenatedString))
    return isinstance(head, cst.ImportFrom) and isinstance(head.module, cst.Name) and head.module.value == "__future__"


def _sections(body: Sequence[Statement], start: int) -> list[range]:
    """Runs of imports from `start` on, cut at blank lines."""
    sections: list[range] = []
    first = start
    for index in range(start, len(body) + 1):
        ends = index == len(body) or not _is_import(body[index])
        blank = not ends and any(line.comment is None for line in body[index].leading_lines)
        if (ends or blank) and index > first:
            sections.append(range(first, index))
            first = index
        if ends:
            break
    return sections


def _is_import(statement: Statement) -> bool:
    if not isinstance(statement, cst.SimpleStatementLine):
        return False
    return isinstance(statement.body[0], (cst.Import, cst.ImportFrom))


def _imported(statement: Statement) -> str:
    """The module that an import statement names first; `.` for a relative one."""
    head = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
    match head:
        case cst.Import():
            name: cst.BaseExpression | None = head.names[0].name
        case cst.ImportFrom() if not head.relative:
            name = head.module
        case _:
            return "."
    return cst.Module([]).code_for_node(name) if name is not None else "."


def _kind_of(statement: Statement) -> int:
    return _kind(_imported(statement))


def _kind(module: str) -> int:
    """The order of sections: standard library, other packages, relative imports."""
    if module.startswith("."):
        return 2
    return 0 if module.partition(".")[0] in sys.stdlib_module_names else 1


def _comes_after(statement: Statement, name: str) -> bool:
    """Whether a statement sorts behind `import NAME`: `from` imports follow plain ones."""
    head = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
    return isinstance(head, cst.ImportFrom) or _imported(statement) > name
