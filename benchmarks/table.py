"""Tables of measurements: printed, and written into docs/benchmarks.md between the markers of their program."""

from __future__ import annotations

import gc
import math
import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

STOPPED = -signal.SIGTERM
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


@dataclass
class Table:
    """Rows of cells under a title.

    Attributes:
        notes: What a reader must know to read it: what a ratio is to, what was left out and why.
    """

    title: str
    columns: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: str = ""

    def __str__(self) -> str:
        """The table in Markdown."""
        lines = [f"### {self.title}", ""]
        ruler = ["---", *["---:"] * (len(self.columns) - 1)]
        lines += [f"| {' | '.join(row)} |" for row in (self.columns, ruler, *self.rows)]
        return "\n".join([*lines, *(["", self.notes] if self.notes else [])])


class Cost(NamedTuple):
    """What a process and its children used.

    Attributes:
        cpu, wall: Seconds.
        peak: The most memory that one of them held, in MB.
        code: How the process ended; `STOPPED` where it was, having run for too long.
    """

    cpu: float
    wall: float
    peak: int
    code: int


def run(command: Sequence[str], directory: Path | None = None, limit: float = 600) -> Cost:
    """Run a program to its end, or for `limit` seconds, its output thrown away."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    alarm = threading.Timer(limit, process.terminate)
    alarm.start()
    _, status, usage = os.wait4(process.pid, 0)
    alarm.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss // 1024, process.returncode)


def cpu(works: Sequence[Callable[[], object]], rounds: int = 5) -> list[float]:
    """CPU seconds of this process for the quickest of several rounds of each.

    They take turns, so that a machine which is slow for a while is slow for all of them.
    """
    times = [math.inf] * len(works)
    for _ in range(rounds):
        for number, work in enumerate(works):
            gc.collect()
            start = time.process_time()
            work()
            times[number] = min(times[number], time.process_time() - start)
    return times


def installed(distribution: str) -> str:
    """The version of a peer, or `""` where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def machine(*distributions: str) -> str:
    """Where and with what the figures were measured."""
    load, _, _ = os.getloadavg()
    model = re.search(r"model name\s*: (.+)", _read("/proc/cpuinfo"))
    versions = ", ".join(f"{name} {found}" for name in distributions if (found := installed(name)))
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.python_implementation()} {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} x {model[1] if model else 'CPU'}, "
        f"load {load:.1f} before the run{'; ' if versions else ''}{versions}."
    )


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def write(name: str, text: str) -> None:
    """Put the tables of one program into the page of results, in place of its last ones.

    Where the page has a place for them by version of Python, as `concurrency 3.13`, they go there.
    """
    page = PAGE.read_text(encoding="utf-8")
    version = "{} {}.{}".format(name, *sys.version_info)
    name = version if f"<!-- {version}: begin -->" in page else name
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        sys.exit(f"{PAGE} needs the lines `{begin}` and `{end}`, once each: the tables of `{name}` go between them")
    head, _, rest = page.partition(begin)
    tail = rest.partition(end)[2]
    PAGE.write_text(f"{head}{begin}\n\n{text}\n\n{end}{tail}", encoding="utf-8")
