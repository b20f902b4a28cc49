"""Modules of the program: where they lie, and their facts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from asynclint.project.sources import Sources
from asynclint.project.values import Values
from asynclint.syntax import Module

_TESTS = {"test", "tests"}


class ProgramModule:
    """A module of the program: its facts and its text.

    Attributes:
        path: The file, absolute: what the module is known by.
        facts: What the syntax pass gathered.
        is_test: Its name, or that of a directory it lies in, says that it holds tests.
        own: Binding value to what it stands for, of those that mean the module's own functions and classes.
    """

    __slots__ = ("_bound", "_lines", "_number", "_shown", "facts", "is_test", "own", "path")

    def __init__(
        self, path: str, facts: Module, lines: list[str] | None = None, *, bit: int = 1, is_test: bool = False
    ) -> None:
        self.path: str = path
        self.facts: Module = facts
        self._number = bit.bit_length()
        self.is_test: bool = is_test
        self.own: dict[str, Values] = {}
        self._bound: dict[int, dict[str, list[int]]] = {}
        self._lines = lines
        self._shown = ""

    @property
    def bit(self) -> int:
        """Stands for the module among the `Sources` of an answer."""
        return 1 << self._number >> 1  # not kept: the bits of many modules would be long numbers

    @property
    def shown(self) -> str:
        """The file as reports name it: relative to the working directory, where it lies below it."""
        if not self._shown:
            self._shown = self.path.removeprefix(os.getcwd() + os.sep)
        return self._shown

    def bound(self, function: int) -> dict[str, list[int]]:
        """All names that a function binds, with the numbers of their bindings."""
        names = self._bound.get(function)
        if names is None:
            names = self._bound[function] = {}
            for index, (name, _) in enumerate(self.facts.functions[function].bindings):
                names.setdefault(name, []).append(index)
        return names

    def line(self, number: int) -> str:
        """A line of the source, 1-based, without its end; `""` beyond the last."""
        if self._lines is None:
            self._lines = _read_lines(self.path)
        return self._lines[number - 1] if 0 < number <= len(self._lines) else ""

    def silences(self, code: str, first_line: int, last_line: int, *, explicitly: bool = False) -> bool:
        """Whether a `# noqa` comment on these lines silences `code`.

        Args:
            explicitly: A bare `# noqa` does not count.
        """
        noqa = self.facts.noqa
        if not noqa:
            return False
        for number in range(first_line, last_line + 1):
            codes = noqa.get(number)
            if codes is not None and (any(map(code.startswith, codes)) or (not codes and not explicitly)):
                return True
        return False


def _read_lines(path: str) -> list[str]:
    try:
        return decode(Path(path).read_bytes()).split("\n")
    except OSError:
        return []


def decode(source: bytes) -> str:
    """The text of a module by its BOM and coding line, with universal newlines; undecodable bytes are replaced."""
    import io
    import tokenize

    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    except SyntaxError:
        encoding = "utf-8"
    return io.IncrementalNewlineDecoder(None, translate=True).decode(source.decode(encoding, "replace"))


class ModuleMap:
    """Finds the file, or the namespace directory, that an import means.

    Only names below `roots` belong to the program; all others are external.
    """

    def __init__(
        self, roots: Iterable[str | Path], sources: Sources | None = None, follows: Callable[[str], bool] | None = None
    ) -> None:
        """Make a map; `follows` tells whether a top-level name is looked for among the installed packages, too."""
        self.roots: list[str] = [os.path.abspath(root) for root in roots]
        self._sources = sources or Sources()
        self._follows = follows or (lambda _: False)
        self._absolute: dict[str, str] = {}
        self._within: dict[tuple[str, str], tuple[str, int]] = {}
        self._root_bits = sum({self._sources.bit(root) for root in self.roots})

    def absolute(self, name: str) -> str:
        """The location of a top-level module or package, or `""`."""
        self._sources.mask |= self._root_bits
        found = self._absolute.get(name)
        if found is None:
            # The interpreter never looks for its built-in modules on the path.
            builtin = name in sys.builtin_module_names
            places = [] if builtin else [*self.roots, *(installed_roots() if self._follows(name) else ())]
            found = next(filter(None, (self.within(root, name) for root in places)), "")
            self._absolute[name] = found
        return found

    def relative(self, path: str, dots: int) -> str:
        """The package that `dots` leading dots mean in the module at `path`."""
        directory = os.path.dirname(path)
        for _ in range(dots - 1):
            directory = os.path.dirname(directory)
        initialiser = os.path.join(directory, "__init__.py")
        return initialiser if self._sources.is_package(directory) else directory

    def within(self, location: str, name: str) -> str:
        """The submodule `name` of the package at `location` (its `__init__.py` or its directory), or `""`."""
        known = self._within.get((location, name))
        if known is None:
            outer, self._sources.mask = self._sources.mask, 0
            found = self._look_within(location, name)
            known = self._within[location, name] = found, self._sources.mask
            self._sources.mask |= outer
        self._sources.mask |= known[1]
        return known[0]

    def _look_within(self, location: str, name: str) -> str:
        if location.endswith(".py"):
            directory, _, base = location.rpartition(os.sep)
            if base != "__init__.py":
                return ""
        else:
            directory = location
        entries = self._sources.listing(directory)
        if entries.get(name):
            package = os.path.join(directory, name)
            if self._sources.is_package(package):
                return os.path.join(package, "__init__.py")
        if entries.get(f"{name}.py") is False:
            return os.path.join(directory, f"{name}.py")
        return os.path.join(directory, name) if entries.get(name) and self._holds_python(name, directory) else ""

    def _holds_python(self, name: str, directory: str) -> bool:
        """A directory without modules is not a namespace package, but data that bears an identifier's name."""
        entries = self._sources.listing(os.path.join(directory, name))
        return any(entry.endswith(".py") or is_directory for entry, is_directory in entries.items())

    def files_of(self, importer: str, name: str) -> list[str]:
        """The files of the program that importing `name` (relative if it begins with dots) in a module reads."""
        dots = len(name) - len(name.lstrip("."))
        first, *rest = name[dots:].split(".")
        location = self.relative(importer, dots) if dots else self.absolute(first)
        files = [location]
        for part in ([first] if dots and first else []) + rest:
            location = self.within(location, part) if location else ""
            files.append(location)
        return [file for file in files if file.endswith(".py")]

    def dotted(self, path: str) -> str:
        """The name by which the module in a file is imported."""
        inside = path[len(self._root_of(path)) + 1 :].removesuffix(".py")
        return inside.removesuffix(f"{os.sep}__init__").replace(os.sep, ".")

    def is_test(self, path: str) -> bool:
        """Whether a file holds tests, by its name and those of the directories it lies in."""
        root = self._root_of(path)
        *directories, name = path[len(root) + 1 :].split(os.sep)
        return (
            name.startswith("test_")
            or name.endswith("_test.py")
            or name == "conftest.py"
            or not _TESTS.isdisjoint((os.path.basename(root), *directories))
        )

    def _root_of(self, path: str) -> str:
        roots = [root for root in self.roots if path.startswith(root + os.sep)]
        return max(roots, key=len, default=os.path.dirname(path))


@cache
def installed_roots() -> tuple[str, ...]:
    """The directories of installed packages: of the active virtual environment, or else of this interpreter."""
    import sysconfig

    environment = os.environ.get("VIRTUAL_ENV")
    names = {"base": environment, "platbase": environment} if environment else {}
    paths = (sysconfig.get_path(kind, vars=names) for kind in ("purelib", "platlib"))
    return tuple(dict.fromkeys(path for path in paths if path and os.path.isdir(path)))
