"""Whether a call of a sink blocks where it stands, given its arguments and what it is called on."""

from __future__ import annotations

import re
from collections.abc import Callable

from asynclint.catalog import Catalog, Sink
from asynclint.project.modules import ProgramModule
from asynclint.project.resolve import Resolver
from asynclint.project.trace import WHOLE
from asynclint.project.values import External, ExternalInstance, Value
from asynclint.syntax import NONBLOCKING, Call, Function, plain

ITERATES = ("for", "yield from")
"""Uses of a call in which what it gives is iterated over, on this thread."""
_CONSTANT = re.compile(r"\d+(\.\d+)?|True|False|None|'[^']*'")
_BUFFERS = ("io.BytesIO", "io.StringIO")
_FILES = ("fileobj", "file", "fp", "path_or_buf", "filepath_or_buffer")


class Circumstances:
    """Holds calls of sinks against what the catalogue says of when these block."""

    def __init__(self, resolver: Resolver, catalog: Catalog) -> None:
        self._resolver = resolver
        self._catalog = catalog

    def block(self, module: ProgramModule, index: int, call: Call, sink: Sink) -> bool:
        """Whether a call that function number `index` of a module makes of a sink blocks the thread."""
        function = module.facts.functions[index]
        receiver = call.target.rpartition(".")[0]
        # What is awaited is not the synchronous function it looks like.
        if call.use in ("await", "async with", "async for"):
            return False
        if sink.lazy and call.use not in ITERATES:
            return False
        if any(_is_given(call, argument) for argument in sink.unless):
            return False
        if NONBLOCKING in call.guards and sink.category == "network":
            return False
        if sink.after and _has_asked(function, call, sink.after):
            return False
        if sink.unless_made and _is_made_with(function, receiver, sink.unless_made):
            return False
        if sink.memory and (self._is_in_memory(module, index, receiver) or self._takes_buffer(module, index, call)):
            return False
        if sink.given and not self._may_be_given(module, index, call, sink.given):
            return False
        return not (sink.follows and self._made_here(module, index, receiver, sink, set()))

    def _made_here(self, module: ProgramModule, index: int, receiver: str, sink: Sink, seen: set[str]) -> bool:
        """Whether the object that a sink is a method of comes from a sink of the same category in this function."""
        if receiver in seen:
            return False
        seen.add(receiver)
        parts = receiver.split("()")
        for count in range(1, len(parts)):
            path = "()".join(parts[:count])
            for value in self._resolver.resolve(module, index, path):
                maker = self._catalog.sink(value.name) if isinstance(value, External) else None
                if maker is not None and maker.category == sink.category:
                    return not (maker.memory and self._are_given_buffers(module, index, {path}))
        root = receiver.partition(".")[0].partition("()")[0]
        ids = root.partition("@")[2]
        bindings = module.facts.functions[index].bindings
        return any(self._made_here(module, index, bindings[int(i)][1], sink, seen) for i in ids.split(",") if i)

    def _is_in_memory(self, module: ProgramModule, index: int, receiver: str) -> bool:
        """Whether an object was made, in this function, of a buffer in memory."""
        return self._are_given_buffers(module, index, _makers(module.facts.functions[index], receiver))

    def _are_given_buffers(self, module: ProgramModule, index: int, targets: set[str]) -> bool:
        return _all_made(module.facts.functions[index], targets, lambda call: self._takes_buffer(module, index, call))

    def _may_be_given(self, module: ProgramModule, index: int, call: Call, maker: str) -> bool:
        """Whether what made an object may have been given what a sink is read from: a process a pipe for its output."""
        owner, _, given = call.target.rpartition(".")[0].rpartition(".")
        ids = owner.partition("@")[2]
        bound = module.facts.functions[index].bindings[int(ids)][1] if ids.isdecimal() else "?"
        if not owner or not bound or bound[0] == ":":
            return True  # a name for the pipe itself, or a parameter: who made it is not known
        last = maker.rpartition(".")[2]
        self._resolver.trace.see(module.path, WHOLE)
        makers = [
            other
            for number, function in enumerate(module.facts.functions)
            for other in function.calls
            if other.target.rpartition(".")[2].partition("@")[0] == last
            and External(maker) in self._resolver.resolve(module, number, other.target)
        ]
        return not makers or any(
            other.keywords.get(given, "= None") != "= None" or "**" in other.keywords or len(other.arguments) > 1
            for other in makers
        )

    def _takes_buffer(self, module: ProgramModule, index: int, call: Call) -> bool:
        """Whether the file that a call is given is a buffer in memory."""
        name, _, ids = _first(call).partition("@")
        # One binding at a time: of several, those of which nothing is known would not show.
        found = [self._resolver.binding(module, index, f"{name}@{i}" if i else name) for i in ids.split(",")]
        return all(values and all(map(self._is_buffer, values)) for values in found)

    @staticmethod
    def _is_buffer(value: Value) -> bool:
        return isinstance(value, ExternalInstance) and value.name in _BUFFERS


