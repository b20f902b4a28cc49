"""ASY102, ASY202: HTTP requests by synchronous clients."""

from asynclint.rules.blocking.pair import blocking_rules

RULES = blocking_rules(
    category="http",
    number=2,
    name="blocking-http",
    what="Blocking HTTP request",
    why="""
A synchronous client waits for the other side's answer with the thread, often for seconds, and the event loop's thread
can do nothing else meanwhile. An async client waits with the task; where none is at hand, a worker thread can wait.
""",
    bad=(
        """
import requests


async def fetch(url):
    return requests.get(url, timeout=10).json()
""",
        """
import httpx


class Api:
    def __init__(self) -> None:
        self.client = httpx.Client()

    async def user(self, number):
        return self.client.get(f"/users/{number}")
""",
    ),
    good=(
        """
import httpx


async def fetch(url):
    async with httpx.AsyncClient() as client:
        return (await client.get(url)).json()
""",
        """
import asyncio

import requests


async def fetch(url):
    return await asyncio.to_thread(requests.get, url, timeout=10)
""",
    ),
    bad_through_helpers=(
        """
import requests


class Profile:
    def __init__(self) -> None:
        self.session = requests.Session()

    def load(self, number):
        return self.session.get(f"https://example.org/users/{number}").json()

    async def show(self, number):
        return self.load(number)["name"]
""",
    ),
    good_through_helpers=(
        """
import asyncio

import requests


def load(number):
    return requests.get(f"https://example.org/users/{number}").json()


async def show(number):
    return (await asyncio.to_thread(load, number))["name"]
""",
    ),
)
