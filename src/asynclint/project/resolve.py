"""Linking: what an access path of one function stands for in the whole program."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence

from asynclint.project.annotated import CALLABLES, GENERICS, MAPPINGS, TUPLES, split
from asynclint.project.members import Members, distinct
from asynclint.project.modules import ProgramModule
from asynclint.project.values import (
    Alias,
    ClassValue,
    Collection,
    External,
    ExternalInstance,
    FunctionValue,
    Giver,
    Instance,
    ModuleValue,
    Parts,
    Value,
    Values,
)
from asynclint.syntax import Function

_BUILTINS: dict[str, Values] = {name: (External(f"builtins.{name}"),) for name in dir(builtins)}


class Resolver(Members):
    """Answers what paths stand for; every answer is remembered."""

    # -- paths -----------------------------------------------------------------------------------------------------

    def resolve(self, module: ProgramModule, function: int, path: str) -> Values:
        """What `path`, read in function number `function` of `module`, may stand for."""
        if not path:
            return ()
        if path[-1] != ")" and "." not in path:
            return self._root(module, function, path)
        return self._answers.get((module.path, function, path), (), self._follow, (module, function, path))

    def _follow(self, module: ProgramModule, function: int, path: str) -> Values:
        if path[-1] == ")":
            head = path[:-2]
            if head == "super":
                return self._super(module, function)
            values = self.resolve(module, function, head)
            if len(values) == 1:  # nearly always
                return self.call(values[0])
            return distinct([result for value in values for result in self.call(value)])
        head, dot, step = path.rpartition(".")
        if not dot:
            return self._root(module, function, path)
        values = self.resolve(module, function, head)
        if step == "[]":
            return (Collection(values),) if values else ()
        if step == "[:]":
            # Of a dictionary, what is not known of one value is not known of what is looked up.
            is_known = values and all(self._bindings(module, function, [i]) for i in _numbers(head))
            return (Collection(values, keys=()),) if is_known else ()
        if step == "[,]":
            return (Parts(((), values)),) if values else ()
        if step == "[()]":
            return (Giver(values),) if values else ()
        if len(values) == 1:
            return self.attribute(values[0], step)
        return distinct([result for value in values for result in self.attribute(value, step)])

    def _root(self, module: ProgramModule, function: int, root: str) -> Values:
        name, _, ids = root.partition("@")
        if not ids:
            return self.name(module, function, name)
        if "," in ids:
            return self._bindings(module, function, _numbers(root))
        facts = module.facts.functions[function]
        number = int(ids)
        own = module.own.get(facts.bindings[number][1])  # `self`, above all
        return own if own is not None else self._bound_to(module, function, facts, number)

    def name(self, module: ProgramModule, function: int, name: str) -> Values:
        """What a bare name stands for, looked up in the enclosing scopes."""
        while function > 0:
            ids = module.bound(function).get(name)
            if ids is not None:
                return self._bindings(module, function, ids)
            function = module.facts.functions[function].parent
        values = self.exported(module, name)
        return values or (_BUILTINS.get(name, ()) if name not in module.facts.exports else ())

    def dotted(self, value: FunctionValue) -> str:
        """The name by which a function can be imported: `package.module.Class.method`."""
        module = self._load(value.path)
        qualname = module.facts.functions[value.index].qualname if module is not None else ""
        return f"{self._modules.dotted(value.path)}.{qualname}"

    def exported(self, module: ProgramModule, name: str) -> Values:
        """What a module binds to a name."""
        if name not in module.facts.exports and not module.facts.stars:
            if self.trace.is_noted:
                self.trace.see(module.path, "builtins" if name in _BUILTINS else f"name {name}")
            return ()
        return self._answers.get((module.path, -1, name), (), self._exported, (module, name))

    def _exported(self, module: ProgramModule, name: str) -> Values:
        ids = module.facts.exports.get(name)
        return self._bindings(module, 0, ids) if ids is not None else self._starred(module, name)

    def _starred(self, module: ProgramModule, name: str) -> Values:
        """What a name stands for that can only come from `from … import *`."""
        for star in module.facts.stars:
            values = self._imported(module, f"from {star} import {name}")
            # An external module is not read, so nobody knows whether it has the name.
            if values and not all(isinstance(value, External) for value in values):
                return values
        return ()

    def _bindings(self, module: ProgramModule, function: int, ids: Sequence[int]) -> Values:
        facts = module.facts.functions[function]
        if len(ids) == 1:
            return self._bound_to(module, function, facts, ids[0])
        return distinct([value for index in ids for value in self._bound_to(module, function, facts, index)])

    def _bound_to(self, module: ProgramModule, function: int, facts: Function, index: int) -> Values:
        value = facts.bindings[index][1]
        # A parameter's annotation is evaluated outside the function: `def f(client: client.Client)`.
        is_outside = index < len(facts.parameters) and not value.startswith(": self ")
        values = self.binding(module, facts.parent if is_outside else function, value)
        return values or (self._class_given(module, function, facts, index) if value.endswith("()") else ())

    def _class_given(self, module: ProgramModule, function: int, facts: Function, index: int) -> Values:
        """The class given to a function whose result, of which nothing is known, takes its name: `A = f(A)`."""
        name, value = facts.bindings[index]
        if name not in module.class_names:  # mostly
            return ()
        for earlier in module.bound(function)[name]:
            made = facts.bindings[earlier][1]
            if earlier < index and made.startswith("class "):
                given = (call.arguments[:1] for call in facts.calls if call.target == value[:-2])
                return self.binding(module, function, made) if [f"{name}@{earlier}"] in given else ()
        return ()

    def binding(self, module: ProgramModule, function: int, value: str) -> Values:
        """What a binding value stands for."""
        if " " not in value:
            # Names that are bound to each other would lead round for ever if not for the memory.
            if not value or value == "None":
                return ()
            return self._answers.get((module.path, function, value), (), self._follow, (module, function, value))
        own = module.own.get(value)
        if own is not None:
            return own
        kind, _, rest = value.partition(" ")
        if kind == ":" and not rest.startswith("self "):
            return self._answers.get((module.path, function, value), (), self.annotated, (module, function, rest))
        if kind in ("import", "from"):
            return self._answers.get((module.path, -1, value), (), self._imported, (module, value))
        if kind == "type":
            return (Alias(module.path, function, rest),)
        if kind == "=":
            return ()
        own = module.own[value] = (_own(module.path, kind, rest),)
        return own

    # -- imports and annotations -------------------------------------------------------------------------------------

    def _imported(self, module: ProgramModule, statement: str) -> Values:
        words = statement.split(" ")
        if words[0] == "import":
            return self._module(module, words[1])
        source, name = words[1], words[3]
        dots = len(source) - len(source.lstrip("."))
        if not dots:
            parents = self._module(module, source)
        else:
            parents = self._below(self._modules.relative(module.path, dots), filter(None, source[dots:].split(".")))
        return distinct([value for parent in parents for value in self.attribute(parent, name)])

    def _module(self, importer: ProgramModule, name: str) -> Values:
        first, *rest = name.split(".")
        location = self._modules.absolute(first, importer.path)
        return self._below(location, rest) if location else (External(name),)

    def _below(self, location: str, parts: Iterable[str]) -> Values:
        """The module that is found by going down from a package, whatever that binds to the names of its modules."""
        for part in parts:
            location = self._modules.within(location, part)
            if not location:
                return ()
        return (ModuleValue(location),)

    def annotated(self, module: ProgramModule, function: int, annotation: str) -> Values:
        """Instances of the annotated types."""
        found: list[Value] = []
        for alternative in split(annotation, "|"):
            found += self._instances(module, function, alternative)
        return distinct(found)

    def _instances(self, module: ProgramModule, function: int, annotation: str) -> list[Value]:
        head, bracket, rest = annotation.partition("[")
        arguments = rest[:-1]
        kind = head.rpartition(".")[2]
        if bracket and kind.lower() == "type":
            return list(self._named(module, function, arguments))
        found: list[Value] = []
        for value in self._named(module, function, head):
            if isinstance(value, ClassValue):
                found.append(Instance(value))
            elif isinstance(value, Alias):
                home = self._load(value.path)
                if home is not None:
                    found += self.binding(home, value.function, f": {value.annotation}")
            elif isinstance(value, External):
                if bracket and kind in GENERICS:
                    found += self._generic(module, function, kind, split(arguments, ","))
                else:
                    found.append(ExternalInstance(self._catalog.canonical(value.name)))
        return found

    def _generic(self, module: ProgramModule, function: int, kind: str, arguments: list[str]) -> list[Value]:
        types = [self.annotated(module, function, argument) if argument else () for argument in arguments]
        if kind in MAPPINGS:
            return [Collection(types[1], types[0])] if len(types) > 1 and (types[0] or types[1]) else []
        if kind in CALLABLES:
            return [Giver(types[-1])] if types[-1] else []
        if kind in TUPLES and not (len(arguments) == 2 and not arguments[1]):  # `tuple[T, ...]` is a collection
            return [Parts(tuple(types))] if any(types) else []
        return [Collection(types[0])] if types[0] else []

    def _named(self, module: ProgramModule, function: int, dotted: str) -> Values:
        first, *rest = dotted.split(".")
        values = self.name(module, function, first)
        for part in rest:
            values = distinct([result for value in values for result in self.attribute(value, part)])
        return values

    def _super(self, module: ProgramModule, function: int) -> Values:
        while function > 0:
            fact = module.facts.functions[function]
            if fact.owner >= 0:
                cls = ClassValue(module.path, fact.owner)
                own = module.own.get(fact.bindings[0][1]) if fact.bindings else None
                whole = own[0].cls if own and isinstance(own[0], Instance) else cls  # of a variant for a subclass
                return (Instance(whole, after=cls),)
            function = fact.parent
        return ()


def _numbers(root: str) -> list[int]:
    """The bindings that reach a name: `client@3,5`."""
    return list(map(int, root.partition("@")[2].split(",")))


def _own(path: str, kind: str, rest: str) -> Value:
    """A function or a class of a module, or an instance of its class, by the binding value that means it."""
    if kind == ":":
        return Instance(ClassValue(path, int(rest.removeprefix("self "))))
    return ClassValue(path, int(rest)) if kind == "class" else FunctionValue(path, int(rest))
