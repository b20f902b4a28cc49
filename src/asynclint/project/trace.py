"""Which answers rest on which, and on which parts of the files and directories of a program."""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
K = TypeVar("K")
_ROOM = 24
"""Bits of a number below those that say which process gave it out."""
_LOWER = (1 << 32) - 1
_SLICE = 46
"""Links that differ in the bits below this one are sorted together."""
WHOLE = ""
"""The part that is all of a file or directory."""
Part = tuple[str, str, int]
"""A file or directory, what was looked at of it (`parts.py`), and its number."""


class Trace:
    """A graph of answers, and of what they were drawn from.

    Its nodes are numbers: one for each answer, and one for each part of a file or directory that was looked at.

    Attributes:
        is_noted: Somebody will ask; otherwise nothing is written down, and all numbers are 0.
        asker: The answer that is being worked out.
        links: For each time that an answer rested on something, the number of that above 32 bits, and its own below.
        parts: By file or directory, the parts that were looked at, with their numbers.
        answers: Answers by number, question and value, for `parts.py` to link to the parts that these are about.
    """

    def __init__(self) -> None:
        self.is_noted: bool = False
        self.asker: int = 0
        self.links: array[int] = array("Q")
        self.parts: dict[str, dict[str, int]] = {}
        self.answers: list[tuple[int, tuple[Any, ...], Any]] = []
        self._last = 0
        self._news: list[Part] | None = None

    def begin(self, process: int) -> None:
        """Begin anew, with numbers that no other process gives out."""
        self._last = process << _ROOM
        self.parts.clear()
        self.taken()

    def taken(self) -> tuple[bytes, list[Part]]:
        """The links, which are forgotten, and the parts since the last time; for `merge` in another process."""
        links, parts = self.links.tobytes(), self._news
        del self.links[:]
        self._news = []
        return links, parts or []

    def merge(self, links: bytes, parts: Iterable[Part]) -> None:
        """Take in what another process has noted."""
        self.links.frombytes(links)
        outer = self.asker
        for place, what, self.asker in parts:
            self.see(place, what)
        self.asker = outer

    def packed(self) -> bytes:
        """The links in order, each once, compressed, for `reached`."""
        packer = zlib.compressobj(1)
        slices: dict[int, array[int]] = {}  # to sort all at once would take much memory
        for link in self.links:
            number = link >> _SLICE
            if number not in slices:
                slices[number] = array("Q")
            slices[number].append(link)
        in_order = (array("Q", sorted(set(slices.pop(number)))) for number in sorted(slices))
        return b"".join([*(packer.compress(links.tobytes()) for links in in_order), packer.flush()])

    def fresh(self) -> int:
        """A new number."""
        if not self.is_noted:
            return 0
        self._last += 1
        return self._last

    def rest_on(self, number: int) -> None:
        """Note that what is being answered rests on another answer."""
        if number:
            self.links.append(number << 32 | self.asker)

    def see(self, place: str, what: str) -> None:
        """Note that what is being answered rests on a part of a file or directory."""
        if self.is_noted:
            parts = self.parts.get(place)
            if parts is None:
                parts = self.parts[place] = {}
            number = parts.get(what)
            if number is None:
                number = parts[what] = self.fresh()
                if self._news is not None:
                    self._news.append((place, what, number))
            self.links.append(number << 32 | self.asker)

    def look_into(self, path: str, function: int) -> None:
        """Note that what is being answered rests on all of a function."""
        if self.is_noted:
            self.answers.append((self.asker, ("function", path, function), None))

    def ask(self, path: str, function: int, text: str) -> None:
        """Note that what is being answered rests on what an access path stands for in a function."""
        if self.is_noted:
            self.answers.append((self.asker, (path, function, text), None))

    def look_at(self, value: object) -> None:
        """Note that what is being answered rests on what functions and classes look like from outside."""
        if self.is_noted:
            self.answers.append((self.asker, (), value))

    def remembered(self, known: dict[K, tuple[T, int]], key: K, look: Callable[..., T], *where: Any) -> T:
        """What `look(*where)` gives, or gave before, with all that it rests on."""
        found = known.get(key)
        if found is None:
            outer, self.asker = self.asker, self.fresh()
            found = known[key] = look(*where), self.asker
            self.asker = outer
        self.rest_on(found[1])
        return found[0]


def reached(packed: bytes, starts: Iterable[int]) -> set[int]:
    """The numbers of all that rests on something, by the `packed` links of a trace.

    Raises:
        ValueError, zlib.error: They are none.
    """
    links: array[int] = array("Q")
    links.frombytes(zlib.decompress(packed))
    found: set[int] = set()
    pending = list(starts)
    while pending:
        number = pending.pop()
        for index in range(bisect_left(links, number << 32), bisect_left(links, (number + 1) << 32)):
            asker = links[index] & _LOWER
            if asker not in found:
                found.add(asker)
                pending.append(asker)
    return found
