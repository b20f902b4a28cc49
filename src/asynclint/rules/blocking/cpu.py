"""ASY113, ASY213: computing for long."""

from asynclint.rules.blocking.pair import blocking_rules

RULES = blocking_rules(
    category="cpu",
    number=13,
    name="cpu-bound-call",
    what="Long computation",
    why="""
Nothing waits here, but the event loop has one thread, and while that computes, no other task runs. Hashing a password
is made to take a tenth of a second or more; compressing, parsing and transforming take long for large inputs. A worker
thread helps where the library lets go of the GIL, as `hashlib`, `bcrypt` and `zlib` do; elsewhere it takes a process.
""",
    fix_caveat="""
Where the computation holds the GIL, the loop still gets its turns from a thread, but slower: a process
(`asynckit.to_process`, `concurrent.futures.ProcessPoolExecutor`) serves better.
""",
    bad=(
        """
import hashlib


async def register(users, name, password, salt):
    users[name] = hashlib.scrypt(password, salt=salt, n=2**14, r=8, p=1)
""",
        """
import hashlib


class User:
    def __init__(self, salt, hashed):
        self.salt = salt
        self.hashed = hashed

    async def check(self, password):
        return hashlib.pbkdf2_hmac("sha256", password, self.salt, 600_000) == self.hashed
""",
    ),
    good=(
        """
import asyncio
import hashlib


async def register(users, name, password, salt):
    users[name] = await asyncio.to_thread(hashlib.scrypt, password, salt=salt, n=2**14, r=8, p=1)
""",
        """
import asyncio
from concurrent.futures import ProcessPoolExecutor


def count_primes(limit):
    return sum(all(n % d for d in range(2, n)) for n in range(2, limit))


async def main(pool: ProcessPoolExecutor):
    return await asyncio.get_running_loop().run_in_executor(pool, count_primes, 10_000)
""",
    ),
    bad_through_helpers=(
        """
import hashlib


def hashed(password, salt):
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)


async def register(users, name, password, salt):
    users[name] = hashed(password, salt)
""",
    ),
    good_through_helpers=(
        """
import hashlib

import anyio


def hashed(password, salt):
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)


async def register(users, name, password, salt):
    users[name] = await anyio.to_thread.run_sync(hashed, password, salt)
""",
    ),
)
