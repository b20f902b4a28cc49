"""The files and directories of a program."""

from __future__ import annotations

import os
import stat
from hashlib import blake2b

from asynclint.project.trace import WHOLE, Trace


class Sources:
    """Files and directories, as they were when they were first looked at.

    Attributes:
        trace: Which answers rest on which of them.
        digests: File or directory to what `digest` says of it.
    """

    __slots__ = ("_listings", "digests", "trace")

    def __init__(self, trace: Trace | None = None) -> None:
        self.trace: Trace = trace or Trace()
        self.digests: dict[str, str] = {}
        self._listings: dict[str, dict[str, bool]] = {}

    def listing(self, directory: str) -> dict[str, bool]:
        """Entries of a directory that may be modules, and whether each is a directory itself."""
        self.trace.see(directory, WHOLE)
        return self._listed(directory)

    def entry(self, directory: str, name: str) -> bool | None:
        """Whether what may be a module is a directory itself; `None` if there is nothing of that name."""
        found = self._listed(directory).get(name)
        if self.trace.is_noted:
            self.trace.see(directory, f"{found} {name}")
        return found

    def is_package(self, directory: str) -> bool:
        """Whether a directory is a package with an initialiser."""
        return self.entry(directory, "__init__.py") is False

    def is_as_seen(self, directory: str, what: str) -> bool:
        """Whether what `entry` said of a directory still holds."""
        found, _, name = what.partition(" ")
        return bool(name) and found == str(self._listed(directory).get(name))

    def _listed(self, directory: str) -> dict[str, bool]:
        listing = self._listings.get(directory)
        if listing is None:
            listing = {}
            try:
                with os.scandir(directory) as entries:
                    for entry in entries:
                        if entry.name.endswith(".py"):
                            if entry.is_file():
                                listing[entry.name] = False
                        elif entry.name.isidentifier() and entry.is_dir():
                            listing[entry.name] = True
            except OSError:
                pass
            self._listings[directory] = listing
        return listing

    def digest(self, name: str) -> str:
        """What changes whenever a file, or the names in a directory, do."""
        digest = self.digests.get(name)
        if digest is None:
            try:
                if os.path.isdir(name):
                    digest = digest_of(os.fsencode("\n".join(sorted(self._listed(name)))))
                else:
                    digest = digest_of(read_source(name))
            except OSError:
                digest = ""
            self.digests[name] = digest
        return digest


def may_run_on_loop(source: bytes) -> bool:
    """Whether a file may have functions that an event loop runs: if not, there is nothing to find, nor to parse."""
    return b"async" in source or b"tornado" in source  # whose handlers need not be async


def digest_of(source: bytes) -> str:
    """What `Sources.digest` says of a file that holds these bytes."""
    return blake2b(source, digest_size=16).hexdigest()


def read_source(path: str) -> bytes:
    """The bytes of a regular file.

    Raises:
        OSError: It cannot be read, or is something else: a FIFO would never end.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"not a regular file: {path}")
        parts = [os.read(descriptor, status.st_size + 1)]
        while parts[-1]:
            parts.append(os.read(descriptor, status.st_size + 1))
        return b"".join(parts)
    finally:
        os.close(descriptor)
