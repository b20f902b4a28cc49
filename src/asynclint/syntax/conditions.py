"""What a test says about the parameters of its function, and about whether an event loop is running.

A condition is a string, so that it can be kept with the calls it guards:

    +0 true                 the first parameter is true
    -1 none                 the second parameter is not `None`
    +0 set                  the first parameter, which is there for debugging, is true
    +0 isa str|io.IOBase    it is an instance of one of the types
    +0 == 'fast'            it equals the constant; `in ('a', 'b')`, `startswith 'x'`, `endswith 'x'` in the same way
    !0 == 'fast'            it equals the constant, or the function raises: not few values, but those it is made for
    off                     no event loop runs on this thread
    +0 contains ':'         the constant is in it
    +2 has 'mode'           the third, which is `**options`, holds this keyword; `gets 'mode'`: with something true
    ?                       what seldom holds: see `UNPROVEN`
    nonblocking             the socket is not a blocking one: it is expected to raise `BlockingIOError`
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

from asynclint.syntax.annotations import annotation
from asynclint.syntax.options import about_options, asked_key
from asynclint.syntax.scope import Conditions, Scope

OFF_LOOP = "off"
NONBLOCKING = "nonblocking"
UNPROVEN = "?"
"""Few values meet it, and of this one nothing is known; or it holds only the first time (`memo.py`)."""
_LOOPS = frozenset(("get_running_loop", "get_event_loop", "_get_running_loop", "current_task", "current_async_library"))
_THREADS = frozenset(("get_ident", "current_thread", "main_thread", "get_native_id"))
_NO_LOOP = frozenset(("RuntimeError", "Exception", "BaseException", "AsyncLibraryNotFoundError", "NoEventLoopError"))
_ON_LOOP = re.compile(
    r"^is_running$|^_?(is|in|has|running)_(\w*_)?(event_loop|running_loop|async|async_context|loop)(_\w+)?$"
)
_MAY_BLOCK = re.compile(r"^_?(can|may)_block")
"""Names of functions that take nothing and tell whether a loop is running on this thread, or that none is."""
_NONBLOCKING_ERRORS = ("BlockingIOError", "SSLWantReadError", "SSLWantWriteError")
_AFFIXES = ("startswith", "endswith")
_ONE_NAME = re.compile(r"(==|in) \(?['\"]")
_NO_CONDITIONS: Conditions = ([], [])


def conditions(test: ast.expr, scope: Scope) -> Conditions:
    """What a test says, read at this point of `scope`."""
    tell = _TELL.get(type(test))
    return _NO_CONDITIONS if tell is None else tell(test, scope)


def _negated(test: ast.UnaryOp, scope: Scope) -> Conditions:
    if not isinstance(test.op, ast.Not):
        return _NO_CONDITIONS
    true, false = conditions(test.operand, scope)
    return false, true


def _combined(test: ast.BoolOp, scope: Scope) -> Conditions:
    both = [conditions(part, scope) for part in test.values]
    if isinstance(test.op, ast.Or):
        return [], [c for _, false in both for c in false]
    # A loop that is there and runs: one that is not there does not run either.
    is_off = all(OFF_LOOP in false for _, false in both)
    return [c for true, _ in both for c in true], [OFF_LOOP] if is_off else []


def _named(test: ast.Name, scope: Scope) -> Conditions:
    name = test.id
    if _is_loop(name, scope):
        return [], [OFF_LOOP]
    # What is there for debugging is set by few.
    return _about(name, "set" if "debug" in name else "true", scope)


def _called(test: ast.Call, scope: Scope) -> Conditions:
    match test:
        case ast.Call(func=ast.Name(id="isinstance"), args=[ast.Name(id=name), kinds]):
            types = _types(kinds)
            return _about(name, f"isa {types}", scope) if types else _NO_CONDITIONS
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[], keywords=[]):
            if _ON_LOOP.search(name):
                return [], [OFF_LOOP]
            return ([OFF_LOOP], []) if _MAY_BLOCK.search(name) else _NO_CONDITIONS
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name))) if (key := asked_key(test)) is not None:
            return about_options(name, "gets", key, scope)
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id=name), attr=affix), args=[ast.Constant(value=str(text))]
        ) if affix in _AFFIXES:
            return _about(name, f"{affix} {text!r}", scope)
        case _:
            return _NO_CONDITIONS


def required(known: list[str]) -> list[str]:
    """What holds behind a check that raises where it does not."""
    return [f"!{c[1:]}" if c[0] == "+" else c for c in known if c != UNPROVEN]


def _compared(test: ast.Compare, scope: Scope) -> Conditions:
    if len(test.ops) > 1:
        return _NO_CONDITIONS
    left, operator, right = test.left, test.ops[0], test.comparators[0]
    if _is_thread(left) or _is_thread(right):
        # `thread == get_ident()`: on the loop's thread, so not on it where they differ.
        match operator:
            case ast.Eq() | ast.Is():
                return [], [OFF_LOOP]
            case ast.NotEq() | ast.IsNot():
                return [OFF_LOOP], []
            case _:
                return _NO_CONDITIONS
    if isinstance(left, ast.Constant):
        return _contained(left.value, operator, right, scope)
    if not isinstance(left, ast.Name):
        return _NO_CONDITIONS
    is_none = isinstance(right, ast.Constant) and right.value is None
    if is_none and _is_loop(left.id, scope):
        return ([OFF_LOOP], []) if isinstance(operator, (ast.Is, ast.Eq)) else ([], [OFF_LOOP])
    constant = _constant(right)
    if constant is None:
        return _NO_CONDITIONS
    match operator:
        case ast.Is() | ast.Eq():
            return _about(left.id, "none" if is_none else f"== {constant}", scope)
        case ast.IsNot() | ast.NotEq():
            true, false = _about(left.id, "none" if is_none else f"== {constant}", scope)
            return false, true
        case ast.In():
            return _about(left.id, f"in {constant}", scope)
        case ast.NotIn():
            true, false = _about(left.id, f"in {constant}", scope)
            return false, true
        case _:
            return _NO_CONDITIONS


def _contained(key: object, operator: ast.cmpop, right: ast.expr, scope: Scope) -> Conditions:
    if not isinstance(key, str) or not isinstance(operator, (ast.In, ast.NotIn)) or not isinstance(right, ast.Name):
        return _NO_CONDITIONS
    if right.id == scope.options_name:
        true, false = about_options(right.id, "has", key, scope)
    else:
        true, false = _about(right.id, f"contains {key!r}", scope)
    return (true, false) if isinstance(operator, ast.In) else (false, true)


def _about(name: str, what: str, scope: Scope) -> Conditions:
    """A condition on a parameter, or on what was made of it: `name = name.strip()`.

    Of another variable, only that it seldom is just the one name asked for.
    """
    place = scope.env.get(name, "")
    if place in scope.asked and what in ("true", "none"):
        true, false = about_options(scope.options_name, "gets" if what == "true" else "has", scope.asked[place], scope)
        return (true, false) if what == "true" else ([], true)
    root, _, numbers = place.partition("@")
    first, _, others = numbers.partition(",")
    function = scope.function
    if not first:
        return _NO_CONDITIONS
    if int(first) >= len(function.parameters) or len(function.bindings) <= int(first):
        return ([UNPROVEN], []) if _ONE_NAME.match(what) else ([], [])
    for number in filter(None, others.split(",")):
        is_refined = what == "true" and number in scope.refined
        if not is_refined and not function.bindings[int(number)][1].startswith(f"{root}@{first}."):
            return _NO_CONDITIONS
    return [f"+{first} {what}"], [f"-{first} {what}"]


def _types(node: ast.expr) -> str:
    """The types that `isinstance` is asked for, joined by `|`; `""` where they are no plain names."""
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    names = [annotation(part) for part in parts]
    return "|".join(names) if all(names) and not any("[" in name for name in names) else ""


def _constant(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant):
        value = node.value
        return repr(value) if value is None or isinstance(value, (bool, int, str)) else None
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        items = [item.value if isinstance(item, ast.Constant) else None for item in node.elts]
        return repr(tuple(items)) if all(isinstance(item, (str, int)) for item in items) else None
    return None


def _is_loop(name: str, scope: Scope) -> bool:
    """Whether a variable holds the running loop, or `None` where there is none: by its value, or by its name."""
    return name in scope.loops or name in ("loop", "running_loop", "event_loop", "current_loop")


def _is_thread(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and last_name(node.func) in _THREADS


def asks_for_loop(node: ast.expr | None) -> bool:
    """Whether an expression gives the running loop, and raises where there is none."""
    return isinstance(node, ast.Call) and last_name(node.func) in _LOOPS


def handles_no_loop(node: ast.Try | ast.TryStar, handler: ast.ExceptHandler) -> bool:
    """Whether a handler runs because asking for the running loop has failed: that is all its `try` does."""
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    if handler.type is not None and not any(last_name(kind) in _NO_LOOP for kind in caught if kind is not None):
        return False
    first = node.body[0]
    return isinstance(first, (ast.Assign, ast.Expr, ast.Return, ast.AnnAssign)) and asks_for_loop(first.value)


def is_main(test: ast.expr) -> bool:
    """`__name__ == "__main__"`."""
    match test:
        case ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[ast.Constant(value="__main__")]):
            return True
        case _:
            return False


def expects_nonblocking(node: ast.Try | ast.TryStar) -> bool:
    """Whether a `try` is ready for what only sockets in non-blocking mode raise."""
    for handler in node.handlers:
        caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        if any(kind is not None and last_name(kind) in _NONBLOCKING_ERRORS for kind in caught):
            return True
    return False


def has_break(body: list[ast.stmt]) -> bool:
    """Whether a `break` of this loop is among the statements."""
    for node in body:
        if isinstance(node, ast.Break):
            return True
        if isinstance(node, (ast.For, ast.AsyncFor, ast.While)):
            if has_break(node.orelse):
                return True
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            blocks = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
            blocks += [part.body for name in ("handlers", "cases") for part in getattr(node, name, [])]
            if any(map(has_break, blocks)):
                return True
    return False


def last_name(node: ast.expr) -> str:
    """The name at the end of `a.b.name`; `""` for what is no name."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


_TELL: dict[type[ast.expr], Callable[[Any, Scope], Conditions]] = {
    ast.UnaryOp: _negated,
    ast.BoolOp: _combined,
    ast.NamedExpr: lambda test, scope: conditions(test.value, scope),
    ast.Name: _named,
    ast.Call: _called,
    ast.Compare: _compared,
}
