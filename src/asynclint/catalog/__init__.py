"""What the APIs of Python and its libraries do to an event loop: data in TOML, and the one module that loads it.

A file `NAME.toml` beside this module holds the entries of one category. Its tables:

    category = "file-io"                # what `blocks` entries of this file are; absent in files without sinks
    number = 3                          # its codes are ASY103 (direct) and ASY203 (through helpers)
    help = "…"                          # the cure named in reports, unless an entry names its own

    [[api]]
    name = "pathlib.Path"               # a module or a class, by its public name
    also = ["pathlib.PosixPath"]        # other names of the same thing
    bases = ["pathlib.PurePath"]        # for a class: what it inherits from
    blocks = ["read_text"]              # members that block the thread that calls them
    lazy = ["glob"]                     # of these: those that return an iterator, and block while it is consumed
    unless = { wait = "timeout=0" }     # the member does not block when called with this argument
    follows = true                      # not reported where the object itself comes from a sink: `open(…).read()`
    help = "…"
    safe = ["joinpath"]                 # members known not to block
    returns = { open = "io.IOBase" }    # what calling a member, or reading a property, gives an instance of
    offloads = ["to_thread"]            # members that run the function they are given, or decorate, off the loop
    callbacks = { call_soon = 0 }       # members that run their n-th argument on the loop
    spawns = ["create_task"]            # members that return a task which nothing else keeps alive
    pure = ["sleep"]                    # members without effects that another task could notice
    reads = ["get"]                     # async members that only read from outside, safe to run side by side
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

_MEMBER_LISTS = ("safe", "offloads", "spawns", "pure", "reads")
_KEYS = {"name", "also", "bases", "blocks", "lazy", "unless", "follows", "help", "returns", "callbacks", *_MEMBER_LISTS}


@dataclass(frozen=True, slots=True)
class Sink:
    """A function or method that blocks the calling thread.

    Attributes:
        name: Its public dotted name, `requests.Session.get`.
        category: `sleep`, `http`, `file-io`, …
        number: The last two digits of the category's codes.
        help: The cure, without a final full stop.
        lazy: Calling it only makes an iterator; it blocks while that is consumed.
        unless: `keyword=value`: a call with this argument does not block.
        follows: Where the object was made by a sink of this category, that sink alone is reported.
    """

    name: str
    category: str
    number: int
    help: str
    lazy: bool = False
    unless: str = ""
    follows: bool = False

    @property
    def public_name(self) -> str:
        """The name as code writes it: `open`, not `builtins.open`."""
        return self.name.removeprefix("builtins.")

    @property
    def direct_code(self) -> str:
        """The code of this sink called directly in async code."""
        return f"ASY1{self.number:02}"

    @property
    def transitive_code(self) -> str:
        """The code of this sink reached through helper functions."""
        return f"ASY2{self.number:02}"


@dataclass(slots=True)
class Catalog:
    """All entries by dotted name. Names given to the methods may be any alias; `canonical` maps them."""

    sinks: dict[str, Sink] = field(default_factory=dict)
    classes: dict[str, list[str]] = field(default_factory=dict)
    returns: dict[str, str] = field(default_factory=dict)
    callbacks: dict[str, int] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=lambda: {role: set() for role in _MEMBER_LISTS})
    aliases: dict[str, str] = field(default_factory=dict)
    _found: dict[str, str] = field(default_factory=dict)

    def add(self, document: dict[str, Any], source: str) -> None:
        """Take in one parsed TOML document.

        Raises:
            ValueError: It has a key this catalogue does not know, or an API without a name.
        """
        category, number = document.get("category", ""), document.get("number", 0)
        for api in document.get("api", ()):
            if unknown := api.keys() - _KEYS:
                raise ValueError(f"{source}: `{api.get('name')}` has unknown keys: {', '.join(sorted(unknown))}")
            owner = api["name"]
            self.aliases.update(dict.fromkeys(api.get("also", ()), owner))
            if "bases" in api or owner.rpartition(".")[2][:1].isupper():
                self.classes.setdefault(owner, []).extend(api.get("bases", ()))
            for member in api.get("blocks", ()):
                name = f"{owner}.{member}"
                self.sinks[name] = Sink(
                    name,
                    category,
                    number,
                    api.get("help") or document["help"],
                    lazy=member in api.get("lazy", ()),
                    unless=api.get("unless", {}).get(member, ""),
                    follows=api.get("follows", False),
                )
            self.returns.update({f"{owner}.{member}": kind for member, kind in api.get("returns", {}).items()})
            self.callbacks.update({f"{owner}.{member}": index for member, index in api.get("callbacks", {}).items()})
            for role in _MEMBER_LISTS:
                self.members[role].update(f"{owner}.{member}" for member in api.get(role, ()))

    def canonical(self, name: str) -> str:
        """The name that entries use for `name`: aliases replaced, inherited members named by their class."""
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = self._search(self._unaliased(name))
        return found

    def _unaliased(self, name: str) -> str:
        head, tail = name, ""
        while head:
            if head in self.aliases:
                return self._unaliased(self.aliases[head] + tail)
            head, dot, last = head.rpartition(".")
            tail = f"{dot}{last}{tail}"
        return name

    def _search(self, name: str) -> str:
        owner, _, member = name.rpartition(".")
        pending, seen = [owner], set()
        while pending:
            owner = self._unaliased(pending.pop(0))
            candidate = f"{owner}.{member}"
            if owner in seen:
                continue
            seen.add(owner)
            if self.knows(candidate):
                return candidate
            pending.extend(self.classes.get(owner, ()))
        return name

    def knows(self, name: str) -> bool:
        """Whether there is an entry of exactly this canonical name."""
        return (
            name in self.sinks
            or name in self.returns
            or name in self.callbacks
            or any(name in members for members in self.members.values())
        )

    def sink(self, name: str) -> Sink | None:
        """The sink of this name, if it is one."""
        return self.sinks.get(self.canonical(name))

    def has(self, role: str, name: str) -> bool:
        """Whether `name` is listed under `role` (`safe`, `offloads`, `spawns`, `pure`, `reads`)."""
        return self.canonical(name) in self.members[role]

    def result(self, name: str) -> str:
        """The class that calling `name` gives an instance of, or `""`."""
        name = self.canonical(name)
        return self.returns.get(name) or (name if name in self.classes else "")


@cache
def builtin_catalog() -> Catalog:
    """The catalogue that comes with the package, read once a process."""
    catalog = Catalog()
    entries = (entry for entry in files(__name__).iterdir() if entry.name.endswith(".toml"))
    for entry in sorted(entries, key=lambda entry: entry.name):
        catalog.add(tomllib.loads(entry.read_text(encoding="utf-8")), entry.name)
    return catalog