def flags_given(call: Call, sink: Sink) -> list[str]:
    """Conditions (`syntax/conditions.py`) on parameters that are handed on as flags of a sink: `get(block)`."""
    found = []
    for argument in sink.unless:
        name, _, value = argument.partition("=")
        given = _argument(call, name)
        number = given.partition("@")[2]
        if number.isdecimal() and _CONSTANT.fullmatch(value):
            found.append(f"-{number} == {value}")
    return found


def _argument(call: Call, name: str) -> str:
    """The argument of a call at a position, or of a name; `""` if it has none."""
    if not name.isdecimal():
        return call.keywords.get(name, "")
    return call.arguments[int(name)] if int(name) < len(call.arguments) else ""


def _first(call: Call) -> str:
    """The argument that is a file."""
    if call.arguments and "fileobj" not in call.keywords:
        return call.arguments[0]
    return next((call.keywords[name] for name in _FILES if name in call.keywords), "")


def _makers(function: Function, receiver: str) -> set[str]:
    """What a function calls to make an object, as far as its bindings tell."""
    ids = receiver.partition("@")[2].split(",")
    makers = [function.bindings[int(i)][1] if i.isdecimal() else receiver for i in ids]
    return {maker.removesuffix(".__enter__()").removesuffix("()") for maker in makers}


def _is_made_with(function: Function, receiver: str, arguments: tuple[str, ...]) -> bool:
    """Whether an object was made, in this function, with one of the arguments."""
    return _all_made(
        function,
        _makers(function, receiver),
        lambda call: any(_is_given(call, argument) for argument in arguments),
    )


def _all_made(function: Function, targets: set[str], so: Callable[[Call], bool]) -> bool:
    """Whether a function calls each of the targets, and always so."""
    made = [call for call in function.calls if call.target in targets]
    return {call.target for call in made} == targets and all(map(so, made))


def _has_asked(function: Function, call: Call, members: tuple[str, ...]) -> bool:
    """Whether a function has called one of the members, before this call, on the same object."""
    receiver = call.target.rpartition(".")[0]
    asked = {f"{receiver}.{member}" for member in members}
    # On one line, the condition may stand behind: `f.result() if f.done() else None`.
    return any(other.target in asked and other.line <= call.line for other in function.calls)


def _is_given(call: Call, argument: str) -> bool:
    """Whether a call has this argument: `timeout=0` by name, `1=0` or `1=os.WNOHANG` by position."""
    name, _, value = argument.partition("=")
    given = _argument(call, name)
    if given.startswith("="):
        return given == f"= {value}"
    # A named constant, which may have been imported by name: `os.devnull`, `devnull`, `zmq.NOBLOCK | zmq.SNDMORE`.
    words = plain(given).partition(".__")[0].rpartition(".")
    return bool(words[2]) and not value[:1].isdecimal() and words[2] == value.rpartition(".")[2]
