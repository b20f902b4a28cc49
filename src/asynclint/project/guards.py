"""Whether the conditions under which a function makes a call can hold, given the arguments it was called with."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from asynclint.syntax import NONBLOCKING, UNPROVEN, Call, Function

Guards = tuple[str, ...]
"""Conditions on the parameters of one function, in the form of `syntax/conditions.py`; `UNPROVEN` among them."""
_ON_OPTIONS = ("has", "gets")
_SELECTIVE = ("==", "in", "startswith", "endswith", "isa", "set")


def carried(
    call: Call, callee: Function, guards: Guards, is_instance: Callable[[str, str], bool | None]
) -> list[str] | None:
    """What a call says about the guards of a call that its callee makes.

    Args:
        is_instance: Tells whether an argument of the call is an instance of types.

    Returns:
        `None` if one does not hold; otherwise those that rest on parameters of the caller, as conditions on them.
    """
    conditions = []
    for guard in guards:
        if guard == UNPROVEN:
            conditions.append(guard)
            continue
        name, _, what = guard.partition(" ")
        argument = _argument(call, callee, int(name[1:]))
        if what.partition(" ")[0] in _ON_OPTIONS:
            found = _keyword(call, what)
            if found is None:  # they are handed on, as they came or made up
                number = call.keywords["**"].partition("@")[2]
                conditions.append(guard_on(number, guard) if number.isdecimal() else "")
            elif found is not (name[0] != "-"):
                return None
        elif what.startswith("isa "):
            verdict = is_instance(argument, what[4:]) if argument else None
            if verdict is None:
                number = argument.partition("@")[2]
                conditions.append(guard_on(number, guard) if number.isdecimal() else _unknown(guard))
            elif verdict is not (name[0] != "-"):
                return None
        elif argument.startswith("= "):
            if _holds(argument[2:], what) is not (name[0] != "-"):
                return None
        elif argument.startswith("lambda ") and what == "none" and name[0] != "-":
            return None
        else:
            number = argument.partition("@")[2]
            conditions.append(guard_on(number, guard) if number.isdecimal() else _unknown(guard))
    return [condition for condition in conditions if condition]


def _keyword(call: Call, what: str) -> bool | None:
    """Whether a call gives a keyword that `**options` of its callee takes up; `None` if that is not known."""
    kind, _, key = what.partition(" ")
    given = call.keywords.get(literal_eval(key))
    if given is None:
        return None if "**" in call.keywords else False
    return kind == "has" or not given.startswith("= ") or bool(literal_eval(given[2:]))


def guard_on(number: str, guard: str) -> str:
    """The same condition on another parameter."""
    return f"{guard[0]}{number} {guard.partition(' ')[2]}"


def within(conditions: Iterable[str], caller: Function) -> Guards:
    """The conditions as far as they rest on parameters of the caller; on other variables they are not known to hold."""
    conditions = (c for c in conditions if c != NONBLOCKING)
    kept = (c if c == UNPROVEN or _is_about(c, caller) else _unknown(c) for c in conditions)
    return tuple(dict.fromkeys(c for c in kept if c))


def _is_about(condition: str, function: Function) -> bool:
    """Whether a condition is on a parameter of a function, and one on options on its own `**options`."""
    place, operator = condition.split(" ")[:2]
    number = int(place[1:])
    if number >= len(function.parameters):
        return False
    return operator not in _ON_OPTIONS or function.parameters[number].startswith("**")


def is_proven(conditions: Iterable[str]) -> bool:
    """Whether what is left of a way's conditions at its beginning, in async code, is met by more than a few values."""
    return all(_unknown(condition) != UNPROVEN for condition in conditions)


def _unknown(condition: str) -> str:
    """What becomes of a condition on a value of which nothing is known.

    A flag may be set as well as not; that a name is just the one that is asked for is less likely.
    """
    if condition == UNPROVEN:
        return condition
    sign, operator = condition[0], condition.split(" ")[1]
    return UNPROVEN if sign == "+" and operator in _SELECTIVE else ""


def _argument(call: Call, callee: Function, index: int) -> str:
    """What a parameter is bound to by a call: an argument, or its constant default; `""` if that is not known."""
    if call.implicit or index >= len(callee.parameters):
        return ""
    position = index
    if callee.owner >= 0 and "staticmethod" not in callee.decorators:
        position -= 1
    if 0 <= position < len(call.arguments):
        return "" if "*" in call.arguments[: position + 1] else call.arguments[position]
    given = call.keywords.get(callee.parameters[index])
    if given is not None:
        return given
    if "*" in call.arguments or "**" in call.keywords:
        return ""
    return callee.defaults.get(str(index), "")


@cache
def _holds(constant: str, what: str) -> bool:
    value: Any = literal_eval(constant)
    operator, _, rest = what.partition(" ")
    if operator in ("true", "set"):
        return bool(value)
    if operator == "none":
        return value is None
    other = literal_eval(rest)
    match operator:
        case "==":
            return bool(value == other)
        case "in":
            return value in other
        case "startswith":
            return isinstance(value, str) and value.startswith(other)
        case "endswith":
            return isinstance(value, str) and value.endswith(other)
        case "contains":
            return isinstance(value, str) and other in value
        case _:
            raise AssertionError(f"no condition says `{what}`")
