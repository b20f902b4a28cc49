"""Findings kept between runs, each file's until something changes that they were drawn from."""

from __future__ import annotations

import json
import os
import zlib
from base64 import b64decode, b64encode
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asynclint.findings import Action, Context, Finding, Fix, Hop, Safety, Severity
from asynclint.project.cache import Cache, checked, forgetting, with_checksum
from asynclint.project.sources import Sources, digest_of
from asynclint.project.trace import reached

if TYPE_CHECKING:
    from asynclint.project.parts import Description
    from asynclint.project.program import Program

_FEW = 20
"""Files that are looked into for what has changed; where there are more, reading them is for several processes."""
_TURNS = 16
"""Runs whose traces are kept side by side."""
_RUNS = 8
"""Projects are checked with few settings: so many of them are kept."""
_STORED = "SELECT value FROM runs WHERE key = ?"
_Root = tuple[int, int]
"""The run that made findings, and their number in its trace."""


class _DamageError(Exception):
    """Something that is kept is not what was stored."""


_DAMAGE = (_DamageError, zlib.error, ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What reading it raises then; or if somebody has forged it."""


class KeptFindings:
    """What runs with the same settings over the same roots found, where that still holds.

    Each run keeps what it noted of which findings rest on which parts of which files. Where a file has changed, it is
    held against the facts of its last version, part by part; findings go that rest on a part which is another now.
    """

    def __init__(self, store: Cache, question: str, sources: Sources, program: Callable[[], Program]) -> None:
        """Look up what is kept, and begin to note.

        Args:
            question: All that findings depend on beside the sources: settings, roots, directory.
            program: Gives the program of these sources; asked only where something has changed.
        """
        self._store = store
        self._run = digest_of(f"{_edition()}\n{question}".encode())
        self._sources = sources
        self._program = program
        self._fresh: dict[str, tuple[int, list[Finding]]] = {}
        self._confirmed: dict[str, list[Finding] | None] = {}
        """Findings that still hold, if they are to be written again: a line in a chain has another number."""
        sources.trace.is_noted = True
        self._stored = self._column(_STORED)
        self._begin()
        try:
            self._look_up()
        except _DAMAGE:
            self._begin()
        if self._changed and self._column(_STORED) != self._stored:
            self._begin()  # another run has written meanwhile: what was read may be half of each

    def _begin(self) -> None:
        """Begin with nothing."""
        self._turn = 0
        self._known: dict[str, str] = {}
        self._changed: dict[str, str] = {}
        self._rows: dict[str, tuple[_Root, str]] = {}
        self._versions: dict[str, tuple[Description, Description]] = {}
        """Files that have changed, as findings name them: what they were, and what they are."""
        self._moved: dict[str, dict[int, int]] = {}
        """Where the lines of such a file are now, if a chain goes through it."""

    def _look_up(self) -> None:
        for value in self._stored:
            turn, known = json.loads(_intact(value))
            self._turn, self._known = int(turn), dict(known)
        self._changed = {name: old for name, old in self._known.items() if self._sources.digest(name) != old}
        rows = self._store.rows("SELECT path, value FROM findings WHERE run = ?", self._run) if self._stored else ()
        for path, value in rows:
            turn, number, text = _intact(value).split(" ", 2)
            self._rows[path] = (int(turn), int(number)), text
        if self._changed:
            stale = self._stale()
            self._rows = {path: row for path, row in self._rows.items() if row[0] not in stale}

    # -- what has changed --------------------------------------------------------------------------------------------

    def _stale(self) -> set[_Root]:
        """What rests on a part that has changed."""
        starts: defaultdict[int, list[int]] = defaultdict(list)
        for name, digest in self._changed.items():
            both = self._program().described(name, digest) if len(self._changed) <= _FEW else None
            if both is not None:
                self._versions[both[1].module.shown] = both
            for turn, what, number in self._parts(name):
                if not (self._sources.is_as_seen(name, what) if both is None else _is_same(both, what)):
                    starts[turn].append(number)
        return {(turn, number) for turn, numbers in starts.items() for number in self._reached(turn, numbers)}

    def _parts(self, place: str) -> Iterator[tuple[int, str, int]]:
        """The parts that were looked at of a file or directory: in which run, which, and their numbers there."""
        query = "SELECT turn, value FROM parts WHERE run = ? AND place = ?"
        for turn, value in self._store.rows(query, self._run, place):
            for what, number in json.loads(_intact(value)).items():
                yield turn, what, number

    def _reached(self, turn: int, starts: Iterable[int]) -> set[int]:
        """All that rests on something in the trace of a run."""
        ((value,),) = self._store.rows("SELECT value FROM links WHERE run = ? AND turn = ?", self._run, turn)
        return reached(b64decode(_intact(value)), starts)

    # -- findings ----------------------------------------------------------------------------------------------------

    def get(self, path: str) -> list[Finding] | None:
        """The findings in a file, if nothing they were drawn from has changed."""
        if path not in self._rows:
            return None
        findings: list[Finding] = []
        try:
            kept = [_finding(data) for data in json.loads(self._rows[path][1])]
            for finding in kept:
                chain = tuple(filter(None, map(self._hop, finding.chain)))
                if len(chain) < len(finding.chain):
                    return None
                findings.append(replace(finding, chain=chain))
        except _DAMAGE:
            return None
        self._confirmed[path] = None if findings == kept else findings
        return findings

    def _hop(self, hop: Hop) -> Hop | None:
        """A hop where it is now, if its line reads as it did."""
        if hop.path not in self._versions:
            return hop
        before, now = self._versions[hop.path]
        if hop.path not in self._moved:
            self._moved[hop.path] = before.moved(now)
        line = self._moved[hop.path].get(hop.line, 0)
        return replace(hop, line=line) if now.module.line(line).strip() == hop.text and line else None

    def put(self, path: str, root: int, findings: list[Finding]) -> None:
        """Keep the findings in a file, by their number in the trace."""
        self._fresh[path] = root, findings

    def save(self) -> None:
        """Write what was put, unless another run has written meanwhile: it is right, too."""
        if not self._fresh and not self._changed:
            return
        for path in self._rows.keys() - self._confirmed.keys():
            self.get(path)  # of files that this run did not ask about
        turn = self._turn + 1
        roots = {path: self._rows[path][0] for path in self._confirmed}
        roots |= {path: (turn, root) for path, (root, _) in self._fresh.items()}
        turns = {at for at, _ in Counter(at for at, _ in roots.values()).most_common(_TURNS - 1)} | {turn}
        written = {path: findings for path, findings in self._confirmed.items() if findings is not None}
        written |= {path: findings for path, (_, findings) in self._fresh.items()}
        trace = self._sources.trace
        digests = {name: self._sources.digest(name) for name in (*self._known, *trace.parts)}
        links = with_checksum(b64encode(trace.packed()).decode())
        parts = ((self._run, place, turn, with_checksum(json.dumps(seen))) for place, seen in trace.parts.items())
        gone = [(self._run, at) for at in self._column("SELECT turn FROM links WHERE run = ?") if at not in turns]
        lost = [
            (self._run, path)
            for path in self._column("SELECT path FROM findings WHERE run = ?")
            if roots.get(path, (0, 0))[0] not in turns
        ]
        rows = [
            (self._run, path, with_checksum(" ".join([*map(str, roots[path]), _text(findings)])))
            for path, findings in written.items()
            if roots[path][0] in turns
        ]
        self._store.write(
            [
                (
                    "INSERT OR REPLACE INTO runs VALUES (?, ?, CAST(strftime('%s', 'now') AS INTEGER))",
                    [(self._run, with_checksum(json.dumps((turn, digests))))],
                ),
                ("DELETE FROM findings WHERE run = ? AND path = ?", lost),
                ("INSERT OR REPLACE INTO findings VALUES (?, ?, ?)", rows),
                ("DELETE FROM links WHERE run = ? AND turn = ?", gone),
                ("INSERT OR REPLACE INTO links VALUES (?, ?, ?)", [(self._run, turn, links)]),
                ("DELETE FROM parts WHERE run = ? AND turn = ?", gone),
                ("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?)", parts),
                *forgetting(but=_RUNS),
            ],
            provided=(_STORED, self._run, [(value,) for value in self._stored]),
        )

    def _column(self, query: str) -> list[Any]:
        """The values that a query for this run gives."""
        return [value for (value,) in self._store.rows(query, self._run)]


def _is_same(both: tuple[Description, Description], what: str) -> bool:
    before, now = both
    return before.of(what) == now.of(what)


def _intact(value: object) -> str:
    text = checked(value)
    if text is None:
        raise _DamageError
    return text


def _text(findings: list[Finding]) -> str:
    return json.dumps([asdict(finding) for finding in findings])


def _finding(data: dict[str, Any]) -> Finding:
    data["chain"] = tuple(Hop(**hop) for hop in data["chain"])
    data["severity"] = Severity(data["severity"])
    data["context"] = Context(data["context"])
    if data["fix"] is not None:
        fix = data["fix"]
        data["fix"] = Fix(Safety(fix["safety"]), Action(fix["action"]), fix["target"])
    return Finding(**data)


@cache
def _edition() -> str:
    """Changes whenever a file of asynclint does."""
    return digest_of("\n".join(sorted(_stamps(Path(__file__).parents[1]))).encode())


def _stamps(directory: str | Path) -> Iterator[str]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _stamps(entry.path)
            elif entry.name.endswith((".py", ".toml")):
                status = entry.stat()
                yield f"{entry.path} {status.st_size} {status.st_mtime_ns}"
