"""Worker processes for a long time, with cancellations and crashes at random: `python benchmarks/soak_processes.py`.

Prints what has been done and what this process has, which must stay flat: `--seconds` bounds how long.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import anyio

from asynckit import ProcessPool, WorkerCrashed, process_map, run_in_process

ITEMS, ROUNDS = 10_000, 20


def increment(number: int) -> int:
    return number + 1


def echo(data: bytes) -> bytes:
    return data


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def crash(how: int) -> None:
    if how == 0:
        os._exit(3)
    if how == 1:
        sys.exit(4)
    os.kill(os.getpid(), (signal.SIGKILL, signal.SIGSEGV)[how % 2])


async def one_call(pool: ProcessPool, done: Counter[str]) -> None:
    """A call of a random kind."""
    match random.random():
        case chance if chance < 0.03:
            try:
                await pool.run(crash, random.randrange(4))
            except WorkerCrashed:
                done["crashed"] += 1
        case chance if chance < 0.06:
            with anyio.move_on_after(random.uniform(0, 0.02)) as scope:
                await pool.run(sleep, 3600.0)
            done["cancelled"] += scope.cancelled_caught
        case chance if chance < 0.07:
            try:
                await run_in_process(sleep, 3600.0, timeout=0.01, pool=pool)
            except TimeoutError:
                done["timed out"] += 1
        case chance if chance < 0.1:
            data = bytes(random.randrange(3_000_000))
            assert await pool.run(echo, data) == data
            done["large"] += 1
        case _:
            assert await pool.run(increment, 1) == 2
            done["small"] += 1


async def single_calls(pool: ProcessPool, done: Counter[str], until: float) -> None:
    while time.monotonic() < until:
        await one_call(pool, done)


def show(done: Counter[str], start: float) -> None:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    children = [
        stat.split(") ")[1].split()[0] for stat in _stats() if stat.split(") ")[1].split()[1] == str(os.getpid())
    ]
    print(
        f"{time.monotonic() - start:6.0f} s  {pages * 4096 / 1e6:6.1f} MB  {descriptors:3} descriptors "
        f" {len(children)} children, {children.count('Z')} zombies  {dict(done)}",
        flush=True,
    )


def _stats() -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            found.append(stat.read_text())
        except OSError:  # it has ended
            continue
    return found


async def main(seconds: float) -> None:
    start = time.monotonic()
    done: Counter[str] = Counter()
    show(done, start)
    async with ProcessPool(2, max_tasks=500) as pool:
        for number in range(ROUNDS):
            async with anyio.create_task_group() as group:
                for _ in range(4):
                    group.start_soon(single_calls, pool, done, start + seconds * (number + 1) / ROUNDS)
                async with process_map(increment, range(ITEMS), pool=pool) as results:
                    async for _ in results:
                        done["mapped"] += 1
            show(done, start)
    show(done, start)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--backend", default="asyncio")
    arguments = parser.parse_args()
    anyio.run(main, arguments.seconds, backend=arguments.backend)
