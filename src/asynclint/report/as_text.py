"""For people: place, message, source excerpt, call chain, cure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from asynclint.findings import Context, Finding, Hop

_LONG, _ENDS = 30, 10
"""A chain of more hops is shown by its ends; what somebody wrote is never as long."""
_WIDTH = 200
"""Of a longer line, the part around the finding is shown."""


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
        start = max(finding.column - 1 - indent, 0)
        text = source.strip()
        end = finding.end_column - 1 - indent if finding.end_line == finding.line else len(text)
        shown, moved = _part(text, start)
        marks = "^" * max(min(end + moved, len(shown)) - (start + moved), 1)
        lines += [f"{margin} |", f"{finding.line} | {shown}", f"{margin} | {' ' * (start + moved)}{marks}"]
    if len(finding.chain) > 1:
        lines += [f"{margin} = chain:", *(f"{margin}     {hop}" for hop in _hops(finding.chain))]
    lines += [f"{margin} = note: {note}" for note in notes(finding)]
    lines += [f"{margin} = help: {finding.help}"]
    return "\n".join(lines) + "\n"


def _part(text: str, start: int) -> tuple[str, int]:
    """What is shown of a line, and by how much that moves its columns."""
    if len(text) <= _WIDTH:
        return text, 0
    first = max(min(start - _WIDTH // 4, len(text) - _WIDTH), 0)
    before, after = "…" * (first > 0), "…" * (first + _WIDTH < len(text))
    return f"{before}{text[first : first + _WIDTH]}{after}", len(before) - first


def _hops(chain: Sequence[Hop]) -> Iterator[str]:
    for number, hop in enumerate(chain):
        if len(chain) <= _LONG or number < _ENDS or number >= len(chain) - _ENDS:
            yield f"{hop.path}:{hop.line} in {hop.function}: {_part(hop.text, 0)[0]}"
        elif number == _ENDS:
            yield f"… {len(chain) - 2 * _ENDS} more"
