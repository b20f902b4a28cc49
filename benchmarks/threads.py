"""Calls in threads, side by side with the peers, in one run: `python benchmarks/threads.py`.

Wall time of a call of a function that does nothing, one after the other and 100 at once, as a ratio to
`asyncio.to_thread` in the same round, on trio to anyio's; and what an item costs that comes through a thread. The
median of the rounds, in which all take their turns, since other work on the machine hits whoever is running.
"""

from __future__ import annotations

import asyncio
import gc
import platform
import statistics
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version

import anyio
import anyio.to_thread

from asynckit import iterate_in_thread, run_in_thread

try:
    from asgiref.sync import sync_to_async
except ImportError:
    sync_to_async = None

CALLS, AT_ONCE, ROUNDS, ITEMS = 5_000, 100, 9, 50_000

Call = Callable[[Callable[[], None]], Awaitable[None]]


def no_op() -> None:
    """What is called."""


async def with_asgiref(func: Callable[[], None]) -> None:
    await sync_to_async(func, thread_sensitive=False)()


ON_TRIO: dict[str, Call] = {
    "anyio.to_thread.run_sync": anyio.to_thread.run_sync,
    "asynckit.run_in_thread": run_in_thread,
}
ON_ASYNCIO: dict[str, Call] = {"asyncio.to_thread": asyncio.to_thread, **ON_TRIO}
if sync_to_async is not None:
    ON_ASYNCIO["asgiref.sync_to_async"] = with_asgiref


async def sequential(call: Call) -> None:
    for _ in range(CALLS):
        await call(no_op)


async def concurrent(call: Call) -> None:
    async def some() -> None:
        for _ in range(CALLS // AT_ONCE):
            await call(no_op)

    async with anyio.create_task_group() as group:
        for _ in range(AT_ONCE):
            group.start_soon(some)


async def seconds_per_call(run: Callable[[Call], Awaitable[None]], call: Call) -> float:
    gc.collect()
    start = time.perf_counter()
    await run(call)
    return (time.perf_counter() - start) / CALLS


async def calls(peers: dict[str, Call]) -> None:
    """The table of calls; the first of the peers is what the others are compared with."""
    measured: dict[tuple[str, str], list[float]] = {}
    for call in peers.values():
        await concurrent(call)  # threads are started, and modules loaded
    for _ in range(ROUNDS):
        for name, call in peers.items():
            for run in (sequential, concurrent):
                measured.setdefault((name, run.__name__), []).append(await seconds_per_call(run, call))
    print(f"{'a no-op in a thread':28} {'one by one':>22} {f'{AT_ONCE} at once':>22}")
    for name in peers:
        cells = []
        for kind in ("sequential", "concurrent"):
            base, mine = measured[next(iter(peers)), kind], measured[name, kind]
            ratio = statistics.median(one / other for one, other in zip(mine, base, strict=True))
            cells.append(f"{statistics.median(mine) * 1e6:10.1f} µs {ratio:6.2f} x")
        print(f"{name:28} {cells[0]:>22} {cells[1]:>22}")


async def items() -> None:
    """What an item costs."""
    print(f"\n{'an item of a generator':28}")
    for look_ahead in (0, 16, 1000):
        count = ITEMS if look_ahead else ITEMS // 50
        start = time.perf_counter()
        async with iterate_in_thread(iter(range(count)), look_ahead=look_ahead) as numbers:
            async for _ in numbers:
                pass
        print(f"{f'look_ahead={look_ahead}':28} {(time.perf_counter() - start) / count * 1e6:10.1f} µs")


def main() -> None:
    """Print all for each back end."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"{python}, anyio {version('anyio')}, {platform.machine()}")
    for title, backend, options, peers in (
        ("asyncio", "asyncio", {}, ON_ASYNCIO),
        ("asyncio with uvloop", "asyncio", {"use_uvloop": True}, ON_ASYNCIO),
        ("trio", "trio", {}, ON_TRIO),
    ):
        print(f"\n{title}\n")
        anyio.run(calls, peers, backend=backend, backend_options=options)
        anyio.run(items, backend=backend, backend_options=options)


if __name__ == "__main__":
    main()
