"""Calls in worker processes, side by side with the peers in one run: `python benchmarks/processes.py`.

Wall time, the best of some rounds in which the peers take turns, and as ratios to `anyio.to_process`. Processes share
the machine with everything else that runs on it, so watch the load it prints.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import platform
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from typing import Any

import anyio
import anyio.to_process

from asynckit import ProcessPool, process_map

try:
    import loky
except ImportError:
    loky = None

WORKERS, ROUNDS = 8, 7
TINY_ITEMS = 100_000
PRIMES = 30_000

Call = Callable[..., Awaitable[object]]


def no_op() -> None: ...


def size_of(data: bytes) -> int:
    return len(data)


def echo(data: bytes) -> bytes:
    return data


def increment(number: int) -> int:
    return number + 1


def count_primes(below: int) -> int:
    return sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(2, below))


def time_to_start(_: object = None) -> None:
    """So long that the other workers start and import this module meanwhile."""
    time.sleep(0.5)


async def one_by_one(call: Call, args: tuple[Any, ...], times: int) -> None:
    for _ in range(times):
        await call(*args)


async def eight_at_once(call: Call, args: tuple[Any, ...], times: int) -> None:
    await asyncio.gather(*(one_by_one(call, args, times // WORKERS) for _ in range(WORKERS)))


async def calls(peers: dict[str, Call]) -> None:
    megabyte = bytes(1_000_000)
    for title, args, times in (
        ("no-op", (no_op,), 1600),
        ("1 MB of bytes there", (size_of, megabyte), 160),
        ("1 MB of bytes there and back", (echo, megabyte), 160),
    ):
        for way, run in (("one by one", one_by_one), ("8 at once", eight_at_once)):
            best = dict.fromkeys(peers, float("inf"))
            for name, call in itertools.chain.from_iterable(itertools.repeat(list(peers.items()), ROUNDS)):
                start = time.perf_counter()
                await run(call, args, times)
                best[name] = min(best[name], time.perf_counter() - start)
            print(f"\n{title}, {way}")
            for name, seconds in best.items():
                print(f"  {name:24} {seconds / times * 1e6:9.1f} µs {seconds / best['anyio.to_process']:6.2f} x")


async def tiny_items(executor: Executor) -> None:
    print(f"\n{TINY_ITEMS} tiny items over 2 workers")
    async with ProcessPool(2, warm=True) as pool:
        for _ in range(3):
            start = time.perf_counter()
            total = 0
            async with process_map(increment, range(TINY_ITEMS), pool=pool) as results:
                async for result in results:
                    total += result
            seconds = time.perf_counter() - start
            assert total == TINY_ITEMS * (TINY_ITEMS + 1) // 2
            print(f"  {'asynckit.process_map':24} {seconds / TINY_ITEMS * 1e6:9.2f} µs an item")
    few = TINY_ITEMS // 20
    start = time.perf_counter()
    list(executor.map(increment, range(few)))
    print(f"  {'ProcessPoolExecutor.map':24} {(time.perf_counter() - start) / few * 1e6:9.2f} µs an item")


async def both_cores() -> None:
    """CPU-bound work, in one worker and in two; what the standard pool gains tells what the machine had to give."""
    print("\nCPU-bound work, wall time (speed-up over one worker)")
    items = [PRIMES] * 64
    best: dict[tuple[str, int], float] = {}
    for _ in range(5):
        for workers in (1, 2):
            async with ProcessPool(workers) as pool:
                await asyncio.gather(*(pool.run(time_to_start) for _ in range(workers)))
                start = time.perf_counter()
                async with process_map(count_primes, items, pool=pool, chunk=1) as results:
                    async for _ in results:
                        pass
                took = time.perf_counter() - start
            best["asynckit", workers] = min(took, best.get(("asynckit", workers), took))
            with ProcessPoolExecutor(workers, get_context("spawn")) as executor:
                list(executor.map(time_to_start, range(workers)))
                start = time.perf_counter()
                list(executor.map(count_primes, items))
                took = time.perf_counter() - start
            best["ProcessPoolExecutor", workers] = min(took, best.get(("ProcessPoolExecutor", workers), took))
    for name in ("asynckit", "ProcessPoolExecutor"):
        one, two = best[name, 1], best[name, 2]
        print(f"  {name:24} one worker {one:6.2f} s, two {two:6.2f} s: {one / two:5.2f} x")


async def main() -> None:
    print(
        f"{platform.python_implementation()} {platform.python_version()}, anyio {version('anyio')}, {os.cpu_count()}"
        f" cores, load {os.getloadavg()[0]:.1f}"
    )
    loop = asyncio.get_running_loop()
    limiter = anyio.CapacityLimiter(WORKERS)
    executors: dict[str, Executor] = {"ProcessPoolExecutor": ProcessPoolExecutor(WORKERS, get_context("spawn"))}
    if loky is not None:
        executors["loky"] = loky.ProcessPoolExecutor(WORKERS)
    async with ProcessPool(WORKERS, warm=True) as pool:
        peers: dict[str, Call] = {
            "anyio.to_process": functools.partial(anyio.to_process.run_sync, limiter=limiter),
            "asynckit": pool.run,
        }
        peers |= {name: functools.partial(loop.run_in_executor, executor) for name, executor in executors.items()}
        await calls(peers)
    await both_cores()
    await tiny_items(executors["ProcessPoolExecutor"])
    for executor in executors.values():
        executor.shutdown()
    print(f"\nload {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    asyncio.run(main())
