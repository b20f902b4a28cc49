"""Findings kept between runs, each file's until something changes that they were drawn from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asynclint.findings import Action, Context, Finding, Fix, Hop, Safety, Severity
from asynclint.project.cache import Cache, checked, with_checksum
from asynclint.project.sources import Sources, digest_of

if TYPE_CHECKING:
    from asynclint.project.modules import ProgramModule
    from asynclint.project.program import Program

_FEW = 20
"""Files that are looked into for what has changed; where there are more, reading them is for several processes."""


class KeptFindings:
    """What a run with the same settings over the same roots found, where that still holds.

    Files and directories keep their bit numbers from run to run, so that what a file's findings depend on is one `int`.
    """

    def __init__(self, store: Cache, question: str, sources: Sources, program: Callable[[], Program]) -> None:
        """Look up what is kept.

        Args:
            question: All that findings depend on beside the sources: settings, roots, directory.
            sources: Numbered as in the run before; must be empty.
            program: Gives the program of these sources; asked only where something has changed.
        """
        self._store = store
        self._run = digest_of(f"{_edition()}\n{question}".encode())
        self._sources = sources
        self._fresh: dict[str, tuple[int, list[Finding]]] = {}
        self._confirmed: set[str] = set()
        others: dict[str, str] = {}
        self._stored: list[Any] = store.rows("SELECT value FROM runs WHERE key = ?", self._run)
        for (value,) in self._stored:
            with suppress(ValueError, TypeError, RecursionError):
                for name, known in json.loads(checked(value) or "[]"):
                    sources.bit(name)
                    if sources.digest(name) != known:
                        others[name] = known
        self._same: dict[str, ProgramModule] = {}
        """Files that have changed, but not in what they mean, as findings name them."""
        self._changed = self._edited = 0
        for name, known in others.items():
            module = program().reread(name, known) if len(others) <= _FEW else None
            if module is None:
                self._changed |= sources.bit(name)
            else:
                self._edited |= sources.bit(name)
                self._same[module.shown] = module
        self._rows: dict[str, tuple[int, str]] = {}
        if self._stored:
            for path, value in store.rows("SELECT path, value FROM findings WHERE run = ?", self._run):
                mask, _, text = (checked(value) or "").partition(" ")
                with suppress(ValueError):
                    self._rows[path] = int(mask, 16), text

    def get(self, path: str) -> list[Finding] | None:
        """The findings in a file, if nothing they were drawn from has changed."""
        mask, text = self._rows.get(path, (0, ""))
        if not mask or mask & self._changed:
            return None
        try:
            findings = [_finding(data) for data in json.loads(text)]
        except (ValueError, TypeError, LookupError, RecursionError):
            return None
        if not all(self._reads_so(hop) for finding in findings for hop in finding.chain):
            return None
        self._confirmed.add(path)
        return findings

    def _reads_so(self, hop: Hop) -> bool:
        """Whether the line of a hop is what it was."""
        module = self._same.get(hop.path)
        return module is None or module.line(hop.line).strip() == hop.text

    def put(self, path: str, mask: int, findings: list[Finding]) -> None:
        """Keep the findings in a file, drawn from the sources in `mask`."""
        self._fresh[path] = mask, findings

    def save(self) -> None:
        """Write what was put, unless another run has written meanwhile: it is right, too."""
        if not self._fresh and not self._changed and not self._edited:
            return
        names = with_checksum(json.dumps([(name, self._sources.digest(name)) for name in self._sources.names]))
        gone = [
            (self._run, path)
            for path, (mask, _) in self._rows.items()
            if mask & (self._changed | self._edited) and path not in self._fresh and path not in self._confirmed
        ]
        rows = [
            (self._run, path, with_checksum(f"{mask:x} {json.dumps([asdict(f) for f in findings])}"))
            for path, (mask, findings) in self._fresh.items()
        ]
        self._store.write(
            [
                (
                    "INSERT OR REPLACE INTO runs VALUES (?, ?, CAST(strftime('%s', 'now') AS INTEGER))",
                    [(self._run, names)],
                ),
                ("DELETE FROM findings WHERE run = ? AND path = ?", gone),
                ("INSERT OR REPLACE INTO findings VALUES (?, ?, ?)", rows),
                *_FORGET,
            ],
            provided=("SELECT value FROM runs WHERE key = ?", self._run, self._stored),
        )


_FORGET: list[tuple[str, list[Any]]] = [
    ("DELETE FROM runs WHERE key NOT IN (SELECT key FROM runs ORDER BY used DESC LIMIT ?)", [(8,)]),
    ("DELETE FROM findings WHERE run NOT IN (SELECT key FROM runs WHERE ?)", [(True,)]),
]
"""Projects are checked with few settings: of the runs, the last ones are kept."""


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
