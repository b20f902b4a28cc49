"""What the linter says: plain data that rules make, and that reports and fixes read.

This module is a leaf: it imports nothing of the package, so every layer may use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters to the one who runs the program."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def reduced(self) -> Severity:
        """One step less grave."""
        return Severity.WARNING if self is Severity.ERROR else Severity.INFO

    def reaches(self, least: Severity) -> bool:
        """Whether this is at least as grave as `least`."""
        order = list(Severity)
        return order.index(self) <= order.index(least)


class Context(StrEnum):
    """Where code stands, if the loop it blocks serves nobody there: such findings are graded one severity lower."""

    NONE = ""
    TEST = "test"
    """A test file."""
    SCRIPT = "script"
    """The `if __name__ == "__main__":` block, and what it runs."""
    STARTUP = "startup"
    """Code that ends before the loop serves: `lifespan`, `on_startup`."""


class Safety(StrEnum):
    """Whether a fix keeps the program's meaning (blocking aside)."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Hop:
    """One place a call chain passes through: a call, and the function it is written in.

    Attributes:
        path: The file, as it was named to the program.
        line: 1-based.
        column: 1-based, in characters.
        function: Qualified name of the function that makes the call; `<module>` at top level.
        text: The source line, stripped.
    """

    path: str
    line: int
    column: int
    function: str
    text: str


class Action(StrEnum):
    """What a fix does to the expression it spans."""

    REPLACE_CALL = "replace-call"
    """`time.sleep(x)` becomes `await TARGET(x)`."""
    OFFLOAD_CALL = "offload-call"
    """`f(x)` becomes `await TARGET(f, x)`: the call runs in a worker thread."""
    OFFLOAD_BLOCK = "offload-block"
    """`with f(x) as y: …` becomes a local function, run by `await TARGET(function)`. The finding spans `f(x)`."""


@dataclass(frozen=True, slots=True)
class Fix:
    """An edit, planned on facts: `fixes/` carries it out.

    Attributes:
        safety: `SAFE` is applied by `asynclint fix`; `UNSAFE` needs `--unsafe-fixes`.
        action: What to do with the call that the finding spans.
        target: Dotted name of what is awaited instead (`asyncio.sleep`); its first part is the module to import.
    """

    safety: Safety
    action: Action
    target: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a rule found.

    Lines and columns are 1-based and count characters; `end_column` is the column after the last character.

    Attributes:
        function: Qualified name of the function the finding is in.
        sink: The blocking call at the end of the chain (`time.sleep`), or `""` for rules without one.
        chain: Every hop from the call in async code (first) to the sink (last); empty for rules without one.
        preview: Likely, not proven: reported under `--preview` although the rule is on.
        context: Where the code stands; `severity` has taken it into account.
        others: From how many other places the same sink can be reached from this call.
    """

    code: str
    name: str
    severity: Severity
    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    function: str
    message: str
    help: str
    sink: str = ""
    chain: tuple[Hop, ...] = ()
    fix: Fix | None = None
    preview: bool = False
    context: Context = Context.NONE
    others: int = 0
