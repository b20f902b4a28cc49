"""The `asynckit` command."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec

from asynckit._map import DEFAULT_LIMIT
from asynckit._version import __version__

_BACK_ENDS = ("asyncio", "uvloop", "trio")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="asynckit", description="Structured-concurrency helpers on anyio.")
    parser.add_argument("--version", action="version", version=f"asynckit {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("info", help="show versions, back ends and default limits")
    parser.parse_args(arguments)
    available = [name for name in _BACK_ENDS if find_spec(name) is not None]
    print(f"asynckit  {__version__}")
    print(f"Python    {platform.python_implementation()} {platform.python_version()}")
    print(f"anyio     {version('anyio')}")
    print(f"back ends {', '.join(available)}")
    print(f"amap      {DEFAULT_LIMIT} items at once by default")
    return 0
