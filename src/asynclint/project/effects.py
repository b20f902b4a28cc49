"""What running a function does that others could notice."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from asynclint.catalog import Catalog
from asynclint.project.answers import Answers
from asynclint.project.modules import ProgramModule
from asynclint.project.resolve import Resolver
from asynclint.project.values import ClassValue, External, FunctionValue, Value
from asynclint.syntax import Call

_PROTOCOL = ("__enter__", "__exit__", "__aenter__", "__aexit__")


class Effect(IntEnum):
    """From what is certain to be harmless to what is not known; the effect of two things is the greater."""

    NONE = 0
    """Computes from what it is given."""
    READS = 1
    """Reads from outside the program, in a way that may go on side by side."""
    UNKNOWN = 2
    """Writes something, or calls what is not known."""


class Effects:
    """The effects of functions, found when asked for and remembered."""

    def __init__(
        self,
        resolver: Resolver,
        load: Callable[[str], ProgramModule | None],
        catalog: Catalog,
        answers: Answers,
    ) -> None:
        self._resolver = resolver
        self._load = load
        self._catalog = catalog
        self._answers = answers

    def of_function(self, value: FunctionValue) -> Effect:
        """The effect of running a function to its end, with all that it calls and awaits."""
        # Recursion is not shown to be harmless.
        return self._answers.get(("effect", value), Effect.UNKNOWN, self._find, (value,))

    def _find(self, value: FunctionValue) -> Effect:
        module = self._load(value.path)
        if module is None:
            return Effect.UNKNOWN
        function = module.facts.functions[value.index]
        if function.writes or function.is_generator or function.is_stub or function.decorators:
            return Effect.UNKNOWN
        worst = Effect.NONE
        for call in function.calls:
            worst = max(worst, self.of_call(module, value.index, call))
            if worst is Effect.UNKNOWN:
                break
        return worst

    def of_call(self, module: ProgramModule, function: int, call: Call) -> Effect:
        """The effect of what a call site calls."""
        if call.implicit:
            # Entering and leaving what a known call gave is part of that call.
            manager, _, protocol = call.target.rpartition(".")
            if protocol in _PROTOCOL and manager.endswith("()"):
                return self._of_values(self._resolver.resolve(module, function, manager[:-2]))
        return self._of_values(self._resolver.resolve(module, function, call.target))

    def _of_values(self, values: tuple[Value, ...]) -> Effect:
        return max(map(self._of_value, values), default=Effect.UNKNOWN)

    def _of_value(self, value: Value) -> Effect:
        match value:
            case FunctionValue():
                return self.of_function(value)
            case External(name) if self._catalog.has("pure", name):
                return Effect.NONE
            case External(name) if self._catalog.has("reads", name):
                return Effect.READS
            case ClassValue():
                makers = self._resolver.attribute(value, "__init__")
                return max(map(self._of_value, makers), default=Effect.UNKNOWN)
            case _:
                return Effect.UNKNOWN
