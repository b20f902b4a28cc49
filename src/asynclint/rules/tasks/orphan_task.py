"""ASY401: a task that nobody holds."""

from __future__ import annotations

from collections.abc import Iterator

from asynclint.findings import Finding
from asynclint.project.modules import ProgramModule
from asynclint.project.program import Program
from asynclint.project.values import External, FunctionValue, Value
from asynclint.rules.rule import Rule

_HELP = "keep the task and await it, or start it in a task group (`asyncio.TaskGroup`, `asynckit.open_scope`)"


def _check(rule: Rule, module: ProgramModule, program: Program) -> Iterator[Finding]:
    for index, function in enumerate(module.facts.functions):
        for call in function.calls:
            use = call.use
            if use != "drop" and not use.startswith("store:"):
                continue  # mostly
            stored = use.removeprefix("store:")
            # What a module's own code binds lives as long as the module.
            unread = stored != use and stored in function.unread and index > 0
            if use != "drop" and not unread:
                continue
            spawner = next(filter(None, (_spawner(v, program) for v in program.targets(module, index, call))), "")
            if not spawner:
                continue
            lost = f"`{stored}` is never used" if unread else "its result is dropped"
            message = f"task of `{spawner}` is not kept: {lost}"
            yield rule.finding(module, index, call, message, _HELP)


def _spawner(value: Value, program: Program) -> str:
    """The name of the function that makes a task nobody else holds, directly or by handing on what it got."""
    if isinstance(value, External):
        return program.catalog.canonical(value.name) if program.catalog.has("spawns", value.name) else ""
    if isinstance(value, FunctionValue):
        function = program.function(value)
        module = program.home(value)
        # `return asyncio.create_task(…)`; what is stored first is returned by name.
        for call in function.calls if not function.is_async else ():
            makers = program.targets(module, value.index, call) if call.use == "return" else ()
            if any(isinstance(maker, External) and program.catalog.has("spawns", maker.name) for maker in makers):
                return function.qualname
    return ""


RULES = (
    Rule(
        code="ASY401",
        name="orphan-task",
        summary="Task whose reference is dropped, or kept only in a local variable that is never read",
        why="""
An asyncio event loop keeps only weak references to its tasks. A task that nothing else refers to can be garbage
collected in the middle of its work; and even when it survives, nobody waits for it, nobody sees its exception, and
nobody cancels it when the program ends.
""",
        bad=(
            """
import asyncio


async def notify(user):
    await asyncio.sleep(1)


async def handle(user):
    asyncio.create_task(notify(user))
""",
            """
import asyncio


def spawn(coroutine):
    return asyncio.get_running_loop().create_task(coroutine)


async def handle(job):
    task = spawn(job.run())
    await job.saved()
""",
        ),
        good=(
            """
import asyncio


async def notify(user):
    await asyncio.sleep(1)


async def handle(users):
    async with asyncio.TaskGroup() as group:
        for user in users:
            group.create_task(notify(user))
""",
            """
import asyncio

background = set()


async def handle(job):
    task = asyncio.create_task(job.run())
    background.add(task)
    task.add_done_callback(background.discard)
""",
        ),
        check=_check,
        back_ends=("asyncio",),
        references=("https://docs.python.org/3/library/asyncio-task.html#asyncio.create_task",),
    ),
)
