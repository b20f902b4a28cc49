"""The parts of a module that answers may rest on, each of which can change while the others stay what they are.

    function Client.get     all of a function, with what is defined in it, and not where in the file it stands
    signature Client.get    what it looks like to those who call it
    class Client            its bases
    attribute Client.get    what it binds to a name itself
    members Client          the names that it binds
    name client             what the module binds to a name
    builtins                the names of builtins that it binds
    calls app.get           what its own code passes to something that it calls
    classes                 the names of all classes, and their bases
    has Client              the word is in the text; `lacks Client`: it is not

A part of a directory is an entry with what that is (`Sources.entry`).
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any, TypeVar

from asynclint.project.handover import Wrapping
from asynclint.project.modules import ProgramModule
from asynclint.project.trace import WHOLE, Trace
from asynclint.project.values import (
    ClassValue,
    Collection,
    Coroutine,
    FunctionValue,
    Generator,
    Giver,
    Instance,
    Parts,
)
from asynclint.syntax import Call, Class, Function, Module, plain

T = TypeVar("T")
_DEFINES = ("def ", "lambda ", "class ", ": self ")


def _outermost(facts: Module, index: int) -> Function:
    """The function itself, or that in which it is defined and which is defined in none."""
    function = facts.functions[index]
    while function.parent > 0:
        function = facts.functions[function.parent]
    return function


class Settler:
    """Links answers to the parts that their questions and values are about.

    Whoever is given a function or class may look at it, and who asks about a path in a function looks into that. What
    else is looked at, `Trace.see` is told when it is.
    """

    def __init__(self, trace: Trace, load: Callable[[str], ProgramModule | None]) -> None:
        """Make it for a trace; `load` gives the modules that answers speak of."""
        self._trace = trace
        self._load = load
        self._names: dict[tuple[str, str, int], str] = {}

    def settle(self) -> None:
        """Do so for all answers since the last time."""
        trace = self._trace
        outer = trace.asker
        for number, question, value in trace.answers:
            trace.asker = number
            self._of_question(question)
            if value and question[:1] != ("order",):  # of which each class has been asked for its bases
                self._of_value(value)
        trace.answers.clear()
        trace.asker = outer

    def _of_question(self, question: tuple[Any, ...]) -> None:
        if len(question) == 3 and type(question[1]) is int:  # mostly
            self._of_path(*question)
            return
        see = self._trace.see
        match question:
            case "callbacks", path:
                see(path, WHOLE)
            case ("uses" | "wrapping" | "function", path, index) | ("effect", FunctionValue(path, index)):
                see(path, self._named("function", path, index))
            case (("overrides" | "subclasses" | "implementations"), value, *_):
                self._of_value(value)
            case (("called" | "nearest" | "files"), _) | ("order", _, _) | ("member", _, _, _):
                pass  # what these look at, they tell themselves
            case path, name if path.endswith(".py"):
                see(path, f"name {name}")

    def _of_path(self, path: str, function: int, text: str) -> None:
        see = self._trace.see
        if function > 0:
            see(path, self._named("function", path, function))
        elif function < 0:
            if " " not in text:  # else an import, which says itself where to look
                see(path, f"name {text}")
        elif text[0] != ":":
            name, at, numbers = text.partition(".")[0].partition("(")[0].partition("@")
            if at:
                see(path, f"name {name}")
                module = self._loaded(path)
                bindings = module.facts.functions[0].bindings
                for number in numbers.split(","):
                    self._of_value(module.own.get(bindings[int(number)][1]))

    def _of_value(self, value: Any) -> None:
        kind = type(value)
        if kind is tuple or kind is list:
            for part in value:
                self._of_value(part)
        elif kind is FunctionValue:
            self._trace.see(value.path, self._named("signature", value.path, value.index))
        elif kind is ClassValue:
            self._trace.see(value.path, self._named("class", value.path, value.index))
        elif kind is Instance:
            self._of_value(value.cls)
        elif kind is Coroutine or kind is Generator:
            self._of_value(value.function)
        elif kind is Collection:
            self._of_value(value.items)
            self._of_value(value.keys)
        elif kind is Parts:
            self._of_value(value.parts)
        elif kind is Giver:
            self._of_value(value.results)
        elif kind is Wrapping:
            self._of_value(value.wrappers)

    def _loaded(self, path: str) -> ProgramModule:
        module = self._load(path)
        if module is None:
            raise AssertionError("answers speak of modules that were loaded")
        return module

    def _named(self, kind: str, path: str, index: int) -> str:
        """The part that is this of a function or class."""
        name = self._names.get((kind, path, index))
        if name is None:
            facts = self._loaded(path).facts
            if kind == "function":
                qualname = _outermost(facts, index).qualname
            else:
                qualname = (facts.classes if kind == "class" else facts.functions)[index].qualname
            name = self._names[kind, path, index] = f"{kind} {qualname}"
        return name


class Description:
    """What a module is, part by part, in words that do not depend on what stands before or behind."""

    def __init__(self, module: ProgramModule, source: bytes | None = None) -> None:
        """Describe a module; `source` is its text, if that is to be asked about."""
        self.module: ProgramModule = module
        self._source = source
        self._functions: dict[int, object] = {}

    def of(self, part: str) -> object:
        """What a part is: the same as long as nothing of it changes."""
        kind, _, name = part.partition(" ")
        facts = self.module.facts
        match kind:
            case "":
                return facts.to_text()
            case "function":
                return [self._function(index) for index in self._named.get(name, ()) if self._is__outermost(index)]
            case "signature":
                return [self._signature(facts.functions[index]) for index in self._named.get(name, ())]
            case "class":
                return [[*map(plain, cls.bases)] for cls in self._classes.get(name, ())]
            case "attribute":
                return self._attribute(*name.rpartition(".")[::2])
            case "members":
                return [[*cls.attributes] for cls in self._classes.get(name, ())]
            case "name":
                return self._bound(name)
            case "builtins":
                return [name for name in facts.exports if hasattr(builtins, name)], facts.stars
            case "calls":
                return [[*map(plain, call.arguments)] for call in self._calls.get(name, ())]
            case "classes":
                return [(cls.qualname, [*map(plain, cls.bases)]) for cls in facts.classes]
            case "has" | "lacks":  # was right once; of a text that is gone, that is what is known
                return self._source is None or (name.encode() in self._source) == (kind == "has")
            case _:
                raise LookupError(f"no part of a module: {part!r}")

    def moved(self, after: Description) -> dict[int, int]:
        """Line to where it is afterwards, for the calls of functions that are the same."""
        lines: dict[int, int] = {}
        for name, indices in self._named.items():
            others = after._named.get(name, ())
            if len(indices) == len(others):
                for index, other in zip(indices, others, strict=True):
                    if self._is__outermost(index) and self._function(index) == after._function(other):
                        shift = after.module.facts.functions[other].line - self.module.facts.functions[index].line
                        for function in self._within(index):
                            touched = (place[0] for place in function.touched.values())
                            lines.update((line, line + shift) for line in (*(c.line for c in function.calls), *touched))
        return lines

    @cached_property
    def _named(self) -> dict[str, list[int]]:
        """The functions by name: several may have the same."""
        return _grouped((function.qualname, index) for index, function in enumerate(self.module.facts.functions))

    @cached_property
    def _classes(self) -> dict[str, list[Class]]:
        return _grouped((cls.qualname, cls) for cls in self.module.facts.classes)

    @cached_property
    def _bindings(self) -> dict[str, list[tuple[int, str]]]:
        """What the module's own code binds, by name, with the numbers of the bindings."""
        bindings = enumerate(self.module.facts.functions[0].bindings)
        return _grouped((name, (number, value)) for number, (name, value) in bindings)

    @cached_property
    def _calls(self) -> dict[str, list[Call]]:
        """The calls of the module's own code, by what is called."""
        return _grouped((plain(call.target), call) for call in self.module.facts.functions[0].calls)

    def _is__outermost(self, index: int) -> bool:
        return self.module.facts.functions[index].parent <= 0

    def _home(self, index: int) -> str:
        return _outermost(self.module.facts, index).qualname

    def _within(self, index: int) -> Iterator[Function]:
        """A function, and those that are defined in it: they come behind it."""
        functions = self.module.facts.functions
        yield functions[index]
        if index:
            for following in range(index + 1, len(functions)):
                if functions[following].parent < index:
                    break
                yield functions[following]

    def _value(self, value: str) -> str:
        """A binding value: what it means of the module by name, and paths without the numbers of bindings."""
        if value.startswith(_DEFINES):
            kind, _, number = value.rpartition(" ")
            named = self.module.facts.functions if kind in ("def", "lambda") else self.module.facts.classes
            return f"{kind} {named[int(number)].qualname}"
        return value if value.startswith(":") else plain(value)

    def _bound(self, name: str) -> object:
        facts = self.module.facts
        last = facts.exports.get(name, ())
        found = [(self._value(value), number in last) for number, value in self._bindings.get(name, ())]
        return found, name in facts.exports or facts.stars

    def _attribute(self, owner: str, name: str) -> object:
        bound = [cls.attributes.get(name) for cls in self._classes.get(owner, ())]
        return [pairs and tuple((self._home(index), self._value(value)) for index, value in pairs) for pairs in bound]

    def _signature(self, function: Function) -> object:
        return (
            function.is_async,
            function.is_generator,
            function.is_stub,
            function.parameters,
            function.defaults,
            function.decorators and [*map(plain, function.decorators)],
            function.annotation,
            [*map(self._value, function.returns)],
            function.owner < 0 or self.module.facts.classes[function.owner].qualname,
            function.parent <= 0,
        )

    def _function(self, index: int) -> object:
        found = self._functions.get(index)
        if found is None:
            found = self._functions[index] = self._described(index)
        return found

    def _described(self, index: int) -> object:
        first = self.module.facts.functions[index]
        described = []
        last = 0
        for function in self._within(index):
            bindings = [(name, self._within_function(value, index)) for name, value in function.bindings]
            calls = [self._call(call, index, first.line) for call in function.calls]
            places = {path: _beside(first.line, *place) for path, place in function.touched.items()}
            returns = [self._within_function(value, index) for value in function.returns]
            described.append((self._signature(function), returns, bindings, calls, function.writes, places))
            last = max(
                [last, *(call.end_line for call in function.calls), *(place[2] for place in function.touched.values())]
            )
        noqa = self.module.facts.noqa
        silenced = [(line - first.line, noqa[line]) for line in range(first.line, last + 1) if line in noqa]
        return described, silenced

    def _call(self, call: Call, index: int, line: int) -> object:
        arguments = [self._within_function(argument, index) for argument in call.arguments]
        keywords = {name: self._within_function(argument, index) for name, argument in call.keywords.items()}
        place = _beside(line, call.line, call.column, call.end_line, call.end_column)
        return call.target, place, call.use, arguments, keywords, call[8:]

    def _within_function(self, value: str, index: int) -> str:
        """A binding value or an argument, where functions are numbered from the one that is described."""
        if value.startswith(("def ", "lambda ")):
            kind, _, number = value.partition(" ")
            return f"{kind} +{int(number) - index}"
        return self._value(value) if value.startswith(_DEFINES) else value


def _grouped(pairs: Iterable[tuple[str, T]]) -> dict[str, list[T]]:
    groups: dict[str, list[T]] = {}
    for name, thing in pairs:
        groups.setdefault(name, []).append(thing)
    return groups


def _beside(line: int, first: int, column: int, last: int, end: int) -> tuple[int, int, int, int]:
    """A place, by lines from another one."""
    return first - line, column, last - line, end
