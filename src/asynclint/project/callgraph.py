"""Which functions a function runs on its own thread, and which sinks it calls."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

from asynclint.catalog import Catalog, Sink
from asynclint.project.answers import Answers
from asynclint.project.circumstances import ITERATES, Circumstances, flags_given
from asynclint.project.handover import TRANSPARENT, Handover
from asynclint.project.modules import ProgramModule
from asynclint.project.overrides import Overrides
from asynclint.project.receivers import Receivers
from asynclint.project.resolve import Resolver
from asynclint.project.values import (
    ClassValue,
    Collection,
    Coroutine,
    External,
    ExternalInstance,
    FunctionValue,
    Generator,
    Instance,
    Value,
    Values,
)
from asynclint.syntax import NO_KEYWORDS, Call, Function, plain

Node = tuple[str, int]
"""A function of the program: its module's path and its index there; or a `Choice`: `""` and its number."""

Target = Node | Sink

_CONTEXT_MANAGERS = ("contextmanager", "contextlib.contextmanager")
_AWAITABLES = ("Awaitable", "Coroutine", "Future", "Task")
_DOUBLE = re.compile(r"(In)?Memory|Ephemeral|Fake|Mock|Dummy|Stub|Null|NoOp|Noop")
_RUN_UNCALLED = (Instance, Generator, Collection)
"""What may run code where no call is written."""
_INSTEAD = {"__bool__": "__len__", "__ne__": "__eq__"}
"""What is called where a class has no such method; and `__add__` for `__iadd__`."""
_CONSTRUCTORS = ("__new__", "__init__", "__post_init__")


class Edge(NamedTuple):
    """A call that runs `target`, a function of the program, or ends in `target`, a sink."""

    call: Call
    target: Target


Choice = tuple[tuple[Target, ...], ...]
"""Things a call may run, one of them at a time: it blocks for sure only if each of them does."""


