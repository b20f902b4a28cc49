"""Take away, one at a time, what keeps cancellation right, and see that a test fails each time.

    python tools/mutate.py [module …]

A mutant of a module of asynckit is one of: a bare `raise` in a handler that does nothing instead, a shield that is
none, a native request of cancellation that is not taken back (`uncancel`), one that is not asked about
(`cancelling`), a cancellation that is not told from one of its own, a scope that is not cancelled. Each runs in a copy
of the package, against the tests of the module; one that no test sees has survived, and the exit code is 1. Those in
`EQUIVALENT` are left out, each for the reason given there.
"""

from __future__ import annotations

import argparse
import ast
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "asynckit"

NATIVE = ["native_cancellation", "native_items", "native_requests"]
TESTS = {
    "_coroutines": ["race"],
    "_deadline": ["timeout", "deadline_more"],
    "_flow": ["stream", "stream_ending", "stream_in_time", *NATIVE],
    "_gather": ["gather"],
    "_group": ["scope", *NATIVE],
    "_handle": ["scope"],
    "_idle": ["idle"],
    "_keyed": ["keyed"],
    "_map": ["amap"],
    "_native": ["retry", "supervise", *NATIVE],
    "_produce": ["produce", *NATIVE],
    "_pull": ["amap", "stream_ending", *NATIVE],
    "_queue": ["queue"],
    "_race": ["race", "race_in_time"],
    "_rate": ["rate"],
    "_retry": ["retry"],
    "_run": ["run"],
    "_scope": ["scope", "parity", *NATIVE],
    "_shield": ["shield"],
    "_steps": ["amap", "gather", "stream_ending", "steps", *NATIVE],
    "_supervise": ["supervise"],
    "_timed": ["timeout", "deadline_more", "shield", "idle"],
}
"""The tests of each module, all on two back ends. Modules that are not named touch no cancellation."""

_ON_TRIO = "on trio the parent is cancelled as well, and what its children raise then makes no difference"
EQUIVALENT: dict[tuple[str, str], str] = {
    ("_flow", "self._group.cancel_scope.cancel()"): (
        "the task group cancels itself one round later, and the window is shut: nothing comes out meanwhile"
    ),
    ("_flow", "raise  # for the engine to tell where it comes from"): (
        "who waits for room waits again until the stream is stopped, or runs an item and is asked after it"
    ),
    (
        "_produce",
        "if task is not None and task.cancelling() and not cancelled_from_outside(self._group.cancel_scope):",
    ): ("that the work was interrupted is said only where nothing else has ended the task group"),
    ("_pull", "raise  # on asyncio, see `Group`"): _ON_TRIO,
    ("_scope", "raise  # on asyncio, see `Group`; and a request to cancel this task alone has been met"): _ON_TRIO,
}
"""Mutants that change nothing a user could see: the module and the line of code, and why."""


@dataclass(frozen=True)
class Mutant:
    """One change of one place.

    Attributes:
        module: The module's name.
        line: Where it is, from 1.
        old: The source that is replaced.
        new: What stands in its place.
        text: The whole module, changed.
    """

    module: str
    line: int
    old: str
    new: str
    text: str

    def __str__(self) -> str:
        return f"{self.module}.py:{self.line}: `{self.old}` -> `{self.new}`"


def mutants(module: str) -> Iterator[Mutant]:
    """The mutants of a module."""
    source = (PACKAGE / f"{module}.py").read_text(encoding="utf-8")
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        for place, new in _changes(node):
            if place.lineno != place.end_lineno:
                raise NotImplementedError(f"{module}.py:{place.lineno} is spread over several lines")
            # The columns of `ast` count bytes.
            line = lines[place.lineno - 1].encode()
            before, old, after = (
                part.decode()
                for part in (
                    line[: place.col_offset],
                    line[place.col_offset : place.end_col_offset],
                    line[place.end_col_offset :],
                )
            )
            if (module, lines[place.lineno - 1].strip()) in EQUIVALENT:
                continue
            changed = [*lines[: place.lineno - 1], before + new + after, *lines[place.lineno :]]
            yield Mutant(module, place.lineno, old, new, "\n".join(changed) + "\n")


def _changes(node: ast.AST) -> Iterator[tuple[ast.stmt | ast.expr, str]]:
    """What to replace in a node, and by what."""
    match node:
        case ast.Raise(exc=None):
            yield node, "pass"
        case ast.keyword(arg="shield", value=ast.Constant(value=True)):
            yield node.value, "False"
        case ast.Call(func=ast.Attribute(attr="uncancel" | "cancelling")):
            yield node, "0"
        case ast.Call(func=ast.Name(id="cancelled_from_outside")):
            yield node, "False"
            yield node, "True"
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="cancel", value=owner))):
            if ast.unparse(owner).endswith("scope"):
                yield node, "pass"
        case ast.Assign(targets=[ast.Attribute(attr="shield")]):
            yield node, "pass"


def survives(mutant: Mutant) -> bool:
    """Whether its tests pass all the same."""
    with tempfile.TemporaryDirectory() as directory:
        package = Path(directory) / "asynckit"
        shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
        (package / f"{mutant.module}.py").write_text(mutant.text, encoding="utf-8")
        files = [f"tests/asynckit/test_{name}.py" for name in TESTS[mutant.module]]
        # What one back end shows need not be looked for on another.
        return all(_pass(files, directory, backend) for backend in ("asyncio", "trio"))


def _pass(files: list[str], path: str, backend: str) -> bool:
    """Whether tests pass on a back end, with a package from `path`. Those that hang do not."""
    options = ["-x", "-q", "-p", "no:cacheprovider", "-n", "0", "-k", backend, "-o", "faulthandler_timeout=40"]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *files, *options],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            timeout=300,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    if done.returncode not in {0, 1, 2, 3}:
        raise RuntimeError(f"the tests could not be run:\n{done.stdout.decode()}")
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("modules", nargs="*", metavar="module", help=f"of {', '.join(TESTS)}; all if none is given")
    chosen = parser.parse_args().modules or list(TESTS)
    survivors = count = 0
    for module in chosen:
        unchanged = Mutant(module, 0, "", "", (PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
        if not survives(unchanged):
            raise SystemExit(f"the tests of {module} fail without any change: nothing can be told from them")
        for mutant in mutants(module):
            count += 1
            if survives(mutant):
                survivors += 1
                print(f"survived: {mutant}", flush=True)
            else:
                print(f"seen: {mutant}", flush=True)
    print(f"{count} mutants, {survivors} survived")
    return min(survivors, 1)


if __name__ == "__main__":
    raise SystemExit(main())
