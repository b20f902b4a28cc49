"""Blocking calls reachable from async code, with the shortest chain to each."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from asynclint.catalog import Sink
from asynclint.findings import Hop
from asynclint.project.callgraph import CallGraph, Edge, Node
from asynclint.project.modules import ProgramModule
from asynclint.syntax import Call


@dataclass(frozen=True, slots=True)
class Blocked:
    """A call in async code that blocks the event loop.

    Attributes:
        function: Index of the async function that makes it.
        call: The first hop.
        sink: What blocks.
        chain: Every hop from the call to the sink; one for a direct call.
    """

    function: int
    call: Call
    sink: Sink
    chain: tuple[Hop, ...]


class Blocking:
    """Spreads blocking backwards from sinks over synchronous functions.

    Only what async code can reach is looked at. For each function and sink the shortest way is kept, as the edge to
    take first; ties go to the call written first, so that results do not depend on the order of questions.
    """

    def __init__(self, graph: CallGraph, load: Callable[[str], ProgramModule | None]) -> None:
        self._graph = graph
        self._load = load
        self._ways: dict[Node, dict[str, tuple[int, Edge]]] = {}

    def calls(self, module: ProgramModule) -> list[Blocked]:
        """The blocking calls in async code of a module: once for each call site and sink."""
        functions = self._graph.loop_functions(module)
        sites = [(index, edge) for index in functions for edge in self._graph.edges((module.path, index))]
        # A callback is async code itself: what it does is reported there, not at its callers.
        on_loop = {(module.path, index) for index in functions}
        self._explore(edge.target for _, edge in sites if not isinstance(edge.target, Sink))
        found = []
        for index, edge in sites:
            if isinstance(edge.target, Sink):
                found.append(Blocked(index, edge.call, edge.target, (self._hop(module, index, edge.call),)))
            elif edge.target not in on_loop:
                for name in self._ways[edge.target]:
                    sink, hops = self._chain(edge.target, name)
                    found.append(Blocked(index, edge.call, sink, (self._hop(module, index, edge.call), *hops)))
        return found

    def _explore(self, starts: Iterable[Node]) -> None:
        """Find the ways from all functions that can be reached from `starts`."""
        callers: dict[Node, list[tuple[Node, int, Edge]]] = {}
        queue: list[tuple[int, str, int, int, str]] = []
        pending = [node for node in dict.fromkeys(starts) if node not in self._ways]
        self._ways.update((node, {}) for node in pending)
        while pending:
            node = pending.pop()
            for order, edge in enumerate(self._graph.edges(node)):
                target = edge.target
                if isinstance(target, Sink):
                    heapq.heappush(queue, (1, *node, order, target.name))
                    continue
                callers.setdefault(target, []).append((node, order, edge))
                known = self._ways.get(target)
                if known is None:
                    self._ways[target] = {}
                    pending.append(target)
                else:
                    for name, (length, _) in known.items():
                        heapq.heappush(queue, (length + 1, *node, order, name))
        self._spread(queue, callers)

    def _spread(
        self, queue: list[tuple[int, str, int, int, str]], callers: dict[Node, list[tuple[Node, int, Edge]]]
    ) -> None:
        while queue:
            length, path, index, order, name = heapq.heappop(queue)
            node = (path, index)
            edge = self._graph.edges(node)[order]
            if name in self._ways[node] or self._silenced(node, edge, name):
                continue
            self._ways[node][name] = (length, edge)
            for caller, caller_order, _ in callers.get(node, ()):
                if name not in self._ways[caller]:
                    heapq.heappush(queue, (length + 1, *caller, caller_order, name))

    def _silenced(self, node: Node, edge: Edge, name: str) -> bool:
        """A `# noqa` with a code of the sink's category at any hop silences every chain through it."""
        module = self._load(node[0])
        if module is None or not module.facts.noqa:
            return False
        sink = self._graph.sink(name)
        lines = edge.call.line, edge.call.end_line
        return any(module.silences(code, *lines, explicitly=True) for code in (sink.direct_code, sink.transitive_code))

    def _chain(self, node: Node, name: str) -> tuple[Sink, list[Hop]]:
        hops: list[Hop] = []
        while True:
            _, edge = self._ways[node][name]
            module = self._load(node[0])
            if module is None:
                raise AssertionError("a function with a way is in a module that was loaded")
            hops.append(self._hop(module, node[1], edge.call))
            if isinstance(edge.target, Sink):
                return edge.target, hops
            node = edge.target

    def _hop(self, module: ProgramModule, function: int, call: Call) -> Hop:
        name = module.facts.functions[function].qualname
        return Hop(module.shown, call.line, call.column + 1, name, module.line(call.line).strip())
