"""Expressions to access paths, recording the reads and lambdas met on the way."""

from __future__ import annotations

import ast
from collections.abc import Callable
from operator import attrgetter
from typing import ParamSpec, TypeVar

from asynclint.syntax.conditions import OFF_LOOP, conditions
from asynclint.syntax.facts import AWAITED, Function, Module
from asynclint.syntax.scope import Scope

P = ParamSpec("P")
T = TypeVar("T")
_MOST_VALUES = 24
"""A dictionary of more is a table of data."""
ITEM = ".__iter__().__next__()"
_ASYNC_ITEM = ".__aiter__().__anext__()" + AWAITED
_LITERALS = (ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Constant)
place: Callable[[ast.AST], tuple[int, int, int, int]] = attrgetter(*ast.expr._attributes)
"""Where a node from `ast.parse` begins and ends."""
OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "__add__",
    ast.Sub: "__sub__",
    ast.Mult: "__mul__",
    ast.Div: "__truediv__",
    ast.BitOr: "__or__",
    ast.BitAnd: "__and__",
    ast.LShift: "__lshift__",
    ast.RShift: "__rshift__",
    ast.MatMult: "__matmul__",
}
_COMPARISONS = {
    ast.Eq: "__eq__",
    ast.NotEq: "__ne__",
    ast.Lt: "__lt__",
    ast.LtE: "__le__",
    ast.Gt: "__gt__",
    ast.GtE: "__ge__",
}


