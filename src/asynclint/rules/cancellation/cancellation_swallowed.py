"""ASY501: a handler that stops a cancellation."""

from __future__ import annotations

from collections.abc import Iterator

from asynclint.findings import Finding
from asynclint.project.modules import ProgramModule
from asynclint.project.program import Program
from asynclint.project.values import External
from asynclint.rules.cancellation.handlers import awaits_cancelled, caught_cancellation, exposed, passes_on
from asynclint.rules.outline import statements_in
from asynclint.rules.rule import Rule
from asynclint.syntax import Statement

_CATCHES = frozenset(("try", "trystar", "with"))
_HELP = "end the handler with `raise`, or catch `Exception`, which leaves cancellation alone"


def _check(rule: Rule, module: ProgramModule, program: Program) -> Iterator[Finding]:
    for index, function in enumerate(module.facts.functions):
        if not function.is_async:
            continue
        for statement in exposed(module, program, index, function.outline):
            if statement.kind not in _CATCHES:
                continue
            for culprit, caught in _swallowers(module, program, index, statement):
                body = dict(statement.blocks)["body"]
                if not any(s.awaits for s in statements_in(body)) or awaits_cancelled(module, program, index, body):
                    continue
                message = f"`{caught}` is caught and not raised again: the task cannot be cancelled here"
                yield rule.finding(module, index, culprit, message, _HELP)


def _swallowers(
    module: ProgramModule, program: Program, index: int, statement: Statement
) -> Iterator[tuple[Statement, str]]:
    """The handler, or the `suppress`, of a statement that catches a cancellation and keeps it."""
    function = module.facts.functions[index]
    if statement.kind == "with":
        for call in function.calls[statement.first_call : statement.last_call]:
            if call.use != "with" or External("contextlib.suppress") not in program.targets(module, index, call):
                continue
            if caught := caught_cancellation(module, program, index, call.arguments):
                yield statement, caught
        return
    for handler in dict(statement.blocks).get("handlers", ()):
        if caught := caught_cancellation(module, program, index, handler.value.split("|")):
            if not passes_on(module, program, index, handler):
                yield handler, caught
            return  # later handlers do not see it


RULES = (
    Rule(
        code="ASY501",
        name="cancellation-swallowed",
        summary="Handler that catches a cancellation and does not raise it again",
        why="""
Cancelling a task raises `CancelledError` (trio: `Cancelled`) at the `await` where it stands. Code that catches it, by
name, as `BaseException` or with a bare `except:`, and goes on, cannot be stopped: timeouts do not fire, task groups
wait for ever, and a shutdown hangs. Clean up, then raise it again.
""",
        bad=(
            """
import asyncio


async def worker(queue):
    while True:
        try:
            job = await queue.get()
            await job.run()
        except asyncio.CancelledError:
            print("stopping")
""",
            """
async def fetch(session, url):
    try:
        return await session.get(url)
    except:
        return None
""",
            """
import asyncio
from contextlib import suppress


async def drain(reader):
    with suppress(asyncio.CancelledError):
        await reader.read()
""",
        ),
        good=(
            """
import asyncio


async def worker(queue):
    try:
        while True:
            job = await queue.get()
            await job.run()
    except asyncio.CancelledError:
        print("stopping")
        raise
""",
            """
import asyncio


async def stop(task):
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("stopped")
""",
            """
async def fetch(session, url):
    try:
        return await session.get(url)
    except Exception:
        return None
""",
        ),
        check=_check,
        references=("https://docs.python.org/3/library/asyncio-task.html#task-cancellation",),
    ),
)
