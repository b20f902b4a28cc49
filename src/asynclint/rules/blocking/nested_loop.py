"""ASY112, ASY212: starting an event loop where one is running."""

from asynclint.findings import Safety
from asynclint.rules.blocking.pair import blocking_rules

RULES = blocking_rules(
    category="nested-loop",
    number=12,
    name="nested-event-loop",
    what="Event loop started",
    does="starts an event loop inside the running one",
    fix=Safety.NONE,
    why="""
A thread runs one event loop at a time. `asyncio.run` and `run_until_complete` in async code raise `RuntimeError`, and
`trio.run` does the same. Patches that allow it (`nest_asyncio`) only hide the trouble: the outer loop's tasks then run,
or do not, in an order nobody planned. Async code awaits the coroutine. Where a synchronous function in between cannot,
make that function async.
""",
    bad=(
        """
import asyncio


async def fetch(url):
    return url


async def main(url):
    return asyncio.run(fetch(url))
""",
        """
import asyncio


async def main(coroutine):
    loop = asyncio.get_event_loop()
    return loop.run_until_complete(coroutine)
""",
    ),
    good=(
        """
import asyncio


async def fetch(url):
    return url


async def main(url):
    return await fetch(url)


if __name__ == "__main__":
    asyncio.run(main("https://example.org"))
""",
    ),
    bad_through_helpers=(
        """
import asyncio


async def fetch(url):
    return url


def fetch_sync(url):
    return asyncio.run(fetch(url))


async def main(url):
    return fetch_sync(url)
""",
    ),
    good_through_helpers=(
        """
import asyncio


async def fetch(url):
    return url


def fetch_sync(url):
    return asyncio.run(fetch(url))


async def main(url):
    return await fetch(url)
""",
    ),
    references=("https://docs.python.org/3/library/asyncio-runner.html#asyncio.run",),
)
