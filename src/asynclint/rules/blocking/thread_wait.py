"""ASY110, ASY210: waiting for another thread or process."""

from asynclint.findings import Safety
from asynclint.rules.blocking.pair import blocking_rules

RULES = blocking_rules(
    category="thread-wait",
    number=10,
    name="blocking-thread-wait",
    what="Blocking wait for a thread or process",
    fix=Safety.NONE,
    why="""
Joining a thread, getting from a `queue.Queue` and asking a future of a pool for its result wait until somebody else is
done, without bound. The event loop stands still for that time. If the other side needs the loop to get done, for
instance by `call_soon_threadsafe` or `run_coroutine_threadsafe`, it never does, and the program hangs for good.

There is no automatic fix: a wait without bound would hold a thread of the pool without bound, and a few of them use the
pool up. Let the other side tell the loop instead (`asyncio.wrap_future`, an async queue, `call_soon_threadsafe`).
""",
    bad=(
        """
from concurrent.futures import ThreadPoolExecutor


async def render(pool: ThreadPoolExecutor, page):
    return pool.submit(page.render).result()
""",
        """
import queue


async def consume(jobs: queue.Queue):
    while True:
        await jobs.get().run()
""",
    ),
    good=(
        """
import asyncio
from concurrent.futures import ThreadPoolExecutor


async def render(pool: ThreadPoolExecutor, page):
    return await asyncio.get_running_loop().run_in_executor(pool, page.render)
""",
        """
import asyncio


async def consume(jobs: asyncio.Queue):
    while True:
        job = await jobs.get()
        await job.run()
""",
    ),
    bad_through_helpers=(
        """
import threading


class Worker:
    def __init__(self, target):
        self.thread = threading.Thread(target=target)

    def stop(self):
        self.thread.join()


async def shut_down(worker: Worker):
    worker.stop()
""",
    ),
    good_through_helpers=(
        """
import asyncio
import threading


class Worker:
    def __init__(self, target):
        self.thread = threading.Thread(target=target)

    def stop(self):
        self.thread.join()


async def shut_down(worker: Worker):
    await asyncio.to_thread(worker.stop)
""",
    ),
    references=("https://docs.python.org/3/library/asyncio-future.html#asyncio.wrap_future",),
)
