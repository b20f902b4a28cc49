"""Whether calls in threads leak: `python benchmarks/soak_threads.py [calls]`, 200,000 if not given.

On each back end, calls that return, fail, sleep, nest, iterate, and are cancelled at random, some of them abandoned. In
the end there must be no more memory, file descriptors and threads than after the first tenth.
"""

from __future__ import annotations

import gc
import random
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread

from asynckit import ThreadPool, amap, iterate_in_thread, run_in_thread

STAGES = 10
pool = ThreadPool("soak", 20)


def work(kind: float) -> int:
    if kind < 0.1:
        raise ValueError(kind)
    if kind < 0.2:
        time.sleep(kind / 100)
    if kind < 0.25:
        return anyio.from_thread.run(call, 1.0)
    return len("work")


async def call(kind: float) -> int:
    return await run_in_thread(work, kind, limiter=pool, abandon_on_cancel=random.random() < 0.5)


async def one(_: int) -> None:
    with anyio.move_on_after(random.choice((0, 0.0005, 0.002, 10))):
        kind = random.random()
        if kind > 0.99:
            async with iterate_in_thread(range(10), limiter=pool, look_ahead=random.randrange(4)) as numbers:
                async for _ in numbers:
                    pass
            return
        with suppress(ValueError):
            await call(kind)


def kilobytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0])


async def main(calls: int) -> None:
    print(f"{'calls':>10} {'memory':>10} {'descriptors':>12} {'threads':>8} {'seconds':>8}")
    start = time.perf_counter()
    for stage in range(1, STAGES + 1):
        await amap(one, range(calls // STAGES), limit=200)
        while pool.statistics().busy:
            await anyio.sleep(0.001)
        gc.collect()
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        seconds = time.perf_counter() - start
        done = calls // STAGES * stage
        print(f"{done:10} {kilobytes():7} kB {descriptors:12} {threading.active_count():8} {seconds:8.1f}", flush=True)


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    options: dict[str, Any]
    for name, backend, options in (
        ("asyncio", "asyncio", {}),
        ("asyncio with uvloop", "asyncio", {"use_uvloop": True}),
        ("trio", "trio", {}),
    ):
        print(f"\n{name}")
        anyio.run(main, count, backend=backend, backend_options=options)
    print(f"\n{pool.statistics()}")
