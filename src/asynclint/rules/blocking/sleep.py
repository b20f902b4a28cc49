"""ASY101, ASY201: sleeping the thread instead of the task."""

from asynclint.rules.blocking.pair import blocking_rules

RULES = blocking_rules(
    category="sleep",
    number=1,
    name="blocking-sleep",
    what="Blocking sleep",
    replacement="sleep",
    why="""
`time.sleep` puts the whole thread to sleep. An event loop has one thread, so for that time no other task runs, no
timeout fires, no connection is served. Awaiting the library's own sleep suspends only the task that waits.
""",
    bad=(
        """
import time


async def poll(job):
    while not job.done:
        time.sleep(0.5)
""",
    ),
    good=(
        """
import asyncio


async def pause():
    await asyncio.sleep(0.5)
""",
        """
import asyncio
import time


async def wait_in_thread():
    await asyncio.to_thread(time.sleep, 0.5)
""",
    ),
    bad_through_helpers=(
        """
import time


def back_off(attempt):
    time.sleep(2**attempt)


async def connect(host):
    for attempt in range(5):
        back_off(attempt)
""",
    ),
    good_through_helpers=(
        """
import asyncio
import time


def back_off(attempt):
    time.sleep(2**attempt)


async def connect(host):
    for attempt in range(5):
        await asyncio.to_thread(back_off, attempt)
""",
    ),
    references=("https://docs.python.org/3/library/asyncio-dev.html#running-blocking-code",),
)
