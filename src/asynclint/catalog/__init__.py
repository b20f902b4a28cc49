"""What the APIs of Python and its libraries do to an event loop: data in TOML, and the one module that loads it.

    categories.toml         the kinds of blocking
    runtimes/*.toml         what runs functions on or off the loop: read at once
    apis/TOPLEVEL.toml      one file for each top-level module, read when its name is first asked about

The tables of the last two:

    distribution = "redis"              # on PyPI; absent for the standard library

    [[api]]
    name = "pathlib.Path"               # a module or a class, by its public name
    also = ["pathlib.PosixPath"]        # other names of the same thing
    bases = ["pathlib.PurePath"]        # for a class: what it inherits from
    category = "file-io"                # what `blocks` of this table are
    blocks = ["read_text"]              # members that block the thread that calls them; `*`: all public ones but `safe`
    lazy = ["glob"]                     # of these: those that return an iterator, and block while it is consumed
    unless = { wait = "timeout=0" }     # not when called so; a list for several; `0=False` by position
    unless_made = { connect = "1=socket.SOCK_DGRAM" }  # not where the object was made so in the same function
    after = ["done"]                    # not once the function has called one of these on the same object
    memory = ["writestr"]               # not where the object was made of a buffer in memory, as `ZipFile(BytesIO())`
    given = "subprocess.Popen"          # only where that was given what the receiver is named for: `stdout=PIPE`
    follows = true                      # not reported where the object itself comes from a sink: `open(…).read()`
    help = "…"                          # the cure, where the category's does not fit
    severity = "info"                   # where the category's does not fit
    when = "for files beyond 1 MB"      # what must hold for the call to take long
    safe = ["joinpath"]                 # members known not to block
    returns = { open = "io.IOBase" }    # what calling a member, or reading a property, gives an instance of; `?`: many
    items = { glob = "pathlib.Path" }   # what iterating over that gives
    offloads = ["to_thread"]            # members that run the function they are given, or decorate, off the loop
    callbacks = { call_soon = 0 }       # members that run their n-th argument on the loop
    runs = { sorted = "key", map = 0 }  # members that call the function they are given (an argument's name or number)
    runs_later = ["map"]                # of these: those that call it while what they give is iterated over
    on_loop = ["data_received"]         # methods that the loop calls, where a class has its own
    spawns = ["create_task"]            # members that return a task which nothing else keeps alive
    pure = ["sleep"]                    # members without effects that another task could notice
    reads = ["get"]                     # async members that only read from outside, safe to run side by side
    since = "3.14"                      # the first Python that has all of this table
    virtual = true                      # a name of our own, or one made at run time: it cannot be verified
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

_ROLES = ("safe", "offloads", "on_loop", "runs_later", "spawns", "pure", "reads")
_MAPS = ("returns", "items", "callbacks", "runs")
_KEYS = {
    *(
        "name",
        "also",
        "bases",
        "category",
        "blocks",
        "lazy",
        "unless",
        "unless_made",
        "after",
        "memory",
        "given",
        "follows",
    ),
    *("help", "severity", "when", "since", "virtual", *_MAPS, *_ROLES),
}


@dataclass(frozen=True, slots=True)
class Category:
    """A kind of blocking.

    Attributes:
        number: The last two digits of its codes.
        severity: `error`, `warning` or `info`.
        help: The cure, without a final full stop.
    """

    name: str
    number: int
    severity: str
    help: str


@dataclass(frozen=True, slots=True)
class Sink:
    """A function or method that blocks the calling thread.

    Attributes:
        name: Its public dotted name, `requests.Session.get`.
        category: `sleep`, `http`, `file-io`, …
        number: The last two digits of the category's codes.
        help: The cure, without a final full stop.
        severity: `error`, `warning` or `info`.
        when: What must hold for the call to take long, or `""`.
        lazy: Calling it only makes an iterator; it blocks while that is consumed.
        unless: `keyword=value` or `position=value`: a call with any of these arguments does not block.
        unless_made: Where the function has made the object with any of these arguments, the call does not block.
        after: Where the function has called one of these members on the same object, the call does not block any more.
        memory: Where the object was made of a buffer in memory, or the call is given one, it does not block.
        given: What makes the owner: where the module never gives it what the object is named for, that is `None`.
        follows: Where the object was made by a sink of this category, that sink alone is reported.
    """

    name: str
    category: str
    number: int
    help: str
    severity: str = "warning"
    when: str = ""
    lazy: bool = False
    unless: tuple[str, ...] = ()
    unless_made: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    memory: bool = False
    given: str = ""
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

    categories: dict[str, Category] = field(default_factory=dict)
    sinks: dict[str, Sink] = field(default_factory=dict)
    classes: dict[str, list[str]] = field(default_factory=dict)
    maps: dict[str, dict[str, Any]] = field(default_factory=lambda: {kind: {} for kind in _MAPS})
    members: dict[str, set[str]] = field(default_factory=lambda: {role: set() for role in _ROLES})
    aliases: dict[str, str] = field(default_factory=dict)
    unread: dict[str, Path] = field(default_factory=dict)
    """Top-level module to the file that tells of it, until that is read."""
    declares: set[str] = field(default_factory=set)
    """Names that the user's settings speak of, which may be functions of the program."""
    _off: set[str] = field(default_factory=set)
    _covered: set[str] = field(default_factory=set)
    _entries: set[str] = field(default_factory=set)
    _found: dict[str, str] = field(default_factory=dict)

    def add(self, document: dict[str, Any], source: str) -> None:
        """Take in one parsed TOML document.

        Raises:
            ValueError: It has a key or a category this catalogue does not know, or an API without a name.
        """
        self._take(document, source)
        self._found.clear()

    def declare(self, api: dict[str, Any]) -> None:
        """Take in what the user's settings say: it goes before what the files say, and may be about the program."""
        owner = api["name"]
        self._open(owner)
        for member in (*api.get("blocks", ()), *api.get("safe", ())):
            name = f"{owner}.{member}"
            replaced = [sink for sink in self.sinks if sink.startswith(f"{owner}.")] if member == "*" else [name]
            for sink in replaced:
                self.sinks.pop(sink, None)
            self.declares.add(name)
        self.add({"api": [api]}, "the settings")

    def grade(self, category: str, severity: str | None) -> None:
        """Give a category another severity; `None`: it has no sinks. Only before its files are read."""
        if severity is None:
            self._off.add(category)
        else:
            self.categories[category] = replace(self.categories[category], severity=severity)

    def covers(self, top: str) -> bool:
        """Whether there is a file about this top-level module."""
        return top in self._covered

    def _take(self, document: dict[str, Any], source: str) -> None:
        for api in document.get("api", ()):
            self._add(api, source)

    def _add(self, api: dict[str, Any], source: str) -> None:
        if "name" not in api:
            raise ValueError(f"{source}: an API has no name")
        owner = api["name"]
        if unknown := api.keys() - _KEYS:
            raise ValueError(f"{source}: `{owner}` has unknown keys: {', '.join(sorted(unknown))}")
        self.aliases.update(dict.fromkeys(api.get("also", ()), owner))
        if "bases" in api or owner.rpartition(".")[2][:1].isupper():
            self.classes.setdefault(owner, []).extend(api.get("bases", ()))
        if blocks := api.get("blocks"):
            category = self.categories.get(api.get("category", ""))
            if category is None:
                known = ", ".join(f"`{name}`" for name in self.categories)
                raise ValueError(f"{source}: `{owner}` blocks, but its category is none of {known}")
            for member in () if category.name in self._off else blocks:
                self._add_sink(api, category, f"{owner}.{member}", member)
        for kind in _MAPS:
            entries = {f"{owner}.{member}": value for member, value in api.get(kind, {}).items()}
            self.maps[kind].update(entries)
            self._entries.update(entries)
        for role in _ROLES:
            names = [f"{owner}.{member}" for member in api.get(role, ())]
            self.members[role].update(names)
            self._entries.update(names)

    def _add_sink(self, api: dict[str, Any], category: Category, name: str, member: str) -> None:
        self._entries.add(name)
        self.sinks[name] = Sink(
            name,
            category.name,
            category.number,
            api.get("help", category.help),
            severity=api.get("severity", category.severity),
            when=api.get("when", ""),
            lazy=member in api.get("lazy", ()),
            unless=_several(api.get("unless", {}).get(member, ())),
            unless_made=_several(api.get("unless_made", {}).get(member, ())),
            after=tuple(api.get("after", ())),
            memory=member in api.get("memory", ()),
            given=api.get("given", ""),
            follows=api.get("follows", False),
        )

    def cover(self, files: dict[str, Path]) -> None:
        """Take in files by the top-level module that they tell of, to be read when its name comes up."""
        self.unread.update(files)
        self._covered.update(files)

    def canonical(self, name: str) -> str:
        """The name that entries use for `name`: aliases replaced, inherited members named by their class."""
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = self._search(self._unaliased(name))
        return found

    def _unaliased(self, name: str) -> str:
        self._open(name)
        head, tail = name, ""
        while head:
            if head in self.aliases:
                return self._unaliased(self.aliases[head] + tail)
            head, dot, last = head.rpartition(".")
            tail = f"{dot}{last}{tail}"
        return name

    def _open(self, name: str) -> None:
        """Read the file that tells of a name, if that has not been read."""
        top = name.partition(".")[0]
        file = self.unread.pop(top, None)
        if file is not None:
            # What is known of other names holds: a file tells of names of its own module only.
            self._take(tomllib.loads(file.read_text(encoding="utf-8")), file.name)

    def _search(self, name: str) -> str:
        for owner, member in self._lineage(name):
            if self.knows(candidate := f"{owner}.{member}"):
                return candidate
        for owner, member in self._lineage(name):
            general = self.sinks.get(f"{owner}.*")
            if general is not None and not member.startswith("_"):
                candidate = f"{owner}.{member}"
                self.sinks[candidate] = replace(general, name=candidate)
                return candidate
        return name

    def _lineage(self, name: str) -> Iterator[tuple[str, str]]:
        """The owner of a member and the bases of that, nearest first, each with the member's name."""
        owner, _, member = name.rpartition(".")
        pending, seen = [owner], set()
        while pending:
            owner = self._unaliased(pending.pop(0))
            if owner not in seen:
                seen.add(owner)
                yield owner, member
                pending.extend(self.classes.get(owner, ()))

    def knows(self, name: str) -> bool:
        """Whether there is an entry of exactly this canonical name."""
        return name in self._entries

    def sink(self, name: str) -> Sink | None:
        """The sink of this name, if it is one."""
        return self.sinks.get(self.canonical(name))

    def has(self, role: str, name: str) -> bool:
        """Whether `name` is listed under `role` (`safe`, `offloads`, `on_loop`, …)."""
        return self.canonical(name) in self.members[role]

    def declared(self, name: str) -> Sink | bool | None:
        """What the user's settings say of a function of the program: a sink, `False` for one that does not block."""
        if name in self.declares:
            return self.sinks.get(name, False)
        owner = name
        while owner := owner.rpartition(".")[0]:
            if f"{owner}.*" in self.declares:
                return self.sink(name) or False
        return None

    def callback(self, name: str) -> int | None:
        """Which argument of `name` runs on the loop, if any does."""
        return self.maps["callbacks"].get(self.canonical(name))

    def result(self, name: str) -> str | None:
        """The class that calling `name` gives an instance of, or `""`; `None`: nobody can tell."""
        name = self.canonical(name)
        known: str = self.maps["returns"].get(name, "")
        return None if known == "?" else known or (name if name in self.classes else "")

    def item(self, name: str) -> str:
        """The class of the items that iterating over what `name` gives, or `""`."""
        item: str = self.maps["items"].get(self.canonical(name), "")
        return item


def read_catalog() -> Catalog:
    """The catalogue that comes with the package; its files are read as their names come up."""
    folder = Path(__file__).parent
    catalog = Catalog()
    categories = tomllib.loads((folder / "categories.toml").read_text(encoding="utf-8"))
    catalog.categories.update({name: Category(name, **entry) for name, entry in categories.items()})
    for file in _tables(folder / "runtimes"):
        catalog.add(tomllib.loads(file.read_text(encoding="utf-8")), file.name)
    catalog.cover({file.stem: file for file in _tables(folder / "apis")})
    return catalog


def _tables(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.toml"))


@cache
def builtin_catalog() -> Catalog:
    """The same, read once a process, for those who add nothing to it."""
    return read_catalog()


def _several(value: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """What may be written as one or as a list."""
    return (value,) if isinstance(value, str) else tuple(value)
