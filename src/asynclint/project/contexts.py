"""Code whose blocking matters less: tests, scripts, and what runs before the loop serves."""

from __future__ import annotations

import re
from functools import lru_cache

from asynclint.findings import Context
from asynclint.project.modules import ProgramModule
from asynclint.syntax import Function, Module, plain

_NAMES = frozenset(("lifespan", "on_startup", "startup", "before_serving", "before_server_start"))
_EVENTS = frozenset(("= 'startup'", "= 'before_server_start'", "= 'main_process_start'"))
_REGISTERS = frozenset(("on_event", "add_event_handler", "listener", "register_listener"))
_LISTS = re.compile(r"(^|\.)(on_startup|startup_handlers|cleanup_ctx)\.append$")
_KEYWORDS = ("lifespan", "on_startup")


def context_of(module: ProgramModule, index: int) -> Context:
    """Where function number `index` of a module stands."""
    if module.is_test:
        return Context.TEST
    facts = module.facts
    while index > 0:
        function = facts.functions[index]
        if _in_script(facts, function):
            return Context.SCRIPT
        if _at_startup(module, index, function):
            return Context.STARTUP
        index = function.parent
    return Context.NONE


def _in_script(facts: Module, function: Function) -> bool:
    """Whether a function is defined in the script's block, or called from it: `asyncio.run(main())`."""
    first, last = facts.script
    if first <= function.line <= last:
        return True
    if not first or function.parent or function.owner >= 0:
        return False
    calls = facts.functions[0].calls
    return any(first <= call.line <= last and plain(call.target) == function.name for call in calls)


def _at_startup(module: ProgramModule, index: int, function: Function) -> bool:
    if function.name in _NAMES or any(
        plain(d).removesuffix("()").rpartition(".")[2] in _NAMES for d in function.decorators
    ):
        return True
    handed, decorators = _registered(module, function.parent)
    return f"def {index}" in handed or any(
        line < function.line and decorator in function.decorators for decorator, line in decorators
    )


@lru_cache(maxsize=64)  # findings come module by module
def _registered(module: ProgramModule, index: int) -> tuple[set[str], list[tuple[str, int]]]:
    """What a function hands over to be run at start-up (binding values), and the decorators, by line, that do so."""
    function = module.facts.functions[index]
    paths: list[str] = []
    decorators: list[tuple[str, int]] = []
    for call in function.calls:
        target = plain(call.target)
        if target.rpartition(".")[2] in _REGISTERS and call.arguments and call.arguments[0] in _EVENTS:
            decorators.append((f"{call.target}()", call.line))
            paths += call.arguments[1:]
        elif _LISTS.search(target):
            paths += call.arguments
        else:
            paths += [call.keywords[keyword] for keyword in _KEYWORDS if keyword in call.keywords]
    numbers = [number for path in paths for number in path.partition("@")[2].split(",") if number.isdecimal()]
    return {function.bindings[int(number)][1] for number in numbers}, decorators
