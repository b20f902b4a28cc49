"""ASY501: a handler that stops a cancellation."""

from __future__ import annotations

from collections.abc import Iterator

from asynclint.findings import Finding, Severity
from asynclint.project import Program, ProgramModule
from asynclint.project.values import External
from asynclint.rules.outline import calls_in, statements_in
from asynclint.rules.rule import Rule
from asynclint.syntax import Function, Statement

_CANCELLATIONS = {
    "builtins.BaseException",
    "asyncio.CancelledError",
    "asyncio.exceptions.CancelledError",
    "trio.Cancelled",
}
_NEVER_RETURNS = {"sys.exit", "os._exit", "os.abort", "builtins.exit", "builtins.quit"}
_GATHERS = {"asyncio.gather", "asyncio.wait", "asyncio.wait_for", "asyncio.shield"}


def _check(module: ProgramModule, program: Program) -> Iterator[Finding]:
    for index, function in enumerate(module.facts.functions):
        for statement in statements_in(function.outline):
            for culprit, caught in _swallowers(module, program, index, statement):
                body = dict(statement.blocks)["body"]
                if not any(s.awaits for s in statements_in(body)) or _awaits_cancelled(module, program, index, body):
                    continue
                yield Finding(
                    code="ASY501",
                    name="cancellation-swallowed",
                    severity=Severity.WARNING,
                    path=module.path,
                    line=culprit.line,
                    column=culprit.column + 1,
                    end_line=culprit.line,
                    end_column=culprit.column + 1 + len("except" if culprit.kind == "excepthandler" else "with"),
                    function=function.qualname,
                    message=f"`{caught}` is caught and not raised again: the task cannot be cancelled here",
                    help="end the handler with `raise`, or catch `Exception`, which leaves cancellation alone",
                )


def _swallowers(
    module: ProgramModule, program: Program, index: int, statement: Statement
) -> Iterator[tuple[Statement, str]]:
    """The handler, or the `suppress`, of a statement that catches a cancellation and keeps it."""
    function = module.facts.functions[index]
    if statement.kind in ("try", "trystar"):
        for handler in dict(statement.blocks).get("handlers", ()):
            if caught := _cancellation(module, program, index, handler.value.split("|")):
                if not _passes_on(module, program, index, handler):
                    yield handler, caught
                return  # later handlers do not see it
    elif statement.kind == "with":
        for call in function.calls[statement.first_call : statement.last_call]:
            if call.use == "with" and External("contextlib.suppress") in program.targets(module, index, call):
                if caught := _cancellation(module, program, index, call.arguments):
                    yield statement, caught


def _cancellation(module: ProgramModule, program: Program, index: int, paths: list[str]) -> str:
    for path in paths:
        if path.endswith("get_cancelled_exc_class()"):
            return path
        for value in program.binding(module, index, path):
            if isinstance(value, External) and value.name in _CANCELLATIONS:
                return value.name.removeprefix("builtins.")
    return ""


def _passes_on(module: ProgramModule, program: Program, index: int, handler: Statement) -> bool:
    """Whether the handler lets the cancellation, or the whole program, go its way on some path."""
    function = module.facts.functions[index]
    bound = handler.stores[0] if handler.stores else ""
    for statement in statements_in([handler]):
        if statement.kind == "raise":
            return True
        # `error = exc`: kept, to be raised later.
        if bound and statement.kind in ("assign", "annassign") and statement.value.partition("@")[0] == bound:
            return True
    for call in calls_in(function, handler):
        if call.target.endswith((".uncancel", ".set_exception", ".cancelling")):
            return True
        if any(isinstance(v, External) and v.name in _NEVER_RETURNS for v in program.targets(module, index, call)):
            return True
    return False


def _awaits_cancelled(module: ProgramModule, program: Program, index: int, body: list[Statement]) -> bool:
    """The idiom `task.cancel()` … `await task`: the cancellation that arrives is the task's own."""
    function = module.facts.functions[index]
    for statement in statements_in(body):
        awaited = [call for call in function.calls[statement.first_call : statement.last_call] if call.use == "await"]
        if statement.kind in ("asyncfor", "asyncwith"):
            return False
        for call in awaited:
            names = {value.name for value in program.targets(module, index, call) if isinstance(value, External)}
            if not names & _GATHERS:
                return False
    return any(_cancels(other) for other in module.facts.functions)


def _cancels(function: Function) -> bool:
    return any(call.target.rpartition(".")[2] == "cancel" for call in function.calls)


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
