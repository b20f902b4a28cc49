"""What calls of well-known functions give, told by what they are given."""

from __future__ import annotations

from asynclint.syntax.facts import AWAITED

_ITEM = "{}.__iter__().__next__()"
_SAME = (0, "{}")
_COPY = (0, f"{_ITEM}.[]")
_RUN = (0, "{}().[()]")
_BY_PATH = {
    **dict.fromkeys(("list", "tuple", "set", "frozenset", "sorted", "reversed"), _COPY),
    **dict.fromkeys(("dict", "copy", "copy.copy", "replace", "dataclasses.replace"), _SAME),
    **dict.fromkeys(("max", "min"), (0, _ITEM)),
    "enumerate": (0, f"{_ITEM}.[,].[]"),
    "filter": (1, "{}"),
    "iter": (0, "{}.__iter__()"),
    "map": (0, "{}().[]"),
    "next": (0, "{}.__next__()"),
    "type": (0, "{}.__class__"),
    "asyncio.run": (0, f"{{}}{AWAITED}"),
}
"""By their whole path: which argument, and what becomes of its path."""
_BY_NAME = {
    **dict.fromkeys(("partial", "wait_for", "shield", "deepcopy", "islice", "tqdm"), _SAME),
    **dict.fromkeys(("to_thread", "run_sync", "run_in_threadpool"), _RUN),
    **dict.fromkeys(("closing", "nullcontext"), (0, "{}.[()]")),
    "as_completed": _SAME,
    "aclosing": (0, "{}.[()].[()]"),
    "choice": (0, _ITEM),
    "deque": _COPY,
    "enter_context": (0, "{}.__enter__()"),
    "gather": (0, f"{{}}{AWAITED}.[].[()]"),
    "run_in_executor": (1, "{}().[()]"),
    "run_until_complete": (0, f"{{}}{AWAITED}"),
}
"""By the last name, for these are imported in many ways."""
_ALONE = frozenset(("max", "min", "type"))
"""These mean something else with several arguments."""
MAKE_TASKS = frozenset(("create_task", "ensure_future"))
TELLING = frozenset((*(path.rpartition(".")[2] for path in _BY_PATH), *_BY_NAME, *MAKE_TASKS, "cast", "getattr"))
"""The last names of functions that are known here."""


def is_path(argument: str) -> bool:
    """Whether an argument is kept as an access path: it is no constant, unpacked, or a lambda."""
    return argument != "" and argument[0] not in "=*" and " " not in argument


def result_of(target: str, name: str, arguments: list[str]) -> str:
    """The access path of what a call of `target`, whose last name is `name`, gives."""
    if target == "getattr" and len(arguments) > 1 and is_path(arguments[0]):
        attribute = arguments[1][3:-1] if arguments[1].startswith("= '") else ""
        return f"{arguments[0]}.{attribute}" if attribute.isidentifier() else ""
    known = _BY_PATH.get(target) or _BY_NAME.get(name)
    if known is not None and known[0] < len(arguments) and not (target in _ALONE and len(arguments) > 1):
        given = arguments[known[0]]
        # A lambda has no path, but is a binding value, as what a partial holds may be.
        if is_path(given) or (given.startswith("lambda ") and known[1] == "{}"):
            return known[1].format(given)
    return f"{target}()" if target else ""
