"""Type annotations as text: `Optional["Client"]` is `Client`."""

from __future__ import annotations

import ast
from functools import lru_cache

_TRANSPARENT = {"Optional", "Annotated", "Final", "ClassVar", "Required", "NotRequired", "ReadOnly"}
_CONTAINERS = {"list", "List", "dict", "Dict", "tuple", "Tuple", "set", "Set", "Sequence", "Mapping", "Iterable"}


def alias(node: ast.expr) -> str:
    """The type that an assigned value names, as `annotation` has it: `Optional[Client]`; `""` for other values."""
    head = node.value if isinstance(node, ast.Subscript) else None
    name = head.attr if isinstance(head, ast.Attribute) else head.id if isinstance(head, ast.Name) else ""
    return annotation(node) if name in _TRANSPARENT or name in _CONTAINERS or name == "Union" else ""


def annotation(node: ast.expr | None) -> str:
    """Normalise an annotation: alternatives joined by `|`, `None` left out, wrappers such as `Optional` removed.

    Containers keep their arguments (`list[Client]`). What is not understood gives `""`.
    """
    if node is None:
        return ""
    if type(node) is ast.Name:  # mostly one of these two, and sooner told than by a pattern
        return node.id
    if type(node) is ast.Subscript:
        return _subscript(annotation(node.value), node.slice)
    if isinstance(node, ast.Attribute):
        base = annotation(node.value)
        return f"{base}.{node.attr}" if base else ""
    if isinstance(node, ast.Constant):
        return _quoted(node.value) if isinstance(node.value, str) else ""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union([node.left, node.right])
    return ""


@lru_cache(maxsize=1024)  # modules repeat theirs
def _quoted(text: str) -> str:
    try:
        return annotation(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""


def _union(nodes: list[ast.expr]) -> str:
    return "|".join(filter(None, map(annotation, nodes)))


def _subscript(head: str, index: ast.expr) -> str:
    arguments = index.elts if isinstance(index, ast.Tuple) else [index]
    last = head.rpartition(".")[2]
    if last == "Union":
        return _union(arguments)
    if last in _TRANSPARENT:
        return annotation(arguments[0]) if arguments else ""
    return f"{head}[{','.join(map(annotation, arguments))}]" if head else ""
