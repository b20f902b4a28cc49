"""Side by side with the peers, in one run: `make bench`.

CPU time of this process, the best of three, as ratios: to awaiting the same coroutines one after the other, and to
reading and parsing the same files. The linter is measured on the packages that `make demo` has fetched.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import os
import platform
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio

import asynckit
from asynclint.checking import Checker
from asynclint.project.discovery import discover
from asynclint.settings import Settings

ITEMS, LIMIT, ROUNDS = 20_000, 100, 3
PACKAGES = Path(__file__).resolve().parent.parent / ".demo"


def best(run: Callable[[], Any]) -> float:
    """CPU seconds of the fastest round."""
    times = []
    for _ in range(ROUNDS):
        gc.collect()
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


async def no_op(item: int) -> int:
    return item


async def sleep_0(item: int) -> int:
    await asyncio.sleep(0)
    return item


Work = Callable[[int], Awaitable[int]]


async def sequential(work: Work) -> None:
    for item in range(ITEMS):
        await work(item)


async def with_asynckit(work: Work) -> None:
    await asynckit.amap(work, range(ITEMS), limit=LIMIT)


async def with_semaphore(work: Work) -> None:
    semaphore = asyncio.Semaphore(LIMIT)

    async def bounded(item: int) -> int:
        async with semaphore:
            return await work(item)

    await asyncio.gather(*(bounded(item) for item in range(ITEMS)))


async def with_limiter(work: Work) -> None:
    limiter = anyio.CapacityLimiter(LIMIT)

    async def bounded(item: int) -> int:
        async with limiter:
            return await work(item)

    await anyio.amap(bounded, range(ITEMS))


def helpers() -> None:
    """Bounded maps, per item."""
    print(f"\n{ITEMS} items, {LIMIT} at once{'':19} {'no-op':>16} {'sleep(0)':>22}")
    base: dict[str, float] = {}
    for name, run in (
        ("sequential await", sequential),
        ("asynckit.amap", with_asynckit),
        ("asyncio.gather + Semaphore", with_semaphore),
        ("anyio.amap + CapacityLimiter", with_limiter),
    ):
        cells = []
        for work in (no_op, sleep_0):
            seconds = best(lambda run=run, work=work: asyncio.run(run(work)))  # type: ignore[misc]
            ratio = seconds / base.setdefault(work.__name__, seconds)
            cells.append(f"{seconds / ITEMS * 1e6:8.2f} µs {ratio:7.1f} x")
        print(f"{name:40} {'   '.join(cells)}")


def linter(package: Path) -> None:
    """A cold check of a whole package, against reading and parsing all of it."""
    files = discover(["."]).found

    def parse() -> None:
        for path in files:
            ast.parse(Path(path).read_bytes())

    def check() -> None:
        checker = Checker(Settings(), ["."])
        for path in files:
            checker.check(path, only_async=True)

    gc.disable()
    base, ours = best(parse), best(check)
    gc.enable()
    lines = sum(Path(path).read_bytes().count(b"\n") for path in files)
    print(
        f"{package.name:24} {lines:9} lines   read + parse {base:6.2f} s   asynclint {ours:6.2f} s {ours / base:7.2f} x"
    )


def main() -> None:
    """Print both tables."""

    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"{python}, anyio {version('anyio')}, {platform.machine()}")
    helpers()
    packages = sorted(path for path in PACKAGES.glob("*==*") if path.is_dir())
    print("\nlinter, cold, one process" if packages else "\nlinter: run `make demo` first, it fetches the packages")
    for package in packages:
        os.chdir(package)
        linter(package)


if __name__ == "__main__":
    main()
