"""What runs once: the branch that makes what is kept from then on, and functions whose answer is kept."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from asynclint.syntax.conditions import UNPROVEN, last_name
from asynclint.syntax.scope import Conditions, Scope

_CACHES = frozenset(("cache", "lru_cache", "cached_property"))
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_Test = tuple[str, bool]
"""A place that a test asks for, and whether the test is true while nothing is there."""


def runs_once(decorators: Iterable[ast.expr], parameters: int) -> bool:
    """Whether a decorator keeps what a function gives, and no arguments tell one call from the next."""
    called = (node.func if isinstance(node, ast.Call) else node for node in decorators)
    return not parameters and any(last_name(node) in _CACHES for node in called)


def first_time(node: ast.If, scope: Scope) -> Conditions:
    """`UNPROVEN` for the branch that is taken until something has been made.

    That is the body of `if self._client is None:` which assigns `self._client`, or what follows
    `if _client and …: return _client`. Whoever comes later, and mostly that is everybody, does not take it.
    """
    test, last = node.test, node.body[-1]
    found = _asked(test)
    if isinstance(test, ast.BoolOp) and isinstance(last, ast.Return) and last.value is not None:
        present = (_place(last.value), False)
        if isinstance(test.op, ast.And) and any(_asked(part) == present for part in test.values):
            found = present
    if found is None or not _is_kept(found[0], scope):
        return [], []
    place, is_missing = found
    if is_missing:
        return ([UNPROVEN], []) if place in _made(node.body) else ([], [])
    if node.orelse:
        return ([], [UNPROVEN]) if place in _made(node.orelse) else ([], [])
    if isinstance(last, ast.Return):
        if scope.made is None:
            scope.made = frozenset(_made(scope.body))
        return ([], [UNPROVEN]) if place in scope.made else ([], [])
    return [], []


def _is_kept(place: str, scope: Scope) -> bool:
    """Whether a place outlives the call: an attribute of `self` or of what is global, or a global variable."""
    name, _, attribute = place.partition(".")
    if not attribute:
        return name in scope.shared
    return name in (scope.receiver, "cls") or name not in scope.env


def _asked(test: ast.expr) -> _Test | None:
    if isinstance(test, (ast.Name, ast.Attribute)):  # mostly; no patterns, which are slow to tell that they do not fit
        place = _place(test)
        return (place, False) if place else None
    if isinstance(test, ast.UnaryOp):
        found = _asked(test.operand) if isinstance(test.op, ast.Not) else None
        return found and (found[0], not found[1])
    if isinstance(test, ast.BoolOp):
        return _asked_together(test.values) if isinstance(test.op, ast.And) else None
    if isinstance(test, ast.Compare):
        operator, right = test.ops[0], test.comparators[0]
        is_none = len(test.ops) == 1 and isinstance(right, ast.Constant) and right.value is None
        place = _place(test.left) if is_none and isinstance(operator, (ast.Is, ast.IsNot)) else ""
        return (place, isinstance(operator, ast.Is)) if place else None
    match test:
        case ast.Call(func=ast.Name(id="hasattr"), args=[ast.Name(id=name), ast.Constant(value=str(attribute))]):
            return f"{name}.{attribute}", False
        case _:
            return None


def _asked_together(parts: list[ast.expr]) -> _Test | None:
    """All of them hold where it is true; where it is false, one does not, which may be any of them."""
    asked = [_asked(part) for part in parts]
    if asked.count(asked[0]) == len(asked):
        return asked[0]
    return next((found for found in asked if found and found[1]), None)


def _place(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return ""


def _made(body: Iterable[ast.AST]) -> Iterator[str]:
    """The places that statements assign something to: more than `None`, `False` or `0`."""
    for node in body:
        match node:
            case ast.Assign(value=ast.Constant(value=value)) | ast.AnnAssign(value=ast.Constant(value=value)) if (
                not value
            ):
                pass
            case ast.Assign(targets=targets):
                for target in targets:
                    yield from map(_place, target.elts if isinstance(target, ast.Tuple) else [target])
            case ast.AnnAssign(target=target):
                yield _place(target)
            case ast.withitem(optional_vars=ast.expr() as target):
                yield _place(target)
            case ast.stmt() | ast.ExceptHandler() | ast.match_case() if not isinstance(node, _DEFINITIONS):
                yield from _made(ast.iter_child_nodes(node))
            case _:
                pass
