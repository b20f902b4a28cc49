"""ASY108, ASY208: sockets, name look-ups and protocols other than HTTP."""

from asynclint.rules.blocking.pair import blocking_rules

RULES = blocking_rules(
    category="network",
    number=8,
    name="blocking-network",
    what="Blocking network call",
    why="""
A blocking socket waits with the thread until the other side answers; connecting to a host that does not answer takes
minutes by default. Looking up a name is easily forgotten: `socket.getaddrinfo` asks a server, too. The async libraries
have streams and name look-ups that let other tasks run meanwhile, and for most protocols there is an async client.
""",
    bad=(
        """
import socket


async def is_up(host):
    socket.create_connection((host, 443), timeout=5).close()
""",
        """
import smtplib


async def send(message):
    with smtplib.SMTP("localhost") as server:
        server.send_message(message)
""",
    ),
    good=(
        """
import asyncio


async def is_up(host):
    async with asyncio.timeout(5):
        _, writer = await asyncio.open_connection(host, 443)
    writer.close()
""",
        """
import asyncio


async def addresses(host):
    return await asyncio.get_running_loop().getaddrinfo(host, 443)
""",
    ),
    bad_through_helpers=(
        """
import socket


def address_of(host):
    return socket.getaddrinfo(host, None)[0]


async def connect(host, open_stream):
    return await open_stream(address_of(host))
""",
    ),
    good_through_helpers=(
        """
import socket

import anyio


def address_of(host):
    return socket.getaddrinfo(host, None)[0]


async def connect(host, open_stream):
    return await open_stream(await anyio.to_thread.run_sync(address_of, host))
""",
    ),
)
