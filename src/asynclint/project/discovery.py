"""Which files to check, and where their imports start from."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

_SKIPPED = frozenset(
    (
        "__pycache__",
        "__pypackages__",
        "_build",
        "build",
        "dist",
        "node_modules",
        "site-packages",
        "venv",
    )
)
"""Directories that hold no code of the project; so do those whose name begins with a dot."""
_PROJECT = ("pyproject.toml", "setup.py", "setup.cfg", ".git")


@dataclass(slots=True)
class Files:
    """Files to check.

    Attributes:
        named: Those given as such, which are looked at whatever they are called and hold.
        found: Those found in directories.
        problems: One line for each path that leads nowhere.
    """

    named: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.named) + len(self.found)

    def __iter__(self) -> Iterator[tuple[str, bool]]:
        """Each file, and whether it was found in a directory."""
        yield from ((path, False) for path in self.named)
        yield from ((path, True) for path in self.found)


def discover(paths: Iterable[str], exclude: Iterable[str] = (), base: str = "") -> Files:
    """The Python files that `paths` name or hold: each once, those of a directory in order of name.

    Directories reached through symbolic links are not entered, so a loop of links ends. What is not a regular file is
    never opened: a FIFO would wait for ever.

    Args:
        paths: Files and directories.
        exclude: Patterns in the manner of `.gitignore`, for files found in directories.
        base: The directory that the patterns start from; the one in which a file was found, if none is given.

    Raises:
        ValueError: One of the patterns is none.
    """
    result = Files()
    seen: set[str] = set()
    excluded = _matcher(exclude)
    for path in map(os.path.normpath, paths):
        try:
            mode = os.stat(path).st_mode
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            result.problems.append(f"{path}: {reason[:1].lower()}{reason[1:]}")
            continue
        if stat.S_ISDIR(mode):
            result.found += (file for file in _walk(path) if not excluded(file, base or path) and _is_new(file, seen))
        elif not stat.S_ISREG(mode):
            result.problems.append(f"{path}: neither a regular file nor a directory")
        elif _is_new(path, seen):
            result.named.append(path)
    return result


def _is_new(path: str, seen: set[str]) -> bool:
    known = len(seen)
    seen.add(path)
    return len(seen) > known


def _walk(directory: str) -> Iterator[str]:
    try:
        with os.scandir(directory) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in _SKIPPED and not entry.name.startswith("."):
                yield from _walk(entry.path)
        elif entry.name.endswith(".py") and _is_file(entry):
            yield os.path.normpath(entry.path)


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a loop of links
        return False


def _matcher(patterns: Iterable[str]) -> Callable[[str, str], bool]:
    """Tells whether a file found in a directory is left out."""
    patterns = list(patterns)
    if not patterns:
        return lambda _file, _directory: False
    from pathspec import GitIgnoreSpec

    spec = GitIgnoreSpec.from_lines(patterns)
    return lambda file, directory: spec.match_file(os.path.relpath(file, directory))


def roots_of(paths: Iterable[str | Path]) -> list[Path]:
    """The source roots that make the given files importable.

    A file's root is the parent of its topmost package; a directory given as such is a root, and so is its `src`. A
    directory without an `__init__.py` in a package that has one is part of it (PEP 420).
    """
    roots: dict[Path, None] = {}
    for path in (Path(path).absolute() for path in paths):
        # `os.path` answers no where `pathlib` raises: in a directory that may not be looked into.
        directory = path if os.path.isdir(path) else path.parent
        package: Path | None = directory
        while package is not None:
            directory = package
            while os.path.isfile(directory / "__init__.py") and directory != directory.parent:
                directory = directory.parent
            package = _package_around(directory)
        roots[directory] = None
        if directory == path and os.path.isdir(path / "src"):
            roots[path / "src"] = None
    return list(roots)


def _package_around(directory: Path) -> Path | None:
    """The nearest directory above, within the project, that is a regular package."""
    while directory != directory.parent and not any(os.path.exists(directory / mark) for mark in _PROJECT):
        directory = directory.parent
        if os.path.isfile(directory / "__init__.py"):
            return directory
    return None
