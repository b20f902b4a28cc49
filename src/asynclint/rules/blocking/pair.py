"""What all blocking rules share: a direct rule and its twin through helper functions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from asynclint.findings import Action, Finding, Fix, Safety, Severity
from asynclint.project.blocking import Blocked
from asynclint.project.modules import ProgramModule
from asynclint.project.program import Program
from asynclint.rules.blocking.wording import fix_notes, help_for, shown, way
from asynclint.rules.libraries import library_of
from asynclint.rules.rule import Default, Rule

_OFFLOAD = {
    "asyncio": "asyncio.to_thread",
    "anyio": "anyio.to_thread.run_sync",
    "trio": "trio.to_thread.run_sync",
}
_TRANSITIVE_WHY = """
The call is one or more helper functions away, so nothing at the call site shows that it blocks; the whole event loop
stands still all the same. The report names every hop. A `# noqa` with the code at any hop silences all chains
through it. What a helper does the first time only, to make what it keeps from then on, and what lies more than five
calls away behind a branch, is reported under `--preview`.
"""


def blocking_rules(
    *,
    category: str,
    number: int,
    name: str,
    what: str,
    why: str,
    bad: tuple[str, ...],
    good: tuple[str, ...],
    bad_through_helpers: tuple[str, ...],
    good_through_helpers: tuple[str, ...],
    does: str = "blocks the event loop",
    replacement: str = "",
    fix: Safety = Safety.SAFE,
    fix_caveat: str = "",
    default: Default = Default.ON,
    references: tuple[str, ...] = (),
) -> tuple[Rule, Rule]:
    """Declare ASY1nn and ASY2nn of one category.

    Args:
        number: The last two digits of both codes.
        what: Begins the summaries: `Blocking HTTP request`.
        does: What the call does, in messages.
        replacement: Name of an async twin that every async library has (`sleep`); otherwise the fix is a worker thread.
        fix: How safe that is; `NONE` where neither helps.
        fix_caveat: Markdown: what to think of before taking the fix.
    """
    direct = Rule(
        code=f"ASY1{number:02}",
        name=name,
        summary=f"{what} in async code",
        why=why,
        bad=bad,
        good=good,
        check=partial(_direct, category, does, replacement),
        default=default,
        fix=fix,
        fix_notes=fix_notes(fix, replacement, fix_caveat),
        references=references,
    )
    transitive = Rule(
        code=f"ASY2{number:02}",
        name=name,
        summary=f"{what} reached from async code through helper functions",
        why=why.rstrip() + "\n" + _TRANSITIVE_WHY,
        bad=bad_through_helpers,
        good=good_through_helpers,
        check=partial(_transitive, category, does),
        default=default,
        references=references,
    )
    return direct, transitive


def _direct(
    category: str, does: str, replacement: str, rule: Rule, module: ProgramModule, program: Program
) -> Iterator[Finding]:
    for blocked in program.blocked(module):
        if blocked.category == category and len(blocked.chain) == 1:
            fix = _fix(module, blocked, replacement, rule.fix)
            yield _finding(rule, module, blocked, f"{shown(blocked.sink)} {does}", fix)


def _transitive(category: str, does: str, rule: Rule, module: ProgramModule, program: Program) -> Iterator[Finding]:
    for blocked in program.blocked(module):
        if blocked.category == category and len(blocked.chain) > 1:
            message = f"{way(blocked.chain[1:])} {does} with {shown(blocked.sink)}"
            yield _finding(rule, module, blocked, message, None)


def _finding(rule: Rule, module: ProgramModule, blocked: Blocked, message: str, fix: Fix | None) -> Finding:
    sink = blocked.sink
    return rule.finding(
        module,
        blocked.function,
        blocked.call,
        message,
        help_for(sink),
        severity=Severity(sink.severity),
        sink=sink.public_name,
        chain=blocked.chain,
        fix=fix,
        others=blocked.others,
        preview=not blocked.is_proven,
    )


def _fix(module: ProgramModule, blocked: Blocked, replacement: str, safety: Safety) -> Fix | None:
    """The edit for a direct call; none where `await` cannot stand, or a thread would only make an iterator."""
    function = module.facts.functions[blocked.function]
    if safety is Safety.NONE or not function.is_async:
        return None
    if blocked.call.implicit or blocked.call.lazy or blocked.sink.lazy:
        return None
    library = library_of(module)
    if replacement:
        return Fix(safety, Action.REPLACE_CALL, f"{library}.{replacement}")
    # An open file is no use without its reads and writes, so the whole `with` block goes to the thread.
    opens = blocked.call.use == "with" and blocked.sink.public_name == "open"
    return Fix(safety, Action.OFFLOAD_BLOCK if opens else Action.OFFLOAD_CALL, _OFFLOAD[library])
