"""The whole program, on demand: a file is read when a question first needs it."""

from __future__ import annotations

import ast
import os
import stat
import sys
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from asynclint.catalog import Catalog, builtin_catalog
from asynclint.project.answers import Answers, Sources
from asynclint.project.blocking import Blocked, Blocking
from asynclint.project.cache import FactsCache
from asynclint.project.callgraph import CallGraph
from asynclint.project.effects import Effect, Effects
from asynclint.project.modules import ModuleMap, ProgramModule, decode
from asynclint.project.overrides import Overrides
from asynclint.project.resolve import Resolver
from asynclint.project.values import FunctionValue, Values
from asynclint.syntax import Call, Function, Module, SourceError, extract


class Program:
    """The modules below some source roots, and what can be asked about them.

    Nothing of the program is imported or executed: it is read as text.

    Attributes:
        sources: Which files and directories the answers since its `mask` was last set were drawn from.
    """

    def __init__(
        self,
        roots: Iterable[str | Path],
        *,
        cache: FactsCache | None = None,
        catalog: Catalog | None = None,
        follow: Collection[str] = (),
    ) -> None:
        """Make a program of the modules below `roots`; nothing is read yet.

        Args:
            follow: Installed packages that belong to it as well; `installed`: all that the catalogue says nothing of.
        """
        self.catalog: Catalog = catalog or builtin_catalog()
        self.sources: Sources = Sources()
        self._cache = cache
        self._loaded: dict[str, ProgramModule | None] = {}
        self._map = ModuleMap(roots, self.sources, self._followed(follow))
        self._forget_answers()

    def _followed(self, follow: Collection[str]) -> Callable[[str], bool]:
        if "installed" in follow:
            return lambda name: name not in sys.stdlib_module_names and not self.catalog.covers(name)
        return frozenset(follow).__contains__

    def _forget_answers(self) -> None:
        answers = Answers(self.sources)
        load = self._try_load
        self._resolver = Resolver(self._map, load, self.catalog, answers)
        overrides = Overrides(self._resolver, load, self._mentions, self._map, answers)
        self._graph = CallGraph(self._resolver, load, self.catalog, answers, overrides)
        self._blocking = Blocking(self._graph, load, self.sources)
        self._effects = Effects(self._resolver, load, self.catalog, answers)
        self._blocked: dict[str, list[Blocked]] = {}

    def load(self, path: str | Path, source: bytes | None = None) -> ProgramModule:
        """The module in a file.

        Args:
            path: The file.
            source: Its bytes, where the caller has read them already.

        Raises:
            OSError: The file cannot be read, or is no regular file.
            SourceError: It is not a Python module.
        """
        name = os.path.abspath(path)
        module = self._loaded.get(name)
        if module is None:
            facts = self._facts(read_source(name) if source is None else source)
            module = self._loaded[name] = self._made(name, facts)
        self.sources.mask |= module.bit
        return module

    def load_source(self, path: str | Path, source: bytes, tree: ast.Module | None = None) -> ProgramModule:
        """A module whose text the caller has: `path` says where it belongs.

        Raises:
            SourceError: It is not a Python module.
        """
        name = os.path.abspath(path)
        facts = self._facts(source, tree)
        known = self._loaded.get(name)
        lines = decode(source).split("\n")
        module = self._loaded[name] = self._made(name, facts, lines)
        self.sources.mask |= module.bit
        if known is not None and known.facts != facts:
            self._forget_answers()  # they were given for another text
        return module

    def _made(self, path: str, facts: Module, lines: list[str] | None = None) -> ProgramModule:
        return ProgramModule(path, facts, lines, bit=self.sources.bit(path), is_test=self._map.is_test(path))

    def _facts(self, source: bytes, tree: ast.Module | None = None) -> Module:
        if self._cache is None:
            return extract(source, tree)
        key = self._cache.key(source)
        facts = self._cache.get(key)
        if facts is None:
            facts = extract(source, tree)
            self._cache.put(key, facts)
        return facts

    def _try_load(self, path: str) -> ProgramModule | None:
        module = self._loaded.get(path)
        if module is not None:
            self.sources.mask |= module.bit
            return module
        self.sources.mask |= self.sources.bit(path)
        if path not in self._loaded:
            try:
                return self.load(path)
            except (OSError, SourceError):
                self._loaded[path] = None
        return None

    def _mentions(self, path: str, word: bytes) -> bool:
        """Whether the text of a file holds a word; a file that cannot be read holds none."""
        self.sources.mask |= self.sources.bit(path)
        try:
            return word in read_source(path)
        except OSError:
            return False

    def resolve(self, module: ProgramModule, function: int, path: str) -> Values:
        """What an access path in function number `function` may stand for; empty when that is not known."""
        return self._resolver.resolve(module, function, path)

    def binding(self, module: ProgramModule, function: int, value: str) -> Values:
        """The same for a binding value, or an argument of a call."""
        return self._resolver.binding(module, function, value)

    def function(self, value: FunctionValue) -> Function:
        """The facts of a function."""
        module = self._try_load(value.path)
        if module is None:
            raise AssertionError("a function value comes from a module that was loaded")
        return module.facts.functions[value.index]

    def targets(self, module: ProgramModule, function: int, call: Call) -> Values:
        """What a call site calls."""
        return self._resolver.resolve(module, function, call.target)

    def effect(self, module: ProgramModule, function: int, call: Call) -> Effect:
        """What others could notice of a call, and of all that it runs."""
        return self._effects.of_call(module, function, call)

    def blocked(self, module: ProgramModule) -> list[Blocked]:
        """The blocking calls in the async code of a module, directly or through helpers."""
        found = self._blocked.get(module.path)
        if found is None:
            found = self._blocked[module.path] = self._blocking.calls(module)
        return found


def read_source(path: str) -> bytes:
    """The bytes of a regular file.

    Raises:
        OSError: It cannot be read, or is something else: a FIFO would never end.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"not a regular file: {path}")
        return file.read()
