"""Code whose blocking matters less: tests, scripts, and what runs before the loop serves."""

from __future__ import annotations

import re

from asynclint.findings import Context
from asynclint.project.modules import ProgramModule
from asynclint.syntax import Call, Function, Module, plain

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
        if _at_startup(facts, index, function):
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


def _at_startup(facts: Module, index: int, function: Function) -> bool:
    if function.name in _NAMES or any(
        plain(d).removesuffix("()").rpartition(".")[2] in _NAMES for d in function.decorators
    ):
        return True
    outer = facts.functions[function.parent]
    return any(_registers(outer, call, f"def {index}", function) for call in outer.calls)


def _registers(outer: Function, call: Call, binding: str, function: Function) -> bool:
    """Whether a call hands the function over to be run at start-up, or decorates it so."""
    target = plain(call.target)
    if target.rpartition(".")[2] in _REGISTERS and call.arguments and call.arguments[0] in _EVENTS:
        decorates = any(decorator == f"{call.target}()" for decorator in function.decorators)
        return (decorates and call.line < function.line) or any(_means(outer, a, binding) for a in call.arguments[1:])
    if _LISTS.search(target):
        return any(_means(outer, argument, binding) for argument in call.arguments)
    return any(_means(outer, call.keywords.get(keyword, ""), binding) for keyword in _KEYWORDS)


def _means(outer: Function, path: str, binding: str) -> bool:
    """Whether a path of the enclosing function is just the name of the function bound so."""
    ids = path.partition("@")[2].split(",")
    return any(number.isdecimal() and outer.bindings[int(number)][1] == binding for number in ids)
