"""Strongly connected components: functions that call each other in a circle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def components(starts: Iterable[T], successors: Callable[[T], Iterable[T]]) -> Iterator[list[T]]:
    """The components that can be reached, each after all that it leads to.

    Tarjan's algorithm ("Depth-first search and linear graph algorithms", 1972), without recursion: chains of calls are
    longer than the interpreter's stack.
    """
    number: dict[T, int] = {}
    lowest: dict[T, int] = {}
    open_nodes: list[T] = []
    is_open: set[T] = set()
    for start in starts:
        if start in number:
            continue
        work: list[tuple[T, Iterator[T]]] = []
        pending: T | None = start
        while pending is not None or work:
            if pending is not None:
                number[pending] = lowest[pending] = len(number)
                open_nodes.append(pending)
                is_open.add(pending)
                work.append((pending, iter(successors(pending))))
                pending = None
            node, rest = work[-1]
            for successor in rest:
                if successor not in number:
                    pending = successor
                    break
                if successor in is_open:
                    lowest[node] = min(lowest[node], number[successor])
            if pending is not None:
                continue
            work.pop()
            if work:
                parent = work[-1][0]
                lowest[parent] = min(lowest[parent], lowest[node])
            if lowest[node] == number[node]:
                component: list[T] = []
                while True:
                    member = open_nodes.pop()
                    is_open.discard(member)
                    component.append(member)
                    if member == node:
                        break
                yield component
