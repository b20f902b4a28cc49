"""Which files to check."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

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


@dataclass(slots=True)
class Discovered:
    """Files to check.

    Attributes:
        named: Those given as such, which are looked at whatever they are called.
        found: Those found in directories.
        problems: One line for each path that leads nowhere.
    """

    named: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def discover(paths: Iterable[str], exclude: Iterable[str] = ()) -> Discovered:
    """The Python files that `paths` name or hold: each once, those of a directory in order of name.

    Directories reached through symbolic links are not entered, so a loop of links ends. What is not a regular file is
    never opened: a FIFO would wait for ever.

    Args:
        paths: Files and directories.
        exclude: Patterns in the manner of `.gitignore`, for files found in directories.
    """
    result = Discovered()
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
            result.found += (file for file in _walk(path) if not excluded(file, path) and _is_new(file, seen))
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
