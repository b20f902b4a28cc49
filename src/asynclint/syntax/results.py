"""What calls of well-known functions give, told by what they are given."""

from __future__ import annotations

_ITEM = "{}.__iter__().__next__()"
_COPY = (0, f"{_ITEM}.[]")
_RUN = (0, "{}().[()]")
_BUILTINS = {
    **dict.fromkeys(("list", "tuple", "set", "frozenset", "sorted", "reversed"), _COPY),
    "enumerate": (0, f"{_ITEM}.[,].[]"),
}
"""By their whole path: which argument, and what becomes of its path."""
_NAMES = {
    "partial": (0, "{}"),
    "wait_for": (0, "{}"),
    "shield": (0, "{}"),
    **dict.fromkeys(("to_thread", "run_sync", "run_in_threadpool"), _RUN),
    "run_in_executor": (1, "{}().[()]"),
    "enter_context": (0, "{}.__enter__()"),
}
"""By the last name, for these are imported in many ways."""


TELLING = frozenset((*_BUILTINS, *_NAMES))
"""The last names of functions that are known here."""


def result_of(target: str, name: str, arguments: list[str]) -> str:
    """The access path of what a call of `target`, whose last name is `name`, gives."""
    known = _BUILTINS.get(target) or _NAMES.get(name)
    if known is not None and known[0] < len(arguments):
        given = arguments[known[0]]
        # A lambda has no path, but is a binding value, as what a partial holds may be.
        if given and given[0] not in "=*" and (" " not in given or known[1] == "{}"):
            return known[1].format(given)
    return f"{target}()"
