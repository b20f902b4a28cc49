"""ASY104, ASY204: questions about files, and small changes to directories."""

from asynclint.rules.blocking.pair import blocking_rules
from asynclint.rules.rule import Default

RULES = blocking_rules(
    category="path-call",
    number=4,
    name="blocking-path-call",
    what="Blocking file system call",
    default=Default.OPT,
    why="""
Asking whether a file exists, how large it is or what a directory holds is a system call that waits for the file system.
On a local disk the answer comes from memory within microseconds, which is why this rule is off unless you select it. On
a network share, a sleeping disk or a directory of a million entries it can take seconds, and all tasks of the event
loop wait with it. Select the rule for programs that work on such places.
""",
    bad=(
        """
import os


async def size(path):
    if not os.path.exists(path):
        return 0
    return os.stat(path).st_size
""",
        """
from pathlib import Path


async def prepare(directory: Path):
    directory.mkdir(parents=True, exist_ok=True)
""",
    ),
    good=(
        """
import asyncio
import os


async def size(path):
    return (await asyncio.to_thread(os.stat, path)).st_size
""",
        """
import anyio


async def prepare(directory: anyio.Path):
    await directory.mkdir(parents=True, exist_ok=True)
""",
    ),
    bad_through_helpers=(
        """
import os


def newest(directory):
    return max(os.listdir(directory))


async def report(directory):
    return newest(directory)
""",
    ),
    good_through_helpers=(
        """
import asyncio
import os


def newest(directory):
    return max(os.listdir(directory))


async def report(directory):
    return await asyncio.to_thread(newest, directory)
""",
    ),
)
