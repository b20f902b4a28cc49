"""ASY103, ASY203: reading and writing files."""

from asynclint.rules.blocking.pair import blocking_rules

RULES = blocking_rules(
    category="file-io",
    number=3,
    name="blocking-file-io",
    what="Blocking file access",
    why="""
Opening, reading and writing files has no asynchronous form in most operating systems: the thread waits. On a busy disk
or a network file system that is long, and every task of the loop waits too. `anyio.open_file`, `aiofiles` and
`asyncio.to_thread` do the same work in a worker thread.
""",
    bad=(
        """
import json


async def read_settings(path):
    with open(path) as file:
        return json.load(file)
""",
        """
from pathlib import Path


async def save(directory: Path, text: str):
    (directory / "report.txt").write_text(text)
""",
    ),
    good=(
        """
import anyio


async def read_settings(path):
    async with await anyio.open_file(path) as file:
        return await file.read()
""",
        """
import asyncio
from pathlib import Path


async def read_settings(path: Path):
    return await asyncio.to_thread(path.read_text)
""",
    ),
    bad_through_helpers=(
        """
import shutil


def clean(directory):
    shutil.rmtree(directory, ignore_errors=True)


async def stop(directory):
    clean(directory)
""",
    ),
    good_through_helpers=(
        """
import shutil

import anyio


def clean(directory):
    shutil.rmtree(directory, ignore_errors=True)


async def stop(directory):
    await anyio.to_thread.run_sync(clean, directory)
""",
    ),
)