class ExpressionWalker:
    """The part of the walk that reads expressions; `calls.py`, `assignments.py`, … `extract.py` add the rest.

    One method a node type, found by a table: a generic visitor would cost more than parsing.
    """

    def __init__(self, module: Module) -> None:
        self.module: Module = module
        self.functions: list[Function] = []
        self.assigned: list[tuple[str, str]] = []
        self.scope: Scope = Scope(Function("<module>", "<module>", 1, 0), 0)
        self.prefix: str = ""

    # -- entry points ----------------------------------------------------------------------------------------------

    def path(self, node: ast.expr | None, use: str = "other") -> str:
        """Walk an expression; its access path, or `""`."""
        return "" if node is None else TABLE[type(node)](self, node, use)

    def values(self, node: ast.expr | None, use: str = "other") -> list[str]:
        """Binding values that an expression may have: one for each arm of `a if c else b`, `a or b`."""
        kind = type(node)
        if kind is ast.Call or kind is ast.Name or kind is ast.Await:  # nearly always
            return [TABLE[kind](self, node, use)]
        if isinstance(node, ast.IfExp):
            self.path(node.test)
            true, false = conditions(node.test, self.scope)
            return self.given(true, self.values, node.body, use) + self.given(false, self.values, node.orelse, use)
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            return [value for part in node.values for value in self.values(part, use)]
        if isinstance(node, ast.Constant):
            return ["None" if node.value is None else ""]
        if isinstance(node, ast.Lambda):
            return [f"lambda {self.function_of_lambda(node)}"]
        return [self.path(node, use)]

    def given(self, known: list[str], walk: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Walk what is only evaluated where conditions hold."""
        scope = self.scope
        guards, records = scope.guards, scope.records
        if known:
            self.assume(known)
        found = walk(*arguments, **options)
        scope.guards, scope.records = guards, records
        return found

    def assume(self, known: list[str]) -> None:
        """From here on conditions hold."""
        scope = self.scope
        if OFF_LOOP in known:
            scope.records = False  # not code that blocks a loop
        scope.guards = [*scope.guards, *(c for c in known if c != OFF_LOOP and c not in scope.guards)]

    def rest(self, node: ast.AST, use: str = "other") -> str:
        """Walk what has no access path of its own: all child expressions, in order."""
        for name in node._fields:
            child = getattr(node, name)
            if child.__class__ is list:
                for item in child:
                    if isinstance(item, ast.expr):
                        self.path(item)
                    elif isinstance(item, ast.AST):
                        self.rest(item)
            elif isinstance(child, ast.expr):
                self.path(child)
        return ""

    def function_of_lambda(self, node: ast.Lambda) -> int:
        """Walk a lambda as the function it is; its index."""
        raise NotImplementedError

    def bind_target(self, target: ast.expr, values: list[str]) -> None:
        """Bind an assignment target."""
        raise NotImplementedError

    # -- one method a node type --------------------------------------------------------------------------------------

    def _constant(self, node: ast.Constant, use: str) -> str:
        return ""

    def _name(self, node: ast.Name, use: str) -> str:
        name = node.id
        scope = self.scope
        scope.loads.append(name)
        return scope.env.get(name, name)

    def _attribute(self, node: ast.Attribute, use: str) -> str:
        path = self._member(node)
        if path:
            self.touch(node, path)
        return path

    def _member(self, node: ast.Attribute) -> str:
        value = node.value
        base = TABLE[type(value)](self, value, "other")
        return f"{base}.{node.attr}" if base else ""

    def variable(self, name: str, values: list[str]) -> str:
        """The access path of what may be any of some binding values, by a name that no program has."""
        self.scope.bind(name, values)
        return self.scope.env[name]

    def quietly(self, node: ast.expr) -> str:
        """The access path of an expression whose calls are recorded already."""
        calls = self.scope.function.calls
        count = len(calls)
        path = self.path(node)
        del calls[count:]
        return path

    def touch(self, node: ast.expr, path: str) -> None:
        """Note a path that may run code although no call is written."""
        scope = self.scope
        if scope.records and path not in scope.function.touched:
            scope.function.touched[path] = place(node)

    def _await(self, node: ast.Await, use: str) -> str:
        path = self.path(node.value, "await")
        if self.scope.statement is not None:
            self.scope.statement.awaits += 1
        return f"{path}{AWAITED}" if path else ""

    def _joined(self, node: ast.JoinedStr, use: str) -> str:
        for part in node.values:
            if type(part) is ast.FormattedValue:
                self.path(part.value)
                self.path(part.format_spec)
        return ""

    def _dict(self, node: ast.Dict, use: str) -> str:
        for key in node.keys:
            self.path(key)
        values = dict.fromkeys(value for part in node.values for value in self.values(part))
        values.pop("None", None)
        is_known = None not in node.keys and "" not in values  # `{**others}` has the values of another
        if not values or not is_known or len(values) > _MOST_VALUES:
            return ""
        return f"{self.variable('<dict>', list(values))}.[:]"

    def _ifexp(self, node: ast.IfExp, use: str) -> str:
        return self._either(self.values(node, use))

    def _either(self, values: list[str]) -> str:
        """The access path of what may be any of some values, if all are known."""
        known = [value for value in dict.fromkeys(values) if value != "None"]
        return self.variable("<either>", known) if all(known) and known else ""

    def _boolop(self, node: ast.BoolOp, use: str) -> str:
        guards, records = self.scope.guards, self.scope.records
        paths: list[str] = []
        for part in node.values:
            paths.append(self.path(part))
            true, false = conditions(part, self.scope)
            known = true if isinstance(node.op, ast.And) else false
            if known:
                self.assume(known)
        self.scope.guards, self.scope.records = guards, records
        if isinstance(node.op, ast.And):
            return ""
        # `items or []` has the same items.
        return paths[0] if all(isinstance(part, _LITERALS) for part in node.values[1:]) else self._either(paths)

    def _subscript(self, node: ast.Subscript, use: str) -> str:
        base = self.path(node.value)
        self.path(node.slice)
        return base if type(node.slice) is ast.Slice else self._operation(node, base, "__getitem__")

    def _operation(self, node: ast.expr, operand: str, method: str) -> str:
        """What an operator gives, which calls a method of its left operand."""
        if not operand:
            return ""
        path = f"{operand}.{method}()"
        self.touch(node, path)
        return path

    def _lambda(self, node: ast.Lambda, use: str) -> str:
        self.function_of_lambda(node)
        return ""

    def _named(self, node: ast.NamedExpr, use: str) -> str:
        self.bind_target(node.target, self.values(node.value, f"store:{node.target.id}"))
        return self.scope.env.get(node.target.id, "")

    def unpacked(self, node: ast.Starred, use: str) -> str:
        """Walk what a star unpacks; its access path."""
        path = self.path(node.value, "for")
        if path.endswith("()"):  # of what is kept somewhere, it is mostly a tuple or a list
            self.touch(node, f"{path}.__iter__()")
        return path

    def _starred(self, node: ast.Starred, use: str) -> str:
        self.unpacked(node, use)
        return ""

    def _yield(self, node: ast.Yield | ast.YieldFrom | ast.Await, use: str) -> str:
        function = self.scope.function
        function.is_generator = True
        if isinstance(node, ast.YieldFrom):
            self.path(node.value, "yield from")
        elif path := self.path(node.value):
            function.returns.append(path)
        return ""

    def _binop(self, node: ast.BinOp, use: str) -> str:
        left = self.path(node.left)
        self.path(node.right)
        method = OPERATORS.get(type(node.op))
        return self._operation(node, left, method) if method else ""

    def _compare(self, node: ast.Compare, use: str) -> str:
        left = self.path(node.left)
        for operator, operand in zip(node.ops, node.comparators, strict=True):
            right = self.path(operand)
            if isinstance(operator, (ast.In, ast.NotIn)):
                self._operation(node, right, "__contains__")
            elif right and (method := _COMPARISONS.get(type(operator))):  # with a constant, mostly
                self._operation(node, left, method)
            left = right
        return ""

    def _elements(self, node: ast.List | ast.Tuple | ast.Set, use: str) -> str:
        paths = [self.path(element) for element in node.elts]
        # Collections mostly hold things of one kind.
        return f"{paths[0]}.[]" if paths and paths[0] else ""

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, use: str) -> str:
        scope = self.scope
        env, lazy = scope.env, scope.lazy
        scope.env = dict(env)
        for generator in node.generators:
            if generator.is_async and scope.statement is not None:
                scope.statement.awaits += 1
            item = self.iterated(generator.iter, is_async=bool(generator.is_async))
            for target, (value,) in self.unpacked_from(generator.iter, generator.target, [item], items=True):
                self._bind_loop_variable(target, value)
            # Only the first iterable of a generator expression is evaluated at once.
            scope.lazy = lazy or isinstance(node, ast.GeneratorExp)
            for condition in generator.ifs:
                self.path(condition)
        if isinstance(node, ast.DictComp):
            self.path(node.key)
            self.path(node.value)
            item = ""
        else:
            item = self.path(node.elt)
        scope.env, scope.lazy = env, lazy
        return f"{item}.[]" if item else ""

    def iterated(self, node: ast.expr, *, is_async: bool) -> str:
        """Walk what a loop goes over; the access path of an item."""
        source = self.path(node, "async for" if is_async else "for")
        if not source:
            return ""
        if is_async:
            return source + _ASYNC_ITEM
        self.touch(node, f"{source}.__iter__()")
        return source + ITEM

    def unpacked_from(
        self, source: ast.expr, target: ast.expr, values: list[str], *, items: bool = False
    ) -> list[tuple[ast.expr, list[str]]]:
        """Each part of a target with what `source`, or each of its items, is seen to give it; or all with `values`."""
        if isinstance(target, ast.Tuple):
            parts = self._parts_of(source, items=items)
            if len(parts) == len(target.elts):
                return [(element, [part]) for element, part in zip(target.elts, parts, strict=True)]
        return [(target, values)]

    def _parts_of(self, node: ast.expr, *, items: bool) -> list[str]:
        """The access paths of what an expression is unpacked to, where it shows them; or each item of an iterable."""
        match node:
            case ast.Tuple(elts=parts) if not items:
                end = ""
            case ast.Await(value=ast.Call(func=ast.Name("gather") | ast.Attribute(attr="gather"), args=parts)) if (
                not items
            ):
                end = AWAITED
            case ast.Call(func=ast.Name("zip"), args=parts) if items:
                end = ITEM
            case _:
                return []
        paths = [self.quietly(part) for part in parts]
        return [f"{path}{end}" if path else "" for path in paths]

    def _bind_loop_variable(self, target: ast.expr, value: str) -> None:
        """Bind the target of a comprehension, which no scope outside it sees."""
        if isinstance(target, ast.Name):
            self.scope.bind(target.id, [value])
        elif isinstance(target, (ast.Tuple, ast.List)):
            for index, element in enumerate(target.elts):
                self._bind_loop_variable(element, f"{value}.{index}" if value else "")
        elif isinstance(target, ast.Starred):
            self._bind_loop_variable(target.value, "")
        else:
            self.path(target)


_W = ExpressionWalker
TABLE: dict[type[ast.expr], Callable[..., str]] = {
    **dict.fromkeys(ast.expr.__subclasses__(), _W.rest),
    ast.Constant: _W._constant,
    ast.Name: _W._name,
    ast.Attribute: _W._attribute,
    ast.Await: _W._await,
    ast.Subscript: _W._subscript,
    ast.Lambda: _W._lambda,
    ast.NamedExpr: _W._named,
    ast.Starred: _W._starred,
    ast.Yield: _W._yield,
    ast.YieldFrom: _W._yield,
    ast.BinOp: _W._binop,
    ast.BoolOp: _W._boolop,
    ast.IfExp: _W._ifexp,
    ast.Compare: _W._compare,
    ast.List: _W._elements,
    ast.Tuple: _W._elements,
    ast.Set: _W._elements,
    ast.ListComp: _W._comprehension,
    ast.SetComp: _W._comprehension,
    ast.GeneratorExp: _W._comprehension,
    ast.DictComp: _W._comprehension,
    ast.Dict: _W._dict,
    ast.JoinedStr: _W._joined,
}
"""The method for each kind of expression; `calls.py` adds that for calls."""
