"""How much of a program was understood: for `--statistics`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from asynclint.project.modules import ProgramModule
from asynclint.project.program import Program
from asynclint.syntax import Call


@dataclass(slots=True)
class Statistics:
    """Counts over the modules that a run has loaded.

    Attributes:
        unresolved: Why calls could not be resolved, and how many.
    """

    files: int = 0
    functions: int = 0
    async_functions: int = 0
    calls: int = 0
    resolved: int = 0
    unresolved: Counter[str] = field(default_factory=Counter)
    chains: int = 0


def statistics(program: Program) -> Statistics:
    """Count what was understood of all modules that `program` has loaded."""
    counts = Statistics()
    for module in program.modules():
        counts.files += 1
        counts.functions += len(module.facts.functions)
        for index, function in enumerate(module.facts.functions):
            counts.async_functions += function.is_async
            for call in function.calls:
                if not call.implicit:
                    counts.calls += 1
                    if program.targets(module, index, call):
                        counts.resolved += 1
                    else:
                        counts.unresolved[_cause(program, module, index, call)] += 1
        counts.chains += len(program.blocked(module))
    return counts


def _cause(program: Program, module: ProgramModule, index: int, call: Call) -> str:
    """Why nobody knows what a call calls: the first step of its path that leads nowhere."""
    if not call.target:
        return "what is called is no name: an item, a literal, a result of an operator"
    steps = call.target.replace("()", ".()").split(".")
    path = ""
    for step in steps:
        path = f"{path}()" if step == "()" else f"{path}.{step}" if path else step
        if not program.resolve(module, index, path):
            break
    if path == steps[0]:
        number = path.partition("@")[2].split(",")[0]
        if not number:
            return "a name that is bound nowhere in sight"
        facts = module.facts.functions[index]
        if int(number) < len(facts.parameters):
            return "a parameter without a known type"
        return "a variable whose value is not known"
    if path.endswith("()"):
        return "the result of a call is not known"
    return "an attribute that the type does not show"
