"""The walk over one module's syntax tree that gathers its facts."""

from __future__ import annotations

import ast
import io
import warnings
from bisect import bisect_left
from collections.abc import Iterable
from itertools import filterfalse
from operator import itemgetter
from typing import TypeVar

from asynclint.syntax.annotations import annotation
from asynclint.syntax.conditions import UNPROVEN
from asynclint.syntax.facts import NO_KEYWORDS, Call, Class, Function, Module, Statement, as_sequence, constant
from asynclint.syntax.memo import runs_once
from asynclint.syntax.noqa import silenced
from asynclint.syntax.scope import Scope
from asynclint.syntax.statements import KINDS, StatementWalker

_Placed = TypeVar("_Placed", Call, Statement)
_FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


class SourceError(Exception):
    """The bytes are not a Python module.

    Attributes:
        line, column: Where, 1-based.
    """

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def extract(source: bytes, tree: ast.Module | None = None) -> Module:
    """The facts about a module.

    Args:
        source: The file's bytes, with or without BOM and coding line.
        tree: Its syntax tree, where the caller has parsed it already (flake8).

    Raises:
        SourceError: The source does not parse, or nests too deeply to be walked.
    """
    module = Module()
    try:
        # What the compiler warns of (`"\\d"`, `1if x`) is for those who run the code, not for who looks at it.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source) if tree is None else tree
            Walker(module).walk(tree)
        if not source.isascii():
            _count_characters(module, source)
        if b"noqa" in source:
            module.noqa = silenced(source, tree)
    except SyntaxError as error:
        from asynclint.syntax.newer import newer_syntax

        message = newer_syntax(error, source) or error.msg
        raise SourceError(message, error.lineno or 1, max(error.offset or 1, 1)) from None
    except ValueError as error:  # NUL bytes, before Python 3.12; bytes that are not in the file's encoding
        raise SourceError(str(error)) from None
    except (RecursionError, MemoryError):
        raise SourceError("nested too deeply to be analysed") from None
    return module


def _count_characters(module: Module, source: bytes) -> None:
    """`ast` counts columns in UTF-8 bytes; facts count characters."""
    import tokenize

    encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    # The columns of `ast` refer to the decoded text in UTF-8, whatever the file is in.
    lines = source.decode(encoding).encode().splitlines()
    wide = {number: text for number, text in enumerate(lines, 1) if not text.isascii()}
    numbers = list(wide)

    def characters(line: int, column: int) -> int:
        return len(wide[line][:column].decode("utf-8", "replace")) if line in wide else column

    def placed(node: _Placed) -> _Placed:
        if node.line not in wide and node.end_line not in wide:
            return node
        return node._replace(
            column=characters(node.line, node.column), end_column=characters(node.end_line, node.end_column)
        )

    def recount(statement: Statement) -> Statement:
        following = bisect_left(numbers, statement.line)
        if following < len(numbers) and numbers[following] <= statement.end_line:
            blocks = [(label, [*map(recount, block)]) for label, block in statement.blocks]
            return placed(statement)._replace(blocks=blocks)
        return statement

    for function in module.functions:
        function.column = characters(function.line, function.column)
        function.calls = [placed(call) for call in function.calls]
        function.touched = {
            path: (line, characters(line, column), end_line, characters(end_line, end_column))
            for path, (line, column, end_line, end_column) in function.touched.items()
        }
        function.outline = [*map(recount, function.outline)]


