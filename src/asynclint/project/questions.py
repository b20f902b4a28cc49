"""What can be asked about a program."""

from __future__ import annotations

from collections.abc import Callable

from asynclint.catalog import Catalog
from asynclint.project.answers import Answers
from asynclint.project.blocking import Blocked, Blocking
from asynclint.project.callgraph import CallGraph
from asynclint.project.effects import Effects
from asynclint.project.kinds import Kinds
from asynclint.project.modules import ModuleMap, ProgramModule
from asynclint.project.overrides import Overrides
from asynclint.project.resolve import Resolver
from asynclint.project.sources import Sources
from asynclint.project.values import ClassValue, Instance, ModuleValue, Value


class Questions:
    """Those who know the answers, which hold as long as no text changes.

    Attributes:
        resolver: Knows what paths stand for.
        effects: Knows what others could notice of a call.
    """

    def __init__(
        self,
        modules: ModuleMap,
        load: Callable[[str], ProgramModule | None],
        mentions: Callable[[str, bytes], bool],
        catalog: Catalog,
        sources: Sources,
        *,
        likely: bool,
    ) -> None:
        self._load = load
        self._trace = sources.trace
        answers = Answers(sources.trace)
        self.resolver: Resolver = Resolver(modules, load, catalog, answers)
        self.effects: Effects = Effects(self.resolver, load, catalog, answers)
        overrides = Overrides(self.resolver, load, mentions, sources, answers)
        graph = CallGraph(self.resolver, load, catalog, answers, overrides)
        self._blocking = Blocking(graph, load, Kinds(self.resolver, catalog), sources.trace, likely=likely)
        self._blocked: dict[str, list[Blocked]] = {}

    def blocked(self, module: ProgramModule) -> list[Blocked]:
        """The blocking calls in the async code of a module, directly or through helpers."""
        found = self._blocked.get(module.path)
        if found is None:
            found = self._blocked[module.path] = self._blocking.calls(module)
        return found

    def has(self, value: Value, name: str) -> bool:
        """Whether a class or module of the program has an attribute, though nothing may be known of its value."""
        match value:
            case ClassValue() | Instance():
                return self.resolver.has_attribute(value, name)
            case ModuleValue(location):
                module = self._load(location)
                self._trace.see(location, f"name {name}")
                return module is not None and name in module.facts.exports
            case _:
                return False
