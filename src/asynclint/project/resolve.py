"""Linking: what an access path of one function stands for in the whole program."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Iterator

from asynclint.catalog import Catalog
from asynclint.project.modules import ModuleMap, ProgramModule
from asynclint.project.values import (
    ClassValue,
    Coroutine,
    External,
    ExternalInstance,
    FunctionValue,
    Instance,
    ModuleValue,
    Value,
)
from asynclint.syntax import Class, Function, plain

_BUILTINS = frozenset(dir(builtins))
_DEPTH = 60
"""Resolving nests (a call's result is another call's result …); beyond this the answer is: not known."""
_PROPERTIES = ("property", "cached_property")

Values = tuple[Value, ...]


class Resolver:
    """Answers what paths stand for; every answer is remembered. Not known is the empty tuple."""

    def __init__(self, modules: ModuleMap, load: Callable[[str], ProgramModule | None], catalog: Catalog) -> None:
        self._modules = modules
        self._load = load
        self._catalog = catalog
        self._known: dict[tuple[str, int, str], Values] = {}
        self._members: dict[tuple[str, str], Values] = {}
        self._names: dict[tuple[str, int], dict[str, list[int]]] = {}
        self._orders: dict[ClassValue, list[Value]] = {}
        self._depth = 0

    # -- paths -----------------------------------------------------------------------------------------------------

    def resolve(self, module: ProgramModule, function: int, path: str) -> Values:
        """What `path`, read in function number `function` of `module`, may stand for."""
        return self._remembered(module, function, path, self._follow) if path else ()

    def _remembered(
        self, module: ProgramModule, function: int, question: str, answer: Callable[[ProgramModule, int, str], Values]
    ) -> Values:
        key = (module.path, function, question)
        known = self._known.get(key)
        if known is None:
            if self._depth > _DEPTH:
                return ()
            self._known[key] = ()  # a question that depends on itself
            self._depth += 1
            known = self._known[key] = answer(module, function, question)
            self._depth -= 1
        return known

    def _follow(self, module: ProgramModule, function: int, path: str) -> Values:
        head, step = _split(path)
        if not step:
            return self._root(module, function, head)
        if head == "super" and step == "()":
            return self._super(module, function)
        values = self.resolve(module, function, head)
        if step == "()":
            return _distinct(result for value in values for result in self.call(value))
        return _distinct(result for value in values for result in self.attribute(value, step))

    def _root(self, module: ProgramModule, function: int, root: str) -> Values:
        name, _, ids = root.partition("@")
        if ids:
            return self._bindings(module, function, map(int, ids.split(",")))
        return self.name(module, function, name)

    def name(self, module: ProgramModule, function: int, name: str) -> Values:
        """What a bare name stands for, looked up in the enclosing scopes."""
        while function > 0:
            own = self._names.get((module.path, function))
            if own is None:
                own = self._names[module.path, function] = {}
                for index, (bound, _) in enumerate(module.facts.functions[function].bindings):
                    own.setdefault(bound, []).append(index)
            if name in own:
                return self._bindings(module, function, own[name])
            function = module.facts.functions[function].parent
        values = self._global(module, name)
        if not values and name in _BUILTINS and name not in module.facts.exports:
            return (External(f"builtins.{name}"),)
        return values

    def _global(self, module: ProgramModule, name: str) -> Values:
        ids = module.facts.exports.get(name)
        if ids is not None:
            return self._bindings(module, 0, ids)
        for star in module.facts.stars:
            values = self._imported(module, f"from {star} import {name}")
            # An external module is not read, so nobody knows whether it has the name.
            if values and not all(isinstance(value, External) for value in values):
                return values
        return ()

    def _bindings(self, module: ProgramModule, function: int, ids: Iterable[int]) -> Values:
        facts = module.facts.functions[function]
        found: list[Value] = []
        for index in ids:
            value = facts.bindings[index][1]
            # A parameter's annotation is evaluated outside the function: `def f(client: client.Client)`.
            scope = facts.parent if index < len(facts.parameters) and not value.startswith(": self ") else function
            found += self.binding(module, scope, value)
        return _distinct(found)

    def binding(self, module: ProgramModule, function: int, value: str) -> Values:
        """What a binding value stands for."""
        kind, _, rest = value.partition(" ")
        if not rest:
            return () if value == "None" else self.resolve(module, function, value)
        match kind:
            case "def" | "lambda":
                return (FunctionValue(module.path, int(rest)),)
            case "class":
                return (ClassValue(module.path, int(rest)),)
            case "import" | "from":
                return self._imported(module, value)
            case ":" if rest.startswith("self "):
                return (Instance(ClassValue(module.path, int(rest[5:]))),)
            case ":":
                return self._remembered(module, function, value, lambda *_: self.annotated(module, function, rest))
            case _:
                return ()

    # -- imports and annotations -------------------------------------------------------------------------------------

    def _imported(self, module: ProgramModule, statement: str) -> Values:
        words = statement.split(" ")
        if words[0] == "import":
            return self._module(words[1])
        source, name = words[1], words[3]
        dots = len(source) - len(source.lstrip("."))
        if not dots:
            parents = self._module(source)
        else:
            parents = (ModuleValue(self._modules.relative(module.path, dots)),)
            for part in filter(None, source[dots:].split(".")):
                parents = _distinct(v for parent in parents for v in self.attribute(parent, part))
        return _distinct(value for parent in parents for value in self.attribute(parent, name))

    def _module(self, name: str) -> Values:
        first, *rest = name.split(".")
        location = self._modules.absolute(first)
        if not location:
            return (External(name),)
        for part in rest:
            location = self._modules.within(location, part)
            if not location:
                return ()
        return (ModuleValue(location),)

    def annotated(self, module: ProgramModule, function: int, annotation: str) -> Values:
        """Instances of the annotated types."""
        return _distinct(
            value
            for alternative in _alternatives(annotation)
            for value in self._instances(module, function, alternative)
        )

    def _instances(self, module: ProgramModule, function: int, annotation: str) -> Iterator[Value]:
        head, bracket, arguments = annotation.partition("[")
        if bracket and head.rpartition(".")[2].lower() == "type":
            yield from self._named(module, function, arguments[:-1])
            return
        for value in self._named(module, function, head):
            if isinstance(value, ClassValue):
                yield Instance(value)
            elif isinstance(value, External):
                yield ExternalInstance(self._catalog.canonical(value.name))

    def _named(self, module: ProgramModule, function: int, dotted: str) -> Values:
        first, *rest = dotted.split(".")
        values = self.name(module, function, first)
        for part in rest:
            values = _distinct(result for value in values for result in self.attribute(value, part))
        return values

    # -- steps -----------------------------------------------------------------------------------------------------

    def attribute(self, value: Value, name: str) -> Values:
        """What attribute `name` of `value` may be."""
        match value:
            case ModuleValue(location):
                return self._member(location, name)
            case ClassValue():
                return self._class_attribute(value, name, value, None)
            case Instance(cls, after):
                return self._class_attribute(cls, name, cls, after)
            case External(dotted):
                if result := self._catalog.maps["returns"].get(self._catalog.canonical(dotted)):
                    dotted = result  # a property, or a function: the attribute is its result's
                return (External(f"{dotted}.{name}"),)
            case ExternalInstance(dotted):
                return (value,) if name == "__await__" else (External(f"{dotted}.{name}"),)
            case Coroutine():
                return (value,) if name == "__await__" else ()
            case _:
                return ()

    def _member(self, location: str, name: str) -> Values:
        """Attribute `name` of a module: what the module binds, or a submodule."""
        known = self._members.get((location, name))
        if known is None:
            self._members[location, name] = ()  # modules that import a name from each other
            known = self._members[location, name] = self._find_member(location, name)
        return known

    def _find_member(self, location: str, name: str) -> Values:
        module = self._load(location) if location.endswith(".py") else None
        if module is not None and (values := self._global(module, name)):
            return values
        submodule = self._modules.within(location, name)
        return (ModuleValue(submodule),) if submodule else ()

    def _class_attribute(self, cls: ClassValue, name: str, receiver: ClassValue, after: ClassValue | None) -> Values:
        order = self.resolution_order(cls)
        if after is not None and after in order:
            order = order[order.index(after) + 1 :]
        for owner in order:
            if isinstance(owner, ClassValue):
                module, fact = self._class(owner)
                if (attributes := fact.attributes.get(name)) is not None:
                    return self._bound(module, attributes, receiver)
            elif isinstance(owner, External):
                inherited = self._catalog.canonical(f"{owner.name}.{name}")
                if self._catalog.knows(inherited):
                    return (External(inherited),)
        return ()

    def _bound(self, module: ProgramModule, attributes: list[tuple[int, str]], receiver: ClassValue) -> Values:
        results: list[Value] = []
        for function, binding in attributes:
            for value in self.binding(module, function, binding):
                if not isinstance(value, FunctionValue) or not binding.startswith("def "):
                    results.append(value)
                    continue
                method = FunctionValue(value.path, value.index, receiver)
                if any(
                    plain(d).rpartition(".")[2] in _PROPERTIES for d in module.facts.functions[value.index].decorators
                ):
                    results.extend(self.call(method))
                else:
                    results.append(method)
        return _distinct(results)

    def call(self, value: Value) -> Values:
        """What calling `value` may give."""
        match value:
            case FunctionValue(path, index):
                module = self._load(path)
                if module is None:
                    return ()
                function = module.facts.functions[index]
                if function.is_async and not function.is_generator:
                    return (Coroutine(value),)
                return self._returned(module, value, function)
            case ClassValue():
                return (Instance(value),)
            case Instance():
                methods = (m for m in self.attribute(value, "__call__") if isinstance(m, FunctionValue))
                return _distinct(v for method in methods for v in self.call(method))
            case Coroutine(function):
                module = self._load(function.path)
                return self._returned(module, function, module.facts.functions[function.index]) if module else ()
            case ExternalInstance():
                return (value,)  # only reached through `__await__`
            case External(name):
                return self._external_result(name)
            case ModuleValue():
                return ()

    def _external_result(self, name: str) -> Values:
        if result := self._catalog.result(name):
            return (ExternalInstance(result),)
        owner, _, last = name.rpartition(".")
        if last in ("__enter__", "__aenter__"):
            return (ExternalInstance(owner),)
        # By convention a capitalised name is a class.
        return (ExternalInstance(self._catalog.canonical(name)),) if last[:1].isupper() else ()

    def _returned(self, module: ProgramModule, value: FunctionValue, function: Function) -> Values:
        if function.is_generator:
            return ()
        if function.annotation:
            if function.annotation.rpartition(".")[2] == "Self" and value.receiver is not None:
                return (Instance(value.receiver),)
            return self.annotated(module, function.parent, function.annotation)
        return _distinct(v for path in function.returns for v in self.binding(module, value.index, path))

    # -- classes ---------------------------------------------------------------------------------------------------

    def _class(self, value: ClassValue) -> tuple[ProgramModule, Class]:
        module = self._load(value.path)
        if module is None:
            raise AssertionError("a class value comes from a module that was loaded")
        return module, module.facts.classes[value.index]

    def resolution_order(self, cls: ClassValue) -> list[Value]:
        """The class and its bases, nearest first; bases outside the program are `External`, unknown ones left out."""
        order = self._orders.get(cls)
        if order is None:
            # Not by recursion: hierarchies may be deep, and a class may inherit from itself by mistake.
            seen: dict[Value, None] = {}
            pending: list[Value] = [cls]
            while pending:
                ancestor = pending.pop()
                if ancestor in seen:
                    continue
                seen[ancestor] = None
                if isinstance(ancestor, ClassValue):
                    pending.extend(reversed(self._bases(ancestor)))
            order = self._orders[cls] = list(seen)
        return order

    def _bases(self, cls: ClassValue) -> list[Value]:
        module, fact = self._class(cls)
        return [base for path in fact.bases for base in self.resolve(module, fact.scope, path)]

    def _super(self, module: ProgramModule, function: int) -> Values:
        while function > 0:
            fact = module.facts.functions[function]
            if fact.owner >= 0:
                cls = ClassValue(module.path, fact.owner)
                return (Instance(cls, after=cls),)
            function = fact.parent
        return ()


def _split(path: str) -> tuple[str, str]:
    """A path without its last step, and that step: `()` or an attribute's name."""
    if path.endswith("()"):
        return path[:-2], "()"
    head, _, last = path.rpartition(".")
    return (head, last) if head else (last, "")


def _alternatives(annotation: str) -> Iterator[str]:
    depth = start = 0
    for index, character in enumerate(annotation):
        if character == "[":
            depth += 1
        elif character == "]":
            depth -= 1
        elif character == "|" and not depth:
            yield annotation[start:index]
            start = index + 1
    yield annotation[start:]


def _distinct(values: Iterable[Value]) -> Values:
    return tuple(dict.fromkeys(values))
