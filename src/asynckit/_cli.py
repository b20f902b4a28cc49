"""The `asynckit` command."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from asynckit._advise import advise
from asynckit._map import DEFAULT_LIMIT
from asynckit._thread_pool import default_thread_pool
from asynckit._version import __version__


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
    advice = commands.add_parser("advise", help="measure a function and say where to run it")
    advice.add_argument("function", metavar="module:function")
    advice.add_argument("--args", default="[]", metavar="JSON", help="its arguments, as a JSON array")
    advice.add_argument("--calls", type=int, default=1, metavar="N", help="how many calls are planned (default: 1)")
    options = parser.parse_args(argv)
    if options.command == "advise":
        return _advise(options.function, options.args, options.calls)
    for name, value in _info().items():
        print(f"{name:<12}{value}")
    return 0


def _advise(target: str, arguments: str, calls: int) -> int:
    try:
        advice = advise(_found(target), *_array(arguments), calls=calls)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # the function, and its module, raise what they like
        notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
        kind = "" if type(error) in {TypeError, ValueError} and not notes else f"{type(error).__name__}: "
        print(f"asynckit advise: {kind}{error}{notes}", file=sys.stderr)
        return 2
    print(advice)
    return 0


def _array(text: str) -> list[Any]:
    try:
        array = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"`--args` must be a JSON array, such as '[1, \"two\"]', not {text!r}: {error}") from error
    if not isinstance(array, list):
        raise TypeError(f"`--args` must be a JSON array of all arguments: '[{text}]', not '{text}'")
    return array


def _found(target: str) -> Any:
    """A function by its name, from the current directory too, as with `python -m`."""
    module, _, path = target.partition(":")
    if not module or not path:
        raise ValueError(f"name the function as `module:function`, not {target!r}")
    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        error.add_note(f"This came from importing `{module}`; run it where `python -c 'import {module}'` works")
        raise
    for name in path.split("."):
        if not hasattr(found, name):
            raise ValueError(f"`{module}` has no `{path}`; name the function as `module:function`")
        found = getattr(found, name)
    return found


def _info() -> dict[str, str]:
    """What a report of a defect should say about where it was seen."""
    back_ends = ["asyncio", *(_versioned(name) for name in ("uvloop", "trio") if find_spec(name) is not None)]
    return {
        "asynckit": __version__,
        "Python": f"{platform.python_implementation()} {platform.python_version()} on {platform.system()}",
        "anyio": version("anyio"),
        "back ends": ", ".join(back_ends),
        "amap": f"{DEFAULT_LIMIT} items at once by default",
        "to_thread": f"{default_thread_pool().limit:g} threads at once by default",
        "to_process": f"{os.cpu_count() or 2} processes at once by default",
    }


def _versioned(distribution: str) -> str:
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError:
        return distribution
