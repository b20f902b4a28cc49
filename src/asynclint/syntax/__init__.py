"""Source text to facts about one module: standard `ast` only, pure, no I/O."""

from asynclint.syntax.conditions import NONBLOCKING, UNPROVEN
from asynclint.syntax.extract import SourceError, extract
from asynclint.syntax.facts import FORMAT, NO_KEYWORDS, Call, Class, Function, Module, Statement, plain

__all__ = [
    "FORMAT",
    "NONBLOCKING",
    "NO_KEYWORDS",
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
