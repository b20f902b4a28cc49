"""What names stand for at a place, and how the file would spell a dotted name there."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass, field

from asynclint.fixes.source import COMPREHENSIONS, Tree


@dataclass(slots=True)
class Binding:
    """One place that gives a name its meaning.

    Attributes:
        meaning: The dotted name that an import binds it to; `""` for everything else.
        node: The statement or expression that binds.
    """

    meaning: str
    node: ast.AST


@dataclass(slots=True)
class Scope:
    """A module, function, class or comprehension, and the names bound in it."""

    node: ast.AST
    parent: Scope | None
    names: dict[str, list[Binding]] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)
    """Names declared `global` or `nonlocal`: bound outside."""

    def bind(self, name: str, node: ast.AST, meaning: str = "") -> None:
        """Note a binding; one that belongs to outer scopes counts in all of them."""
        if name in self.elsewhere and self.parent is not None:
            scope: Scope | None = self.parent
            while scope is not None:
                if scope.parent is None or name in scope.names:
                    scope.names.setdefault(name, []).append(Binding("", node))
                scope = scope.parent
            return
        self.names.setdefault(name, []).append(Binding(meaning, node))


@dataclass(frozen=True, slots=True)
class Spelling:
    """How to write a dotted name at some place.

    Attributes:
        text: The expression, `""` if there is none.
        imports: Module that the file must import for it, `""` if it does already.
        problem: Why there is none.
    """

    text: str
    imports: str = ""
    problem: str = ""


class Names:
    """All scopes of a module."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._scopes: dict[ast.AST, Scope] = {}
        self.used: set[str] = set(dir(builtins))
        """Every identifier the module mentions, and the builtins: a new name is none of these."""
        self._collect(tree.root, Scope(tree.root, None))

    def spell(self, target: str, place: ast.AST) -> Spelling:
        """The way this file refers to `target`, as seen from `place`.

        Args:
            target: Absolute dotted name, a module first: `asyncio.sleep`.
            place: The node in whose stead it will be written.
        """
        found = [(meaning, name) for name, meaning in self._imported(place) if f"{target}.".startswith(f"{meaning}.")]
        if found:
            meaning, name = max(found, key=lambda pair: (len(pair[0]), -len(pair[1])))
            return Spelling(name + target[len(meaning) :])
        root = target.partition(".")[0]
        scope = self._binder(root, place)
        if scope is not None and (scope.parent is not None or _meaning(scope.names[root]) != root):
            return Spelling("", problem=f"`{root}` is not, or not only, the module of that name here")
        return Spelling(target, imports=root)

    def fresh(self, wanted: str) -> str:
        """A name that the module does not mention yet; from now on it does."""
        name, number = wanted, 2
        while name in self.used:
            name, number = f"{wanted}_{number}", number + 1
        self.used.add(name)
        return name

    def _visible(self, place: ast.AST) -> Iterator[Scope]:
        """The scopes a name is looked up in, innermost first."""
        innermost = True
        for parent, _ in self._tree.climb(place):
            scope = self._scopes.get(parent)
            if scope is not None and (innermost or not isinstance(parent, ast.ClassDef)):
                yield scope
                innermost = innermost and isinstance(parent, COMPREHENSIONS)

    def _binder(self, name: str, place: ast.AST) -> Scope | None:
        return next((scope for scope in self._visible(place) if name in scope.names), None)

    def _imported(self, place: ast.AST) -> Iterator[tuple[str, str]]:
        """Names that surely stand for something imported when `place` runs, with what they stand for."""
        seen: set[str] = set()
        for scope in self._visible(place):
            for name, bindings in scope.names.items():
                meaning = "" if name in seen else _meaning(bindings)
                if meaning and any(self._has_run(binding, scope, place) for binding in bindings):
                    yield name, meaning
                seen.add(name)

    def _has_run(self, binding: Binding, scope: Scope, place: ast.AST) -> bool:
        """Whether an import is sure to have been executed: unconditional, and in a function before the place."""
        if self._tree.parent(binding.node) is not scope.node:
            return False
        return scope.parent is None or _line(binding.node) < _line(place)

    # -- gathering -------------------------------------------------------------------------------------------------

    def _collect(self, node: ast.AST, scope: Scope) -> None:
        self._scopes[node] = scope
        body = list(ast.walk(node)) if isinstance(node, ast.Module) else []
        for part in body:
            self.used.update(value for value in _identifiers(part))
        stack = list(ast.iter_child_nodes(node))
        pending: list[ast.AST] = []
        for part in _own(stack):
            if isinstance(part, (ast.Global, ast.Nonlocal)):
                scope.elsewhere.update(part.names)
            pending.append(part)
        for part in pending:
            self._bind(part, scope)
            if isinstance(part, _SCOPES):
                self._collect(part, Scope(part, scope))

    def _bind(self, node: ast.AST, scope: Scope) -> None:
        match node:
            case ast.Import(names=aliases):
                for alias in aliases:
                    if alias.asname:
                        scope.bind(alias.asname, node, alias.name)
                    else:
                        root = alias.name.partition(".")[0]
                        scope.bind(root, node, root)
            case ast.ImportFrom(module=module, names=aliases, level=level):
                for alias in aliases:
                    scope.bind(alias.asname or alias.name, node, f"{'.' * level}{module or ''}.{alias.name}")
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                scope.bind(name, node)
            case ast.NamedExpr(target=ast.Name(id=name)):
                holder = scope
                while isinstance(holder.node, COMPREHENSIONS) and holder.parent is not None:
                    holder = holder.parent
                holder.bind(name, node)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                scope.bind(name, node)
            case ast.arg(arg=name):
                scope.bind(name, node)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                scope.bind(name, node)
            case ast.MatchMapping(rest=str(name)):
                scope.bind(name, node)
            case _:
                pass


_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, *COMPREHENSIONS)


def _own(stack: list[ast.AST]) -> Iterator[ast.AST]:
    """The nodes of a scope in any order, not descending into the scopes in it.

    Decorators and defaults belong to the scope around; counting them inside errs on the side of refusing.
    """
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, _SCOPES):
            stack.extend(ast.iter_child_nodes(node))


def _identifiers(node: ast.AST) -> Iterator[str]:
    for name in ("id", "name", "arg", "asname", "attr", "rest"):
        value = getattr(node, name, None)
        if isinstance(value, str):
            yield value
            yield value.partition(".")[0]
    if isinstance(node, (ast.Global, ast.Nonlocal)):
        yield from node.names


def _meaning(bindings: list[Binding]) -> str:
    """What a name stands for if all its bindings agree, else `""`."""
    meanings = {binding.meaning for binding in bindings}
    return meanings.pop() if len(meanings) == 1 else ""


def _line(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
