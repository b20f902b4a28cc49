"""Methods as objects of a subclass run them, where it overrides what they call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from asynclint.project.answers import Answers
from asynclint.project.lowest import NOWHERE, Lowest
from asynclint.project.modules import ProgramModule
from asynclint.project.resolve import Resolver
from asynclint.project.values import ClassValue, FunctionValue, Instance, Value
from asynclint.syntax import Function

_DEEP = 50
"""Of an object of more classes, each has variants of all methods, which is right for all: to know better costs more."""


class Receivers:
    """Tells which function runs when a method is called on an object of a known class.

    That is the method itself, unless something that it calls on `self` is overridden by that class; then it is a
    variant of the method, whose `self` is of that class: a function of its own, kept beyond those of the module.
    """

    def __init__(self, resolver: Resolver, load: Callable[[str], ProgramModule | None], answers: Answers) -> None:
        self._resolver = resolver
        self._load = load
        self._variants: dict[FunctionValue, int] = {}
        self._lines: dict[ClassValue, _Line] = {}
        self._trace = answers.trace
        self._known_lookups: dict[FunctionValue, list[tuple[ClassValue | None, str]]] = {}
        self._nearest = Lowest("nearest", answers, self._look)

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
        """Whether a method looks up, itself or in what it calls on its receiver, what comes before its own class."""
        line = self._line(receiver)
        place = line.places.get(owner, 0)
        if place <= line.nearest and self._is_behind(line, owner):
            return False
        method = FunctionValue(value.path, value.index)
        return (
            len(line.order) > _DEEP
            or any(self._place(line, *lookup) < place for lookup in self._lookups(method))
            or self._nearest.of((receiver, method)) < place
        )

    def _line(self, receiver: ClassValue) -> _Line:
        order = self._resolver.resolution_order(receiver)
        line = self._lines.get(receiver)
        if line is None or line.order is not order:
            line = self._lines[receiver] = _Line(order, self._resolver)
        if self._trace.is_noted:
            self._trace.rest_on(self._resolver.lineage.number(receiver))
        return line

    def _place(self, line: _Line, after: ClassValue | None, name: str) -> int:
        """The first place in a line that has what may not be what is found in the line of a class behind it."""
        if after is None:
            return line.names.get(name, NOWHERE)
        return NOWHERE if self._is_behind(line, after) else 0

    def _is_behind(self, line: _Line, cls: ClassValue) -> bool:
        """Whether no class comes between one of a line and its bases, so that `super()` means the same there."""
        return len(line.order) - line.places.get(cls, -1) == len(self._resolver.resolution_order(cls))

    def _look(self, node: tuple[ClassValue, FunctionValue]) -> tuple[int, list[tuple[ClassValue, FunctionValue]]]:
        """The first `_place` of what a method looks up on an object of a class, and the methods that it finds there."""
        receiver, method = node
        line = self._line(receiver)
        lookups = self._lookups(method)
        called = [
            (receiver, FunctionValue(value.path, value.index))
            for after, name in lookups
            for value, _ in self._resolver.looked_up(Instance(receiver, after), name)
            if isinstance(value, FunctionValue)
        ]
        return min((self._place(line, *lookup) for lookup in lookups), default=NOWHERE), called

    def _lookups(self, method: FunctionValue) -> list[tuple[ClassValue | None, str]]:
        """What a method looks up on its receiver: behind which class, if by `super()`, and the name."""
        self._trace.look_into(method.path, method.index)
        module = self._load(method.path)
        lookups = self._known_lookups.get(method)
        if lookups is None and module is not None:
            function = module.facts.functions[method.index]
            owner = ClassValue(method.path, function.owner)
            found = ((owner if base == "super()" else None, name) for base, name in _looked_up(function))
            lookups = self._known_lookups[method] = list(dict.fromkeys(found))
        return lookups or []


class _Line:
    """The resolution order of a class, and where in it names are found.

    Attributes:
        places: Class to its place.
        names: Name to the first place that has it; but what only the last class has overrides nothing.
        nearest: The first place that has one of them.
    """

    def __init__(self, order: list[Value], resolver: Resolver) -> None:
        self.order = order
        self.places = {cls: place for place, cls in enumerate(order) if isinstance(cls, ClassValue)}
        self.names: dict[str, int] = {}
        for cls in [*self.places][-2::-1]:
            self.names.update(dict.fromkeys(resolver.class_facts(cls)[1].attributes, self.places[cls]))
        self.nearest = min(self.names.values(), default=NOWHERE)


def _looked_up(function: Function) -> Iterator[tuple[str, str]]:
    receiver = _receiver(function)
    for path in (*(call.target for call in function.calls), *function.touched) if receiver else ():
        base, _, rest = path.partition(".")
        if base in (receiver, "super()"):
            yield base, rest.partition(".")[0].partition("()")[0].removesuffix("=")


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
