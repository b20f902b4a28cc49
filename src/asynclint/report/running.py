"""What is said about a run itself: how far it is, and what it cost."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asynclint.project.program import Program

_LONG = 200
"""Files from which on a run may take long enough to be watched."""


class Stopwatch:
    """CPU seconds by stage."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.process_time()

    def lap(self, stage: str) -> None:
        """Put down what has been used since the last lap to `stage`."""
        now = time.process_time()
        self.laps[stage] = now - self._last
        self._last = now


@contextmanager
def progress(files: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal while a long run lasts; gives what to call with the number of files just done."""
    if files < _LONG or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("checking"), BarColumn(), MofNCompleteColumn())
    # No thread that refreshes it: processes are forked meanwhile.
    bar = Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True)
    with bar:
        task = bar.add_task("checking", total=files)
        shown = 0.0

        def advanced(count: int) -> None:
            nonlocal shown
            bar.advance(task, count)
            if (now := time.monotonic()) - shown > 0.1:
                shown = now
                bar.refresh()

        yield advanced


def described(program: Program, watch: Stopwatch) -> str:
    """The statistics of a run, as text."""
    from asynclint.project.statistics import statistics

    parsing = program.seconds
    watch.laps["checking them"] -= sum(parsing.values())
    counts = statistics(program)
    share = 100 * counts.resolved / counts.calls if counts.calls else 100
    lines = [
        f"files: {counts.files}, functions: {counts.functions}, of them async: {counts.async_functions}",
        f"calls: {counts.calls}, resolved: {counts.resolved} ({share:.0f} %)",
        f"chains from async code to blocking calls: {counts.chains}",
        "not resolved:",
    ]
    lines += [f"  {count:>8}  {cause}" for cause, count in counts.unresolved.most_common()]
    lines += ["CPU seconds:"]
    lines += [f"  {seconds:>8.2f}  {stage}" for stage, seconds in {**parsing, **watch.laps}.items()]
    return "\n".join([*lines, f"peak memory: {_peak_memory() / 2**20:.0f} MB"])


def _peak_memory() -> int:
    """Bytes; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
