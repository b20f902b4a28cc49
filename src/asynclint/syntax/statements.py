"""Statements: how control flows through them, and the outline kept of async functions."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from asynclint.syntax.annotations import annotation
from asynclint.syntax.assignments import AssignmentWalker
from asynclint.syntax.conditions import (
    NONBLOCKING,
    OFF_LOOP,
    conditions,
    expects_nonblocking,
    handles_no_loop,
    has_break,
    is_main,
    last_name,
    required,
)
from asynclint.syntax.facts import NOTHING, Statement, as_named
from asynclint.syntax.memo import first_time
from asynclint.syntax.scope import Entry, Env, join, union

KINDS = {kind: kind.__name__.lower() for kind in (*ast.stmt.__subclasses__(), ast.ExceptHandler)}
"""The kinds of statements, as the outline names them."""
_LEAVES = frozenset((ast.Return, ast.Raise, ast.Continue, ast.Break))


class StatementWalker(AssignmentWalker):
    """The part of the walk that reads statements; `extract.py` adds definitions and imports.

    Attributes:
        statements: The method for each kind of statement.
    """

    statements: ClassVar[dict[type[ast.AST], Callable[[Any, Any], None]]]

    def block(self, statements: Iterable[ast.stmt]) -> tuple[list[Statement], bool]:
        """Walk statements in order; their outline, and whether control comes out at the end."""
        outline: list[Statement] = []
        scope = self.scope
        guards, records, branches = scope.guards, scope.records, scope.branches
        comes_out = True
        is_outlined = scope.function.is_async and scope.owner < 0
        walks = self.statements
        for node in statements:
            kind = type(node)
            if is_outlined:
                outline.append(self._outlined(node))
            else:
                walks[kind](self, node)
            if kind in _LEAVES or not scope.alive:
                comes_out = False
                break
        scope.guards, scope.records, scope.branches = guards, records, branches
        return outline, comes_out

    def _branch(self, label: str, statements: list[Any]) -> bool:
        """Walk a block that is one of several ways on; whether control comes out at its end."""
        self.scope.branches += 1
        comes_out = self._body(label, statements)
        self.scope.branches -= 1
        return comes_out

    def _outlined(self, node: ast.stmt | ast.ExceptHandler) -> Statement:
        """Walk a statement and note it in the outline of its async function."""
        scope = self.scope
        calls = scope.function.calls
        entry = Entry(len(calls))
        outer, outer_loads = scope.statement, scope.loads
        loads: list[str] = []
        scope.statement, scope.loads = entry, loads
        kind = type(node)
        self.statements[kind](self, node)
        if entry.last_call < 0:
            entry.close(len(calls), loads)
        if loads:
            scope.used.update(loads)
        scope.statement, scope.loads = outer, outer_loads
        outlined = (
            KINDS[kind],
            node.lineno,
            node.col_offset,
            node.end_lineno,
            node.end_col_offset,
            entry.loads,
            entry.stores or NOTHING,
            entry.first_call,
            entry.last_call,
            entry.awaits,
            entry.value,
            entry.blocks or NOTHING,
        )
        statement: Statement = as_named(Statement, outlined)
        return statement

    def _body(self, label: str, statements: list[Any]) -> bool:
        """Walk a block of the current statement; whether control comes out at its end."""
        scope = self.scope
        entry = scope.statement
        if entry is None:
            return self.block(statements)[1]
        if entry.last_call < 0:
            entry.close(len(scope.function.calls), scope.loads)
        outline, comes_out = self.block(statements)
        entry.blocks.append((label, outline))
        return comes_out

    def _pass(self, node: ast.stmt) -> None:
        pass

    _break = _continue = _pass

    def _typealias(self, node: Any) -> None:
        self._bind_name(node.name.id, [f"type {annotation(node.value)}"])

    def _expr(self, node: ast.Expr) -> None:
        self._value(self.path(node.value, "drop"))

    def _return(self, node: ast.Return) -> None:
        values = self.values(node.value, "return")
        self.scope.function.returns.extend(value for value in values if value != "None")
        self._value(values[0])

    def _raise(self, node: ast.Raise) -> None:
        self._value(self.path(node.exc))
        self.path(node.cause)

    def _delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self._store(target, "__delitem__")

    def _assert(self, node: ast.Assert) -> None:
        self._narrow(node.test)
        self.path(node.test)
        self.path(node.msg)

    # -- control flow ----------------------------------------------------------------------------------------------

    def _if(self, node: ast.If) -> None:
        scope, test = self.scope, node.test
        self.path(test)
        before, alive, records, guards = scope.env, scope.alive, scope.records, scope.guards
        scope.env = dict(before)
        # Code for the type checker binds names but never runs.
        scope.records = records and last_name(test) != "TYPE_CHECKING"
        if scope.index == 0 and is_main(test):
            self.module.script = (node.lineno, node.body[-1].end_lineno or node.lineno)
        true, false = conditions(test, scope)
        first, later = first_time(node, scope)
        true, false = true + first, false + later
        self._narrow(test)
        if true:
            self.assume(true)
        comes_out = self._branch("body", node.body)
        body = scope.env
        scope.alive, scope.records, scope.guards = alive, records, guards
        skips_out = True
        if node.orelse:
            scope.env = dict(before)
            if false:
                self.assume(false)
            skips_out = self._branch("else", node.orelse)
            scope.records, scope.guards = records, guards
            scope.env, _ = join([(body, comes_out), (scope.env, skips_out)], before)
        else:
            if scope.statement is not None:
                scope.statement.blocks.append(("else", []))
            scope.env = union(body, before) if comes_out else before
        scope.alive = alive and (comes_out or skips_out)
        if not comes_out and isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            self._narrow(test.operand)
        if comes_out != skips_out:
            # Only one branch leads on, so what it began with holds from here.
            leaves = node.orelse if comes_out else node.body
            known = true if comes_out else false
            is_check = isinstance(leaves[-1], ast.Raise)
            scope.branches += not is_check
            if known:
                self.assume(required(known) if is_check else known)

    def _leave(self, comes_out: bool) -> None:
        """After a compound statement: code behind one that never ends normally does not run."""
        if not comes_out:
            self.scope.alive = False

    def _narrow(self, test: ast.expr) -> None:
        """`isinstance(x, T)` holds from here on."""
        if isinstance(test, ast.Call):
            match test:
                case ast.Call(func=ast.Name(id="isinstance"), args=[ast.Name(id=name), kinds]):
                    types = [annotation(kind) for kind in (kinds.elts if isinstance(kinds, ast.Tuple) else [kinds])]
                    if types and all(types):
                        self.scope.bind(name, [f": {declared}" for declared in types])
        elif isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            for part in test.values:
                self._narrow(part)

    def _while(self, node: ast.While) -> None:
        self.path(node.test)
        self._loop(node)
        endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
        if endless and not has_break(node.body):
            self._leave(False)

    def _for(self, node: ast.For | ast.AsyncFor) -> None:
        is_async = isinstance(node, ast.AsyncFor)
        item = self.iterated(node.iter, is_async=is_async)
        self._value(item)
        for target, values in self.unpacked_from(node.iter, node.target, [item], items=True):
            self.bind_target(target, values)
        self._loop(node)

    _asyncfor = _for

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While) -> None:
        scope = self.scope
        before = scope.env
        scope.env = dict(before)
        alive = scope.alive
        self._body("body", node.body)
        scope.alive = alive
        scope.env = union(scope.env, before)
        if node.orelse:
            self._body("else", node.orelse)
            scope.alive = alive

    def _with(self, node: ast.With | ast.AsyncWith) -> None:
        scope = self.scope
        is_async = isinstance(node, ast.AsyncWith)
        alive = scope.alive
        for item in node.items:
            manager = self.path(item.context_expr, "async with" if is_async else "with")
            entered = self.enter(item.context_expr, manager, is_async=is_async) if manager else ""
            if scope.statement is not None:
                scope.statement.awaits += is_async
            if item.optional_vars is not None:
                self.bind_target(item.optional_vars, [entered])
        comes_out = self._body("body", node.body)
        scope.alive = alive
        # A manager may swallow what is raised inside (`suppress`, `pytest.raises`), but not a return.
        self._leave(comes_out or not isinstance(node.body[-1], (ast.Return, ast.Continue, ast.Break)))

    _asyncwith = _with

    def _try(self, node: ast.Try | ast.TryStar) -> None:
        scope = self.scope
        before, alive = scope.env, scope.alive
        scope.env = dict(before)
        expected = [NONBLOCKING] if expects_nonblocking(node) else []
        comes_out = self.given(expected, self._body, "body", node.body)
        after_body = scope.env
        scope.alive = alive
        if node.orelse and comes_out:
            comes_out = self._body("else", node.orelse)
            scope.alive = alive
        branches: list[tuple[Env, bool]] = [(scope.env, comes_out)]
        after: list[str] = []
        entry = scope.statement
        handlers: list[Statement] = []
        caught = union(before, after_body)
        for handler in node.handlers:
            scope.env = dict(caught)
            no_loop = [OFF_LOOP] if handles_no_loop(node, handler) else []
            if entry is not None:
                handlers.append(self.given(no_loop, self._outlined, handler))
            else:
                self.given(no_loop, self._excepthandler, handler)
            if no_loop and not comes_out and scope.alive:
                after = no_loop
            branches.append((scope.env, scope.alive))
            scope.alive = alive
        if entry is not None and handlers:
            entry.blocks.append(("handlers", handlers))
        scope.env, any_out = join(branches, before)
        scope.env = dict(scope.env)
        if node.finalbody:
            any_out = self._body("finally", node.finalbody) and any_out
            scope.alive = alive
        self._leave(any_out)
        self.assume(after)

    _trystar = _try

    def _excepthandler(self, node: ast.ExceptHandler) -> None:
        kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type] if node.type else []
        caught = [self.path(kind) for kind in kinds]
        self._value("|".join(caught) if node.type else "BaseException")
        if node.name:
            self._bind_name(node.name, [f"{caught[0]}()" if len(caught) == 1 and caught[0] else ""])
        if not self._branch("body", node.body):
            self.scope.alive = False

    def _match(self, node: ast.Match) -> None:
        scope = self.scope
        self.path(node.subject)
        before, alive = scope.env, scope.alive
        branches: list[tuple[Env, bool]] = [(before, True)]
        for case in node.cases:
            scope.env, scope.alive = dict(before), alive
            for part in ast.walk(case.pattern):
                name = getattr(part, "name", None) or getattr(part, "rest", None)
                if isinstance(name, str):
                    self._bind_name(name, [_type_of(part)])
            if isinstance(node.subject, ast.Name) and (declared := _type_of(case.pattern)):
                scope.bind(node.subject.id, [declared])
            self.path(case.guard)
            comes_out = self._branch("case", case.body)
            branches.append((scope.env, comes_out))
        scope.alive = alive
        scope.env, _ = join(branches, before)


def _type_of(pattern: ast.AST) -> str:
    """The binding value of what matches `Client()` or `Client() as client`; `""` for other patterns."""
    kind = pattern.pattern if isinstance(pattern, ast.MatchAs) else pattern
    declared = annotation(kind.cls) if isinstance(kind, ast.MatchClass) else ""
    return f": {declared}" if declared else ""
