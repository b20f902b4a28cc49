"""Whether a call may be awaited where it stands."""

from __future__ import annotations

import ast

from asynclint.fixes.source import Tree

_FRAME_READERS = frozenset({"breakpoint", "dir", "eval", "exec", "globals", "locals", "super", "vars"})
"""Builtins whose result depends on the frame that calls them: in a worker thread they would see another one."""


def why_not_awaited(tree: Tree, call: ast.Call) -> str:
    """The reason for which an `await` cannot stand in place of this call, or `""`."""
    if isinstance(tree.parent(call), ast.Await):
        return "its result is awaited already"
    for parent, child in tree.climb(call):
        match parent:
            case ast.AsyncFunctionDef():
                return "" if any(child is statement for statement in parent.body) else _header(parent, child)
            case ast.FunctionDef():
                inside = any(child is statement for statement in parent.body)
                return f"`{parent.name}` is not an async function" if inside else _header(parent, child)
            case ast.Lambda():
                return "it is in a lambda"
            case ast.ClassDef():
                return "it is in a class body" if child in parent.body else "it is in the header of a class"
            case ast.GeneratorExp() if child is not parent.generators[0] or not _in_first_iterable(tree, parent, call):
                return "it is in a generator expression, which `await` would turn into an asynchronous one"
            case ast.AnnAssign() if child is parent.annotation:
                return "it is in an annotation"
            case ast.AugAssign() if child is parent.value and not _is_local(tree, parent):
                target = ast.unparse(parent.target)
                return f"`{target}` is read before the call and written after it: other tasks may change it in between"
            case ast.FormattedValue() if _echoes(tree, parent):
                return "it is in an f-string that prints its source (`{…=}`)"
            case ast.AST() if type(parent).__name__ in {"TypeAlias", "TypeVar", "ParamSpec", "TypeVarTuple"}:
                return "it is in a type expression"
            case _:
                pass
    return "it is not in a function"


def why_not_offloaded(call: ast.Call) -> str:
    """The reason for which this call cannot be made by a worker thread, or `""`."""
    if isinstance(call.func, ast.Name) and call.func.id in _FRAME_READERS:
        return f"`{call.func.id}()` depends on the function that calls it"
    return ""


def needs_parentheses(tree: Tree, call: ast.Call) -> bool:
    """Whether `await …` must be parenthesised in place of this call, unless the call is already."""
    parent = tree.parent(call)
    match parent:
        case ast.Attribute():
            needed = True
        case ast.Subscript(value=operand) | ast.Call(func=operand):
            needed = operand is call
        case ast.BinOp(op=ast.Pow()):
            needed = True  # valid without, and hard to read
        case _:
            needed = False
    # `return(path).read()`: a bare `await` would run into the word before it. libcst wants the same behind.
    return needed or any(character.isalnum() or character == "_" for character in tree.around(tree.span(call)))


def _header(function: ast.FunctionDef | ast.AsyncFunctionDef, child: ast.AST) -> str:
    if child in function.decorator_list:
        return "it is in a decorator"
    if child is function.args:
        return "it is in the parameters of a function"
    return "it is in an annotation"


def _in_first_iterable(tree: Tree, generator: ast.GeneratorExp, call: ast.Call) -> bool:
    """Whether the call is in the one part of a generator expression that is evaluated outside it."""
    first = generator.generators[0].iter
    return first is call or any(parent is first for parent, _ in tree.climb(call))


def _is_local(tree: Tree, statement: ast.AugAssign) -> bool:
    """Whether the target is a plain local variable, which no other task sees."""
    if not isinstance(statement.target, ast.Name):
        return False
    for parent, _ in tree.climb(statement):
        if isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef)):
            name = statement.target.id
            return not any(isinstance(n, (ast.Global, ast.Nonlocal)) and name in n.names for n in ast.walk(parent))
    return False


def _echoes(tree: Tree, value: ast.FormattedValue) -> bool:
    """Whether a replacement field is of the form `{expression=}`: the text before it then ends in `expression=`."""
    string = tree.parent(value)
    if not isinstance(string, ast.JoinedStr):
        return False
    index = string.values.index(value)
    before = string.values[index - 1] if index else None
    if not isinstance(before, ast.Constant) or not str(before.value).rstrip().endswith("="):
        return False
    return _letters(str(before.value)).endswith(_letters(ast.unparse(value.value)))


def _letters(text: str) -> str:
    """What is left of code when layout and the choice of quotes are taken away."""
    return "".join(filter(str.isalnum, text))
