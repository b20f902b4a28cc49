"""Methods as objects of a subclass run them, where it overrides what they call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from asynclint.project.answers import Answers
from asynclint.project.modules import ProgramModule
from asynclint.project.resolve import Resolver
from asynclint.project.values import ClassValue, FunctionValue, Instance
from asynclint.syntax import Function


class Receivers:
    """Tells which function runs when a method is called on an object of a known class.

    That is the method itself, unless something that it calls on `self` is overridden by that class; then it is a
    variant of the method, whose `self` is of that class: a function of its own, kept beyond those of the module.
    """

    def __init__(self, resolver: Resolver, load: Callable[[str], ProgramModule | None], answers: Answers) -> None:
        self._resolver = resolver
        self._load = load
        self._answers = answers
        self._variants: dict[FunctionValue, int] = {}

    def node(self, value: FunctionValue) -> tuple[str, int]:
        """The function that runs: its module's path, and its index there."""
        receiver = value.receiver
        module = self._load(value.path) if receiver is not None else None
        if receiver is None or module is None:
            return value.path, value.index
        number = module.facts.functions[value.index].owner
        if number < 0 or (receiver.index == number and receiver.path == value.path):  # mostly
            return value.path, value.index
        if not self._matters(value, ClassValue(value.path, number), receiver):
            return value.path, value.index
        index = self._variants.get(value)
        if index is None:
            index = self._variants[value] = _add_variant(module, value.index, receiver)
        return value.path, index

    def _matters(self, value: FunctionValue, owner: ClassValue, receiver: ClassValue) -> bool:
        key = ("overridden", owner.path, owner.index, receiver.path, receiver.index)
        overridden: frozenset[str] = self._answers.get(key, frozenset(), self._find_overridden, (owner, receiver))
        if not overridden:
            return False
        used: frozenset[str] = self._answers.get(
            ("used", value.path, value.index), frozenset(), self._find_used, (owner, value.index)
        )
        return not used.isdisjoint(overridden)

    def _find_overridden(self, owner: ClassValue, receiver: ClassValue) -> frozenset[str]:
        """The names that a class, or one between it and `owner`, has of its own."""
        names: set[str] = set()
        for cls in self._resolver.resolution_order(receiver):
            if cls == owner:
                return frozenset(names)
            if isinstance(cls, ClassValue):
                names.update(self._resolver.class_facts(cls)[1].attributes)
        return frozenset()

    def _find_used(self, owner: ClassValue, index: int) -> frozenset[str]:
        """The names that a method looks up on its receiver, itself or in methods that it calls there."""
        names: set[str] = set()
        pending = [FunctionValue(owner.path, index)]
        seen = set(pending)
        while pending:
            method = pending.pop()
            module = self._load(method.path)
            for base, name in _looked_up(module.facts.functions[method.index]) if module is not None else ():
                names.add(name)
                whole = Instance(owner, after=owner if base == "super()" else None)
                for found, _ in self._resolver.looked_up(whole, name):
                    if isinstance(found, FunctionValue):
                        plain = FunctionValue(found.path, found.index)
                        if plain not in seen:
                            seen.add(plain)
                            pending.append(plain)
        return frozenset(names)


def _looked_up(function: Function) -> Iterator[tuple[str, str]]:
    """What a method looks up on its receiver: `self` or `super()`, and the name."""
    receiver = _receiver(function)
    for path in (*(call.target for call in function.calls), *function.touched) if receiver else ():
        base, _, rest = path.partition(".")
        if base in (receiver, "super()"):
            yield base, rest.partition(".")[0].partition("()")[0]


def _receiver(function: Function) -> str:
    """The access path of `self` or `cls`; `""` for what has none."""
    if function.owner < 0 or not function.parameters:
        return ""
    name, value = function.bindings[0]
    return f"{name}@0" if value.startswith((": self ", "class ")) else ""


def _add_variant(module: ProgramModule, index: int, receiver: ClassValue) -> int:
    """Add a method whose `self`, or `cls`, is of another class."""
    function = module.facts.functions[index]
    if not _receiver(function):
        return index
    name, value = function.bindings[0]
    is_class = value.startswith("class ")
    own = f"{'class' if is_class else ': self'} {receiver.index} {receiver.path}"
    module.own[own] = (receiver if is_class else Instance(receiver),)
    variant = replace(function, bindings=[(name, own), *function.bindings[1:]])
    return module.facts.add_variant(variant)
