"""The `asynckit` command."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from asynckit._map import DEFAULT_LIMIT
from asynckit._version import __version__

_THREADS = 40
"""anyio's default, which it tells only while an event loop runs."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Its arguments, without its name; those of the process if not given.

    Returns:
        The exit code.

    Raises:
        SystemExit: After `--help` and `--version` with 0, after a wrong argument with 2.
    """
    parser = argparse.ArgumentParser(prog="asynckit", description="Structured-concurrency helpers on anyio.")
    parser.add_argument("--version", action="version", version=f"asynckit {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser("info", help="show versions, back ends and default limits")
    parser.parse_args(argv)
    for name, value in _info().items():
        print(f"{name:<12}{value}")
    return 0


def _info() -> dict[str, str]:
    """What a report of a defect should say about where it was seen."""
    back_ends = ["asyncio", *(_versioned(name) for name in ("uvloop", "trio") if find_spec(name) is not None)]
    return {
        "asynckit": __version__,
        "Python": f"{platform.python_implementation()} {platform.python_version()} on {platform.system()}",
        "anyio": version("anyio"),
        "back ends": ", ".join(back_ends),
        "amap": f"{DEFAULT_LIMIT} items at once by default",
        "to_thread": f"{_THREADS} threads at once by default",
        "to_process": f"{os.cpu_count() or 2} processes at once by default",
    }


def _versioned(distribution: str) -> str:
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError:
        return distribution
