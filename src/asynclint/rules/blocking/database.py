"""ASY107, ASY207: queries by synchronous database drivers."""

from asynclint.findings import Safety
from asynclint.rules.blocking.pair import blocking_rules

RULES = blocking_rules(
    category="database",
    number=7,
    name="blocking-database",
    what="Blocking database call",
    why="""
A synchronous driver waits with the thread for the server's answer: for the network, for the query, and for locks that
other transactions hold. One slow query, and every request of an async server waits. With SQLite it is the disk, and the
other writers. Most databases have an async driver; otherwise a worker thread can run the transaction as a whole.
""",
    fix=Safety.UNSAFE,
    fix_caveat="""
Some drivers tie a connection to the thread that opened it (`sqlite3` raises `ProgrammingError` elsewhere, unless it was
opened with `check_same_thread=False`), and few allow two threads to use one at the same time: prefer to move the whole
transaction, connecting included, into one function.
""",
    bad=(
        """
import sqlite3


async def users(file):
    connection = sqlite3.connect(file)
    return connection.execute("SELECT name FROM users")
""",
        """
import redis


class Visits:
    def __init__(self, host):
        self.redis = redis.Redis(host)

    async def of(self, user):
        return self.redis.get(f"visits:{user}")
""",
    ),
    good=(
        """
import psycopg


async def users(address):
    async with await psycopg.AsyncConnection.connect(address) as connection:
        cursor = await connection.execute("SELECT name FROM users")
        return await cursor.fetchall()
""",
        """
import asyncio
import sqlite3


def read_users(file):
    with sqlite3.connect(file) as connection:
        return connection.execute("SELECT name FROM users").fetchall()


async def users(file):
    return await asyncio.to_thread(read_users, file)
""",
    ),
    bad_through_helpers=(
        """
import psycopg


def count(address, table):
    with psycopg.connect(address) as connection:
        return connection.execute("SELECT count(*) FROM " + table).fetchone()


async def report(address):
    return count(address, "orders")
""",
    ),
    good_through_helpers=(
        """
import asyncio

import psycopg


def count(address, table):
    with psycopg.connect(address) as connection:
        return connection.execute("SELECT count(*) FROM " + table).fetchone()


async def report(address):
    return await asyncio.to_thread(count, address, "orders")
""",
    ),
    references=("https://docs.python.org/3/library/sqlite3.html#sqlite3.connect",),
)
