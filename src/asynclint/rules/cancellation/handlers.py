"""What handlers in async code do with a cancellation."""

from __future__ import annotations

from collections.abc import Iterator

from asynclint.project.modules import ProgramModule
from asynclint.project.program import Program
from asynclint.project.values import External, FunctionValue, Value
from asynclint.rules.outline import calls_in, statements_in
from asynclint.syntax import Function, Statement

_CANCELLATIONS = {
    "builtins.BaseException",
    "asyncio.CancelledError",
    "asyncio.exceptions.CancelledError",
    "trio.Cancelled",
}
_NEVER_RETURNS = {"sys.exit", "os._exit", "os.abort", "builtins.exit", "builtins.quit"}
_DEALS_WITH_IT = {"uncancel", "cancelling"}
_KEEPS = {"add", "append", "put", "put_nowait", "set_exception"}
_GATHERS = {"asyncio.gather", "asyncio.wait", "asyncio.wait_for", "asyncio.shield"}


def exposed(module: ProgramModule, program: Program, index: int, block: list[Statement]) -> Iterator[Statement]:
    """Statements with blocks that a cancellation can reach, in any order.

    Not those shielded from it, nor the clean-up it has already caused.
    """
    calls = module.facts.functions[index].calls
    pending = [block]
    while pending:
        for statement in pending.pop():
            if not statement.blocks:
                continue  # nearly always
            yield statement
            own = calls[statement.first_call : statement.last_call]
            if any(call.keywords.get("shield") == "= True" for call in own):
                continue
            if statement.kind == "excepthandler" and caught_cancellation(
                module, program, index, statement.value.split("|")
            ):
                continue
            pending += [inner for _, inner in statement.blocks]


def caught_cancellation(module: ProgramModule, program: Program, index: int, paths: list[str]) -> str:
    """The name by which one of these exception classes covers a cancellation, or `""`."""
    for path in paths:
        if path.endswith("get_cancelled_exc_class()"):
            return path
        for value in program.binding(module, index, path):
            if isinstance(value, External) and value.name in _CANCELLATIONS:
                return value.name.removeprefix("builtins.")
    return ""


def passes_on(module: ProgramModule, program: Program, index: int, handler: Statement) -> bool:
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
        name = call.target.rpartition(".")[2]
        if name in _DEALS_WITH_IT:
            return True
        if bound and name in _KEEPS and any(argument.partition("@")[0] == bound for argument in call.arguments):
            return True
        if any(_never_returns(program, value) for value in program.targets(module, index, call)):
            return True
    return False


def _never_returns(program: Program, value: Value) -> bool:
    if isinstance(value, FunctionValue):
        return program.function(value).annotation.rpartition(".")[2] in ("NoReturn", "Never")
    return isinstance(value, External) and value.name in _NEVER_RETURNS


def awaits_cancelled(module: ProgramModule, program: Program, index: int, body: list[Statement]) -> bool:
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
