"""ASY105, ASY205: starting processes and waiting for them."""

from asynclint.rules.blocking.pair import blocking_rules

RULES = blocking_rules(
    category="subprocess",
    number=5,
    name="blocking-subprocess",
    what="Blocking subprocess call",
    why="""
`subprocess.run` and its kin wait with the thread until the child ends, and even `Popen` holds it while the child is
started. The async libraries start and await processes without holding the loop.
""",
    bad=(
        """
import subprocess


async def revision():
    return subprocess.check_output(["git", "rev-parse", "HEAD"])
""",
        """
import subprocess


async def stop(process: subprocess.Popen):
    process.terminate()
    process.wait()
""",
    ),
    good=(
        """
import asyncio


async def revision():
    process = await asyncio.create_subprocess_exec("git", "rev-parse", "HEAD", stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return output
""",
        """
import subprocess


async def is_running(process: subprocess.Popen):
    return process.poll() is None
""",
    ),
    bad_through_helpers=(
        """
import subprocess


def git(*arguments):
    return subprocess.run(["git", *arguments], check=True)


async def checkout(branch):
    git("checkout", branch)
""",
    ),
    good_through_helpers=(
        """
import asyncio
import subprocess


def git(*arguments):
    return subprocess.run(["git", *arguments], check=True)


async def checkout(branch):
    await asyncio.get_running_loop().run_in_executor(None, git, "checkout", branch)
""",
    ),
)
