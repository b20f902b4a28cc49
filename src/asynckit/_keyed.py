"""A lock for each key, for as long as somebody has a use for it."""

from __future__ import annotations

from collections.abc import Hashable
from types import TracebackType

import anyio


class KeyedLock:
    """Locks by key: one task at a time for each key, while different keys go on side by side.

    A lock is there only while some task holds it or waits for it, so the memory is bounded by use, not by the number
    of keys ever seen. Each is an `anyio.Lock`: tasks get it in the order they asked, and only the task that holds it
    can release it.

    Use `async with locks(key):`, or `acquire` and `release`. `len(locks)` is the number of keys in use. It may be made
    anywhere, and serves one event loop at a time.

    Example:
        >>> import anyio
        >>> from asynckit import KeyedLock
        >>> async def main():
        ...     locks = KeyedLock()
        ...     async with locks("alice"), locks("bob"):
        ...         return locks.locked("alice"), locks.locked("carol"), len(locks)
        >>> anyio.run(main)
        (True, False, 2)
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Entry] = {}

    def __call__(self, key: Hashable) -> KeyLock:
        """The lock of a key, for `async with`.

        Args:
            key: Anything that could be a key of a dictionary.

        Raises:
            TypeError: `key` is not hashable.
        """
        hash(key)  # where the wrong key is named, not where it is used
        return KeyLock(self, key)

    def __len__(self) -> int:
        return len(self._entries)

    def __bool__(self) -> bool:
        return True  # not in use is still a lock

    def __repr__(self) -> str:
        return f"<KeyedLock, {len(self)} keys in use>"

    async def acquire(self, key: Hashable) -> None:
        """Get the lock of a key, behind those who wait for it already.

        Args:
            key: Anything that could be a key of a dictionary.

        Raises:
            RuntimeError: This task holds it already.
            TypeError: `key` is not hashable.

        Cancellation:
            The lock is not held, and those behind move up.
        """
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry()
        elif _is_mine(entry.lock):
            raise RuntimeError(_already(key))
        entry.users += 1
        try:
            await entry.lock.acquire()
        except BaseException:
            self._leave(key, entry)
            raise

    def acquire_nowait(self, key: Hashable) -> None:
        """Get the lock of a key now, or raise.

        Args:
            key: Anything that could be a key of a dictionary.

        Raises:
            anyio.WouldBlock: Another task holds it.
            RuntimeError: This task holds it already.
            TypeError: `key` is not hashable.
        """
        entry = self._entries.get(key)
        if entry is None:
            entry = _Entry()
        elif _is_mine(entry.lock):
            raise RuntimeError(_already(key))
        entry.lock.acquire_nowait()
        entry.users += 1
        self._entries[key] = entry

    def release(self, key: Hashable) -> None:
        """Release the lock of a key; the one who has waited longest gets it.

        Args:
            key: As it was acquired, or equal to it.

        Raises:
            RuntimeError: This task does not hold it.
            TypeError: `key` is not hashable.
        """
        entry = self._entries.get(key)
        if entry is None:
            raise RuntimeError(f"the lock of {key!r} cannot be released: no task holds it")
        try:
            entry.lock.release()
        except RuntimeError:
            owner = entry.lock.statistics().owner
            holder = "no task" if owner is None else f"task {owner.name!r}"
            raise RuntimeError(
                f"the lock of {key!r} cannot be released here: {holder} holds it, and only that may release it"
            ) from None
        self._leave(key, entry)

    def locked(self, key: Hashable) -> bool:
        """Whether some task holds the lock of a key."""
        entry = self._entries.get(key)
        return entry is not None and entry.lock.locked()

    def _leave(self, key: Hashable, entry: _Entry) -> None:
        entry.users -= 1
        if not entry.users:
            del self._entries[key]


class KeyLock:
    """What `locks(key)` gives, for `async with`; the same one may be used again."""

    __slots__ = ("_key", "_locks")

    def __init__(self, locks: KeyedLock, key: Hashable) -> None:
        self._locks = locks
        self._key = key

    def __repr__(self) -> str:
        return f"<KeyLock of {self._key!r}, {'locked' if self._locks.locked(self._key) else 'unlocked'}>"

    async def __aenter__(self) -> None:
        await self._locks.acquire(self._key)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._locks.release(self._key)


class _Entry:
    """The lock of one key, and how many tasks hold it or wait for it."""

    __slots__ = ("lock", "users")

    def __init__(self) -> None:
        self.lock = anyio.Lock()
        self.users = 0


def _is_mine(lock: anyio.Lock) -> bool:
    owner = lock.statistics().owner
    return owner is not None and owner == anyio.get_current_task()


def _already(key: Hashable) -> str:
    return f"this task holds the lock of {key!r} already, and would wait for itself; enter it once, and outside"
