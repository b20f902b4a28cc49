"""What is kept between runs, in one sqlite file: facts by the hash of the source, findings by what they rest on.

Missing, corrupt, locked, read-only and outdated are all the same: nothing is kept. Values are JSON with a checksum, so
that reading a cache that somebody else wrote can run nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3

    from asynclint.syntax import Module

DIRECTORY = ".asynclint_cache"
LIMIT = 512 * 2**20
"""Bytes of facts that are kept; what has not been used for longest goes first. Findings may take half as much again."""
FILES = ("cache.sqlite", "cache.sqlite-wal", "cache.sqlite-shm")
_IGNORE = "*\n"
_BATCH = 200
_HOUR = 3600
_SIZE = """
SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size
"""
_FACTS = "SELECT value FROM facts WHERE key = ?"
_TABLES = (
    "CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value TEXT, size INTEGER, used INTEGER) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS runs (key TEXT PRIMARY KEY, value TEXT, used INTEGER) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS findings (run TEXT, path TEXT, value TEXT, PRIMARY KEY (run, path)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS links (run TEXT, turn INTEGER, value TEXT, PRIMARY KEY (run, turn)) WITHOUT ROWID",
    """
    CREATE TABLE IF NOT EXISTS parts
    (run TEXT, place TEXT, turn INTEGER, value TEXT, PRIMARY KEY (run, place, turn)) WITHOUT ROWID
    """,
)


class Cache:
    """The file, and the facts in it; `project/kept.py` keeps findings there."""

    def __init__(self, directory: Path, limit: int = LIMIT) -> None:
        """Open the cache in `directory`, which is made."""
        import sqlite3

        self._errors = (sqlite3.Error, OSError, UnicodeError)  # the last: a name that is not text
        self._limit = limit
        self._directory = directory
        self._is_damaged = False
        self._fresh: dict[str, str] = {}
        self._used: list[str] = []
        self._connection: sqlite3.Connection | None = None
        self._hour = int(time.time()) // _HOUR
        if not self._opened() and self._is_damaged:
            self._opened()  # it has been deleted

    def _opened(self) -> bool:
        import sqlite3

        self._is_damaged = False
        try:
            if not self._directory.exists():  # in one that is there, other things may lie
                self._directory.mkdir(parents=True, exist_ok=True)
                (self._directory / ".gitignore").write_text(_IGNORE, encoding="utf-8")
            self._connection = sqlite3.connect(self._directory / FILES[0], timeout=1, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            # A power cut may lose the last run's entries; it cannot corrupt a write-ahead log.
            self._connection.execute("PRAGMA synchronous = NORMAL")
            for table in _TABLES:
                self._connection.execute(table)
        except self._errors as error:
            self._note_damage(error)
            self._give_up()
            return False
        return True

    def _note_damage(self, error: Exception) -> None:
        """Note that the file is no database, or a damaged one; one that is in use raises something else."""
        import sqlite3

        self._is_damaged = self._is_damaged or type(error) is sqlite3.DatabaseError

    def _give_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        if self._is_damaged:
            with suppress(OSError):
                for name in FILES:
                    (self._directory / name).unlink(missing_ok=True)

    @staticmethod
    def key(digest: str) -> str:
        """The key of a source text with this digest: facts depend on the analyser, and on the grammar of its Python."""
        from asynclint.syntax import FORMAT

        return f"{FORMAT}:{sys.version_info[0]}.{sys.version_info[1]}:{digest}"

    # -- facts -------------------------------------------------------------------------------------------------------

    def get(self, key: str) -> Module | None:
        """The facts stored under `key`."""
        from asynclint.syntax import Module

        text = self.text(key)
        if text:
            with suppress(ValueError, TypeError, LookupError, AttributeError, RecursionError):
                self._used.append(key)
                return Module.from_text(text)
        return None

    def text(self, key: str) -> str:
        """The text of the facts stored under `key`; `""` if there is none."""
        values = [self._fresh[key]] if key in self._fresh else [value for (value,) in self.rows(_FACTS, key)]
        return next(filter(None, map(checked, values)), "")

    def put(self, key: str, text: str) -> None:
        """Remember facts as text; they are written by `flush`."""
        if self._connection is not None:
            self._fresh[key] = with_checksum(text)
            if len(self._fresh) >= _BATCH:
                self.flush()

    def flush(self) -> None:
        """Write what was put, in one transaction, and forget what has not been used for longest."""
        if not self._fresh and not self._used:
            return
        rows = [(key, text, len(text), self._hour) for key, text in self._fresh.items()]
        stale = [(self._hour, key, self._hour) for key in self._used]
        self._fresh.clear()
        self._used.clear()
        self.write(
            [
                ("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?)", rows),
                ("UPDATE facts SET used = ? WHERE key = ? AND used < ?", stale),
            ]
        )

    def _prune_runs(self) -> None:
        for (size,) in self.rows(_SIZE):
            if size > self._limit * 3 // 2:
                self.write(forgetting(but=1))

    def _prune_facts(self) -> None:
        for (size,) in self.rows("SELECT total(size) FROM facts"):
            if size <= self._limit:
                return
        spare = 0
        doomed = []
        for key, size in self.rows("SELECT key, size FROM facts ORDER BY used DESC, key"):
            spare += size
            if spare > self._limit * 3 // 4:
                doomed.append((key,))
        self.write([("DELETE FROM facts WHERE key = ?", doomed)])

    # -- rows --------------------------------------------------------------------------------------------------------

    def rows(self, query: str, *values: Any) -> list[Any]:
        """The rows that a query gives; none where the cache cannot be read."""
        if self._connection is None:
            return []
        try:
            return self._connection.execute(query, values).fetchall()
        except self._errors as error:
            self._note_damage(error)
            return []

    def write(
        self, statements: Sequence[tuple[str, Iterable[Any]]], *, provided: tuple[str, str, list[Any]] | None = None
    ) -> bool:
        """Run statements, each with many rows of values, as one transaction; whether it was done.

        Args:
            provided: A query, its value, and the rows it must give for anything to be written.
        """
        connection = self._connection
        if connection is None:
            return False
        try:
            connection.execute("BEGIN IMMEDIATE")
            done = provided is None or connection.execute(provided[0], provided[1:2]).fetchall() == provided[2]
            if done:
                for statement, rows in statements:
                    connection.executemany(statement, rows)
            connection.execute("COMMIT")
        except self._errors as error:
            self._note_damage(error)
            with suppress(*self._errors):
                connection.execute("ROLLBACK")
            return False
        return done

    def close(self) -> None:
        """Write what was put, and let go of the file."""
        self.flush()
        self._prune_facts()
        self._prune_runs()
        self._give_up()


def forgetting(*, but: int) -> list[tuple[str, list[Any]]]:
    """Statements that forget what runs found, but for some settings, those of the last runs."""
    return [
        ("DELETE FROM runs WHERE key NOT IN (SELECT key FROM runs ORDER BY used DESC LIMIT ?)", [(but,)]),
        ("DELETE FROM findings WHERE run NOT IN (SELECT key FROM runs WHERE ?)", [(True,)]),
        ("DELETE FROM links WHERE run NOT IN (SELECT key FROM runs WHERE ?)", [(True,)]),
        ("DELETE FROM parts WHERE run NOT IN (SELECT key FROM runs WHERE ?)", [(True,)]),
    ]


def is_own(ignore: Path) -> bool:
    """Whether a `.gitignore` is the one that a cache's directory is made with."""
    with suppress(OSError, UnicodeError):
        return ignore.read_text(encoding="utf-8") == _IGNORE
    return False


def with_checksum(text: str) -> str:
    """A value as it is stored: its checksum, and the text."""
    return f"{blake2b(text.encode(), digest_size=8).hexdigest()}\n{text}"


def checked(value: Any) -> str | None:
    """The text of a stored value, or `None` if it is not what was stored."""
    if not isinstance(value, str):
        return None
    _, _, text = value.partition("\n")
    return text if with_checksum(text) == value else None
