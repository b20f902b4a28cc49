"""Print a working interpreter for each Python version asked for, one path a line; print nothing for an absent one.

    python tools/interpreters.py 3.12 3.13

A `python3.12` on PATH may be a shim that refuses to run, so every candidate is run before it is believed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROBE = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2], sys.executable)"


def candidates(version: str) -> Iterator[str]:
    """Commands that may be Python `version`: this one, one on PATH, then those pyenv has installed."""
    yield sys.executable
    if found := shutil.which(f"python{version}"):
        yield found
    if pyenv := shutil.which("pyenv"):
        root = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False).stdout.strip()
        if root:
            yield from sorted(map(str, Path(root, "versions").glob(f"{version}*/bin/python")), reverse=True)


def working(version: str) -> str | None:
    """The first candidate that runs, is Python `version` and can make virtual environments."""
    for candidate in candidates(version):
        try:
            probe = subprocess.run(
                [candidate, "-I", "-c", PROBE], capture_output=True, text=True, timeout=30, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        found, _, executable = probe.stdout.strip().partition(" ")
        if found == version:
            return executable
    return None


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        if path := working(wanted):
            print(path)
