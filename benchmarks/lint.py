"""The linter on whole releases, beside its peers, all of them as the programs that users run.

The reference is a program that reads and parses the same files: no linter in Python can do with less.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median_low
from tempfile import TemporaryDirectory

from table import STOPPED, Cost, Table, run

ROOT = Path(__file__).parents[1]
RELEASES = ROOT / ".bench"
PACKAGES = ("prefect==3.9.1", "litellm==1.109.1", "distributed==2026.8.0", "Django==5.2.19")
DISTRIBUTIONS = ("asynckit", "flake8", "flake8-async", "hydroid-cli", "ruff")
ROUNDS, TURNS = 3, 5
REFERENCE = """
import ast, os
for directory, _, names in os.walk("."):
    for name in names:
        if name.endswith(".py"):
            with open(os.path.join(directory, name), "rb") as file:
                source = file.read()
            try:
                ast.parse(source)
            except (SyntaxError, ValueError):
                pass
"""
BIN = Path(sys.executable).parent
ASYNCLINT = (str(BIN / "asynclint"), "check", "--exit-zero")
LIMIT = 40
"""Seconds after which a program is stopped."""
FLAKE8 = """
import importlib.metadata, sys
everything, hidden = importlib.metadata.distributions, sys.argv.pop(1).split(",")
importlib.metadata.distributions = lambda: (found for found in everything() if found.name not in hidden)
from flake8.main.cli import main
sys.exit(main())
"""
"""flake8 runs all plugins that it finds, whatever is selected: this hides those named first."""


def tables() -> Iterator[Table]:
    """What each program costs on each release."""
    for requirement in PACKAGES:
        yield _of(requirement, _fetched(requirement))


def _fetched(requirement: str) -> Path:
    """The directory of a release's files, fetched if it is not there."""
    target = RELEASES / requirement
    if not target.exists():
        wheels = RELEASES / "wheels" / requirement
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, "--dest", wheels, requirement], check=True)
        with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
            wheel.extractall(target)
    return target


def _of(requirement: str, directory: Path) -> Table:
    read_and_parse = [sys.executable, "-I", "-c", REFERENCE]
    cold = [*ASYNCLINT, "--no-cache", "."]
    reference, one, two = _in_turns([read_and_parse, [*cold, "-j1"], [*cold, "-j2"]], directory)
    table = Table(requirement, ["", "CPU s", "to reference", "wall s", "peak MB"])

    def add(name: str, cost: Cost) -> None:
        ratio = f"{cost.cpu / reference.cpu:.2f} x"
        if cost.code == STOPPED:
            name, ratio = f"{name}, stopped", f"> {ratio}"
        table.rows.append([name, f"{cost.cpu:.2f}", ratio, f"{cost.wall:.2f}", str(cost.peak)])

    add("read and `ast.parse` (the reference)", reference)
    add("asynclint, cold, one process", one)
    add("asynclint, cold, two processes", two)
    with TemporaryDirectory() as cache:
        cached = [*ASYNCLINT, "--cache-dir", cache, "-j1", "."]
        add("asynclint, cold, writing its cache", run(cached, directory))
        add("asynclint, nothing changed", _measured(cached, directory))
        add("asynclint, a comment added to one file", _after_a_change(cached, directory, b"\n# changed\n"))
        add("asynclint, a function added to one file", _after_a_change(cached, directory, b"\ndef changed(): pass\n"))
    for name, command in _peers():
        add(name, _measured(command, directory))
    table.notes = _notes(directory)
    return table


def _peers() -> Iterator[tuple[str, Sequence[str]]]:
    """The programs beside which ours is measured; those that are not installed are left out."""
    ruff = [str(BIN / "ruff"), "check", "--isolated", "--select", "ASYNC", "--no-cache", "."]
    found: list[tuple[str, Sequence[str]]] = [
        ("ruff `--select ASYNC`", ruff),
        ("hydroid-cli", [str(BIN / "hydroid"), "--no-cache", "."]),
        ("flake8 `--select E999`", _flake8("flake8-async,asynckit", "E999")),
        ("flake8 `--select E999,ASY`", _flake8("flake8-async", "E999,ASY1,ASY2,ASY3,ASY4,ASY5")),
        ("flake8 `--select E999,ASYNC`", _flake8("asynckit", "E999,ASYNC")),
    ]
    yield from (peer for peer in found if Path(peer[1][0]).exists())


def _flake8(hidden: str, select: str) -> list[str]:
    return [sys.executable, "-c", FLAKE8, hidden, "-j1", "--exit-zero", "--isolated", "--select", select, "."]


def _in_turns(commands: Sequence[Sequence[str]], directory: Path) -> list[Cost]:
    """The middle run of each of several commands that take turns: a machine is not as fast at all times."""
    rounds = [[_checked(command, directory) for command in commands] for _ in range(TURNS)]
    return [_middle(costs) for costs in zip(*rounds, strict=True)]


def _middle(costs: Sequence[Cost]) -> Cost:
    """The middle one, by CPU time; the quickest would favour short programs, which a quiet moment has room for."""
    middle = median_low(cost.cpu for cost in costs)
    return next(cost for cost in costs if cost.cpu == middle)


def _measured(command: Sequence[str], directory: Path) -> Cost:
    """The middle one of several runs."""
    costs = [_checked(command, directory)]
    while len(costs) < ROUNDS and sum(cost.wall for cost in costs) < 60:
        costs.append(_checked(command, directory))
    return _middle(costs)


def _checked(command: Sequence[str], directory: Path) -> Cost:
    cost = run(command, directory, LIMIT)
    if cost.code not in (0, 1, STOPPED):
        raise RuntimeError(f"`{' '.join(map(str, command))}` in {directory} ended with {cost.code}")
    return cost


def _after_a_change(command: Sequence[str], directory: Path, addition: bytes) -> Cost:
    """The middle one of several runs, each after something was added to the end of another file with async code."""
    files = sorted(path for path in directory.rglob("*.py") if b"async def" in path.read_bytes())
    costs = []
    for path in files[:: max(1, len(files) // 5)][:5]:
        before = path.read_bytes()
        path.write_bytes(before + addition)
        try:
            costs.append(run(command, directory))
        finally:
            path.write_bytes(before)
            run(command, directory)
    return _middle(costs)


def _notes(directory: Path) -> str:
    # One text at a time: what this process holds when it starts another counts as that one's peak.
    files = lines = with_async = 0
    for path in directory.rglob("*.py"):
        text = path.read_bytes()
        files += 1
        lines += text.count(b"\n")
        with_async += b"async" in text
    return (
        f"{files:,} files, {lines:,} lines; {with_async:,} files have the word `async`. All programs without their"
        " caches unless a row says otherwise; memory is that of the largest process."
    )
