"""Findings kept between runs, each file's until something changes that they were drawn from."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from asynclint.findings import Action, Context, Finding, Fix, Hop, Safety, Severity
from asynclint.project.answers import Sources
from asynclint.project.cache import Cache, checked, with_checksum


class KeptFindings:
    """What a run with the same settings over the same roots found, where that still holds.

    Files and directories keep their bit numbers from run to run, so that what a file's findings depend on is one `int`.
    """

    def __init__(self, store: Cache, question: str, sources: Sources, digest: Callable[[str], str]) -> None:
        """Look up what is kept.

        Args:
            question: All that findings depend on beside the sources: settings, roots, directory.
            sources: Numbered as in the run before; must be empty.
            digest: Gives the digest of a file's bytes or a directory's listing as they are now.
        """
        self._store = store
        self._run = blake2b(f"{_edition()}\n{question}".encode(), digest_size=16).hexdigest()
        self._sources = sources
        self._digest = digest
        self._fresh: dict[str, tuple[int, list[Finding]]] = {}
        self._changed = 0
        self._stored: list[Any] = store.rows("SELECT value FROM runs WHERE key = ?", self._run)
        for (value,) in self._stored:
            with suppress(ValueError, TypeError, RecursionError):
                for name, known in json.loads(checked(value) or "[]"):
                    bit = sources.bit(name)
                    if digest(name) != known:
                        self._changed |= bit
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
            return [_finding(data) for data in json.loads(text)]
        except (ValueError, TypeError, LookupError, RecursionError):
            return None

    def put(self, path: str, mask: int, findings: list[Finding]) -> None:
        """Keep the findings in a file, drawn from the sources in `mask`."""
        self._fresh[path] = mask, findings

    def save(self) -> None:
        """Write what was put, unless another run has written meanwhile: it is right, too."""
        if not self._fresh and not self._changed:
            return
        names = with_checksum(json.dumps([(name, self._digest(name)) for name in self._sources.names]))
        gone = [
            (self._run, path)
            for path, (mask, _) in self._rows.items()
            if mask & self._changed and path not in self._fresh
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
    package = Path(__file__).parents[1]
    stats = ((path, path.stat()) for path in sorted(package.rglob("*")) if path.suffix in (".py", ".toml"))
    seen = "\n".join(f"{path.relative_to(package)} {stat.st_size} {stat.st_mtime_ns}" for path, stat in stats)
    return blake2b(seen.encode(), digest_size=16).hexdigest()
