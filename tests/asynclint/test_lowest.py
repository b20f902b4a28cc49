"""What is lowest among all that a node leads to, whatever circles there are, and whoever is asked first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asynclint.project.answers import Answers
from asynclint.project.lowest import NOWHERE, Lowest
from asynclint.project.trace import Trace

SIZE = 8
NODES = st.integers(0, SIZE - 1)
Graph = dict[int, tuple[int, list[int]]]
graphs = st.fixed_dictionaries(
    {node: st.tuples(st.integers(0, 3) | st.just(NOWHERE), st.lists(NODES, max_size=3)) for node in range(SIZE)}
)


def reached(graph: Graph, start: int) -> set[int]:
    nodes, pending = {start}, [start]
    while pending:
        fresh = set(graph[pending.pop()][1]) - nodes
        nodes |= fresh
        pending += fresh
    return nodes


@given(graphs, st.permutations(range(SIZE)))
def test_it_is_what_following_each_node_finds(graph: Graph, order: list[int]) -> None:
    lowest = Lowest("lowest", Answers(Trace()), graph.__getitem__)
    found = {node: lowest.of(node) for node in order}
    assert found == {node: min(graph[other][0] for other in reached(graph, node)) for node in graph}


@given(graphs, st.permutations(range(SIZE)))
def test_each_node_is_looked_at_once(graph: Graph, order: list[int]) -> None:
    looked_at: list[int] = []

    def look(node: int) -> tuple[int, list[int]]:
        looked_at.append(node)
        return graph[node]

    lowest = Lowest("lowest", Answers(Trace()), look)
    for node in order:
        lowest.of(node)
    assert sorted(looked_at) == sorted(graph)
