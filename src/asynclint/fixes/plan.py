"""From findings to edits: which fixes can be carried out together, and how the new code names things."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field

from asynclint.findings import Action, Finding, Fix, Safety
from asynclint.fixes.blocks import BlockPlan, Refusal, plan_block, with_of
from asynclint.fixes.names import Names
from asynclint.fixes.places import needs_parentheses, why_not_awaited, why_not_offloaded
from asynclint.fixes.source import Span, Tree, span_of

_TAKES_KEYWORDS = frozenset({"asyncio.to_thread"})
"""Offloading functions that pass keyword arguments on; others are given a `functools.partial`."""

Skipped = tuple[Finding, str]
"""A finding that is not fixed, and why."""


@dataclass(frozen=True, slots=True)
class CallEdit:
    """How one call is rewritten.

    Attributes:
        callee: The expression that is awaited instead.
        offload: Whether the call's function becomes the first argument, or is replaced.
        partial: How the file spells `functools.partial`, if the arguments must be bound by it.
        parentheses: Whether the `await` needs them.
    """

    callee: str
    offload: bool
    partial: str
    parentheses: bool


@dataclass(frozen=True, slots=True)
class BlockEdit:
    """How one `with` block is rewritten: it becomes `plan.function`, which `callee` runs in a thread."""

    callee: str
    plan: BlockPlan


@dataclass(slots=True)
class Plan:
    """Everything to be done to one module.

    Attributes:
        calls: Edits by the span of the call.
        blocks: Edits by the span of a call that the header of the `with` makes.
        imports: Modules to import.
    """

    calls: dict[Span, CallEdit] = field(default_factory=dict)
    blocks: dict[Span, BlockEdit] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)
    applied: list[Finding] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def plan(text: str, findings: Iterable[Finding], *, unsafe: bool = False) -> Plan:
    """Decide on the edits for one module.

    Args:
        text: The module, without byte order mark.
        findings: Findings of this module; those without a fix are passed over.
        unsafe: Also carry out fixes that may change what the program does.

    Raises:
        UnreadableError: The text does not parse.
    """
    return _Planner(text, unsafe).run(findings)


class _Planner:
    def __init__(self, text: str, unsafe: bool) -> None:
        self.tree = Tree(text)
        self.names = Names(self.tree)
        self.unsafe = unsafe
        self.plan = Plan()
        self.moved: list[Span] = []
        self.made: dict[Span, Fix] = {}

    def run(self, findings: Iterable[Finding]) -> Plan:
        ordered = sorted(
            [finding for finding in findings if finding.fix is not None and finding.fix.safety is not Safety.NONE],
            # A block takes the calls inside with it, so blocks are decided first.
            key=lambda f: (f.fix is not None and f.fix.action is not Action.OFFLOAD_BLOCK, span_of(f), f.code),
        )
        for finding in ordered:
            if finding.fix is None:
                continue
            if reason := self._consider(finding, finding.fix):
                self.plan.skipped.append((finding, reason))
            else:
                self.plan.applied.append(finding)
        return self.plan

    def _consider(self, finding: Finding, fix: Fix) -> str:
        """Plan one fix; the reason why not, or `""`."""
        span = span_of(finding)
        if any(block[:2] <= span[:2] and span[2:] <= block[2:] for block in self.moved):
            return ""  # its whole block runs in a thread already
        if fix.safety is Safety.UNSAFE and not self.unsafe:
            return "the fix may change what the program does: needs `--unsafe-fixes`"
        call = self.tree.call_at(span)
        if call is None:
            return "there is no call at this place: the file changed, or the fix does not apply to it"
        if span in self.made:
            return "" if self.made[span] == fix else "another fix edits the same call: run again"
        reason = self._block(call, fix) if fix.action is Action.OFFLOAD_BLOCK else self._call(call, span, fix)
        if not reason:
            self.made[span] = fix
        return reason

    def _call(self, call: ast.Call, span: Span, fix: Fix) -> str:
        offload = fix.action is Action.OFFLOAD_CALL
        if reason := why_not_awaited(self.tree, call):
            return reason
        if offload and (reason := why_not_offloaded(call)):
            return reason
        if not offload and (call.keywords or len(call.args) != 1 or isinstance(call.args[0], ast.Starred)):
            return f"`{fix.target}` may take other arguments than the one positional argument it replaces"
        wanted = [fix.target]
        if offload and call.keywords and fix.target not in _TAKES_KEYWORDS:
            wanted.append("functools.partial")
        spellings = [self.names.spell(name, call) for name in wanted]
        if problem := next((spelling.problem for spelling in spellings if spelling.problem), ""):
            return problem
        self.plan.imports.update(spelling.imports for spelling in spellings if spelling.imports)
        partial = spellings[1].text if len(spellings) > 1 else ""
        edit = CallEdit(spellings[0].text, offload, partial, needs_parentheses(self.tree, call))
        self.plan.calls[span] = edit
        return ""

    def _block(self, call: ast.Call, fix: Fix) -> str:
        spelling = self.names.spell(fix.target, call)
        if spelling.problem:
            return spelling.problem
        planned = plan_block(self.tree, self.names, call)
        statement = with_of(self.tree, call)
        if isinstance(planned, Refusal) or statement is None:
            return planned.reason if isinstance(planned, Refusal) else "it is not what a `with` statement enters"
        if planned.doubt and not self.unsafe:
            return f"{planned.doubt}: needs `--unsafe-fixes`"
        if spelling.imports:
            self.plan.imports.add(spelling.imports)
        self.plan.blocks[self.tree.span(call)] = BlockEdit(spelling.text, planned)
        self.moved.append(self.tree.span(statement))
        return ""
