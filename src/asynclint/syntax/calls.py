"""Calls: what is called, what it is given, and what well-known functions give back."""

from __future__ import annotations

import ast
from collections.abc import Callable

from asynclint.syntax.annotations import annotation
from asynclint.syntax.expressions import ITEM, TABLE, ExpressionWalker, place
from asynclint.syntax.facts import AWAITED, NO_KEYWORDS, NOTHING, Call, as_named, constant
from asynclint.syntax.results import MAKE_TASKS, TELLING, is_path, result_of

_CONSUMERS = frozenset(
    ("all", "any", "dict", "frozenset", "list", "max", "min", "next", "set", "sorted", "sum", "tuple")
)
_CONSUMING = frozenset(("deque", "extend", "extendleft", "fromkeys", "join", "reduce", "update", "writelines"))
"""By the last name, for these are methods, or imported."""
_LAZY = frozenset(("chain", "enumerate", "filter", "islice", "iter", "map", "reversed", "zip"))
"""What goes through an iterable when somebody goes through what they give."""
_ASKING = {"bool": "__bool__", "len": "__len__"}
"""Functions that call a method of what they are given; no `__str__` waits for anything."""


class CallWalker(ExpressionWalker):
    """The part of the walk that reads calls."""

    def _call(self, node: ast.Call, use: str) -> str:
        function = node.func
        # What is called is looked up, too, but a property that gives a function is rare.
        name = ""
        if type(function) is ast.Attribute:
            target, name = self._member(function), function.attr
        elif type(function) is ast.Name:
            target, name = self._name(function, use), function.id
        elif type(function) is ast.Lambda:  # called on the spot
            target = self.variable("<lambda>", [f"lambda {self.function_of_lambda(function)}"])
        else:
            target = TABLE[type(function)](self, function, "other")
        arguments: list[str] = NOTHING
        keywords, unpacked = NO_KEYWORDS, ""
        if given := node.args:
            enters = name == "enter_context"
            consumed = "with" if enters else "other"
            if target in _CONSUMERS or name in _CONSUMING or (use == "for" and name in _LAZY):
                consumed = "for"
            arguments = []
            for argument in given:
                kind = type(argument)
                path = _ARGUMENTS[kind](self, argument, consumed)
                if kind is ast.Starred:
                    unpacked, path = unpacked if arguments else path, "*"
                elif consumed == "for" and path and kind not in _NO_PATHS:
                    self.touch(argument, f"{path}.__iter__()")
                arguments.append(path)
            if enters and arguments[0]:
                self.enter(node, arguments[0])
            elif target in _ASKING and is_path(arguments[0]):
                self.touch(node, f"{arguments[0]}.{_ASKING[target]}()")
        if named := node.keywords:
            keywords = {}
            for keyword in named:
                value = keyword.value
                keywords[keyword.arg or "**"] = _ARGUMENTS[type(value)](self, value, "other")
        scope = self.scope
        if scope.records:
            call = (
                target,
                node.lineno,
                node.col_offset,
                node.end_lineno,
                node.end_col_offset,
                use,
                arguments,
                keywords,
                False,
                scope.lazy,
                scope.guards,
                scope.branches,
            )
            scope.function.calls.append(as_named(Call, call))
        if arguments and name in TELLING:
            return self._told(node, target, name, arguments, unpacked)
        return f"{target}()" if target else ""

    def enter(self, node: ast.expr, manager: str, *, is_async: bool = False) -> str:
        """Note the calls that entering and leaving a context manager makes; the access path of what it gives."""
        enter, leave = ("__aenter__", "__aexit__") if is_async else ("__enter__", "__exit__")
        scope, use = self.scope, "await" if is_async else "other"
        for protocol in (enter, leave) if scope.records else ():
            kept = NOTHING, NO_KEYWORDS, True, scope.lazy, scope.guards, scope.branches
            scope.function.calls.append(as_named(Call, (f"{manager}.{protocol}", *place(node), use, *kept)))
        return f"{manager}.{enter}(){AWAITED if is_async else ''}"

    def _told(self, node: ast.Call, target: str, name: str, arguments: list[str], unpacked: str) -> str:
        """The access path of what a well-known function gives; `unpacked`: that of `xs`, if it got `*xs` first."""
        first = arguments[0]
        if name == "cast":
            declared = annotation(node.args[0])
            return self.variable("<cast>", [f": {declared}"]) if declared else ""
        if name in MAKE_TASKS and is_path(first):
            # It has the methods of a task, and gives what the coroutine gives.
            return self.variable("<task>", [f"{target}()", first])
        if name == "gather":
            if first == "*":
                arguments = [f"{unpacked}{ITEM}" if unpacked else ""]
            elif len(set(arguments)) > 1:
                return ""  # of several kinds; `unpacked_from` tells them apart
        return result_of(target, name, arguments)

    def _constant_argument(self, node: ast.Constant, use: str) -> str:
        return constant(node.value)

    def _lambda_argument(self, node: ast.Lambda, use: str) -> str:
        return f"lambda {self.function_of_lambda(node)}"


TABLE[ast.Call] = CallWalker._call
_ARGUMENTS: dict[type[ast.expr], Callable[..., str]] = {
    **TABLE,
    ast.Constant: CallWalker._constant_argument,
    ast.Lambda: CallWalker._lambda_argument,
    ast.Starred: CallWalker.unpacked,
}
_NO_PATHS = frozenset((ast.Constant, ast.Lambda))
"""Arguments that are kept, but have no access path."""
