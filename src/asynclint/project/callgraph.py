"""Which functions a function runs on its own thread, and which sinks it calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from asynclint.catalog import Catalog, Sink
from asynclint.project.modules import ProgramModule
from asynclint.project.resolve import Resolver
from asynclint.project.values import ClassValue, Coroutine, External, FunctionValue, Instance, Value
from asynclint.syntax import Call, Function, plain

Node = tuple[str, int]
"""A function of the program: its module's path and its index there."""

_ITERATES = ("for", "yield from")
_CONTEXT_MANAGERS = ("contextmanager", "contextlib.contextmanager")
_TRANSPARENT = frozenset(
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
_AWAITABLES = ("Awaitable", "Coroutine", "Future", "Task")
_CONSTRUCTORS = ("__new__", "__init__", "__post_init__")


@dataclass(frozen=True, slots=True)
class Edge:
    """A call that runs `target`, a function of the program, or ends in `target`, a sink."""

    call: Call
    target: Node | Sink


class CallGraph:
    """Edges of functions, found when asked for and remembered.

    Passing a function is not calling it, so what is handed to a thread makes no edge; nor does a call of an async
    function, which only makes a coroutine.
    """

    def __init__(self, resolver: Resolver, load: Callable[[str], ProgramModule | None], catalog: Catalog) -> None:
        self._resolver = resolver
        self._load = load
        self._catalog = catalog
        self._edges: dict[Node, list[Edge]] = {}
        self._callback_names = {name.rpartition(".")[2] for name in catalog.maps["callbacks"]}

    def edges(self, node: Node) -> list[Edge]:
        """The calls that function `node` makes on its own thread, in the order written."""
        edges = self._edges.get(node)
        if edges is None:
            module = self._load(node[0])
            edges = self._edges[node] = list(self._find(module, node[1])) if module is not None else []
        return edges

    def loop_functions(self, module: ProgramModule) -> list[int]:
        """Functions of a module that run on the event loop: the async ones, and the callbacks it hands over."""
        indices = {index for index, function in enumerate(module.facts.functions) if function.is_async}
        for index, function in enumerate(module.facts.functions):
            for call in function.calls:
                if any(call.arguments) or call.keywords:
                    indices.update(self._callbacks(module, index, call))
        return sorted(indices)

    def _callbacks(self, module: ProgramModule, function: int, call: Call) -> Iterator[int]:
        """The functions of the module that a call hands to the loop."""
        if call.target.rpartition(".")[2] not in self._callback_names:
            return
        for value in self._resolver.resolve(module, function, call.target):
            position = self._catalog.callback(value.name) if isinstance(value, External) else None
            if position is not None and position < len(call.arguments):
                for handed in self._resolver.binding(module, function, call.arguments[position]):
                    if isinstance(handed, FunctionValue) and handed.path == module.path:
                        yield handed.index

    def sink(self, name: str) -> Sink:
        """The sink of this name."""
        return self._catalog.sinks[name]

    def _find(self, module: ProgramModule, index: int) -> Iterator[Edge]:
        function = module.facts.functions[index]
        for call in function.calls:
            values = self._resolver.resolve(module, index, call.target)
            targets: list[Node | Sink] = []
            for value in values:
                found = list(self._runs(module, index, call, value))
                if not found:
                    break  # one of the things this may be does not block
                targets += found
            else:
                for target in dict.fromkeys(targets):
                    yield Edge(call, target)

    def _runs(self, module: ProgramModule, index: int, call: Call, value: Value) -> Iterator[Node | Sink]:
        match value:
            case External(name):
                sink = self._catalog.sink(name)
                if sink is not None and self._blocks(module, index, call, sink):
                    yield sink
            case FunctionValue():
                if self._runs_here(value, call):
                    yield value.path, value.index
            case ClassValue() | Instance():
                for name in _CONSTRUCTORS if isinstance(value, ClassValue) else ("__call__",):
                    for method in self._resolver.attribute(value, name):
                        if isinstance(method, (FunctionValue, External)):
                            yield from self._runs(module, index, call, method)

    # -- sinks -----------------------------------------------------------------------------------------------------

    def _blocks(self, module: ProgramModule, index: int, call: Call, sink: Sink) -> bool:
        # What is awaited is not the synchronous function it looks like.
        if call.use in ("await", "async with", "async for"):
            return False
        if sink.lazy and call.use not in _ITERATES:
            return False
        if any(_is_given(call, argument) for argument in sink.unless):
            return False
        return not (sink.follows and self._made_here(module, index, call.target.rpartition(".")[0], sink, set()))

    def _made_here(self, module: ProgramModule, index: int, receiver: str, sink: Sink, seen: set[str]) -> bool:
        """Whether the object that a sink is a method of comes from a sink of the same category in this function."""
        if receiver in seen:
            return False
        seen.add(receiver)
        parts = receiver.split("()")
        for count in range(1, len(parts)):
            for value in self._resolver.resolve(module, index, "()".join(parts[:count])):
                maker = self._catalog.sink(value.name) if isinstance(value, External) else None
                if maker is not None and maker.category == sink.category:
                    return True
        root = receiver.partition(".")[0].partition("()")[0]
        ids = root.partition("@")[2]
        bindings = module.facts.functions[index].bindings
        return any(self._made_here(module, index, bindings[int(i)][1], sink, seen) for i in ids.split(",") if i)

    # -- functions of the program ------------------------------------------------------------------------------------

    def _runs_here(self, value: FunctionValue, call: Call) -> bool:
        """Whether making this call runs the function's body, now, on this thread."""
        module = self._load(value.path)
        if module is None:
            return False
        function = module.facts.functions[value.index]
        if function.is_async or function.is_stub:
            return False
        if function.is_generator:
            is_manager = any(plain(decorator) in _CONTEXT_MANAGERS for decorator in function.decorators)
            return call.use == "with" if is_manager else call.use in _ITERATES
        names = {d: plain(d).removesuffix("()").rpartition(".")[2] for d in function.decorators}
        decorators = [d for d, name in names.items() if name not in _TRANSPARENT]
        # Awaiting contradicts what was found, unless the function gives something to await: a decorator has made it
        # async, or it is overridden by an async method in a subclass.
        if call.use == "await" and (decorators or not self._gives_awaitable(module, value, function)):
            return False
        return all(self._keeps_thread(module, function, decorator) for decorator in decorators)

    def _keeps_thread(self, module: ProgramModule, function: Function, decorator: str) -> bool:
        """Whether a decorated function still runs on the thread that calls it."""
        path = decorator.removesuffix("()")
        for value in self._resolver.resolve(module, function.parent, path):
            if isinstance(value, External) and self._catalog.has("offloads", value.name):
                return False
            if isinstance(value, FunctionValue) and self._gives_coroutine_function(value):
                return False
        # `@dispatch(async_twin)` calls the twin where a loop is running.
        calls = [call for call in module.facts.functions[function.parent].calls if call.target == path]
        given = [argument for call in calls if call.end_line < function.line for argument in call.arguments][-1:]
        twins = [value for argument in given for value in self._resolver.binding(module, function.parent, argument)]
        return not any(self._is_async(twin) for twin in twins)

    def _gives_awaitable(self, module: ProgramModule, value: FunctionValue, function: Function) -> bool:
        if any(kind in function.annotation for kind in _AWAITABLES):
            return True
        results = [v for path in function.returns for v in self._resolver.binding(module, value.index, path)]
        return any(isinstance(result, Coroutine) for result in results)

    def _is_async(self, value: Value) -> bool:
        if not isinstance(value, FunctionValue):
            return False
        module = self._load(value.path)
        return module is not None and module.facts.functions[value.index].is_async

    def _gives_coroutine_function(self, decorator: FunctionValue, depth: int = 3) -> bool:
        """Whether a decorator of the program returns an async function, or a decorator that does."""
        module = self._load(decorator.path)
        if module is None or not depth:
            return False
        for path in module.facts.functions[decorator.index].returns:
            for value in self._resolver.binding(module, decorator.index, path):
                if self._is_async(value):
                    return True
                if not isinstance(value, FunctionValue) or value == decorator:
                    continue
                if self._gives_coroutine_function(value, depth - 1):
                    return True
        return False


def _is_given(call: Call, argument: str) -> bool:
    """Whether a call has this constant argument: `timeout=0` by name, `1=0` by position."""
    name, _, value = argument.partition("=")
    if not name.isdecimal():
        return call.keywords.get(name) == f"= {value}"
    position = int(name)
    return position < len(call.arguments) and call.arguments[position] == f"= {value}"
