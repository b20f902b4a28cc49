"""One step of linking: what an attribute of a value, or calling it, may give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

from asynclint.catalog import Catalog
from asynclint.project.answers import Answers
from asynclint.project.lineage import FEW, Lineage
from asynclint.project.modules import ModuleMap, ProgramModule
from asynclint.project.trace import Trace
from asynclint.project.values import (
    Alias,
    ClassValue,
    Collection,
    Coroutine,
    External,
    ExternalInstance,
    FunctionValue,
    Generator,
    Giver,
    Instance,
    ModuleValue,
    Parts,
    Value,
    Values,
)
from asynclint.syntax import Class, Function, plain

_PROPERTIES = ("property", "cached_property")
_GETTERS = frozenset(("__getitem__", "get", "pop", "popleft", "setdefault", "get_nowait"))
_ENTERS = ("__enter__", "__aenter__")


class Members:
    """The half of the resolver that takes one step; `resolve.py` adds paths, names and imports."""

    def __init__(
        self,
        modules: ModuleMap,
        load: Callable[[str], ProgramModule | None],
        catalog: Catalog,
        answers: Answers,
    ) -> None:
        self._modules = modules
        self._load = load
        self._catalog = catalog
        self._answers = answers
        self.trace: Trace = answers.trace
        self.lineage: Lineage = Lineage(self)
        self._external_attribute = cache(self._find_external_attribute)
        self._external_result = cache(self._find_external_result)

    def resolve(self, module: ProgramModule, function: int, path: str) -> Values:
        """What `path`, read in function number `function` of `module`, may stand for."""
        raise NotImplementedError

    def binding(self, module: ProgramModule, function: int, value: str) -> Values:
        """What a binding value stands for."""
        raise NotImplementedError

    def annotated(self, module: ProgramModule, function: int, annotation: str) -> Values:
        """Instances of the annotated types."""
        raise NotImplementedError

    def exported(self, module: ProgramModule, name: str) -> Values:
        """What a module binds to a name."""
        raise NotImplementedError

    # -- attributes --------------------------------------------------------------------------------------------------

    def attribute(self, value: Value, name: str) -> Values:
        """What attribute `name` of `value` may be."""
        if isinstance(value, Instance) or (isinstance(value, ClassValue) and name != "__getitem__"):
            if name == "__class__":
                return (value.cls if isinstance(value, Instance) else value,)
            found = self.looked_up(value, name)
            if len(found) == 1:
                return self._read(*found[0])
            return distinct([result for attribute in found for result in self._read(*attribute)])
        if isinstance(value, External):
            return self._external_attribute(value.name, name)
        match value:
            case ModuleValue(location):
                return self._answers.get((location, name), (), self._member, (location, name))
            case ClassValue():
                return (Giver((value,)),)  # `Box[int]` is `Box`
            case ExternalInstance(dotted):
                return (value,) if name == "__await__" else (External(f"{dotted}.{name}"),)
            case Coroutine() if name == "result":  # of the task that it has been made
                return (Giver(self.call(value)),)
            case Coroutine() | Giver():
                is_asked = name == "__await__" or (name in _ENTERS and isinstance(value, Giver))
                return (value,) if is_asked else ()
            case Collection():
                return _of_collection(value, name)
            case Parts(parts):
                return parts[int(name)] if name.isdecimal() and int(name) < len(parts) else ()
            case Generator(function):
                return self._of_generator(value, function, name)
            case FunctionValue() | Alias():
                return ()

    def _find_external_attribute(self, dotted: str, name: str) -> Values:
        if name == "__getitem__" and dotted.rpartition(".")[2][:1].isupper():
            return (Giver((External(dotted),)),)
        # Of a property, or a function: the attribute is its result's.
        owner = self._catalog.maps["returns"].get(self._catalog.canonical(dotted)) or dotted
        return (External(f"{owner}.{name}"),)

    def _member(self, location: str, name: str) -> Values:
        """Attribute `name` of a module: what the module binds, or a submodule."""
        module = self._load(location) if location.endswith(".py") else None
        if module is not None and (values := self.exported(module, name)):
            return values
        submodule = self._modules.within(location, name)
        return (ModuleValue(submodule),) if submodule else ()

    def looked_up(self, value: ClassValue | Instance, name: str) -> list[tuple[Value, bool]]:
        """What the classes of `value` hold under `name`, each with whether reading it calls it (a property)."""
        if isinstance(value, Instance) and value.after is not None:
            found = self._look_up(value, name)
            self.trace.look_at(found)
            return found
        cls = value.cls if isinstance(value, Instance) else value
        # Whether it is an instance makes no difference here.
        key = ("member", cls.path, cls.index, name)
        return self._answers.get(key, [], self._look_up, (cls, name))

    def _look_up(self, value: ClassValue | Instance, name: str) -> list[tuple[Value, bool]]:
        passed = 0
        for owner in self._owners(value):
            if isinstance(owner, ClassValue):
                module, attributes = self._own_attribute(value, passed, owner, name)
                passed += 1
                if attributes is not None:
                    return self._bound(module, attributes, value if isinstance(value, ClassValue) else value.cls)
            elif isinstance(owner, External):
                inherited = self._catalog.canonical(f"{owner.name}.{name}")
                if self._catalog.knows(inherited):
                    return [(External(inherited), False)]
        return []

    def has_property(self, value: Value, name: str) -> bool:
        """Whether reading an attribute may run a function, told without looking at what it gives."""
        if not isinstance(value, Instance):
            return False
        passed = 0
        for owner in self._owners(value):
            if isinstance(owner, ClassValue):
                attributes = self._own_attribute(value, passed, owner, name)[1]
                passed += 1
                if attributes is not None:
                    return any(binding.startswith("def ") for _, binding in attributes)
        return False

    def has_attribute(self, value: ClassValue | Instance, name: str) -> bool:
        """Whether a class of the program among those of `value` binds a name."""
        owners = [owner for owner in self._owners(value) if isinstance(owner, ClassValue)]
        found = (self._own_attribute(value, passed, owner, name)[1] for passed, owner in enumerate(owners))
        return any(attributes is not None for attributes in found)

    def _own_attribute(
        self, value: ClassValue | Instance, passed: int, owner: ClassValue, name: str
    ) -> tuple[ProgramModule, list[tuple[int, str]] | None]:
        """The module of a class of `value`, and what that itself binds to a name; `None` if it does not.

        Args:
            passed: How many classes come before it.
        """
        module, fact = self.class_facts(owner)
        attributes = fact.attributes.get(name)
        if self.trace.is_noted:
            if passed < FEW or attributes is not None:
                self.trace.see(owner.path, f"attribute {fact.qualname}.{name}")
            elif passed == FEW:
                self.trace.rest_on(self.lineage.number(value if isinstance(value, ClassValue) else value.cls))
        return module, attributes

    def _owners(self, value: ClassValue | Instance) -> Iterator[Value]:
        """The classes in which attributes of `value` are looked up, in order."""
        order = self.resolution_order(value if isinstance(value, ClassValue) else value.cls)
        after = value.after if isinstance(value, Instance) else None
        return iter(order) if after is None else map(order.__getitem__, range(self._behind(order, after), len(order)))

    def _behind(self, order: list[Value], cls: ClassValue) -> int:
        """Where in a resolution order those begin that come after `cls`."""
        place = len(order) - len(self.resolution_order(cls))  # unless several bases are interleaved
        if not (0 <= place < len(order) and order[place] == cls):
            place = order.index(cls) if cls in order else -1
        return place + 1

    def _bound(
        self, module: ProgramModule, attributes: list[tuple[int, str]], receiver: ClassValue
    ) -> list[tuple[Value, bool]]:
        results: list[tuple[Value, bool]] = []
        for function, binding in attributes:
            for value in self.binding(module, function, binding):
                if not isinstance(value, FunctionValue) or not binding.startswith("def "):
                    results.append((value, False))
                    continue
                decorators = module.facts.functions[value.index].decorators
                is_property = any(plain(name).rpartition(".")[2] in _PROPERTIES for name in decorators)
                results.append((FunctionValue(value.path, value.index, receiver), is_property))
        return results

    def _read(self, value: Value, is_property: bool) -> Values:
        return self.call(value) if is_property else (value,)

    def _of_generator(self, value: Generator, function: FunctionValue, name: str) -> Values:
        module = self._load(function.path)
        if module is None:
            return ()
        facts = module.facts.functions[function.index]
        if name in ("__iter__", "__aiter__"):
            return (Giver((value,)),)
        if name not in ("__next__", "__anext__", *_ENTERS):
            return ()
        if facts.annotation:
            collections = self.annotated(module, facts.parent, facts.annotation)
            items = distinct([item for c in collections if isinstance(c, Collection) for item in c.items])
        else:
            items = self._given_back(module, function, facts)
        return (Giver((Giver(items),)),) if name.startswith("__a") else (Giver(items),)

    # -- calls -------------------------------------------------------------------------------------------------------

    def call(self, value: Value) -> Values:
        """What calling `value` may give."""
        if isinstance(value, FunctionValue):
            return self._result(value)
        if isinstance(value, ClassValue):
            return (Instance(value),)
        match value:
            case Instance():
                methods = [m for m in self.attribute(value, "__call__") if isinstance(m, FunctionValue)]
                return distinct([v for method in methods for v in self.call(method)])
            case Coroutine(function_value):
                module = self._load(function_value.path)
                if module is None:
                    return ()
                return self._returned(module, function_value, module.facts.functions[function_value.index])
            case ExternalInstance(name):
                result = self._catalog.result(f"{name}.__call__")
                if result is None:
                    return ()
                return (ExternalInstance(result),) if result else (value,)  # itself: reached through `__await__`
            case External(name):
                return self._external_result(name)
            case Giver(results):
                return results
            case _:
                return ()

    def _result(self, value: FunctionValue) -> Values:
        module = self._load(value.path)
        if module is None:
            return ()
        function = module.facts.functions[value.index]
        if function.is_generator:
            return (Generator(value),)
        if function.is_async:
            return (Coroutine(value),)
        return self._returned(module, value, function)

    def _find_external_result(self, name: str) -> Values:
        if item := self._catalog.item(name):
            return (Collection((ExternalInstance(item),), source=name),)
        if result := self._catalog.result(name):
            return (ExternalInstance(result),)
        sink = self._catalog.sink(name)
        if sink is not None and sink.lazy:
            return (Collection((), source=name),)
        owner, _, last = name.rpartition(".")
        if last in _ENTERS:
            return (ExternalInstance(owner),)
        # By convention a capitalised name is a class.
        return (ExternalInstance(self._catalog.canonical(name)),) if last[:1].isupper() else ()

    def _returned(self, module: ProgramModule, value: FunctionValue, function: Function) -> Values:
        if function.annotation:
            if function.annotation.rpartition(".")[2] == "Self" and value.receiver is not None:
                return (Instance(value.receiver),)
            return self.binding(module, function.parent, f": {function.annotation}")
        return self._given_back(module, value, function)

    def _given_back(self, module: ProgramModule, value: FunctionValue, function: Function) -> Values:
        """What the `return` or `yield` statements of a function give; `self` is what the method was looked up on."""
        itself: dict[str, Value] = {}
        if value.receiver is not None and function.parameters:
            name, kind = function.bindings[0]
            if kind.startswith(": self "):
                itself = {f"{name}@0": Instance(value.receiver)}
            elif kind.startswith("class "):
                itself = {f"{name}@0": value.receiver, f"{name}@0()": Instance(value.receiver)}
        found: list[Value] = []
        for path in function.returns:
            own = itself.get(path)
            found += self.binding(module, value.index, path) if own is None else (own,)
        return distinct(found)

    # -- classes -----------------------------------------------------------------------------------------------------

    def class_facts(self, value: ClassValue) -> tuple[ProgramModule, Class]:
        """The module and the facts of a class."""
        module = self._load(value.path)
        if module is None:
            raise AssertionError("a class value comes from a module that was loaded")
        return module, module.facts.classes[value.index]

    def resolution_order(self, cls: ClassValue) -> list[Value]:
        """The class and its bases, nearest first; bases outside the program are `External`, unknown ones left out."""
        order: list[Value] | None = self._answers.known(_order(cls))
        if order is None:
            # Not by recursion: hierarchies may be deep, and a class may inherit from itself by mistake.
            for ancestor in reversed(self._line(cls)):
                alone: list[Value] = [ancestor]
                order = self._answers.get(_order(ancestor), alone, self._linearised, (ancestor,))
        return order or [cls]

    def _line(self, cls: ClassValue) -> list[ClassValue]:
        """The class, its only base, the only base of that …, as far as their orders are not known yet."""
        line = {cls: None}
        bases = self.bases(cls)
        while len(bases) == 1 and isinstance(base := bases[0], ClassValue):
            if base in line or self._answers.known(_order(base)) is not None:
                break
            line[base] = None
            bases = self.bases(base)
        return list(line)

    def bases(self, cls: ClassValue) -> list[Value]:
        """The bases of a class that are known."""
        module, fact = self.class_facts(cls)
        self.trace.look_at(cls)
        for path in fact.bases:
            self.trace.ask(module.path, fact.scope, path)
        return [base for path in fact.bases for base in self.resolve(module, fact.scope, path)]

    def _linearised(self, cls: ClassValue) -> list[Value]:
        """Subclasses before their bases, and what is left before what is right.

        That is the order of Python 2.2; the present one ("The Python 2.3 Method Resolution Order") differs where
        Python 2.2's would not keep that of a base, and takes the square of the time where all classes have several.
        """
        bases = self.bases(cls)
        if len(bases) == 1 and isinstance(bases[0], ClassValue):
            order: list[Value] | None = self._answers.known(_order(bases[0]))
            if order is not None and cls not in order:
                return [cls, *order]
        done: dict[Value, None] = {}
        seen: set[Value] = {cls}
        pending: list[tuple[Value, list[Value]]] = [(cls, bases)]
        while pending:
            ancestor, bases = pending[-1]
            if not bases:
                done[ancestor] = None
                pending.pop()
            elif (base := bases.pop()) not in seen:
                seen.add(base)
                pending.append((base, self.bases(base) if isinstance(base, ClassValue) else []))
        return list(done)[::-1]


def _order(cls: ClassValue) -> tuple[str, str, int]:
    """The question of a class's resolution order; a dataclass would take a call to be hashed."""
    return "order", cls.path, cls.index


def _of_collection(value: Collection, name: str) -> Values:
    over = value.items if value.keys is None else value.keys
    match name:
        case "__iter__" | "__aiter__" | "copy" | "__add__" | "__or__" | "__and__" | "__sub__" | "__mul__":
            return (Giver((value,)),)
        case "__next__":
            return (Giver(over),)
        case "__anext__":
            return (Giver((Giver(over),)),)
        case "keys":
            return (Giver((Collection(over),)),)
        case "values":
            return (Giver((Collection(value.items),)),)
        case "items" if value.keys is not None:
            return (Giver((Collection((Parts((value.keys, value.items)),)),)),)
        case _ if name in _GETTERS:
            return (Giver(value.items),)
        case _ if name.isdecimal():
            return over
        case _:
            return ()


def distinct(values: list[Value]) -> Values:
    """The values, each once."""
    return tuple(values) if len(values) < 2 else tuple(dict.fromkeys(values))
