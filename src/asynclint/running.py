"""Checks many files: what has not changed is taken from the cache, the rest is spread over processes where it pays."""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, TypeVar

from asynclint.checking import Checker
from asynclint.findings import Finding
from asynclint.project.cache import Cache
from asynclint.project.kept import KeptFindings
from asynclint.syntax import SourceError

_PAYS = 3_000_000
"""Bytes of source to check from which on processes are worth their start."""
_CHUNKS = 8
"""For each process: enough that none is idle long at the end, few enough that neighbours are checked together."""


class Outcome(NamedTuple):
    """What came of a file.

    Attributes:
        error: An internal error, on one line, or `""`; `trace` is where it comes from.
        mask: The sources that the findings were drawn from.
    """

    path: str
    findings: list[Finding]
    error: str = ""
    trace: str = ""
    mask: int = 0
    kept: bool = False


@dataclass(slots=True)
class Files:
    """Files to check: those given by name, which are looked at whatever they hold, and those found by looking."""

    named: Sequence[str] = ()
    found: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.named) + len(self.found)

    def __iter__(self) -> Iterator[tuple[str, bool]]:
        yield from ((path, False) for path in self.named)
        yield from ((path, True) for path in self.found)


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
            program = checker.program
            self._kept = KeptFindings(store, checker.question(), program.sources, program.digest)

    def run(self, files: Files) -> Iterator[Outcome]:
        """What comes of each file, in their order, whatever the number of processes."""
        work = list(files)
        known = {path: self._remembered(path) for path, _ in work}
        rest = [(path, only_async) for path, only_async in work if known[path] is None]
        self._advanced(len(work) - len(rest))
        fresh = self._checked(rest)
        # Syntax trees hold no cycles, so looking for cycles only costs time.
        gc.disable()
        try:
            for path, _ in work:
                outcome = known[path] or next(fresh)
                if self._kept is not None and not outcome.kept and not outcome.error:
                    self._kept.put(path, outcome.mask, outcome.findings)
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
        jobs = self._processes(work)
        if jobs > 1:
            yield from _Parallel(self._checker, jobs, self._advanced).run(work)
        else:
            for path, only_async in work:
                yield check_one(self._checker, path, only_async)
                self._advanced(1)

    def _processes(self, work: list[tuple[str, bool]]) -> int:
        # Forking is cheap and safe on Linux; elsewhere each process would have to begin from nothing.
        if sys.platform != "linux" or self._jobs == 1 or len(work) < 2:
            return 1
        if self._jobs:
            return min(self._jobs, len(work))
        size = 0
        for path, _ in work:
            with suppress(OSError):
                size += os.stat(path).st_size
        return min(len(os.sched_getaffinity(0)), len(work)) if size >= _PAYS else 1


def check_one(checker: Checker, path: str, only_async: bool) -> Outcome:
    """Check a file; an internal error in one file hides nothing in the others."""
    sources = checker.program.sources
    sources.mask = sources.bit(os.path.abspath(path))
    try:
        findings = checker.check(path, only_async=only_async)
    except Exception as error:  # noqa: BLE001  # whatever a rule raises
        return Outcome(path, [], f"{type(error).__name__}: {error}", traceback.format_exc())
    return Outcome(path, findings, mask=sources.mask)


# -- processes -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Parallel:
    """Gathers facts in several processes, then checks in several that share all facts by being forked."""

    checker: Checker
    jobs: int
    advanced: Callable[[int], None]
    _done: set[str] = field(default_factory=set)

    def run(self, work: list[tuple[str, bool]]) -> Iterator[Outcome]:
        from concurrent.futures.process import BrokenProcessPool

        self._gather([path for path, _ in work])
        size = max(1, -(-len(work) // (self.jobs * _CHUNKS)))
        chunks = _in_chunks(work, size)
        done = 0
        base = len(self.checker.program.sources.names)
        gc.collect()
        gc.freeze()  # what was made so far stays as it is, so that processes go on sharing its memory
        try:
            for names, outcomes in self._spread(_check_chunk, [(base, chunk) for chunk in chunks]):
                for outcome in outcomes:
                    yield outcome._replace(mask=self._renumbered(outcome.mask, base, names))
                done += 1
                self.advanced(len(outcomes))
        except BrokenProcessPool:
            # A process was killed, for want of memory most likely: go on alone.
            for path, only_async in (item for chunk in chunks[done:] for item in chunk):
                yield check_one(self.checker, path, only_async)
                self.advanced(1)
        finally:
            gc.unfreeze()

    def _gather(self, paths: list[str]) -> None:
        """Load all modules that checking is likely to need."""
        from concurrent.futures.process import BrokenProcessPool

        program = self.checker.program
        pending = list(dict.fromkeys(map(os.path.abspath, paths)))
        only_async = True
        with suppress(BrokenProcessPool):
            while pending:
                self._done.update(pending)
                size = min(64, max(1, len(pending) // (self.jobs * _CHUNKS)))
                unknown = [path for path in pending if not program.recall(path)]
                chunks = [(only_async, chunk) for chunk in _in_chunks(unknown, size)]
                for rows in self._spread(_gather_chunk, chunks):
                    for path, key, text in rows:
                        program.preload(path, key, text)
                loaded = [module for path in pending if (module := program.loaded(path)) is not None]
                needed = (path for module in loaded for path in program.imported(module))
                pending = [path for path in dict.fromkeys(needed) if path not in self._done]
                only_async = False

    def _spread(self, function: Callable[[Any], Any], chunks: list[Any]) -> Iterator[Any]:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        _Shared.checker = self.checker
        pool = ProcessPoolExecutor(self.jobs, mp_context=get_context("fork"), initializer=_begin)
        try:
            yield from pool.map(function, chunks)
        except BaseException:
            for process in list(pool._processes.values()):  # there is no public way before Python 3.14
                process.kill()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            _Shared.checker = None

    def _renumbered(self, mask: int, base: int, names: list[str]) -> int:
        """A mask of another process, whose bits from `base` on stand for `names`."""
        result = mask & ((1 << base) - 1)
        rest = mask >> base
        for index, name in enumerate(names):
            if rest >> index & 1:
                result |= self.checker.program.sources.bit(name)
        return result


T = TypeVar("T")


def _in_chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


class _Shared:
    """Handed to the processes by being there when they are forked."""

    checker: ClassVar[Checker | None] = None


def _begin() -> None:
    """Leave it to the parent to end the run when Ctrl-C goes to the whole group."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    _inherited().program.forget_cache()  # a connection to sqlite must not cross a fork


def _inherited() -> Checker:
    if _Shared.checker is None:
        raise AssertionError("a process is forked while there is something to check")
    return _Shared.checker


def _gather_chunk(task: tuple[bool, Sequence[str]]) -> list[tuple[str, str, str]]:
    only_async, paths = task
    program = _inherited().program
    rows = []
    for path in paths:
        with suppress(OSError, SourceError):
            row = program.written(path, only_async=only_async)
            if row is not None:
                rows.append((path, *row))
    return rows


def _check_chunk(task: tuple[int, Sequence[tuple[str, bool]]]) -> tuple[list[str], list[Outcome]]:
    base, chunk = task
    checker = _inherited()
    outcomes = [check_one(checker, path, only_async) for path, only_async in chunk]
    return checker.program.sources.names[base:], outcomes
