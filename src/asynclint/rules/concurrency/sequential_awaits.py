"""ASY301: awaits one after the other that need not wait for each other."""

from __future__ import annotations

from collections.abc import Iterator

from asynclint.findings import Finding
from asynclint.project.effects import Effect
from asynclint.project.modules import ProgramModule
from asynclint.project.program import Program
from asynclint.project.values import FunctionValue
from asynclint.rules.outline import blocks_in
from asynclint.rules.rule import Rule
from asynclint.syntax import Call, Statement, plain

_HELP = "run them side by side: `asyncio.gather`, a task group, or `asynckit.gather`"


def _check(rule: Rule, module: ProgramModule, program: Program) -> Iterator[Finding]:
    for index, function in enumerate(module.facts.functions):
        if not function.is_async or [call.use for call in function.calls].count("await") < 2:
            continue  # mostly
        for block in blocks_in(function.outline):
            for run in _runs(module, program, index, block) if len(block) > 1 else ():
                first, last = run[0][0], run[-1][0]
                names = ", ".join(dict.fromkeys(f"`{plain(call.target)}`" for _, call in run))
                message = f"{len(run)} independent awaits of {names} run one after the other"
                likely = any(program.effect(module, index, call) is not Effect.NONE for _, call in run)
                yield rule.finding(module, index, first, message, _HELP, last=last, preview=likely)


def _runs(
    module: ProgramModule, program: Program, index: int, block: list[Statement]
) -> Iterator[list[tuple[Statement, Call]]]:
    """Longest runs of two or more neighbouring statements that await independent calls."""
    run: list[tuple[Statement, Call]] = []
    stored: set[str] = set()
    for statement in block:
        call = _awaited_call(module, program, index, statement) if statement.awaits == 1 else None
        if call is not None and stored.isdisjoint((*statement.loads, *statement.stores)):
            run.append((statement, call))
            stored.update(statement.stores)
            continue
        if len(run) > 1:
            yield run
        run = [(statement, call)] if call is not None else []
        stored = set(statement.stores)
    if len(run) > 1:
        yield run


def _awaited_call(module: ProgramModule, program: Program, index: int, statement: Statement) -> Call | None:
    """The one call of `await f(…)` or `x = await f(…)`, where `f` gives a value and has no effect that matters."""
    if statement.kind not in ("expr", "assign", "annassign"):
        return None
    calls = module.facts.functions[index].calls[statement.first_call : statement.last_call]
    if len(calls) != 1 or calls[0].use != "await" or any("." in stored for stored in statement.stores):
        return None
    call = calls[0]
    values = program.targets(module, index, call)
    # A function that gives nothing back is awaited for what it does, a pause for instance: its place matters.
    for value in values:
        if not isinstance(value, FunctionValue) or not program.function(value).returns:
            return None
        if not any(inner.use.startswith(("await", "async")) for inner in program.function(value).calls):
            return None
    return call if values and program.effect(module, index, call) < Effect.UNKNOWN else None


RULES = (
    Rule(
        code="ASY301",
        name="sequential-awaits",
        summary="Two or more awaits in a row that do not depend on each other",
        why="""
Each `await` in a row waits for the one before it to end, so the time of all adds up; run side by side they take as long
as the slowest. The rule reports awaits of functions whose effects it can see: none of them writes anything that
another could read, and none uses another's result. Where the callees also read from the network it reports under
`--preview` only, since a server may mind the order.
""",
        bad=(
            """
import asyncio


async def fetch(source, delay):
    await asyncio.sleep(delay)
    return f"data of {source}"


async def main():
    first = await fetch("A", 1)
    second = await fetch("B", 2)
    return first, second
""",
        ),
        good=(
            """
import asyncio


async def fetch(source, delay):
    await asyncio.sleep(delay)
    return f"data of {source}"


async def main():
    return await asyncio.gather(fetch("A", 1), fetch("B", 2))
""",
            """
import asyncio


async def fetch(source, delay):
    await asyncio.sleep(delay)
    return f"data of {source}"


async def main():
    first = await fetch("A", 1)
    return await fetch(first, 2)
""",
        ),
        check=_check,
    ),
)
