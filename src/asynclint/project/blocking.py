"""Blocking calls reachable from async code, with the shortest chain to each."""

from __future__ import annotations

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from asynclint.catalog import Sink
from asynclint.findings import Hop
from asynclint.project.callgraph import CallGraph, Edge, Node, Target
from asynclint.project.components import components
from asynclint.project.guards import Guards, carried, is_proven, within
from asynclint.project.kinds import Kinds
from asynclint.project.modules import ProgramModule
from asynclint.project.trace import Trace
from asynclint.syntax import Call

_CONDITION = "threading.Condition.wait"
_LOCK = re.compile(r"acquire|lock", re.I)
_NOWHERE = Call("", 0, 0, 0, 0, "other", [], {})
"""The call by which a choice leads to its alternatives: none that anybody wrote."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """A call in async code that blocks the event loop.

    Attributes:
        function: Index of the async function that makes it.
        call: The first hop.
        sink: What blocks.
        chain: Every hop from the call to the sink; one for a direct call.
        others: From how many other places the same sink can be reached from this call.
        is_proven: The chain does not rest on a condition that few values meet, and of whose value nothing is known; nor
            does a long one go through branches.
    """

    function: int
    call: Call
    sink: Sink
    chain: tuple[Hop, ...]
    others: int = 0
    is_proven: bool = True

    @property
    def category(self) -> str:
        """The sink's category, but for locks made of a condition variable: to wait in one is to take a lock."""
        if self.sink.name == _CONDITION and any(_LOCK.search(hop.function) for hop in self.chain[1:]):
            return "lock"
        return self.sink.category


Way = tuple[str, Guards]
"""A sink, and the conditions on a function's parameters under which that function reaches it."""
Cost = tuple[int, int]
"""How many calls a way has, and how many branches have to be taken on it."""
_Step = tuple[Cost, str, int, int, Way]
"""What to look at next: at which cost, the function, the number of its edge, and the way from where that leads."""
_Rank = tuple[bool, int]
"""What is proven (`False`) goes before what is likely, a short chain before a long one."""
_LONGEST_BRANCHED = 5
"""Calls in a chain through branches; of longer ones, most do not hold: each branch knows less of what led there."""
_MOST_GUARDED = 8
"""Ways to one sink under different conditions; a function with more is taken to reach it always."""


