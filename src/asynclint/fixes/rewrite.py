"""The edits, carried out on a concrete syntax tree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from asynclint.findings import Finding
from asynclint.fixes.imports import add_imports
from asynclint.fixes.plan import BlockEdit, CallEdit, Plan, Skipped, plan
from asynclint.fixes.source import Span

_Line = cst.SimpleStatementLine | cst.SimpleStatementSuite
_BLANK = cst.EmptyLine(indent=False)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A module with its fixes applied.

    Attributes:
        applied: Findings that are gone.
        skipped: Findings that are not, with the reason.
    """

    module: cst.Module
    applied: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]


def rewrite(module: cst.Module, findings: Iterable[Finding], *, unsafe: bool = False) -> Rewritten:
    """Apply to a module the fixes of its findings.

    Args:
        module: As parsed from a file, without changes.
        findings: Made from the same source; those without a fix are passed over.
        unsafe: Also carry out fixes that may change what the program does.

    Raises:
        UnreadableError: The module's code does not parse.
    """
    planned = plan(module.code, findings, unsafe=unsafe)
    if not planned.calls and not planned.blocks:
        return Rewritten(module, (), tuple(planned.skipped))
    # A module fresh from the parser has no node twice, so it need not be copied.
    wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
    rewriter = _Rewriter(planned)
    changed = add_imports(wrapper.visit(rewriter), planned.imports)
    made = rewriter.made
    missing = {span for span in (*planned.calls, *planned.blocks) if span not in made}
    if missing:
        # Positions inside f-strings are not exact before Python 3.12: give up rather than import what nothing uses.
        rest = [f for f in planned.applied if (f.line, f.column, f.end_line, f.end_column) not in missing]
        lost = [(f, "there is no call at this place of the source") for f in planned.applied if f not in rest]
        again = rewrite(module, rest, unsafe=unsafe)
        return Rewritten(again.module, again.applied, (*planned.skipped, *lost, *again.skipped))
    return Rewritten(changed, tuple(planned.applied), tuple(planned.skipped))


class _Rewriter(cst.CSTTransformer):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, planned: Plan) -> None:
        super().__init__()
        self.planned = planned
        self.made: set[Span] = set()

    def _span(self, node: cst.CSTNode) -> Span:
        place = self.get_metadata(PositionProvider, node)
        return place.start.line, place.start.column + 1, place.end.line, place.end.column + 1

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:  # noqa: N802
        """Rewrite a call; the calls inside it are rewritten already."""
        span = self._span(original_node)
        edit = self.planned.calls.get(span)
        if edit is None:
            return updated_node
        self.made.add(span)
        return _awaited(updated_node, edit)

    def leave_With(  # noqa: N802
        self, original_node: cst.With, updated_node: cst.With
    ) -> cst.With | cst.FlattenSentinel[cst.BaseStatement]:
        """Move a block into a function."""
        for item in original_node.items:
            span = self._span(item.item)
            if span in self.planned.blocks:
                self.made.add(span)
                return cst.FlattenSentinel(_moved(updated_node, self.planned.blocks[span]))
        return updated_node


def _awaited(call: cst.Call, edit: CallEdit) -> cst.Await:
    left, right = call.lpar, call.rpar
    if edit.parentheses and not left:
        left, right = [cst.LeftParen()], [cst.RightParen()]
    call = call.with_changes(lpar=[], rpar=[])
    callee = cst.parse_expression(edit.callee)
    if not edit.offload:
        call = call.with_changes(func=callee)
    elif edit.partial:
        bound = _given_itself(call, cst.parse_expression(edit.partial))
        call = cst.Call(callee, [cst.Arg(bound)])
    else:
        call = _given_itself(call, callee)
    return cst.Await(call, lpar=left, rpar=right)


def _given_itself(call: cst.Call, callee: cst.BaseExpression) -> cst.Call:
    """`f(x)` as `callee(f, x)`, laid out as it was."""
    arguments = list(call.args)
    if len(arguments) == 1 and isinstance(arguments[0].value, cst.GeneratorExp) and not arguments[0].value.lpar:
        own = arguments[0].value.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        arguments = [arguments[0].with_changes(value=own)]
    function = cst.Arg(call.func)
    if arguments:
        function = cst.Arg(call.func, comma=cst.Comma(whitespace_after=_gap(call.whitespace_before_args)))
    return call.with_changes(func=callee, args=[function, *arguments])


