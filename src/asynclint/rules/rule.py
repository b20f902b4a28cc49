"""What a rule is: its declaration is its documentation, its examples are its tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from asynclint.findings import Finding, Fix, Hop, Safety, Severity
from asynclint.project.contexts import context_of
from asynclint.project.modules import ProgramModule
from asynclint.project.program import Program
from asynclint.syntax import Call, Statement

Check = Callable[["Rule", ProgramModule, Program], Iterable[Finding]]
"""Finds what a rule is about in one module, and says it by the rule's `finding`."""


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

    def finding(
        self,
        module: ProgramModule,
        function: int,
        place: Call | Statement,
        message: str,
        help_: str,
        *,
        severity: Severity | None = None,
        last: Statement | None = None,
        sink: str = "",
        chain: tuple[Hop, ...] = (),
        fix: Fix | None = None,
        preview: bool = False,
        others: int = 0,
    ) -> Finding:
        """A finding of this rule.

        Args:
            function: Index of the function it is in.
            place: What it is about; a compound statement is marked by its keyword alone.
            last: The end of a run of statements that begins at `place`.
            message: What is wrong, names in backticks, no final full stop.
            help_: The cure.
            severity: Where the rule's does not fit.
        """
        end = last or place
        end_line, end_column = end.end_line, end.end_column
        if isinstance(place, Statement) and place.blocks:
            keyword = re.match(r"\w+", module.line(place.line)[place.column :])
            end_line, end_column = place.line, place.column + (keyword.end() if keyword else 1)
        context = context_of(module, function)
        severity = severity or self.severity
        return Finding(
            code=self.code,
            name=self.name,
            severity=severity.reduced if context else severity,
            path=module.shown,
            line=place.line,
            column=place.column + 1,
            end_line=end_line,
            end_column=end_column + 1,
            function=module.facts.functions[function].qualname,
            message=message,
            help=help_,
            sink=sink,
            chain=chain,
            fix=fix,
            preview=preview,
            context=context,
            others=others,
        )
