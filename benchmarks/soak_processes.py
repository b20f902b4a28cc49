"""Many calls in worker processes, with cancellations and crashes at random: `python benchmarks/soak_processes.py`.

Prints what has been done and what this process has, which must stay flat. Of its memory, what is resident, and of
that what Python's objects take (with `--trace`, which is slower). In the first round some megabytes come to it that
stay: each thread that receives large results has an arena of glibc's, which keeps the largest block it has had. With
`MALLOC_ARENA_MAX=1` in the environment they do not come.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import random
import signal
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import anyio

from asynckit import ProcessPool, WorkerCrashed, process_map, run_in_process

ITEMS, ROUNDS = 10_000, 20
CRASHES, CANCELLED, TIMED_OUT, LARGE = 0.005, 0.005, 0.002, 0.02
"""Shares of the calls; the others are small, and nothing befalls them."""


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
    (kind,) = random.choices(
        ("crashed", "cancelled", "timed out", "large", "small"),
        (CRASHES, CANCELLED, TIMED_OUT, LARGE, 1 - CRASHES - CANCELLED - TIMED_OUT - LARGE),
    )
    match kind:
        case "crashed":
            try:
                await pool.run(crash, random.randrange(4))
            except WorkerCrashed:
                done[kind] += 1
        case "cancelled":
            with anyio.move_on_after(random.uniform(0, 0.02)) as scope:
                await pool.run(sleep, 3600.0)
            done[kind] += scope.cancelled_caught
        case "timed out":
            try:
                await run_in_process(sleep, 3600.0, timeout=0.01, pool=pool)
            except TimeoutError:
                done[kind] += 1
        case "large":
            data = bytes(random.randrange(3_000_000))
            assert await pool.run(echo, data) == data
            done[kind] += 1
        case _:
            assert await pool.run(increment, 1) == 2
            done[kind] += 1


async def single_calls(pool: ProcessPool, done: Counter[str], left: Iterator[int]) -> None:
    for _ in left:
        await one_call(pool, done)


def show(done: Counter[str], start: float) -> None:
    gc.collect()
    if sys.platform == "linux":
        getattr(ctypes.CDLL(None), "malloc_trim", lambda _: None)(0)  # glibc has it, musl has not
    objects = f"({tracemalloc.get_traced_memory()[0] / 1e6:.1f} MB of objects) " if tracemalloc.is_tracing() else ""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    children = [
        stat.split(") ")[1].split()[0] for stat in _stats() if stat.split(") ")[1].split()[1] == str(os.getpid())
    ]
    print(
        f"{time.monotonic() - start:6.0f} s  {pages * 4096 / 1e6:6.1f} MB {objects} {descriptors:3} descriptors "
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


async def main(calls: int) -> None:
    start = time.monotonic()
    done: Counter[str] = Counter()
    show(done, start)
    async with ProcessPool(2, max_tasks=500) as pool:
        for _ in range(ROUNDS):
            left = iter(range(calls // ROUNDS))
            async with anyio.create_task_group() as group:
                for _ in range(4):
                    group.start_soon(single_calls, pool, done, left)
                async with process_map(increment, range(ITEMS), pool=pool) as results:
                    async for _ in results:
                        done["mapped"] += 1
            show(done, start)
    show(done, start)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--backend", default="asyncio")
    parser.add_argument("--trace", action="store_true")
    arguments = parser.parse_args()
    if arguments.trace:
        tracemalloc.start()
    anyio.run(main, arguments.calls, backend=arguments.backend)
