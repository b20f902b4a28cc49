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
