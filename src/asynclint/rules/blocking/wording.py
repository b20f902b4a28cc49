"""What the blocking rules say, beside what each declares."""

from __future__ import annotations

from collections.abc import Sequence

from asynclint.catalog import Sink
from asynclint.findings import Hop, Safety

_MOST_NAMES = 8


def fix_notes(fix: Safety, replacement: str, caveat: str) -> str:
    """What a rule's page says about its fix."""
    if fix is Safety.NONE:
        return ""
    if replacement:
        notes = f"The call is replaced by the `{replacement}` of the library that the file uses, and awaited."
    else:
        notes = (
            "The call is moved to a worker thread by the library that the file uses: `asyncio.to_thread`, "
            "`anyio.to_thread.run_sync` or `trio.to_thread.run_sync`."
        )
    return f"{notes} {caveat.strip()}".rstrip()


def way(hops: Sequence[Hop]) -> str:
    """The functions that a chain goes through, in a few words."""
    first, *rest = (f"`{hop.function}`" for hop in hops)
    if len(rest) > _MOST_NAMES:
        rest = [*rest[: _MOST_NAMES - 1], f"{len(rest) - _MOST_NAMES} more", rest[-1]]
    return f"{first} (through {', '.join(rest)})" if rest else first


def shown(sink: Sink) -> str:
    """The sink as code writes it: what a `with` statement calls has no call to be seen."""
    owner, _, member = sink.public_name.rpartition(".")
    return f"`with {owner}`" if member == "__enter__" else f"`{sink.public_name}`"


def help_for(sink: Sink) -> str:
    """The cure, and when the call needs one: `for files beyond 1 MB`, `the buffer is full`, `it learns from data`."""
    if not sink.when:
        return sink.help
    if sink.when.startswith("it "):
        return f"{sink.help}; {sink.when}"
    matters = "it takes long" if sink.category == "cpu" else "it matters"
    return f"{sink.help}; {matters} {'when ' if sink.when.startswith('the ') else ''}{sink.when}"
