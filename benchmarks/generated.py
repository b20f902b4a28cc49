"""What the linter costs on generated programs, from ten thousand lines to millions: is it the same for each line?

`python benchmarks/generated.py --sizes 10k,100k,1M,3M`. Each program is checked by a process of its own, without a
cache and with one job; CPU time and memory are that process's own, as the operating system counts them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

PACKAGE = 40
"""Modules of a package."""
COMMAND = [sys.executable, "-P", "-m", "asynclint", "check", "--no-cache", "--exit-zero", "-j1", "."]

MODULE = '''"""Module {number}: orders, and what becomes of them."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass

from {left} import Base{left_number}, load{left_number}
from {right} import Store{right_number} as Fallback
from {right} import describe{right_number}

LOGGER = logging.getLogger(__name__)
LIMIT = {number}


class Base{number}:
    """What all stores of this module have."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fallback = Fallback(name)
        self.items: dict[str, int] = {{}}

    def title(self) -> str:
        return f"{{self.name}} ({{len(self.items)}})"

    def refresh(self) -> None:
        for key, value in sorted(self.items.items()):
            self.items[key] = value + LIMIT
        self.flush()

    def flush(self) -> None:
        LOGGER.info("flushed %s", self.title())


class Store{number}(Base{left_number}):
    """A store that keeps what the one to the left has, too."""

    async def fetch(self, key: str) -> int:
        if key in self.items:
            return self.items[key]
        await asyncio.sleep(0)
        value = load{number}(key)
        self.items[key] = value
        return value

    async def fetch_all(self, keys: list[str]) -> list[int]:
        found = []
        for key in keys:
            try:
                found.append(await self.fetch(key))
            except KeyError as error:
                LOGGER.warning("no %s: %s", key, error)
                self.fallback.refresh()
        return found


@dataclass
class Order{number}:
    """An order."""

    key: str
    amount: int = 1

    def total(self, price: int) -> int:
        return self.amount * price if price > 0 else 0


def load{number}(key: str) -> int:
    text = json.dumps({{"key": key, "limit": LIMIT}})
    if not text:
        return load{left_number}(key)
    {blocks}
    return len(text)


def describe{number}(orders: list[Order{number}]) -> str:
    lines = []
    for order in orders:
        total = order.total(LIMIT)
        lines.append(f"{{order.key}}: {{total}}")
    if not lines:
        return describe{right_number}([])
    return "\\n".join(lines)


async def main{number}(keys: list[str]) -> str:
    store = Store{number}("main")
    base = Base{left_number}("other")
    values = await store.fetch_all(keys)
    orders = [Order{number}(key, value) for key, value in zip(keys, values, strict=True)]
    base.refresh()
    return describe{number}(orders)


async def serve{number}(queue: asyncio.Queue[str]) -> None:
    while True:
        key = await queue.get()
        task = asyncio.create_task(main{number}([key]))
        text = await task
        LOGGER.info("%s", text)
        queue.task_done()
'''
LINES = MODULE.count("\n")


def named(number: int) -> str:
    """The name by which module `number` is imported."""
    return f"package{number // PACKAGE}.module{number}"


def program(root: Path, lines: int, *, circle: bool = False) -> None:
    """Modules that call those they build on, one in twenty of which blocks.

    They build on one another like a tree, about as deep as programs are; or else all in one circle.
    """
    count = max(lines // LINES, 3)
    for number in range(count):
        left, right = number // 2, number // 3
        if circle or number < 4:
            left, right = (number + 1) % count, (number * 7 + 3) % count
        text = MODULE.format(
            number=number,
            left=named(left),
            left_number=left,
            right=named(right),
            right_number=right,
            blocks=f'open("{number}").close()' if number % 20 == 0 else "LOGGER.debug(text)",
        )
        path = root.joinpath(*named(number).split(".")).with_suffix(".py")
        if not path.parent.exists():
            path.parent.mkdir()
            (path.parent / "__init__.py").touch()
        path.write_text(text)


# -- shapes ------------------------------------------------------------------------------------------------------------


def chain(root: Path) -> None:
    """20,000 functions in a row, the last of which sleeps."""
    links = "".join(f"def f{n}():\n    f{n + 1}()\n" for n in range(20_000))
    end = "def f20000():\n    time.sleep(1)\nasync def main():\n    f0()\n"
    (root / "chain.py").write_text(f"import time\n{links}{end}")


def cycle(root: Path) -> None:
    """20,000 functions in a circle."""
    links = "".join(f"def g{n}():\n    g{(n + 1) % 20_000}()\n" for n in range(20_000))
    (root / "cycle.py").write_text(f"{links}async def main():\n    g0()\n")


def hierarchy(root: Path) -> None:
    """5,000 classes, each the base of the next."""
    classes = "".join(f"class C{n}(C{n - 1}): ...\n" for n in range(1, 5_000))
    base = "class C0:\n    def go(self):\n        open('x')\n"
    (root / "hierarchy.py").write_text(f"{base}{classes}async def main(c: C4999):\n    c.go()\n")


def supers(root: Path) -> None:
    """2,000 classes whose methods call that of the base."""
    classes = "".join(f"class C{n}(C{n - 1}):\n    def go(self): super().go()\n" for n in range(1, 2_000))
    base = "class C0:\n    def go(self):\n        open('x')\n"
    (root / "supers.py").write_text(f"{base}{classes}async def main(c: C1999):\n    c.go()\n")


def files(root: Path) -> None:
    """100,000 files of two lines."""
    for number in range(1_000):
        directory = root / f"package{number // 10}" / f"part{number % 10}"
        directory.mkdir(parents=True)
        for index in range(100):
            (directory / f"m{index}.py").write_text("async def f():\n    return 1\n")


def circle(root: Path) -> None:
    """100,000 lines of modules that all need one another."""
    program(root, 100_000, circle=True)


SHAPES: dict[str, Callable[[Path], None]] = {
    "modules in a circle": circle,
    "chain of 20,000": chain,
    "cycle of 20,000": cycle,
    "5,000 classes": hierarchy,
    "2,000 x super()": supers,
    "100,000 files": files,
}


# -- measuring ---------------------------------------------------------------------------------------------------------


def measured(root: Path) -> tuple[float, int, int]:
    """CPU seconds and peak bytes of a check of everything below `root`, and how many files it failed on."""
    with (root.parent / "report").open("wb") as report:
        process = subprocess.Popen(COMMAND, cwd=root, stdout=report, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    errors = (root.parent / "report").read_bytes().count(b": internal error: ")
    if process.returncode and not errors:
        raise SystemExit((root.parent / "report").read_text()[-2000:])
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit, errors


def rows(sizes: list[int], *, shapes: bool) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """The programs to check."""
    for size in sizes:
        yield f"{size:,} lines", lambda root, size=size: program(root, size)  # type: ignore[misc]
    if shapes:
        yield from SHAPES.items()


def number_of(text: str) -> int:
    """`10k`, `1M` as a number."""
    return int(float(text.rstrip("kM")) * {"k": 1_000, "M": 1_000_000}.get(text[-1], 1))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10k,100k,1M,3M", help="lines of the programs, %(default)s")
    parser.add_argument("--no-shapes", action="store_true", help="leave out chains, cycles, hierarchies and many files")
    options = parser.parse_args()
    sizes = [number_of(size) for size in options.sizes.split(",") if size]
    print(f"{'program':20} {'lines':>10} {'CPU s':>8} {'s / 100k lines':>15} {'peak MB':>8}")
    for name, write in rows(sizes, shapes=not options.no_shapes):
        with TemporaryDirectory() as directory:
            root = Path(directory) / "program"
            root.mkdir()
            write(root)
            lines = sum(path.read_bytes().count(b"\n") for path in root.rglob("*.py"))
            seconds, peak, errors = measured(root)
        failed = f"   FAILED on {errors} files" if errors else ""
        per_line = seconds / lines * 1e5
        print(f"{name:20} {lines:10,} {seconds:8.1f} {per_line:15.2f} {peak / 1e6:8.0f}{failed}", flush=True)


if __name__ == "__main__":
    main()
