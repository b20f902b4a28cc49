"""ASY000: a file that could not be looked at."""

from __future__ import annotations

from asynclint.findings import Finding, Severity
from asynclint.project.modules import ProgramModule
from asynclint.project.program import Program
from asynclint.rules.rule import Rule


def _nothing(rule: Rule, module: ProgramModule, program: Program) -> tuple[Finding, ...]:
    """A module that was read has no finding of this rule."""
    return ()


RULES = (
    Rule(
        code="ASY000",
        name="not-analysed",
        summary="File that could not be read or parsed, so nothing is known about it",
        why="""
A file that cannot be read, is not valid Python for the interpreter that runs asynclint, or nests too deeply to be
walked, is named instead of being passed over in silence: its own async code is unchecked, and call chains through it
are not seen. A file in newer syntax needs asynclint to run on that version of Python.
""",
        bad=(),
        good=(),
        check=_nothing,
        severity=Severity.ERROR,
    ),
)
