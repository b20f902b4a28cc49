"""ASY114: a function that is called, and its result handed to a worker thread."""

from __future__ import annotations

from collections.abc import Iterator

from asynclint.findings import Finding, Severity
from asynclint.project.modules import ProgramModule
from asynclint.project.program import Program
from asynclint.project.values import External
from asynclint.rules.blocking.results import gives_data
from asynclint.rules.rule import Rule
from asynclint.syntax import Call, plain

_FIRST = (
    *("to_thread", "run_sync", "run_in_threadpool", "sync_to_async", "database_sync_to_async", "asyncify", "submit"),
    *("start_thread_soon", "deferToThread", "callInThread", "io_bound", "cpu_bound", "add_task"),
)
_POSITIONS = {**dict.fromkeys(_FIRST, 0), "run_in_executor": 1}
"""Which argument is the function. Others that run work elsewhere take it by name, or take an iterator."""


def _check(rule: Rule, module: ProgramModule, program: Program) -> Iterator[Finding]:
    for index, function in enumerate(module.facts.functions):
        for call in function.calls:
            given = call.arguments[:2]
            if not given or not (given[0].endswith("()") or given[-1].endswith("()")):
                continue  # before the dearer question
            position = _position(module, index, call, program)
            if position is None:
                continue
            path = call.arguments[position]
            callees = program.resolve(module, index, path[:-2])
            if callees and all(gives_data(module, index, path, callee, program) for callee in callees):
                inner = _inner(function.calls, call, path[:-2])
                where = ", on the event loop," if function.is_async else ""
                message = f"`{plain(path)}` runs here{where} before `{plain(call.target)}` is called"
                yield rule.finding(module, index, inner or call, message, _help(call, position, inner))


def _position(module: ProgramModule, index: int, call: Call, program: Program) -> int | None:
    """Which argument of a call should be a function to run off the loop, and is a call."""
    for value in program.targets(module, index, call):
        if isinstance(value, External) and program.catalog.has("offloads", value.name):
            position = _POSITIONS.get(program.catalog.canonical(value.name).rpartition(".")[2], len(call.arguments))
            if "*" not in call.arguments[:position] and _is_call(*call.arguments[position : position + 1]):
                return position
    return None


def _is_call(path: str = "") -> bool:
    """Whether an access path is a call that is written as one: an operator is `x.__add__()`."""
    return path.endswith("()") and not path.rpartition(".")[2].startswith("__")


def _inner(calls: list[Call], outer: Call, target: str) -> Call | None:
    """The call written as an argument of another."""
    first, last = (outer.line, outer.column), (outer.end_line, outer.end_column)
    found = [
        call
        for call in calls
        if call.target == target and first <= (call.line, call.column) and (call.end_line, call.end_column) <= last
    ]
    return min(found, key=lambda call: (call.line, call.column), default=None)


def _help(outer: Call, position: int, inner: Call | None) -> str:
    offload, function = plain(outer.target), plain(outer.arguments[position][:-2])
    arguments = ", …" if inner is not None and (inner.arguments or inner.keywords) else ""
    if inner is not None and inner.keywords and offload.rpartition(".")[2] in ("run_sync", "run_in_executor"):
        function, arguments = f"functools.partial({function}, …)", ""  # these take no keywords for the function
    before = "".join("None, " if a == "= None" else f"{plain(a) or '…'}, " for a in outer.arguments[:position])
    return f"hand over the function: `{offload}({before}{function}{arguments})`"


RULES = (
    Rule(
        code="ASY114",
        name="called-before-offload",
        summary="Function called in the argument that should hand it to a worker thread",
        why="""
`asyncio.to_thread` and its kin take a function and call it in a worker thread. With `to_thread(load())` Python calls
`load` first, on the event loop, which stands still meanwhile; the thread then gets the result and tries to call that,
which raises `TypeError`. Where the result is never looked at, nobody may notice anything but the slowness. Hand over
the function itself and its arguments separately: `to_thread(load, path)`.
""",
        bad=(
            """
import asyncio


def thumbnail(image) -> bytes:
    return image.resize(64, 64).encode()


async def show(image):
    return await asyncio.to_thread(thumbnail(image))
""",
            """
import asyncio


class Index:
    def rebuild(self):
        self.words = sorted(self.words)


async def refresh(index: Index):
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, index.rebuild())
""",
        ),
        good=(
            """
import asyncio


def thumbnail(image) -> bytes:
    return image.resize(64, 64).encode()


async def show(image):
    return await asyncio.to_thread(thumbnail, image)
""",
            """
import asyncio


def resizer(width):
    def resize(image):
        return image.resize(width, width)

    return resize


async def show(image):
    return await asyncio.to_thread(resizer(64), image)
""",
        ),
        check=_check,
        severity=Severity.ERROR,
        references=("https://docs.python.org/3/library/asyncio-task.html#asyncio.to_thread",),
    ),
)