class Walker(StatementWalker):
    """The whole walk: definitions and imports on top of statements and expressions."""

    scope: Scope
    prefix: str

    def walk(self, tree: ast.Module) -> None:
        """Gather the facts of a whole module."""
        self.functions.append(self.scope.function)
        self.block(tree.body)
        self.module.exports = {
            name: list(map(int, root.partition("@")[2].split(","))) for name, root in self.scope.env.items()
        }
        bindings = self.scope.function.bindings
        for name, value in dict.fromkeys(self.assigned):
            self.module.exports.setdefault(name, []).append(len(bindings))
            bindings.append((name, value))
        self.module.imports = sorted(set(self.module.imports))
        self._finish(self.scope)
        for function in self.functions:
            if function.owner >= 0 and function.touched:
                _leave_plain(function, self.module.classes[function.owner])
        self.module.functions = as_sequence([], self.functions)

    # -- definitions -----------------------------------------------------------------------------------------------

    def _global(self, node: ast.Global) -> None:
        self.scope.shared.update(node.names)
        self.scope.of_module.update(node.names)

    def _nonlocal(self, node: ast.Nonlocal) -> None:
        self.scope.shared.update(node.names)

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.module.imports.append(alias.name)
            if alias.asname:
                self._bind_name(alias.asname, [f"import {alias.name}"])
            else:
                self._bind_name(alias.name.partition(".")[0], [f"import {alias.name.partition('.')[0]}"])

    def _importfrom(self, node: ast.ImportFrom) -> None:
        source = "." * node.level + (node.module or "")
        self.module.imports.append(source)
        for alias in node.names:
            if alias.name == "*":
                self.module.stars.append(source)
            else:
                self._bind_name(alias.asname or alias.name, [f"from {source} import {alias.name}"])

    def _functiondef(self, node: _FunctionNode) -> None:
        decorators = [self.path(decorator) for decorator in node.decorator_list]
        function = self._new_function(node.name, node.lineno, node.col_offset)
        function.is_async = isinstance(node, ast.AsyncFunctionDef)
        function.decorators = decorators
        function.annotation = annotation(node.returns)
        function.is_stub = _is_stub(node.body)
        self._defaults(node.args)
        index = self._enter(function, node.args, node.body, node.decorator_list)
        self._bind_name(node.name, [f"def {index}"])

    _asyncfunctiondef = _functiondef

    def function_of_lambda(self, node: ast.Lambda) -> int:
        """Walk a lambda as the function it is; its index."""
        self._defaults(node.args)
        function = self._new_function("<lambda>", node.lineno, node.col_offset)
        return self._enter(function, node.args, [ast.copy_location(ast.Return(node.body), node.body)])

    def _new_function(self, name: str, line: int, column: int) -> Function:
        function = Function(name, self.prefix + name, line, column)
        function.parent = self.scope.index
        function.owner = self.scope.owner
        return function

    def _defaults(self, arguments: ast.arguments) -> None:
        for default in (*arguments.defaults, *arguments.kw_defaults):
            if default is not None:
                self.path(default)

    def _enter(
        self, function: Function, arguments: ast.arguments, body: list[ast.stmt], decorators: Iterable[ast.expr] = ()
    ) -> int:
        """Walk a function's body in a scope of its own; the function's index."""
        index = len(self.functions)
        self.functions.append(function)
        outer, prefix = self.scope, self.prefix
        scope = self.scope = Scope(function, index)
        scope.records = outer.records
        self.prefix = f"{function.qualname}.<locals>."
        if function.owner < 0:
            # A function nested in a method may still write `self.x`.
            scope.receiver, scope.method_of = outer.receiver, outer.method_of
        self._parameters(scope, arguments)
        scope.body = body
        if decorators and runs_once(decorators, len(function.parameters) - (function.owner >= 0)):
            scope.guards = [UNPROVEN]
        function.outline, _ = self.block(body)
        self._finish(scope)
        outer.used |= scope.used
        self.scope, self.prefix = outer, prefix
        return index

    def _parameters(self, scope: Scope, arguments: ast.arguments) -> None:
        function = scope.function
        everything = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        names, values = [], []
        for argument in everything:
            declared = annotation(argument.annotation)
            names.append(argument.arg)
            values.append(f": {declared}" if declared else "")
        if function.owner >= 0 and names and "staticmethod" not in function.decorators:
            is_class = "classmethod" in function.decorators or function.name in {"__new__", "__init_subclass__"}
            values[0] = f"class {function.owner}" if is_class else f": self {function.owner}"
            scope.receiver = names[0]
        for rest in (arguments.vararg, arguments.kwarg):
            if rest is not None:
                names.append(rest.arg)
                values.append("")
        function.parameters = names
        if arguments.kwarg is not None:
            scope.options = len(names) - 1
            function.parameters = [*names[:-1], f"**{names[-1]}"]
        function.defaults = _constant_defaults(arguments)
        function.bindings = list(zip(names, values, strict=True))
        scope.env = {name: f"{name}@{number}" for number, name in enumerate(names)}

    def _finish(self, scope: Scope) -> None:
        used, function = scope.used, scope.function
        used.update(scope.loads)
        if len(function.bindings) > len(function.parameters):
            bound = dict.fromkeys(map(itemgetter(0), function.bindings[len(function.parameters) :]))
            function.unread = list(filterfalse(used.__contains__, bound))
        if len(function.writes) > 1:
            function.writes = list(dict.fromkeys(function.writes))

    def _classdef(self, node: ast.ClassDef) -> None:
        scope = self.scope
        index = len(self.module.classes)
        fact = Class(node.name, self.prefix + node.name, node.lineno, scope.index)
        self.module.classes.append(fact)
        fact.bases = [self.path(base) for base in node.bases]
        fact.decorators = [self.path(decorator) for decorator in node.decorator_list]
        for keyword in node.keywords:
            self.path(keyword.value)
        owner, env, prefix, alive = scope.owner, scope.env, self.prefix, scope.alive
        scope.owner, scope.env, self.prefix = index, dict(env), f"{fact.qualname}."
        self.block(node.body)
        scope.owner, scope.env, self.prefix, scope.alive = owner, env, prefix, alive
        self._bind_name(node.name, [f"class {index}"])


Walker.statements = {kind: getattr(Walker, f"_{name}") for kind, name in KINDS.items()}


def _constant_defaults(arguments: ast.arguments) -> dict[str, str]:
    """The constant defaults of parameters, by number, as arguments are written."""
    if not arguments.defaults and not arguments.kw_defaults:
        return NO_KEYWORDS
    positional = len(arguments.posonlyargs) + len(arguments.args)
    first = positional - len(arguments.defaults)
    numbered = [*enumerate(arguments.defaults, first), *enumerate(arguments.kw_defaults, positional)]
    return {str(number): constant(node.value) for number, node in numbered if isinstance(node, ast.Constant)}


def _leave_plain(function: Function, cls: Class) -> None:
    """Take from what a method touches the attributes of `self` that are no properties: its own class assigns them."""
    name, value = function.bindings[0] if function.parameters else ("", "")
    prefix = f"{name}@0." if value.startswith(": self ") else "."
    for path in [path for path in function.touched if path.startswith(prefix)]:
        bound = cls.attributes.get(path[len(prefix) :].removesuffix("="), ())
        if bound and not any(value.startswith("def ") for _, value in bound):
            del function.touched[path]


def _is_stub(body: list[ast.stmt]) -> bool:
    """Nothing but a docstring, `...`, `pass` or `raise NotImplementedError`."""
    for node in body:
        if isinstance(node, ast.Raise):
            kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if not isinstance(kind, ast.Name) or kind.id != "NotImplementedError":
                return False
        elif not isinstance(node, ast.Pass) and not (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            return False
    return True
