"""Whether what a call gives can itself be called."""

from __future__ import annotations

from collections.abc import Iterable

from asynclint.project.modules import ProgramModule
from asynclint.project.program import Program
from asynclint.project.values import Collection, External, ExternalInstance, FunctionValue, Instance, Parts, Value
from asynclint.syntax import plain

_TRANSPARENT = frozenset(("cache", "classmethod", "final", "lru_cache", "override", "staticmethod"))
"""Decorators under which a function still returns what it returns."""
_ANYTHING = frozenset(("builtins.object", "builtins.property", "builtins.type"))


def gives_data(module: ProgramModule, index: int, path: str, callee: Value, program: Program) -> bool:
    """Whether calling `callee` runs it at once, and gives nothing that could be called in turn.

    Args:
        path: The access path of the call, `callee@3()`.
    """
    if isinstance(callee, External):
        return _is_sink_of_data(callee, program)
    if not isinstance(callee, FunctionValue):
        return False
    function = program.function(callee)
    if function.is_async or function.is_generator or function.is_stub:
        return False
    if any(plain(d).removesuffix("()").rpartition(".")[2] not in _TRANSPARENT for d in function.decorators):
        return False
    if function.annotation:
        return _is_data(program.resolve(module, index, path), program)
    home = program.home(callee)
    given = [value for value in function.returns if not _is_made_by_sink(home, callee.index, value, program)]
    # What is not known may be a function; but not where another `return` gives data.
    values = [value for result in given for value in program.binding(home, callee.index, result)]
    return _is_data(values, program) if values else len(given) < len(function.returns) or not given


def _is_made_by_sink(home: ProgramModule, index: int, path: str, program: Program) -> bool:
    """Whether a value is what a blocking call gave, or a part of that: `requests.get(…).json()`."""
    parts = path.split("()")
    makers = [program.resolve(home, index, "()".join(parts[:count])) for count in range(1, len(parts))]
    return any(_is_sink_of_data(value, program) for values in makers for value in values)


def _is_sink_of_data(value: Value, program: Program) -> bool:
    sink = program.catalog.sink(value.name) if isinstance(value, External) else None
    # What a long computation gives may be a model, which is called.
    return sink is not None and not sink.lazy and sink.category != "cpu"


def _is_data(values: Iterable[Value], program: Program) -> bool:
    """Whether there are values, and none of them can be called."""
    callable_ones = [_may_be_callable(value, program) for value in values]
    return bool(callable_ones) and not any(callable_ones)


def _may_be_callable(value: Value, program: Program) -> bool:
    match value:
        case ExternalInstance(name):
            return name in _ANYTHING or not (name.startswith("builtins.") or name in program.catalog.classes)
        case Instance(cls):
            return bool(program.bases(cls)) or program.has(value, "__call__")
        case _:
            return not isinstance(value, (Collection, Parts))
