"""For people: place, message, source excerpt, call chain, cure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from asynclint.findings import Context, Finding


def render(findings: Iterable[Finding], line_of: Callable[[str, int], str]) -> str:
    """The findings as paragraphs."""
    return "".join(f"{_paragraph(finding, line_of(finding.path, finding.line))}\n" for finding in findings)


_CONTEXTS = {
    Context.TEST: "in a test",
    Context.SCRIPT: "in a script",
    Context.STARTUP: "before the loop serves",
}


def notes(finding: Finding) -> list[str]:
    """What there is to say beside the message."""
    found = []
    if finding.others:
        places = "another place" if finding.others == 1 else f"{finding.others} other places"
        found.append(f"`{finding.sink}` is reached in {places}, too")
    if finding.context:
        found.append(f"{_CONTEXTS[finding.context]}: graded {finding.severity}, one less than elsewhere")
    return found


def _paragraph(finding: Finding, source: str) -> str:
    lines = [f"{finding.path}:{finding.line}:{finding.column}: {finding.code} {finding.message}"]
    margin = " " * len(str(finding.line))
    if source.strip():
        indent = len(source) - len(source.lstrip())
        start = finding.column - 1 - indent
        end = finding.end_column - 1 - indent if finding.end_line == finding.line else len(source.strip())
        lines += [f"{margin} |", f"{finding.line} | {source.strip()}"]
        lines += [f"{margin} | {' ' * max(start, 0)}{'^' * max(end - max(start, 0), 1)}"]
    if len(finding.chain) > 1:
        lines += [f"{margin} = chain:"]
        lines += [f"{margin}     {hop.path}:{hop.line} in {hop.function}: {hop.text}" for hop in finding.chain]
    lines += [f"{margin} = note: {note}" for note in notes(finding)]
    lines += [f"{margin} = help: {finding.help}"]
    return "\n".join(lines) + "\n"
