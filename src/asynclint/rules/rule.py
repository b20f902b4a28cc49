"""What a rule is: its declaration is its documentation, its examples are its tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from asynclint.findings import Finding, Safety, Severity
from asynclint.project import Program, ProgramModule

Check = Callable[[ProgramModule, Program], Iterable[Finding]]


class Default(StrEnum):
    """When a rule is reported without being named."""

    ON = "on"
    OPT = "opt"
    """Only when selected by its code."""
    PREVIEW = "preview"
    """Under `--preview`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule: one file of `rules/<family>/` declares it (or a pair of it) in `RULES`.

    Attributes:
        name: Reads well after "allow": `blocking-sleep`.
        summary: One line, shown in tables.
        why: Markdown: what goes wrong in a program that does this.
        bad: Modules in each of which the rule reports at least once, and no other rule that is on does.
        good: Modules that no rule reports.
        fix: The best fix the rule has; `fix_notes` says when it is offered.
        back_ends: The libraries to whose files it applies.
        references: URLs of sources: PEPs, CPython issues, papers.
    """

    code: str
    name: str
    summary: str
    why: str
    bad: tuple[str, ...]
    good: tuple[str, ...]
    check: Check
    default: Default = Default.ON
    severity: Severity = Severity.WARNING
    fix: Safety = Safety.NONE
    fix_notes: str = ""
    back_ends: tuple[str, ...] = ("asyncio", "anyio", "trio")
    since: str = "0.1.0"
    references: tuple[str, ...] = ()