class CallGraph:
    """Edges of functions, found when asked for and remembered.

    Passing a function is not calling it, so what is handed to a thread makes no edge; nor does a call of an async
    function, which only makes a coroutine.
    """

    def __init__(
        self,
        resolver: Resolver,
        load: Callable[[str], ProgramModule | None],
        catalog: Catalog,
        answers: Answers,
        overrides: Overrides,
    ) -> None:
        self._resolver = resolver
        self._load = load
        self._catalog = catalog
        self._answers = answers
        self._overrides = overrides
        self._handover = Handover(resolver, load, catalog, answers)
        self._circumstances = Circumstances(resolver, catalog)
        self._receivers = Receivers(resolver, load, answers)
        self._is_inert = cache(self._find_inert)
        self._choices: list[Choice] = []
        self._doubles: set[Node] = set()
        self._numbers: dict[Choice, int] = {}
        self._callback_names = {name.rpartition(".")[2] for name in catalog.maps["callbacks"]}
        self._loop_methods = {name.rpartition(".")[2] for name in catalog.members["on_loop"]}

    def edges(self, node: Node) -> list[Edge]:
        """The calls that function `node` makes on its own thread, in the order written; found anew each time."""
        module = self._load(node[0])
        return self._find(module, node[1]) if module is not None else []

    def choice(self, node: Node) -> Choice | None:
        """What `node` stands for if it is no function."""
        return None if node[0] else self._choices[node[1]]

    def loop_functions(self, module: ProgramModule) -> list[int]:
        """Functions of a module that run on the event loop: the async ones, and those that the loop calls."""
        indices = {
            index
            for index, function in enumerate(module.facts.functions)
            if function.is_async or (function.name in self._loop_methods and self._is_loop_method(module, index))
        }
        handed = (value for _, _, value in self._callbacks(module) if isinstance(value, FunctionValue))
        indices.update(value.index for value in handed if value.path == module.path)
        return sorted(indices)

    def _is_loop_method(self, module: ProgramModule, index: int) -> bool:
        """Whether the loop calls a method, as its class is a protocol or something of the kind."""
        function = module.facts.functions[index]
        if function.owner < 0 or not self._handover.wrapping(module, index).keeps_thread:
            return False
        order = self._resolver.resolution_order(ClassValue(module.path, function.owner))
        return any(isinstance(c, External) and self._catalog.has("on_loop", f"{c.name}.{function.name}") for c in order)

    def foreign_callbacks(self, module: ProgramModule) -> list[tuple[int, Edge]]:
        """What a module hands to the loop and is not its own, as calls of the function that does so."""
        return [
            (index, self._edge(call, target))
            for index, call, value in self._callbacks(module)
            if not (isinstance(value, FunctionValue) and value.path == module.path)
            for target in self._runs(module, index, call, value)
        ]

    def _callbacks(self, module: ProgramModule) -> list[tuple[int, Call, Value]]:
        return self._answers.get(("callbacks", module.path), [], lambda: list(self._find_callbacks(module)), ())

    def _find_callbacks(self, module: ProgramModule) -> Iterator[tuple[int, Call, Value]]:
        for index, function in enumerate(module.facts.functions):
            for call in function.calls:
                if call.arguments and call.target.rpartition(".")[2] in self._callback_names:
                    for value in self._resolver.resolve(module, index, call.target):
                        position = self._catalog.callback(value.name) if isinstance(value, External) else None
                        if position is not None and position < len(call.arguments):
                            handed, *given = call.arguments[position:]
                            later = call._replace(
                                target=handed, use="other", arguments=given, keywords=NO_KEYWORDS, implicit=True
                            )
                            for callback in self._resolver.binding(module, index, handed):
                                yield index, later, callback

    def sink(self, name: str) -> Sink:
        """The sink of this name."""
        return self._catalog.sinks[name]

    # -- edges of one function ---------------------------------------------------------------------------------------

    def _find(self, module: ProgramModule, index: int) -> list[Edge]:
        function = module.facts.functions[index]
        edges: list[Edge] = []
        for call in function.calls:
            values = self._resolver.resolve(module, index, call.target)
            if not values or (len(values) == 1 and type(values[0]) is External and self._is_inert(values[0].name)):
                continue
            edges += self._made(module, index, call, call, values)
            if (call.arguments or call.keywords) and _hands_over(call):
                for value in values:
                    for argument in self._handover.run_here(call, value):
                        handed = self._resolver.binding(module, index, argument)
                        # With which arguments it is called, nobody knows.
                        here = call._replace(use="other", arguments=["*"], keywords={"**": ""})
                        edges += self._made(module, index, call._replace(implicit=True), here, handed)
        for path, place in function.touched.items():
            edges += self._touches(module, index, path, place)
        return edges

    def _find_inert(self, name: str) -> bool:
        """Whether a function outside the program neither blocks nor calls what it is given, as most do."""
        return self._catalog.sink(name) is None and self._catalog.canonical(name) not in self._catalog.maps["runs"]

    def _made(self, module: ProgramModule, index: int, call: Call, as_called: Call, values: Values) -> list[Edge]:
        """Edges for a call that runs one of `values`, as if it were called in a certain way."""
        return self._joined(call, [self._runs(module, index, as_called, value) for value in values])

    def _joined(self, call: Call, alternatives: list[list[Target]]) -> list[Edge]:
        """Edges for the things a call may run: all that there are for one, a choice for several."""
        if not alternatives or not all(alternatives):
            return []  # one of the things this may be does not block
        if len(alternatives) == 1:  # mostly
            return [self._edge(call, target) for target in dict.fromkeys(alternatives[0])]
        distinct = {tuple(dict.fromkeys(targets)): None for targets in alternatives}
        if len(distinct) == 1:
            return [self._edge(call, target) for target in next(iter(distinct))]
        return [Edge(call, self._choose(tuple(distinct)))]

    def _edge(self, call: Call, target: Target) -> Edge:
        """An edge; to a sink whose flags are parameters of the function, under the condition that they let it block."""
        if isinstance(target, Sink) and target.unless and (unless := flags_given(call, target)):
            call = call._replace(guards=[*call.guards, *unless])
        return Edge(call, target)

    def _choose(self, choice: Choice) -> Node:
        number = self._numbers.get(choice)
        if number is None:
            number = self._numbers[choice] = len(self._choices)
            self._choices.append(choice)
        return "", number

    def _touches(self, module: ProgramModule, index: int, path: str, place: tuple[int, int, int, int]) -> list[Edge]:
        """Edges of what a path runs without being a written call: iterations, operators, properties."""
        base, _, name = path.rstrip("()=").rpartition(".")
        receivers = self._resolver.resolve(module, index, base)
        if not receivers:
            return []
        is_call, is_set = path[-1] == ")", path[-1] == "="
        for receiver in receivers:
            # Sooner than to look at what each of them runs, and mostly the end.
            if not (isinstance(receiver, _RUN_UNCALLED) if is_call else self._resolver.has_property(receiver, name)):
                return []
        use = "for" if name in ("__iter__", "__next__") else "other"
        call = Call(path, *place, use, [], {}, implicit=True)
        alternatives: list[list[Target]] = []
        for receiver in receivers:
            targets: list[Target] = []
            match receiver:
                case Collection(source=source) if source and name == "__iter__":
                    sink = self._catalog.sink(source)
                    targets += [sink] if sink is not None and sink.lazy else []
                case Generator(function) if name == "__iter__":
                    # The call that makes a generator tells itself that this is iterated over.
                    makers = self._resolver.resolve(module, index, base[:-2]) if base.endswith("()") else ()
                    if function not in makers and self._runs_here(function, call.use):
                        targets.append((function.path, function.index))
                case Instance():
                    found = self._resolver.looked_up(receiver, name)
                    if not found and is_call:
                        found = self._resolver.looked_up(receiver, _INSTEAD.get(name, name.replace("__i", "__", 1)))
                    if name == "__iter__":
                        iterators = self._resolver.resolve(module, index, path)
                        found = [*found, *(step for it in iterators for step in self._steps(it))]
                    for value, is_property in found:
                        if self._is_setter(value) if is_set else is_property or is_call:
                            targets += self._runs(module, index, call, value)
            alternatives.append(targets)
        return self._joined(call, alternatives)

    def _is_setter(self, value: Value) -> bool:
        """Whether `value` is the function that runs when a property is set."""
        module = self._load(value.path) if isinstance(value, FunctionValue) else None
        if not isinstance(value, FunctionValue) or module is None:
            return False
        return any(name.endswith(".setter") for name in module.facts.functions[value.index].decorators)

    def _steps(self, iterator: Value) -> list[tuple[Value, bool]]:
        """What each step of an iterator runs."""
        return self._resolver.looked_up(iterator, "__next__") if isinstance(iterator, Instance) else []

    def _runs(self, module: ProgramModule, index: int, call: Call, value: Value) -> list[Target]:
        if isinstance(value, FunctionValue):
            return self._runs_function(call, value)
        if isinstance(value, External):
            sink = self._catalog.sink(value.name)
            return [sink] if sink is not None and self._circumstances.block(module, index, call, sink) else []
        match value:
            case ExternalInstance(name):
                return self._runs(module, index, call, External(f"{name}.__call__"))
            case ClassValue() | Instance():
                found: list[Target] = []
                for name in _CONSTRUCTORS if isinstance(value, ClassValue) else ("__call__",):
                    for method in self._resolver.attribute(value, name):
                        if isinstance(method, (FunctionValue, External)):
                            found += self._runs(module, index, call, method)
                return found
            case _:
                return []

    def _runs_function(self, call: Call, value: FunctionValue) -> list[Target]:
        declared = self._catalog.declared(self._resolver.dotted(value)) if self._catalog.declares else None
        if isinstance(declared, Sink):
            return [declared] if call.use != "await" else []
        module = self._load(value.path)
        if declared is not None or module is None or not self._runs_here(value, call.use):
            return []
        function = module.facts.functions[value.index]
        if function.is_stub:
            key = ("implementations", value, call.use)
            return self._answers.get(key, [], self._find_implementations, (value, call.use))
        node = self._receivers.node(value)
        if not function.decorators:
            return [node]
        return [node, *((w.path, w.index) for w in self._handover.wrapping(module, value.index).wrappers)]

    def _find_implementations(self, value: FunctionValue, use: str) -> list[Target]:
        """What calling a method that is there to be overridden runs: one of several, or the only one."""
        found = [v for v in self._overrides.of(value) if self._runs_here(v, use)]
        nodes = [self._receivers.node(v) for v in found]
        if len(nodes) < 2:
            return [*nodes]
        doubles = {node for v, node in zip(found, nodes, strict=True) if self._is_double(v)}
        self._doubles |= doubles if len(doubles) < len(found) else set()
        return [self._choose(tuple((node,) for node in nodes))]

    def is_double(self, target: Target) -> bool:
        """Whether a function is one of several implementations, and stands in for the real ones in tests."""
        return target in self._doubles

    def _is_double(self, value: FunctionValue) -> bool:
        if value.receiver is None:
            return False
        return _DOUBLE.search(self._resolver.class_facts(value.receiver)[1].name) is not None

    # -- functions of the program ------------------------------------------------------------------------------------

    def _runs_here(self, value: FunctionValue, use: str) -> bool:
        """Whether a call whose result is put to this use runs the function's body, now, on this thread."""
        module = self._load(value.path)
        if module is None:
            return False
        function = module.facts.functions[value.index]
        if function.is_async or (function.is_stub and value.receiver is None):
            return False
        if function.is_generator:
            is_manager = any(plain(decorator) in _CONTEXT_MANAGERS for decorator in function.decorators)
            return use == "with" if is_manager else use in ITERATES
        decorated = bool(function.decorators) and any(
            plain(d).removesuffix("()").rpartition(".")[2] not in TRANSPARENT for d in function.decorators
        )
        # Awaiting contradicts what was found, unless the function gives something to await: a decorator has made it
        # async, or it is overridden by an async method in a subclass.
        if use == "await" and (decorated or not self._gives_awaitable(module, value, function)):
            return False
        return not decorated or self._handover.wrapping(module, value.index).keeps_thread

    def _gives_awaitable(self, module: ProgramModule, value: FunctionValue, function: Function) -> bool:
        if any(kind in function.annotation for kind in _AWAITABLES):
            return True
        results = [v for path in function.returns for v in self._resolver.binding(module, value.index, path)]
        return any(isinstance(result, Coroutine) for result in results)


def _hands_over(call: Call) -> bool:
    """Whether an argument may be a function: no constant, nor what a call gives."""
    for argument in (*call.arguments, *call.keywords.values()):
        if argument and argument[0] != "=" and argument[-1] != ")":
            return True
    return False
