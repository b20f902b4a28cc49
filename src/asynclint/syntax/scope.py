"""What is known while a function's body is walked: which bindings reach this point, and the facts gathered so far."""

from __future__ import annotations

import ast

from asynclint.syntax.facts import NOTHING, Function, Statement

Env = dict[str, str]
"""Name to root: `client@3`, the name with the bindings that reach here."""


Conditions = tuple[list[str], list[str]]
"""What holds where a test is true, and where it is false (`conditions.py`)."""
_MOST_BINDINGS = 24
"""Of more bindings that may reach a place, the last ones are kept: a thousand conditions are not a thousand types."""


class Entry:
    """A statement of the outline while it is walked; the attributes are those of `Statement`."""

    __slots__ = ("awaits", "blocks", "first_call", "last_call", "loads", "stores", "value")

    def __init__(self, first_call: int) -> None:
        self.first_call: int = first_call
        self.last_call: int = -1
        self.loads: list[str] = NOTHING
        self.stores: list[str] = []
        self.awaits: int = 0
        self.value: str = ""
        self.blocks: list[tuple[str, list[Statement]]] = []

    def close(self, last_call: int, loads: list[str]) -> None:
        """The statement's own expressions are walked; what follows belongs to its blocks."""
        self.last_call = last_call
        if loads:
            self.loads = loads.copy() if len(loads) == 1 else list(dict.fromkeys(loads))


class Scope:
    """A function (or the module) being walked.

    Class bodies run in the enclosing function, so they share its scope, with `owner` and `env` set aside.

    Attributes:
        env: The reaching bindings; replaced, never shared, when control flow forks.
        owner: Index of the class whose body is being walked, or -1.
        receiver: Name of the first parameter of a method.
        options: Number of the parameter that is `**options`, or -1.
        statement: The outline entry that the expressions being walked belong to.
        shared: Names declared `global` or `nonlocal`; `of_module` has the former.
        alive: Control can reach this point.
        records: Calls count here; not under `if TYPE_CHECKING`, nor where no loop is running.
        guards: Conditions on parameters that hold here; replaced, never changed.
        branches: How many branches have been taken to get here.
        refined: Bindings of parameters that are made only where the parameter was true: `if url: url = resolve(url)`.
        filled: Keys that the function itself puts into its `**options`; `""` for one that is not known.
        asked: Variables, with their bindings, that are what `**options` hold under a key, or `None`; and that key.
        loops: Variables that hold the running loop, or `None` where there is none.
        body: The statements of the function.
        made: The places that they assign something to (`memo.py`); `None` until somebody asks.
        loads: Names read by the statement being walked; `used` has those of all statements before.
    """

    __slots__ = (
        "alive",
        "asked",
        "body",
        "branches",
        "env",
        "filled",
        "function",
        "guards",
        "index",
        "lazy",
        "loads",
        "loops",
        "made",
        "method_of",
        "of_module",
        "options",
        "owner",
        "receiver",
        "records",
        "refined",
        "shared",
        "statement",
        "used",
    )

    def __init__(self, function: Function, index: int) -> None:
        self.function: Function = function
        self.index: int = index
        self.env: Env = {}
        self.owner: int = -1
        self.method_of: int = function.owner
        self.receiver: str = ""
        self.options: int = -1
        self.loads: list[str] = []
        self.shared: set[str] = set()
        self.of_module: set[str] = set()
        self.statement: Entry | None = None
        self.used: set[str] = set()
        self.alive: bool = True
        self.records: bool = True
        self.lazy: bool = False
        self.guards: list[str] = []
        self.branches: int = 0
        self.refined: set[str] = set()
        self.filled: set[str] = set()
        self.asked: dict[str, str] = {}
        self.loops: set[str] = set()
        self.body: list[ast.stmt] = []
        self.made: frozenset[str] | None = None

    @property
    def options_name(self) -> str:
        """The name of the parameter that is `**options`, or `""`."""
        return self.function.parameters[self.options][2:] if self.options >= 0 else ""

    def bind(self, name: str, values: list[str]) -> None:
        """From here on `name` stands for any of `values` (binding values)."""
        bindings = self.function.bindings
        first = len(bindings)
        if len(values) == 1:  # mostly
            self.env[name] = f"{name}@{first}"
            bindings.append((name, values[0]))
        else:
            self.env[name] = f"{name}@{','.join(map(str, range(first, first + len(values))))}"
            bindings += [(name, value) for value in values]
        if self.guards and name in self.function.parameters:
            number = self.function.parameters.index(name)
            if f"+{number} true" in self.guards or f"!{number} true" in self.guards:
                self.refined.update(map(str, range(first, len(bindings))))


def join(branches: list[tuple[Env, bool]], before: Env) -> tuple[Env, bool]:
    """Merge the environments of alternative branches, each with whether control leaves it at its end."""
    alive = [env for env, is_alive in branches if is_alive]
    if not alive:
        return before, False
    merged = alive[0]
    for env in alive[1:]:
        merged = union(merged, env)
    return merged, True


def union(left: Env, right: Env) -> Env:
    """The environment where control may come from two branches."""
    if left == right:  # most branches bind nothing
        return left
    merged = dict(left)
    for name, root in right.items():
        other = merged.get(name)
        if other is None:
            merged[name] = root
        elif other != root:
            ids = {*other.partition("@")[2].split(","), *root.partition("@")[2].split(",")}
            merged[name] = f"{name}@{','.join(sorted(ids, key=int)[-_MOST_BINDINGS:])}"
    return merged
