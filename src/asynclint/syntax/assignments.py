"""Assignments: what names, attributes and items stand for from there on."""

from __future__ import annotations

import ast

from asynclint.syntax.annotations import alias, annotation
from asynclint.syntax.calls import CallWalker
from asynclint.syntax.conditions import asks_for_loop
from asynclint.syntax.expressions import OPERATORS
from asynclint.syntax.options import note_asked, note_filled


class AssignmentWalker(CallWalker):
    """The part of the walk that binds; `statements.py` adds control flow."""

    def _value(self, path: str) -> None:
        entry = self.scope.statement
        if entry is not None:
            entry.value = path

    def _assign(self, node: ast.Assign) -> None:
        first, value, scope = node.targets[0], node.value, self.scope
        name = first.id if isinstance(first, ast.Name) else ""
        values = self.values(value, f"store:{name}" if name and len(node.targets) == 1 else "other")
        self._value(values[0])
        if type(value) is ast.Subscript and (declared := alias(value)):
            values = [f"type {declared}"]
        if name and type(value) is ast.Call and asks_for_loop(value):
            scope.loops.add(name)
        for target in node.targets:
            if type(target) is ast.Name:
                self._bind_name(target.id, values)
            else:
                for part, given in self.unpacked_from(value, target, values):
                    self.bind_target(part, given)
        if scope.options >= 0:
            note_asked(first, value, scope)

    def _annassign(self, node: ast.AnnAssign) -> None:
        use = f"store:{node.target.id}" if isinstance(node.target, ast.Name) else "other"
        declared = annotation(node.annotation)
        value = self.values(node.value, use)[0] if node.value is not None else ""
        self._value(value)
        # `x: TypeAlias = …` and `x: Any = Client()` say less than the value does.
        if not declared or declared.rpartition(".")[2] in {"Any", "object", "TypeAlias"}:
            self.bind_target(node.target, [value])
        else:
            self.bind_target(node.target, [f": {declared}"])
        if self.scope.options >= 0:
            note_asked(node.target, node.value, self.scope)

    def _augassign(self, node: ast.AugAssign) -> None:
        self.path(node.value)
        # Storing it walks what it is part of.
        path = self.path(node.target) if isinstance(node.target, ast.Name) else self.quietly(node.target)
        method = OPERATORS.get(type(node.op))
        if path and method:
            self.touch(node.target, f"{path}.__i{method[2:]}()")
        self.bind_target(node.target, [""])

    def bind_target(self, target: ast.expr, values: list[str]) -> None:
        """Bind an assignment target: names to the scope, `self.x` to the class, others as writes."""
        if isinstance(target, ast.Name):
            self._bind_name(target.id, values)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for index, element in enumerate(target.elts):
                self.bind_target(element, [_part_of(value, index) for value in values])
        elif isinstance(target, ast.Starred):
            self.bind_target(target.value, [""])
        else:
            scope = self.scope
            if (
                isinstance(target, ast.Attribute)
                and isinstance(target.value, ast.Name)
                and target.value.id == scope.receiver
                and scope.method_of >= 0
            ):
                attributes = self.module.classes[scope.method_of].attributes.setdefault(target.attr, [])
                attributes.extend((scope.index, value) for value in values)
            self._store(target)

    def _bind_name(self, name: str, values: list[str]) -> None:
        scope = self.scope
        entry = scope.statement
        if entry is not None:
            entry.stores.append(name)
        if name in scope.shared:
            scope.function.writes.append(name)
            if name in scope.of_module:
                # What has no binding of this function in it means the same to the module.
                plain = [value for value in values if value not in ("", "None") and "@" not in value]
                self.assigned.extend((name, value) for value in plain)
            return
        scope.bind(name, values)
        if scope.owner >= 0:
            self.module.classes[scope.owner].attributes.setdefault(name, []).extend((scope.index, v) for v in values)

    def _store(self, target: ast.expr, method: str = "__setitem__") -> None:
        """Note a write to an attribute, or to an item, which calls a method of what has it."""
        if isinstance(target, ast.Attribute):
            base, path = self.path(target.value), f".{target.attr}"
            if base and method == "__setitem__":
                self.touch(target, f"{base}{path}=")
        elif isinstance(target, ast.Subscript):
            base, path = self.path(target.value), f".{method}()"
            self.path(target.slice)
            if base:
                self.touch(target, base + path)
            note_filled(base, target.slice, self.scope)
        else:
            self.path(target)
            return
        if base:
            self.scope.function.writes.append(base + path)
            if self.scope.statement is not None:
                self.scope.statement.stores.append(base + path)


def _part_of(value: str, index: int) -> str:
    """The binding value of one of several targets that a value is unpacked to."""
    return f"{value}.{index}" if value and " " not in value and value != "None" else ""
