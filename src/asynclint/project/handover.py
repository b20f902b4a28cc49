"""What becomes of functions that are passed on: run here and now, or wrapped by a decorator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from asynclint.catalog import Catalog
from asynclint.project.answers import Answers
from asynclint.project.circumstances import ITERATES
from asynclint.project.lowest import NOWHERE, Lowest
from asynclint.project.modules import ProgramModule
from asynclint.project.resolve import Resolver
from asynclint.project.values import ClassValue, External, FunctionValue, Value
from asynclint.syntax import Call, Function, plain

TRANSPARENT = frozenset(
    (
        "abstractmethod",
        "cache",
        "cached_property",
        "classmethod",
        "final",
        "lru_cache",
        "override",
        "property",
        "staticmethod",
    )
)
"""Decorators that leave a function on the thread of its caller."""
Parameter = tuple[str, int, int]
"""A parameter of a function of the program: the module's path, the function's index there, and its number."""

_NESTED = 3
"""`@retry(times=3)` is a function that returns a decorator that returns a wrapper."""


@dataclass(frozen=True, slots=True)
class Wrapping:
    """What decorators make of a function.

    Attributes:
        keeps_thread: Calling the result runs the function's body on the caller's thread.
        wrappers: Functions of the program that calling the result runs as well.
    """

    keeps_thread: bool = True
    wrappers: tuple[FunctionValue, ...] = ()


class Handover:
    """Answers what happens to functions that are given as arguments, and to decorated ones."""

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
        self._called = Lowest("called", answers, self._look)

    # -- arguments ---------------------------------------------------------------------------------------------------

    def run_here(self, call: Call, callee: Value) -> list[str]:
        """The arguments of a call (binding values) that `callee` calls before it returns."""
        if isinstance(callee, FunctionValue) and not self._uses(callee.path, callee.index):  # mostly
            return []
        return [argument for argument, filled in self._arguments(call, callee) if filled is None or self._runs(filled)]

    def _arguments(self, call: Call, callee: Value) -> Iterator[tuple[str, Parameter | None]]:
        """The arguments of a call, with the parameter that each fills; `None`: code outside the program runs it."""
        match callee:
            case FunctionValue(path, index, receiver):
                module = self._load(path)
                if module is None:
                    return
                function = module.facts.functions[index]
                # The receiver of a method is not among the arguments of the call.
                bound = receiver is not None and "staticmethod" not in function.decorators
                for number, name in enumerate(function.parameters[bound:], bound):
                    position = number - bound
                    if position < len(call.arguments) and "*" not in call.arguments[: position + 1]:
                        yield call.arguments[position], (path, index, number)
                    elif name in call.keywords:
                        yield call.keywords[name], (path, index, number)
            case ClassValue():
                for method in self._resolver.attribute(callee, "__init__"):
                    if isinstance(method, FunctionValue):
                        yield from self._arguments(call, method)
            case External(name) if call.use in ITERATES or not self._catalog.has("runs_later", name):
                place = self._catalog.maps["runs"].get(self._catalog.canonical(name))
                if isinstance(place, int) and place < len(call.arguments):
                    yield call.arguments[place], None
                elif isinstance(place, str) and place in call.keywords:
                    yield call.keywords[place], None
            case _:
                pass

    def _runs(self, parameter: Parameter) -> bool:
        """Whether a function calls what it is given, or hands it to something that calls it, on its thread."""
        path, index, number = parameter
        return number in self._uses(path, index) and self._called.of(parameter) == 0

    def _look(self, parameter: Parameter) -> tuple[int, list[Parameter]]:
        """0 for a parameter that is called, and the parameters that it is handed to."""
        path, index, number = parameter
        return self._uses(path, index).get(number, (NOWHERE, []))

    def _uses(self, path: str, index: int) -> dict[int, tuple[int, list[Parameter]]]:
        """`_look` of the parameters of a function; of most functions, none."""
        return self._answers.get(("uses", path, index), {}, self._find_uses, (path, index))

    def _find_uses(self, path: str, index: int) -> dict[int, tuple[int, list[Parameter]]]:
        module = self._load(path)
        if module is None:
            return {}
        function = module.facts.functions[index]
        if function.is_generator:
            return {}
        skipped = function.owner >= 0  # `self` is not called
        parameters = function.bindings[skipped : len(function.parameters)]
        numbers = {f"{name}@{number}": number for number, (name, _) in enumerate(parameters, skipped)}
        uses: dict[int, tuple[int, list[Parameter]]] = {}
        for call in function.calls if numbers else ():
            if call.use == "await":
                continue  # what is awaited was no blocking function
            if call.target in numbers:
                uses[numbers[call.target]] = 0, []
            elif not (numbers.keys().isdisjoint(call.arguments) and numbers.keys().isdisjoint(call.keywords.values())):
                for callee in self._resolver.resolve(module, index, call.target):
                    for argument, filled in self._arguments(call, callee):
                        if argument in numbers:
                            lowest, following = uses.get(numbers[argument], (NOWHERE, []))
                            uses[numbers[argument]] = (0, []) if filled is None else (lowest, [*following, filled])
        return uses

    # -- decorators --------------------------------------------------------------------------------------------------

    def wrapping(self, module: ProgramModule, index: int) -> Wrapping:
        """What the decorators of a function make of it."""
        key = ("wrapping", module.path, index)
        return self._answers.get(key, Wrapping(), self._find_wrapping, (module, index))

    def _find_wrapping(self, module: ProgramModule, index: int) -> Wrapping:
        function = module.facts.functions[index]
        wrappers: list[FunctionValue] = []
        for decorator in function.decorators:
            path = decorator.removesuffix("()")
            if plain(path).rpartition(".")[2] in TRANSPARENT:
                continue
            self._answers.trace.ask(module.path, function.parent, path)
            for value in self._resolver.resolve(module, function.parent, path):
                if isinstance(value, External) and self._catalog.has("offloads", value.name):
                    return Wrapping(keeps_thread=False)
                if isinstance(value, FunctionValue):
                    if self._catalog.has("offloads", self._resolver.dotted(value)):
                        return Wrapping(keeps_thread=False)
                    made = self._made_by(value, path != decorator, _NESTED)
                    if not made.keeps_thread:
                        return made
                    wrappers += made.wrappers
            if self._dispatches(module, function, path):
                return Wrapping(keeps_thread=False)
        return Wrapping(wrappers=tuple(dict.fromkeys(wrappers)))

    def _made_by(self, decorator: FunctionValue, is_factory: bool, depth: int) -> Wrapping:
        """What a decorator of the program makes of a function; a factory returns the decorator."""
        module = self._load(decorator.path)
        if module is None or not depth:
            return Wrapping()
        self._answers.trace.look_into(decorator.path, decorator.index)
        facts = module.facts.functions[decorator.index]
        wrappers: list[FunctionValue] = []
        for path in facts.returns:
            for value in self._resolver.binding(module, decorator.index, path):
                if not isinstance(value, FunctionValue) or value == decorator:
                    continue
                made = module if value.path == module.path else self._load(value.path)
                if made is None:
                    continue
                wrapper = made.facts.functions[value.index]
                if wrapper.is_async:
                    return Wrapping(keeps_thread=False)
                if made is not module or wrapper.parent != decorator.index:
                    continue
                # `@decorator` and `@decorator()` often share one function, so both ways are followed.
                inner = self._made_by(value, False, depth - 1)
                if not inner.keeps_thread:
                    return inner
                if inner.wrappers:
                    wrappers += inner.wrappers
                elif not is_factory:
                    if not self._calls(module, value.index, facts.parameters[:1]):
                        return Wrapping(keeps_thread=False)
                    wrappers.append(value)
        return Wrapping(wrappers=tuple(wrappers))

    def _calls(self, module: ProgramModule, wrapper: int, names: list[str]) -> bool:
        """Whether a wrapper calls what its decorator was given, or gives it to something that may."""
        for call in module.facts.functions[wrapper].calls:
            if call.target in names:
                return True
            if any(argument in names for argument in (*call.arguments, *call.keywords.values())):
                values = self._resolver.resolve(module, wrapper, call.target)
                if not any(isinstance(v, External) and self._catalog.has("offloads", v.name) for v in values):
                    return True
        return False

    def _dispatches(self, module: ProgramModule, function: Function, path: str) -> bool:
        """`@dispatch(async_twin)` calls the twin where a loop is running."""
        self._answers.trace.see(module.path, f"calls {plain(path)}")
        calls = [call for call in module.facts.functions[function.parent].calls if call.target == path]
        given = [argument for call in calls if call.end_line < function.line for argument in call.arguments][-1:]
        twins = [value for argument in given for value in self._resolver.binding(module, function.parent, argument)]
        return any(map(self.is_async, twins))

    def is_async(self, value: Value) -> bool:
        """Whether `value` is an async function of the program."""
        if not isinstance(value, FunctionValue):
            return False
        module = self._load(value.path)
        return module is not None and module.facts.functions[value.index].is_async
