"""What looking up attributes in long lines of classes rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asynclint.project.values import ClassValue

if TYPE_CHECKING:
    from asynclint.project.members import Members

FEW = 20
"""Classes of a line that are noted one by one, each with the name that was looked up."""


class Lineage:
    """For the trace, the names that a class and all its bases bind: each class is noted once, not in every line."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._numbers: dict[ClassValue, int] = {}

    def number(self, cls: ClassValue) -> int:
        """What the trace, if it is noted, calls these names."""
        trace, numbers = self._members.trace, self._numbers
        if cls not in numbers:
            numbers[cls] = trace.fresh()
            pending = [cls]
            outer = trace.asker
            while pending:
                ancestor = pending.pop()
                trace.asker = numbers[ancestor]
                trace.see(ancestor.path, f"members {self._members.class_facts(ancestor)[1].qualname}")
                for base in self._members.bases(ancestor):
                    if isinstance(base, ClassValue):
                        if base not in numbers:
                            numbers[base] = trace.fresh()
                            pending.append(base)
                        trace.rest_on(numbers[base])
            trace.asker = outer
        return numbers[cls]
