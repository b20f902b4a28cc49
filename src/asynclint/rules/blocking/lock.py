"""ASY111, ASY211: taking a lock of threads."""

from asynclint.findings import Safety
from asynclint.rules.blocking.pair import blocking_rules
from asynclint.rules.rule import Default

RULES = blocking_rules(
    category="lock",
    number=11,
    name="blocking-lock",
    what="Lock of threads taken",
    does="may block the event loop",
    default=Default.OPT,
    fix=Safety.NONE,
    why="""
Taking a `threading.Lock` that nobody holds costs less than a microsecond, and where every holder lets go of it after a
few instructions, the wait is as short: such a lock is the right way to share data with threads, and harmless on the
event loop. This is why the rule is off unless you select it.

It is harmful when a holder keeps the lock for long: a thread that does I/O under it makes the whole loop wait as long.
And it is fatal to `await` while holding it: another task that wants the lock then blocks the very thread on which the
holder would have to run on to release it, and the program hangs for good. Share data between tasks with an async lock.
""",
    bad=(
        """
import threading

lock = threading.Lock()
totals = {}


async def count(name):
    with lock:
        totals[name] = totals.get(name, 0) + 1
""",
    ),
    good=(
        """
import asyncio

lock = asyncio.Lock()
totals = {}


async def count(name, store):
    async with lock:
        totals[name] = totals.get(name, 0) + 1
        await store.save(totals)
""",
    ),
    bad_through_helpers=(
        """
import threading


class Totals:
    def __init__(self):
        self.lock = threading.Lock()
        self.values = {}

    def count(self, name):
        with self.lock:
            self.values[name] = self.values.get(name, 0) + 1


async def handle(name, totals: Totals):
    totals.count(name)
""",
    ),
    good_through_helpers=(
        """
class Totals:
    def __init__(self):
        self.values = {}

    def count(self, name):
        self.values[name] = self.values.get(name, 0) + 1


async def handle(name, totals: Totals):
    totals.count(name)  # only tasks share the totals, and nothing is awaited in between: no lock is needed
""",
    ),
)
