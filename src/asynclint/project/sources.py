"""The files and directories that answers are drawn from."""

from __future__ import annotations

import os
import stat
from hashlib import blake2b


class Sources:
    """Which files and directories the answers being worked out are drawn from.

    A set of them is an `int` with a bit for each, so that uniting sets costs next to nothing.

    Attributes:
        mask: What was looked at since `mask` was last set.
        names: Bit number to file or directory.
        are_noted: Somebody will ask; otherwise all sets are empty.
        digests: File or directory to what `digest` says of it.
    """

    __slots__ = ("_listings", "_numbers", "are_noted", "digests", "mask", "names")

    def __init__(self, *, are_noted: bool = True) -> None:
        self.are_noted: bool = are_noted
        self.mask: int = 0
        self.names: list[str] = []
        self.digests: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        self._listings: dict[str, dict[str, bool]] = {}

    def bit(self, name: str) -> int:
        """The set that holds just this file or directory."""
        if not self.are_noted:
            return 0
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.names)
            self.names.append(name)
        return 1 << number  # not kept: the bits of many files would be long numbers

    def named(self, mask: int) -> list[str]:
        """The files and directories of a set."""
        return [self.names[number] for number, bit in enumerate(reversed(f"{mask:b}")) if bit == "1"]

    def listing(self, directory: str) -> dict[str, bool]:
        """Entries of a directory that may be modules, and whether each is a directory itself."""
        self.mask |= self.bit(directory)
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

    def is_package(self, directory: str) -> bool:
        """Whether a directory is a package with an initialiser."""
        return "__init__.py" in self.listing(directory)

    def digest(self, name: str) -> str:
        """What changes whenever a file, or the names in a directory, do."""
        digest = self.digests.get(name)
        if digest is None:
            try:
                if os.path.isdir(name):
                    digest = digest_of(os.fsencode("\n".join(sorted(self.listing(name)))))
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
