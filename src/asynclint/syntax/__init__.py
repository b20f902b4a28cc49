"""Source text to facts about one module: standard `ast` only, pure, no I/O."""

from asynclint.syntax.conditions import NONBLOCKING, UNPROVEN
from asynclint.syntax.extract import SourceError, extract
from asynclint.syntax.facts import FORMAT, Call, Class, Function, Module, Statement, plain

__all__ = [
    "FORMAT",
    "NONBLOCKING",
    "UNPROVEN",
    "Call",
    "Class",
    "Function",
    "Module",
    "SourceError",
    "Statement",
    "extract",
    "plain",
]
