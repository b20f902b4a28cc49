"""Runs rules over a module."""

from __future__ import annotations

from collections.abc import Iterable

from asynclint.findings import Finding
from asynclint.project.modules import ProgramModule
from asynclint.project.program import Program
from asynclint.rules.rule import Rule


def check(module: ProgramModule, program: Program, rules: Iterable[Rule], *, preview: bool = False) -> list[Finding]:
    """What the rules find in a module, in order of place.

    Args:
        preview: Report what is likely as well as what is proven.

    `# noqa` on the finding's own lines is left to the caller (flake8 has its own way); on other hops it is honoured.
    """
    findings = {
        finding for rule in rules for finding in rule.check(rule, module, program) if preview or not finding.preview
    }
    return sorted(findings, key=lambda f: (f.line, f.column, f.code, f.sink, f.message))


def unsilenced(module: ProgramModule, findings: Iterable[Finding]) -> list[Finding]:
    """The findings that no `# noqa` on their own lines silences."""
    return [f for f in findings if not module.silences(f.code, f.line, f.end_line)]