def _gap(before: cst.BaseParenthesizableWhitespace) -> cst.BaseParenthesizableWhitespace:
    """What separates the function from the arguments: a line break if they begin on a line of their own."""
    if isinstance(before, cst.ParenthesizedWhitespace):
        newline = before.first_line.newline
        return before.with_changes(first_line=cst.TrailingWhitespace(newline=newline), empty_lines=[])
    return cst.SimpleWhitespace(" ")


def _moved(block: cst.With, edit: BlockEdit) -> list[cst.BaseStatement]:
    """The function that a block becomes, and the statement that runs it."""
    planned = edit.plan
    leading = list(block.leading_lines)
    if not planned.first and not any(line.comment is None for line in leading):
        leading.insert(0, _BLANK)
    target: cst.BaseSmallStatement | None = None
    block = block.with_changes(leading_lines=[])
    if planned.ends == "assignment":
        block, target = _returning(block)
    elif planned.ends == "names":
        block = _with_return(block, planned.names)
    function = cst.FunctionDef(
        cst.Name(planned.function), cst.Parameters(), cst.IndentedBlock([block]), leading_lines=leading
    )
    run = cst.Await(cst.Call(cst.parse_expression(edit.callee), [cst.Arg(cst.Name(planned.function))]))
    statement: cst.BaseSmallStatement
    if planned.ends == "return":
        statement = cst.Return(run)
    elif isinstance(target, (cst.Assign, cst.AnnAssign)):
        statement = target.with_changes(value=run)
    elif planned.ends == "names":
        statement = cst.Assign([cst.AssignTarget(_names(planned.names))], run)
    else:
        statement = cst.Expr(run)
    return [function, cst.SimpleStatementLine([statement], leading_lines=[_BLANK])]


def _small(block: cst.With) -> tuple[_Line, Sequence[cst.BaseSmallStatement]]:
    """The last line of a block's body, and the statements on it."""
    line = block.body if isinstance(block.body, cst.SimpleStatementSuite) else block.body.body[-1]
    if not isinstance(line, (cst.SimpleStatementLine, cst.SimpleStatementSuite)):
        raise TypeError("only straight-line blocks are moved")
    return line, line.body


def _with_last_line(block: cst.With, line: cst.BaseSuite | cst.BaseStatement) -> cst.With:
    if isinstance(block.body, cst.SimpleStatementSuite):
        return block.with_changes(body=line)
    return block.with_changes(body=block.body.with_changes(body=[*block.body.body[:-1], line]))


def _returning(block: cst.With) -> tuple[cst.With, cst.BaseSmallStatement]:
    """The block with its last assignment made a return, and that assignment."""
    line, statements = _small(block)
    last = statements[-1]
    if not isinstance(last, (cst.Assign, cst.AnnAssign)) or last.value is None:
        raise TypeError("the block must end in an assignment")
    value = cst.Return(last.value, whitespace_after_return=cst.SimpleWhitespace(" "), semicolon=last.semicolon)
    changed = line.with_changes(body=[*statements[:-1], value])
    return _with_last_line(block, changed), last.with_changes(semicolon=cst.MaybeSentinel.DEFAULT)


def _with_return(block: cst.With, names: tuple[str, ...]) -> cst.With:
    """The block with a return of the names added."""
    value = cst.Return(_names(names))
    if isinstance(block.body, cst.SimpleStatementSuite):
        return block.with_changes(body=block.body.with_changes(body=[*_small(block)[1], value]))
    added = cst.SimpleStatementLine([value])
    return block.with_changes(body=block.body.with_changes(body=[*block.body.body, added]))


def _names(names: tuple[str, ...]) -> cst.Name | cst.Tuple:
    if len(names) == 1:
        return cst.Name(names[0])
    return cst.Tuple([cst.Element(cst.Name(name)) for name in names], lpar=[], rpar=[])
