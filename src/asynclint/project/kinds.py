"""Whether what is passed is an instance of what a function asks for with `isinstance`."""

from __future__ import annotations

import sys
from ast import literal_eval

from asynclint.catalog import Catalog
from asynclint.project.modules import ProgramModule
from asynclint.project.resolve import Resolver
from asynclint.project.values import ClassValue, External, ExternalInstance, Instance, Value


class Kinds:
    """Compares types that are named in one module with values that are known in another."""

    def __init__(self, resolver: Resolver, catalog: Catalog) -> None:
        self._resolver = resolver
        self._catalog = catalog

    def named(self, module: ProgramModule, function: int, types: str) -> str:
        """Types by names that mean the same everywhere, or `""` if one of them is not known."""
        names = []
        for dotted in types.split("|"):
            path, _, rest = dotted.partition(".")
            values = self._resolver.name(module, function, path)
            for part in filter(None, rest.split(".")):
                values = tuple(v for value in values for v in self._resolver.attribute(value, part))
            match values:
                case (External(name),):
                    names.append(self._catalog.canonical(name))
                case (ClassValue(location, index),):
                    names.append(f"{location}#{index}")
                case _:
                    return ""
        return "|".join(names)

    def holds(self, module: ProgramModule, function: int, argument: str, kinds: str) -> bool | None:
        """Whether an argument is an instance of any of the named types; `None` if that is not known."""
        if argument.startswith("= "):
            return self._is_any(ExternalInstance(f"builtins.{type(literal_eval(argument[2:])).__name__}"), kinds)
        verdicts = {self._is_any(value, kinds) for value in self._resolver.binding(module, function, argument)}
        return verdicts.pop() if len(verdicts) == 1 else None

    def _is_any(self, value: Value, kinds: str) -> bool | None:
        verdicts = [self._is(value, kind) for kind in kinds.split("|")]
        if True in verdicts:
            return True
        return None if None in verdicts else False

    def _is(self, value: Value, kind: str) -> bool | None:
        match value:
            case Instance(cls):
                order = self._resolver.resolution_order(cls)
                names = {f"{c.path}#{c.index}" for c in order if isinstance(c, ClassValue)}
                names |= {self._catalog.canonical(c.name) for c in order if isinstance(c, External)}
                return kind in names or (None if any(isinstance(c, External) for c in order) else False)
            case ExternalInstance(name):
                # Only modules of the standard library that this program needs itself are asked.
                given, asked = _standard(name), _standard(kind)
                if given is None or asked is None:
                    return True if name == kind else None
                return issubclass(given, asked)
            case _:
                return None


def _standard(name: str) -> type | None:
    module, _, member = name.rpartition(".")
    if module.partition(".")[0] not in sys.stdlib_module_names:
        return None
    thing = getattr(sys.modules.get(module), member, None)
    return thing if isinstance(thing, type) else None