class Blocking:
    """Spreads blocking backwards from sinks over synchronous functions.

    Only what async code can reach is looked at. For each function and sink the shortest way is kept, as the edge to
    take first; ties go to the one with the fewest branches, then to the call written first, so that results do not
    depend on the order of questions. A way that depends on the function's parameters is kept with its conditions, and
    does not reach callers that rule them out.
    """

    def __init__(
        self,
        graph: CallGraph,
        load: Callable[[str], ProgramModule | None],
        kinds: Kinds,
        trace: Trace,
        *,
        likely: bool,
    ) -> None:
        """Make it for a call graph; `likely`: show what is likely as well as what is proven."""
        self._likely = likely
        self._graph = graph
        self._kinds = kinds
        self._load = load
        self._trace = trace
        self._ways: dict[Node, dict[Way, tuple[Cost, Edge, Way]]] = {}
        self._edges: dict[Node, list[Edge]] = {}
        self._traced: dict[Node, int] = {}
        self._places: defaultdict[str, dict[Node, int]] = defaultdict(dict)
        self._numbered: Counter[str] = Counter()
        self._sinks: dict[Node, set[str]] = {}

    def calls(self, module: ProgramModule) -> list[Blocked]:
        """The blocking calls in async code of a module: once for each call site and sink."""
        functions = self._graph.loop_functions(module)
        sites = [(index, edge) for index in functions for edge in self._graph.edges((module.path, index))]
        sites += self._graph.foreign_callbacks(module)
        # A callback is async code itself: what it does is reported there, not at its callers.
        on_loop = {(module.path, index) for index in functions}
        self._explore([edge.target for _, edge in sites if not isinstance(edge.target, Sink)])
        found: dict[tuple[int, int, str, str], tuple[_Rank, int, Edge, Way]] = {}
        for index, edge in sites:
            for rank, way in self._reached(module, index, edge, on_loop):
                key = (edge.call.line, edge.call.column, edge.call.target, way[0])
                known = found.get(key)
                if known is None or rank < known[0]:
                    found[key] = rank, index, edge, way
        return [self._blocked(module, *one) for one in found.values() if self._likely or not one[0][0]]

    def _reached(
        self, module: ProgramModule, index: int, edge: Edge, on_loop: set[Node]
    ) -> Iterator[tuple[_Rank, Way]]:
        """The ways that a call in async code opens, as seen from its target."""
        target = edge.target
        if isinstance(target, Sink):
            yield (False, 1), (target.name, ())
        elif target not in on_loop:
            self._trace.rest_on(self._number(target))
            for way, ((hops, branches), _, _) in self._ways[target].items():
                rest = self._carried((module.path, index), edge, target, way)
                if rest is not None:
                    proven = is_proven(rest) and (not branches or hops < _LONGEST_BRANCHED)
                    yield (not proven, hops + 1), way

    def _blocked(self, module: ProgramModule, rank: _Rank, index: int, edge: Edge, way: Way) -> Blocked:
        target = edge.target
        first = self._hop(module, index, edge.call)
        if isinstance(target, Sink):
            return Blocked(index, edge.call, target, (first,))
        sink, hops = self._chain(target, way)
        return Blocked(index, edge.call, sink, (first, *hops), self._count(target, way[0]) - 1, not rank[0])

    # -- ways --------------------------------------------------------------------------------------------------------

    def _next(self, node: Node) -> list[Edge]:
        """The edges of a function, or of a choice to its alternatives."""
        edges = self._edges.get(node)
        if edges is None:
            trace = self._trace
            outer, trace.asker = trace.asker, self._number(node)
            choice = self._graph.choice(node)
            if choice is None:
                edges = self._graph.edges(node)
                trace.look_into(*node)
            else:
                edges = [Edge(_NOWHERE, target) for targets in choice for target in targets]
            if trace.is_noted:
                for edge in edges:
                    if not isinstance(edge.target, Sink):
                        trace.rest_on(self._number(edge.target))
            trace.asker = outer
            self._edges[node] = edges
        return edges

    def _number(self, node: Node) -> int:
        """What the trace calls the ways from a function."""
        number = self._traced.get(node)
        if number is None:
            number = self._traced[node] = self._trace.fresh()
        return number

    def _carried(self, node: Node, edge: Edge, target: Node, way: Way) -> list[str] | None:
        """What a call in `node` makes of the conditions of a way from its target; `None`: it rules them out."""
        if not way[1] or self._graph.choice(node) is not None:
            return []
        while self._graph.choice(target) is not None:  # the conditions are on the parameters of what it leads to
            _, step, way = self._ways[target][way]
            if isinstance(step.target, Sink):
                return []
            target = step.target
        caller = self._loaded(node)

        def is_instance(argument: str, kinds: str) -> bool | None:
            return self._kinds.holds(caller, node[1], argument, kinds)

        return carried(edge.call, self._loaded(target).facts.functions[target[1]], way[1], is_instance)

    def _explore(self, starts: Iterable[Target]) -> None:
        """Find the ways from all functions that can be reached from `starts`."""
        callers: dict[Node, list[tuple[Node, int]]] = {}
        queue: list[_Step] = []
        pending = [node for node in dict.fromkeys(starts) if not isinstance(node, Sink) and node not in self._ways]
        self._ways.update((node, {}) for node in pending)
        while pending:
            node = pending.pop()
            edges = self._next(node)
            for order, edge in enumerate(edges):
                target = edge.target
                if isinstance(target, Sink):
                    queue.append((_further((0, 0), edge), *node, order, (target.name, ())))
                    continue
                callers.setdefault(target, []).append((node, order))
                known = self._ways.get(target)
                if known is None:
                    self._ways[target] = {}
                    pending.append(target)
                else:
                    queue.extend((_further(cost, edge), *node, order, way) for way, (cost, _, _) in known.items())
        heapq.heapify(queue)
        self._spread(queue, callers)

    def _spread(self, queue: list[_Step], callers: dict[Node, list[tuple[Node, int]]]) -> None:
        waiting: dict[Node, dict[Way, tuple[Cost, Edge, Way]]] = {}
        asker = self._trace.asker
        leading: dict[Node, int] = {}  # how many alternatives, of those of a choice, are known to block
        while queue:
            cost, path, index, order, beyond = heapq.heappop(queue)
            node = (path, index)
            self._trace.asker = self._traced[node]
            edge = self._next(node)[order]
            choice = self._graph.choice(node)
            way = self._within_limit(node, *beyond) if choice is not None else self._way(node, edge, beyond)
            if way is None:
                continue
            ways = self._ways[node]
            if way in ways or (way[0], ()) in ways:
                continue
            if choice is None:
                found = {way: (cost, edge, beyond)}
            else:
                held = waiting.setdefault(node, {})
                # What stands in for an implementation in tests must block as well, but is no way to show.
                if not self._graph.is_double(edge.target):
                    held.setdefault(way, (cost, edge, beyond))
                # Only if each of the alternatives blocks, the call does.
                count = leading.get(node, 0)
                while count < len(choice) and any(map(self._leads, choice[count])):
                    count += 1
                leading[node] = count
                if count < len(choice):
                    continue
                found = {other: step for other, step in held.items() if other not in ways}
            ways.update(found)
            for other, (own, _, _) in found.items():
                for caller, caller_order in callers.get(node, ()):
                    further = _further(own, self._next(caller)[caller_order])
                    heapq.heappush(queue, (further, *caller, caller_order, other))
        self._trace.asker = asker

    def _way(self, node: Node, edge: Edge, beyond: Way) -> Way | None:
        """The way that a call opens from its function to where `beyond` leads from its target."""
        if self._silenced(node, edge, beyond[0]):
            return None
        known = self._carried(node, edge, edge.target, beyond) if not isinstance(edge.target, Sink) else []
        if known is None:
            return None
        guards: Guards = ()
        if known or edge.call.guards:
            guards = within([*self._own_guards(node, edge.call), *known], self._loaded(node).facts.functions[node[1]])
        return self._within_limit(node, beyond[0], guards)

    def _within_limit(self, node: Node, name: str, guards: Guards) -> Way:
        if guards and sum(name == other for other, _ in self._ways[node]) >= _MOST_GUARDED:
            guards = ()
        return name, guards

    def _own_guards(self, node: Node, call: Call) -> list[str]:
        """The conditions under which a function makes a call, with types by names that mean the same everywhere."""
        guards = []
        for guard in call.guards:
            head, isa, types = guard.partition(" isa ")
            if isa:
                types = self._kinds.named(self._loaded(node), node[1], types)
            if types or not isa:
                guards.append(f"{head}{isa}{types}")
        return guards

    def _leads(self, target: Target) -> bool:
        return isinstance(target, Sink) or bool(self._ways.get(target))

    def _silenced(self, node: Node, edge: Edge, name: str) -> bool:
        """A `# noqa` with a code of the sink's category at any hop silences every chain through it."""
        module = self._loaded(node)
        if not module.facts.noqa:
            return False
        sink = self._graph.sink(name)
        lines = edge.call.line, edge.call.end_line
        return any(module.silences(code, *lines, explicitly=True) for code in (sink.direct_code, sink.transitive_code))

    # -- chains ------------------------------------------------------------------------------------------------------

    def _chain(self, node: Node, way: Way) -> tuple[Sink, list[Hop]]:
        hops: list[Hop] = []
        while True:
            _, edge, way = self._ways[node][way]
            if self._graph.choice(node) is None:  # a choice makes no hop of its own
                hops.append(self._hop(self._loaded(node), node[1], edge.call))
            if isinstance(edge.target, Sink):
                return edge.target, hops
            node = edge.target

    def _count(self, start: Node, name: str) -> int:
        """How many calls of the sink can be reached."""
        places = self._places[name]

        def onward(node: Node) -> list[Node]:
            targets = [edge.target for edge in self._next(node) if not isinstance(edge.target, Sink)]
            return [target for target in targets if target not in places and name in self._reaches(target)]

        # A set of places is an `int` with a bit for each; functions that call each other all reach the same.
        for component in components([start], onward) if start not in places else ():
            mask = 0
            for node in component:
                for edge in self._next(node):
                    if not isinstance(edge.target, Sink):
                        mask |= places.get(edge.target, 0)
                    elif edge.target.name == name:
                        mask |= 1 << self._numbered[name]
                        self._numbered[name] += 1
            places.update(dict.fromkeys(component, mask))
        return places[start].bit_count()

    def _reaches(self, node: Node) -> set[str]:
        """The sinks that there are ways to."""
        names = self._sinks.get(node)
        if names is None:
            names = self._sinks[node] = {name for name, _ in self._ways[node]}
        return names

    def _loaded(self, node: Node) -> ProgramModule:
        module = self._load(node[0])
        if module is None:
            raise AssertionError("a function with a way is in a module that was loaded")
        return module

    def _hop(self, module: ProgramModule, function: int, call: Call) -> Hop:
        name = module.facts.functions[function].qualname
        return Hop(module.shown, call.line, call.column + 1, name, module.line(call.line).strip())


def _further(cost: Cost, edge: Edge) -> Cost:
    """What a way costs with an edge before it; that from a choice to its alternatives is no call."""
    return cost[0] + (edge.call is not _NOWHERE), cost[1] + edge.call.branches
