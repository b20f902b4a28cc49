"""What a function's `**options` hold: what it asks them for, and what it puts into them itself."""

from __future__ import annotations

import ast

from asynclint.syntax.scope import Conditions, Scope

_FILLS = ("setdefault", "update")


def asked_key(node: ast.expr | None) -> str | None:
    """The key of `options.get("key")` and its like, which give nothing true where it is missing."""
    match node:
        case ast.Call(func=ast.Attribute(attr="get" | "pop"), args=[ast.Constant(value=str(key)), *default]) if all(
            isinstance(given, ast.Constant) and not given.value for given in default
        ):
            return key
        case _:
            return None


def about_options(name: str, asks: str, key: str, scope: Scope) -> Conditions:
    """A condition on what `**options` holds under a key, as long as the function itself puts nothing there."""
    root = scope.env.get(name, "")
    if name != scope.options_name or root != f"{name}@{scope.options}" or not scope.filled.isdisjoint((key, "")):
        return [], []
    if any(call.target in (f"{root}.{fills}" for fills in _FILLS) for call in scope.function.calls):
        return [], []
    return [f"+{scope.options} {asks} {key!r}"], [f"-{scope.options} {asks} {key!r}"]


def note_asked(target: ast.expr, value: ast.expr | None, scope: Scope) -> None:
    """Note that a variable is assigned what `**options` hold under a key, or `None`."""
    if not isinstance(target, ast.Name):
        return
    match value:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=receiver)), args=[_] | [_, ast.Constant(value=None)]) if (
            receiver == scope.options_name
        ):
            key, place = asked_key(value), scope.env.get(target.id)
            if key is not None and place is not None:  # a `global` has no place here
                scope.asked[place] = key
        case _:
            pass


def note_filled(base: str, item: ast.expr, scope: Scope) -> None:
    """Note the key of `base[item] = …`, if `base` is the path of `**options`."""
    if scope.options >= 0 and base == f"{scope.options_name}@{scope.options}":
        key = item.value if isinstance(item, ast.Constant) else ""
        scope.filled.add(key if isinstance(key, str) else "")
