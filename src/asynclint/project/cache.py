"""Facts kept between runs, in sqlite, by the hash of the source."""

from __future__ import annotations

import sys
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from asynclint.syntax import FORMAT, Module

_EDITION = f"{FORMAT}:{sys.version_info[0]}.{sys.version_info[1]}"
"""Facts depend on the analyser and on the grammar of the interpreter that runs it."""


class FactsCache:
    """A cache of facts. Missing, corrupt, locked, read-only and outdated are all the same: no entry.

    Keys are hashes of the source and the analyser's edition; values are JSON, so that reading a cache that
    somebody else wrote can run nothing.
    """

    def __init__(self, directory: Path) -> None:
        """Open the cache in `directory`, which is made when the first entry is written."""
        import sqlite3

        self._errors = (sqlite3.Error, OSError)
        self._fresh: dict[str, str] = {}
        self._connection: sqlite3.Connection | None = None
        with suppress(*self._errors):
            directory.mkdir(parents=True, exist_ok=True)
            ignore = directory / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
            self._connection = sqlite3.connect(directory / "facts.sqlite", timeout=1, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID"
            )

    @staticmethod
    def key(source: bytes) -> str:
        """The key of a source text."""
        return f"{_EDITION}:{blake2b(source, digest_size=16).hexdigest()}"

    def get(self, key: str) -> Module | None:
        """The facts stored under `key`."""
        if self._connection is None:
            return None
        try:
            row = self._connection.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
            return Module.from_text(row[0]) if row else None
        except (*self._errors, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return None

    def put(self, key: str, facts: Module) -> None:
        """Remember facts; they are written by `flush`."""
        if self._connection is not None:
            self._fresh[key] = facts.to_text()
            if len(self._fresh) >= 500:
                self.flush()

    def flush(self) -> None:
        """Write what was put, in one transaction."""
        if self._connection is None or not self._fresh:
            return
        with suppress(*self._errors):
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", self._fresh.items())
            self._connection.execute("COMMIT")
        self._fresh.clear()

    def close(self) -> None:
        """Write what was put, and let go of the file."""
        self.flush()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
