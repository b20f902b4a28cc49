"""The whole program, on demand: a file is read when a question first needs it.

What answers questions is imported at the first one: where a comment has changed, none is asked.
"""

from __future__ import annotations

import ast
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from asynclint.catalog import Catalog, builtin_catalog
from asynclint.project.cache import Cache
from asynclint.project.modules import ModuleMap, ProgramModule, decode
from asynclint.project.sources import Sources, digest_of, may_run_on_loop, read_source
from asynclint.project.trace import WHOLE
from asynclint.syntax import Call, Function, Module, SourceError, extract

if TYPE_CHECKING:
    from asynclint.project.blocking import Blocked
    from asynclint.project.effects import Effect
    from asynclint.project.parts import Description, Settler
    from asynclint.project.questions import Questions
    from asynclint.project.values import ClassValue, FunctionValue, Value, Values

_TEXTS = 512
"""How many texts are kept in memory."""


class Program:
    """The modules below some source roots, and what can be asked about them.

    Nothing of the program is imported or executed: it is read as text.

    Attributes:
        sources: Its files and directories.
        seconds: CPU seconds spent on getting facts, by the way they were got.
    """

    def __init__(
        self,
        roots: Iterable[str | Path],
        *,
        cache: Cache | None = None,
        sources: Sources | None = None,
        catalog: Callable[[], Catalog] = builtin_catalog,
        follow: Collection[str] = (),
        likely: bool = True,
    ) -> None:
        """Make a program of the modules below `roots`; nothing is read yet.

        Args:
            sources: Its files and directories, where they have been looked at before.
            catalog: Gives what is known of libraries, when that is first needed.
            follow: Installed packages that belong to it as well; `installed`: all that the catalogue says nothing of.
            likely: Tell of blocking calls that are only likely as well as of proven ones.
        """
        self._read_catalog = catalog
        self.sources: Sources = sources or Sources()
        self._cache = cache
        self._likely = likely
        self._loaded: dict[str, ProgramModule | None] = {}
        # Whether one of its files mentions a class is asked of a package for one class after the other.
        self._text = lru_cache(maxsize=_TEXTS)(read_source)
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._map = ModuleMap(roots, self.sources, self._followed(follow))

    @cached_property
    def catalog(self) -> Catalog:
        """What is known of libraries."""
        return self._read_catalog()

    @cached_property
    def _questions(self) -> Questions:
        from asynclint.project.questions import Questions

        known = self._map, self._try_load, self._mentions, self.catalog, self.sources
        return Questions(*known, likely=self._likely)

    def _followed(self, follow: Collection[str]) -> Callable[[str], bool]:
        if "installed" in follow:
            return lambda name: name not in sys.stdlib_module_names and not self.catalog.covers(name)
        return frozenset(follow).__contains__

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
        self.sources.trace.see(name, WHOLE)
        return self._loaded.get(name) or self._load(name, source)

    def _load(self, path: str, source: bytes | None = None) -> ProgramModule:
        if source is None:
            source = read_source(path)
        if self.sources.trace.is_noted:
            self.sources.digests[path] = digest_of(source)
        module = self._loaded[path] = self._made(path, self._facts(source))
        return module

    def load_source(self, path: str | Path, source: bytes, tree: ast.Module | None = None) -> ProgramModule:
        """A module whose text the caller has: `path` says where it belongs.

        Raises:
            SourceError: It is not a Python module.
        """
        name = os.path.abspath(path)
        facts = self._facts(source, tree)
        known = self._loaded.get(name)
        if known is not None and known.facts == facts:
            facts = known.facts  # answers may speak of what was added to them
        module = self._loaded[name] = self._made(name, facts, decode(source).split("\n"))
        if known is not None:
            if known.facts is facts:
                module.own = known.own
            else:
                self.__dict__.pop("_questions", None)  # their answers were given for another text
        return module

    def _made(self, path: str, facts: Module, lines: list[str] | None = None) -> ProgramModule:
        return ProgramModule(path, facts, lines, is_test=self._map.is_test(path))

    def _facts(self, source: bytes, tree: ast.Module | None = None) -> Module:
        start = time.process_time()
        key = "" if self._cache is None else self._cache.key(digest_of(source))
        facts = None if self._cache is None else self._cache.get(key)
        stage = "reading facts from the cache"
        if facts is None:
            stage = "gathering facts"
            facts = extract(source, tree)
            if self._cache is not None:
                self._cache.put(key, facts.to_text())
        self.seconds[stage] += time.process_time() - start
        return facts

    # -- between runs and processes ----------------------------------------------------------------------------------

    def gathered(self, path: str, *, only_async: bool) -> tuple[str, str | bytes] | None:
        """The digest of a file, if those are noted, and its facts, for `preload` in another process.

        The facts are text if they are to be kept, and else what takes less time.

        Returns:
            `None` for a file that has nothing for a loop to run, if others alone are wanted.

        Raises:
            OSError, SourceError: As `load`.
        """
        source = read_source(path)
        if only_async and not may_run_on_loop(source):
            return None
        digest, facts = digest_of(source) if self.sources.trace.is_noted else "", extract(source)
        return digest, facts.to_bytes() if self._cache is None else facts.to_text()

    def preload(self, path: str, digest: str, facts: str | bytes) -> None:
        """Take the facts of a file from another process."""
        self.sources.digests[path] = digest
        if isinstance(facts, str) and self._cache is not None:
            self._cache.put(self._cache.key(digest), facts)
        self._loaded[path] = self._made(
            path, Module.from_text(facts) if isinstance(facts, str) else Module.from_bytes(facts)
        )

    def recall(self, path: str) -> bool:
        """Load a module if its facts are in the cache; whether it is loaded now."""
        if path not in self._loaded and self._cache is not None:
            facts = self._cache.get(self._cache.key(self.sources.digest(path)))
            if facts is not None:
                self._loaded[path] = self._made(path, facts)
        return path in self._loaded

    def described(self, path: str, digest: str) -> tuple[Description, Description] | None:
        """A module as it was when its file had another digest, and as it is; `None` if either is not known."""
        from asynclint.project.parts import Description

        facts = None if self._cache is None else self._cache.get(self._cache.key(digest))
        try:
            source = read_source(path)
            now = self._loaded.get(path) or self._load(path, source)
        except (OSError, SourceError):
            return None
        return (Description(self._made(path, facts)), Description(now, source)) if facts is not None else None

    def loaded(self, path: str) -> ProgramModule | None:
        """The module in a file, if it has been loaded."""
        return self._loaded.get(path)

    def modules(self) -> list[ProgramModule]:
        """All modules that have been loaded."""
        return [module for module in self._loaded.values() if module is not None]

    def imported(self, module: ProgramModule) -> list[str]:
        """The files of the program that a module imports."""
        return [path for name in module.facts.imports for path in self._map.files_of(module.path, name)]

    def save(self) -> None:
        """Write to the cache what has been learned so far."""
        if self._cache is not None:
            self._cache.flush()

    def forget_cache(self) -> None:
        """Neither read nor write the cache any more."""
        self._cache = None

    # -- questions ---------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Link the answers given so far to the parts of files that they rest on."""
        self._settler.settle()

    @cached_property
    def _settler(self) -> Settler:
        from asynclint.project.parts import Settler

        return Settler(self.sources.trace, self._loaded.get)

    def _try_load(self, path: str) -> ProgramModule | None:
        module = self._loaded.get(path)
        if module is None:
            if path not in self._loaded:
                try:
                    return self._load(path)
                except (OSError, SourceError):
                    self._loaded[path] = None
            self.sources.trace.see(path, WHOLE)
        return module

    def _mentions(self, path: str, word: bytes) -> bool:
        """Whether the text of a file holds a word; a file that cannot be read holds none."""
        try:
            is_there = word in self._text(path)
        except OSError:
            is_there = False
        self.sources.trace.see(path, f"{'has' if is_there else 'lacks'} {word.decode()}")
        return is_there

    def resolve(self, module: ProgramModule, function: int, path: str) -> Values:
        """What an access path in function number `function` may stand for; empty when that is not known."""
        return self._questions.resolver.resolve(module, function, path)

    def binding(self, module: ProgramModule, function: int, value: str) -> Values:
        """The same for a binding value, or an argument of a call."""
        return self._questions.resolver.binding(module, function, value)

    def home(self, value: FunctionValue | ClassValue) -> ProgramModule:
        """The module of a function or class."""
        module = self._try_load(value.path)
        if module is None:
            raise AssertionError("a value of the program comes from a module that was loaded")
        return module

    def function(self, value: FunctionValue) -> Function:
        """The facts of a function."""
        self.sources.trace.look_into(value.path, value.index)
        return self.home(value).facts.functions[value.index]

    def bases(self, value: ClassValue) -> list[str]:
        """The access paths of the bases of a class."""
        self.sources.trace.look_at(value)
        return self.home(value).facts.classes[value.index].bases

    def has(self, value: Value, name: str) -> bool:
        """Whether a class or module of the program has an attribute, though nothing may be known of its value."""
        return self._questions.has(value, name)

    def targets(self, module: ProgramModule, function: int, call: Call) -> Values:
        """What a call site calls."""
        return self._questions.resolver.resolve(module, function, call.target)

    def effect(self, module: ProgramModule, function: int, call: Call) -> Effect:
        """What others could notice of a call, and of all that it runs."""
        return self._questions.effects.of_call(module, function, call)

    def blocked(self, module: ProgramModule) -> list[Blocked]:
        """The blocking calls in the async code of a module, directly or through helpers."""
        return self._questions.blocked(module)
