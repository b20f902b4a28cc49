"""ASY106, ASY206: waiting for somebody to type."""

from asynclint.rules.blocking.pair import blocking_rules

RULES = blocking_rules(
    category="input",
    number=6,
    name="blocking-input",
    what="Blocking wait for keyboard input",
    why="""
`input` gives the thread back when somebody presses Enter, which may be never. Until then the event loop serves no
connection, fires no timeout, and cannot even be cancelled. Read in a worker thread, or with a prompt that awaits.
""",
    fix_caveat="A thread that waits for input cannot be stopped: at exit the program waits for one more Enter.",
    bad=(
        """
async def confirm(question):
    return input(f"{question} [y/n] ") == "y"
""",
        """
import getpass


async def log_in(server, user):
    password = getpass.getpass()
    return await server.log_in(user, password)
""",
    ),
    good=(
        """
import asyncio


async def confirm(question):
    return await asyncio.to_thread(input, f"{question} [y/n] ") == "y"
""",
        """
import prompt_toolkit


async def confirm(question):
    session = prompt_toolkit.PromptSession()
    return await session.prompt_async(f"{question} [y/n] ") == "y"
""",
    ),
    bad_through_helpers=(
        """
def ask(question):
    while True:
        answer = input(question)
        if answer:
            return answer


async def main():
    print("hello,", ask("name: "))
""",
    ),
    good_through_helpers=(
        """
import anyio


def ask(question):
    while True:
        answer = input(question)
        if answer:
            return answer


async def main():
    print("hello,", await anyio.to_thread.run_sync(ask, "name: "))
""",
    ),
)
