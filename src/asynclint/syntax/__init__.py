"""Source text to facts about one module: standard `ast` only, pure, no I/O."""

from asynclint.syntax.conditions import NONBLOCKING
from asynclint.syntax.extract import SourceError, extract
from asynclint.syntax.facts import FORMAT, Call, Class, Function, Module, Statement, plain

__all__ = [
    "FORMAT",
    "NONBLOCKING",
    "Call",
    "Class",
    "Function",
    "Module",
    "SourceError",
    "Statement",
    "extract",
    "plain",
]
