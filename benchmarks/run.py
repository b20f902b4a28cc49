"""Side by side with the peers: `make bench`, or `python benchmarks/run.py [PROGRAM …] [--write]`.

Each program is a module beside this one. It has `tables()`, or prints what it has measured. With `--write` the results
go to docs/benchmarks.md, which is never edited by hand.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from table import machine, write

PROGRAMS = {"lint": "tables", "concurrency": "tables", "threads": "text", "processes": "text", "generated": "text"}


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("programs", nargs="*", help=f"what to measure, of {', '.join(PROGRAMS)}; all, if left out")
    parser.add_argument("--write", action="store_true", help="put the results into docs/benchmarks.md")
    arguments = parser.parse_args()
    if unknown := set(arguments.programs) - set(PROGRAMS):
        parser.error(f"there is no program {', '.join(sorted(unknown))}; there are {', '.join(PROGRAMS)}")
    for name in arguments.programs or PROGRAMS:
        parts = []
        for part in _tables(name) if PROGRAMS[name] == "tables" else _text(name):
            parts.append(part)
            print(f"{part}\n", flush=True)
        if arguments.write:
            write(name, "\n\n".join(parts))


def _tables(name: str) -> Iterator[str]:
    program = importlib.import_module(name)
    yield machine(*program.DISTRIBUTIONS)
    yield from map(str, program.tables())


def _text(name: str) -> Iterator[str]:
    """What a program prints: one that needs a process of its own, which others have left no threads in."""
    program = Path(__file__).with_name(f"{name}.py")
    yield machine("asynckit", "anyio")
    run = subprocess.run([sys.executable, program], check=True, stdout=subprocess.PIPE, text=True)
    yield f"```text\n{run.stdout.strip()}\n```"


if __name__ == "__main__":
    main()
