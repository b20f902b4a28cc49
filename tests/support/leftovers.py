"""What a process has that it may leave behind."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path


def children() -> set[int]:
    """The processes this one has started that have not been waited for, zombies too."""
    found: set[int] = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[1]) == os.getpid():
            found.add(int(stat.parent.name))
    return found


def descriptors() -> dict[int, str]:
    """The open files, pipes and sockets, by what they are; which ones changes: uvloop has new ones for each run."""
    found: dict[int, str] = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[int(entry.name)] = str(entry.readlink()).partition(":")[0]
        except OSError:  # that of the directory itself
            continue
    return found


def shared_memory() -> set[str]:
    """The segments of shared memory and the named semaphores that this process has mapped."""
    return {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "/dev/shm/" in line}


def busy_threads(module: str = "asynckit") -> set[int]:
    """Threads that run, or wait in, something of asynckit, or of one module of it."""
    frames = sys._current_frames()
    found: set[int] = set()
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0) if thread is not threading.current_thread() else None
        while frame is not None:
            if str(frame.f_globals.get("__name__")).startswith(module):
                found.add(thread.ident or 0)
            frame = frame.f_back
    return found


def is_alive(process: int) -> bool:
    """Whether there is such a process, and no zombie."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] != "Z"
