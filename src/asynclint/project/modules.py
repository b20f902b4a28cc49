"""Modules of the program: where they lie, and their facts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from asynclint.project.sources import Sources
from asynclint.syntax import Module

if TYPE_CHECKING:
    from asynclint.project.values import Values

_TESTS = {"test", "tests"}


class ProgramModule:
    """A module of the program: its facts and its text.

    Attributes:
        path: The file, absolute: what the module is known by.
        facts: What the syntax pass gathered.
        is_test: Its name, or that of a directory it lies in, says that it holds tests.
        own: Binding value to what it stands for, of those that mean the module's own functions and classes.
    """

    __slots__ = ("_bound", "_class_names", "_lines", "_shown", "facts", "is_test", "own", "path")

    def __init__(self, path: str, facts: Module, lines: list[str] | None = None, *, is_test: bool = False) -> None:
        self.path: str = path
        self.facts: Module = facts
        self.is_test: bool = is_test
        self.own: dict[str, Values] = {}
        self._bound: dict[int, dict[str, list[int]]] = {}
        self._class_names: frozenset[str] | None = None
        self._lines = lines
        self._shown = ""

    @property
    def shown(self) -> str:
        """The file as reports name it: relative to the working directory, where it lies below it."""
        if not self._shown:
            self._shown = self.path.removeprefix(os.getcwd() + os.sep)
        return self._shown

    @property
    def class_names(self) -> frozenset[str]:
        """The names of all classes, wherever they are defined."""
        if self._class_names is None:
            self._class_names = frozenset(cls.name for cls in self.facts.classes)
        return self._class_names

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


def encode(text: str) -> bytes:
    """The bytes of a module's text, by its coding line."""
    import io
    import tokenize

    source = text.encode("utf-8", "surrogatepass")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        return text.encode(encoding)
    except (SyntaxError, UnicodeError):
        return source


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
        self._absolute: dict[tuple[str, str], tuple[str, int]] = {}
        self._own: dict[str, tuple[str, int]] = {}
        self._within: dict[tuple[str, str], tuple[str, int]] = {}

    def absolute(self, name: str, importer: str) -> str:
        """The location of the top-level module or package that a module imports, or `""`.

        It is looked for where the importing module's own top-level package lies, and then in the roots.
        """
        remembered = self._sources.trace.remembered
        own = remembered(self._own, importer, self._find_own, importer)
        # A package's parent is no place to look for the standard library; a script's directory is.
        if own and name in sys.stdlib_module_names and own != os.path.dirname(importer):
            own = ""
        return remembered(self._absolute, (own, name), self._find_absolute, own, name)

    def _find_absolute(self, own: str, name: str) -> str:
        # The interpreter never looks for its built-in modules on the path.
        builtin = name in sys.builtin_module_names
        places = [own, *self.roots, *(installed_roots() if self._follows(name) else ())]
        return next(filter(None, (self.within(root, name) for root in places if root and not builtin)), "")

    def _find_own(self, importer: str) -> str:
        """The directory in which the topmost package around a module lies, if that is below the roots, but not one."""
        directory = os.path.dirname(importer)
        if not any(directory.startswith(root + os.sep) for root in self.roots):
            return ""
        root = directory
        while directory not in self.roots:
            if self._sources.is_package(directory):
                root = os.path.dirname(directory)
            directory = os.path.dirname(directory)
        return "" if root in self.roots else root

    def relative(self, path: str, dots: int) -> str:
        """The package that `dots` leading dots mean in the module at `path`."""
        directory = os.path.dirname(path)
        for _ in range(dots - 1):
            directory = os.path.dirname(directory)
        initialiser = os.path.join(directory, "__init__.py")
        return initialiser if self._sources.is_package(directory) else directory

    def within(self, location: str, name: str) -> str:
        """The submodule `name` of the package at `location` (its `__init__.py` or its directory), or `""`."""
        return self._sources.trace.remembered(self._within, (location, name), self._look_within, location, name)

    def _look_within(self, location: str, name: str) -> str:
        if location.endswith(".py"):
            directory, _, base = location.rpartition(os.sep)
            if base != "__init__.py":
                return ""
        else:
            directory = location
        is_directory = self._sources.entry(directory, name)
        if is_directory:
            package = os.path.join(directory, name)
            if self._sources.is_package(package):
                return os.path.join(package, "__init__.py")
        if self._sources.entry(directory, f"{name}.py") is False:
            return os.path.join(directory, f"{name}.py")
        return os.path.join(directory, name) if is_directory and self._holds_python(name, directory) else ""

    def _holds_python(self, name: str, directory: str) -> bool:
        """A directory without modules is not a namespace package, but data that bears an identifier's name."""
        entries = self._sources.listing(os.path.join(directory, name))
        return any(entry.endswith(".py") or is_directory for entry, is_directory in entries.items())

    def files_of(self, importer: str, name: str) -> list[str]:
        """The files of the program that importing `name` (relative if it begins with dots) in a module reads."""
        dots = len(name) - len(name.lstrip("."))
        first, *rest = name[dots:].split(".")
        location = self.relative(importer, dots) if dots else self.absolute(first, importer)
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
