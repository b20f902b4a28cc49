"""Findings as text, JSON, …: a module `as_NAME` beside this one is a format, with a function `render`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from pkgutil import iter_modules

from asynclint.findings import Finding

Render = Callable[[Iterable[Finding], Callable[[str, int], str]], str]
"""Takes findings and a function that gives a line of a file."""


def formats() -> list[str]:
    """The names of the formats."""
    return sorted(info.name.removeprefix("as_") for info in iter_modules(__path__) if info.name.startswith("as_"))


def renderer(name: str) -> Render:
    """The format of this name."""
    render: Render = import_module(f"{__name__}.as_{name}").render
    return render
