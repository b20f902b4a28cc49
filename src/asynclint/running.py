"""Checks many files: what has not changed is taken from the cache, the rest is spread over processes where it pays."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from asynclint.checking import Checker
from asynclint.findings import Finding
from asynclint.project.cache import Cache
from asynclint.project.discovery import Files
from asynclint.project.kept import KeptFindings
from asynclint.project.sources import may_run_on_loop, read_source
from asynclint.project.trace import WHOLE

if TYPE_CHECKING:
    from asynclint.project.modules import ProgramModule
    from asynclint.project.program import Program
    from asynclint.project.trace import Part

_PAYS = 3_000_000
"""Bytes of source to check from which on processes are worth their start."""
_MOST = 200
"""Processes: more would have to share numbers (`Trace`)."""
_ROOM = 31 << 20
"""Once so much has been given back, glibc keeps what syntax trees leave for the next ones (`M_TRIM_THRESHOLD`)."""


class Outcome(NamedTuple):
    """What came of a file.

    Attributes:
        error: An internal error, on one line, or `""`; `trace` is where it comes from.
        root: The number of the findings in the trace.
    """

    path: str
    findings: list[Finding]
    error: str = ""
    trace: str = ""
    root: int = 0
    kept: bool = False


class Runner:
    """A run of a checker over files.

    Attributes:
        jobs: How many processes to use; 0 for as many as there are processors, where it pays.
        advanced: Called with the number of files that are done.
    """

    def __init__(
        self,
        checker: Checker,
        store: Cache | None = None,
        *,
        jobs: int = 0,
        advanced: Callable[[int], None] | None = None,
    ) -> None:
        self._checker = checker
        self._jobs = jobs
        self._advanced = advanced or (lambda _: None)
        self._kept = None
        if store is not None:
            self._kept = KeptFindings(store, checker.question(), checker.sources, lambda: checker.program)

    def run(self, files: Files) -> Iterator[Outcome]:
        """What comes of each file, in their order, whatever the number of processes."""
        work = list(files)
        known = {path: self._remembered(path) for path, _ in work}
        rest = [(path, only_async) for path, only_async in work if known[path] is None]
        self._advanced(len(work) - len(rest))
        fresh = self._checked(rest)
        # Syntax trees hold no cycles, so looking for cycles only costs time.
        gc.disable()
        bytes(_ROOM)
        try:
            for path, _ in work:
                outcome = known[path] or next(fresh)
                if self._kept is not None and not outcome.kept and not outcome.error:
                    self._kept.put(path, outcome.root, outcome.findings)
                yield outcome
        finally:
            gc.freeze()  # nor will there be any in what was made meanwhile
            gc.enable()
            fresh.close()  # ends its processes
        if self._kept is not None:
            self._kept.save()

    def _remembered(self, path: str) -> Outcome | None:
        findings = self._kept.get(path) if self._kept is not None else None
        return None if findings is None else Outcome(path, findings, kept=True)

    def _checked(self, work: list[tuple[str, bool]]) -> Generator[Outcome, None, None]:
        processes = self._processes(work)
        if processes > 1:
            yield from self._shared_out(work, processes - 1)
            return
        for path, only_async in work:
            yield check_one(self._checker, path, only_async)
            self._advanced(1)

    def _shared_out(self, work: list[tuple[str, bool]], copies: int) -> Generator[Outcome, None, None]:
        """Check in several processes, which all have all facts by being forked when these are gathered."""
        from asynclint.crew import Crew

        program, trace = self._checker.program, self._checker.sources.trace
        _gather(program, [path for path, _ in work], copies)

        def begin(number: int) -> None:
            program.forget_cache()  # a connection to sqlite must not cross a fork
            trace.begin(number)

        def in_copy(task: tuple[str, bool]) -> tuple[Outcome, tuple[bytes, list[Part]]]:
            return check_one(self._checker, *task), trace.taken()

        def here(task: tuple[str, bool]) -> tuple[Outcome, tuple[bytes, list[Part]]]:
            return check_one(self._checker, *task), (b"", [])

        # The others have nothing for a loop to run, or cannot be read: that is soon told.
        loaded = [task for task in work if program.loaded(os.path.abspath(task[0])) is not None]
        shared = set(loaded)
        with Crew(copies, in_copy, begin) as crew:
            checked = crew.run(loaded, here, self._advanced)
            for task in work:
                if task in shared:
                    outcome, noted = next(checked)
                    trace.merge(*noted)
                else:
                    outcome = check_one(self._checker, *task)
                    self._advanced(1)
                yield outcome

    def _processes(self, work: list[tuple[str, bool]]) -> int:
        # Forking is cheap and safe on Linux; elsewhere each process would have to begin from nothing.
        if sys.platform != "linux" or self._jobs == 1 or len(work) < 2:
            return 1
        if self._jobs:
            return min(self._jobs, len(work), _MOST)
        size = 0
        for path, _ in work:
            with suppress(OSError):
                size += os.stat(path).st_size
        return min(len(os.sched_getaffinity(0)), len(work), _MOST) if size >= _PAYS else 1


def check_one(checker: Checker, path: str, only_async: bool) -> Outcome:
    """Check a file; an internal error in one file hides nothing in the others."""
    trace = checker.sources.trace
    trace.asker = root = trace.fresh()
    trace.see(os.path.abspath(path), WHOLE)
    try:
        findings = checker.check(path, only_async=only_async)
        if trace.answers:
            checker.program.settle()
    except Exception as error:  # noqa: BLE001  # whatever a rule raises
        import traceback

        return Outcome(path, [], f"{type(error).__name__}: {error}", traceback.format_exc())
    return Outcome(path, findings, root=root)


def _gather(program: Program, paths: list[str], copies: int) -> None:
    """Load all modules that checking is likely to need."""
    from asynclint.crew import Crew
    from asynclint.syntax import SourceError

    def in_copy(task: tuple[str, bool]) -> tuple[str, str | bytes] | None:
        with suppress(OSError, SourceError):
            return program.gathered(task[0], only_async=task[1])
        return None

    def here(task: tuple[str, bool]) -> None:
        path, only_async = task
        with suppress(OSError, SourceError):
            source = read_source(path)
            if not only_async or may_run_on_loop(source):
                program.load(path, source)

    def received(task: tuple[str, bool], row: tuple[str, str | bytes] | None) -> None:
        if row is not None:
            program.preload(task[0], *row)

    with Crew(copies, in_copy) as crew:

        def loaded(paths: list[str], *, only_async: bool) -> list[ProgramModule]:
            tasks = [(path, only_async) for path in paths if not program.recall(path)]
            for _ in crew.run(tasks, here, lambda _: None, received):
                pass
            return [module for path in paths if (module := program.loaded(path)) is not None]

        modules = loaded(list(dict.fromkeys(map(os.path.abspath, paths))), only_async=True)
        known = {module.path for module in modules}
        imported = dict.fromkeys(path for module in modules for path in program.imported(module))
        # What those import in turn is seldom asked about.
        loaded([path for path in imported if path not in known], only_async=False)
