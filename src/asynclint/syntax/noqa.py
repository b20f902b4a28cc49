"""`# noqa` comments, and the lines that they speak for."""

from __future__ import annotations

import ast
import re

_NOQA = re.compile(rb"#[ \t]*noqa(?::[ \t]?(?P<codes>[A-Z]+[0-9]+(?:[, \t]+[A-Z]+[0-9]+)*))?", re.I)
_QUOTES = (b'"""', b"'''")


def silenced(source: bytes, tree: ast.Module) -> dict[int, list[str]]:
    """Line to the codes silenced there; an empty list silences all.

    As in flake8, a comment also speaks for the lines that a backslash or a string joins to its own.
    """
    if b"\r" in source:
        source = source.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = source.split(b"\n")
    found: dict[int, list[str]] = {}
    number, start = 1, 0
    for match in _NOQA.finditer(source):
        number += source.count(b"\n", start, match.start())
        start = match.start()
        codes = re.findall(r"[A-Z]+[0-9]*", (match["codes"] or b"").decode().upper())
        for line in range(_first_joined(number, lines, tree), number + 1):
            found.setdefault(line, codes)  # of several on one line, the first counts
    return found


def _first_joined(number: int, lines: list[bytes], tree: ast.Module) -> int:
    """The first of the lines that are one with this line."""
    while True:
        first = number
        if any(quotes in lines[number - 1] for quotes in _QUOTES):
            strings = (node for node in ast.walk(tree) if isinstance(node, (ast.Constant, ast.JoinedStr)))
            first = min((string.lineno for string in strings if string.end_lineno == number), default=number)
        while first > 1 and lines[first - 2].endswith(b"\\"):
            first -= 1
        if first == number:
            return first
        number = first
