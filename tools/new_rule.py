"""Start a new rule: its file, and its case file.

    python tools/new_rule.py ASY310 session-per-request

Nothing else has to be told of it: rules are found by being there. ASY1xx starts a category of blocking calls: the
direct rule, its twin through helpers, and a category for its sinks in the catalogue.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from asynclint.rules import find

ROOT = Path(__file__).resolve().parents[1]
FAMILIES = {
    "1": "blocking",
    "2": "blocking",
    "3": "concurrency",
    "4": "tasks",
    "5": "cancellation",
    "6": "synchronisation",
    "7": "libraries",
    "8": "fit",
    "9": "opinions",
}
RULE = '''\
"""{code}: TODO what is reported, in one line."""

from __future__ import annotations

from collections.abc import Iterator

from asynclint.findings import Finding
from asynclint.project.modules import ProgramModule
from asynclint.project.program import Program
from asynclint.rules.rule import Default, Rule

_HELP = "TODO the cure, without a final full stop"


def _check(rule: Rule, module: ProgramModule, program: Program) -> Iterator[Finding]:
    for index, function in enumerate(module.facts.functions):
        for call in function.calls:
            if call.target == "TODO":
                yield rule.finding(module, index, call, "TODO what is wrong, names in `backticks`", _HELP)


RULES = (
    Rule(
        code="{code}",
        name="{name}",
        summary="TODO one line for the table of rules",
        why="""
TODO what goes wrong in a program that does this.
""",
        bad=(
            """
async def main():
    ...
""",
        ),
        good=(
            """
async def main():
    ...
""",
        ),
        check=_check,
        default=Default.PREVIEW,
        since="{since}",
    ),
)
'''
BLOCKING_RULE = '''\
"""ASY1{number:02}, ASY2{number:02}: TODO what is reported, in one line."""

from asynclint.rules.blocking.pair import blocking_rules

RULES = blocking_rules(
    category="{category}",
    number={number},
    name="{name}",
    what="TODO begins the summary, as in: Blocking sleep",
    why="""
TODO what goes wrong in a program that does this.
""",
    bad=(
        """
async def main():
    ...
""",
    ),
    good=(
        """
async def main():
    ...
""",
    ),
    bad_through_helpers=(
        """
def helper():
    ...


async def main():
    helper()
""",
    ),
    good_through_helpers=(
        """
import asyncio


def helper():
    ...


async def main():
    await asyncio.to_thread(helper)
""",
    ),
)
'''
CATEGORY = """
[{category}]
number = {number}
severity = "warning"
help = "TODO the cure, without a final full stop"
"""
CASES = """\
# {code}: {name}

## TODO what is reported, and why
{preview}
```python
async def main():
    ...  # error: [{code}]
```

## TODO what is left alone
{preview}
```python
async def main():
    ...
```
"""


def version(root: Path) -> str:
    """The version under work, from the one place that states it."""
    text = (root / "src" / "asynckit" / "_version.py").read_text(encoding="utf-8")
    found = re.search(r'__version__ = "(\d+\.\d+\.\d+)', text)
    assert found, "src/asynckit/_version.py states no version"
    return found[1]


def scaffold(code: str, name: str, root: Path) -> list[Path]:
    """Write the files of a new rule below `root`.

    Returns:
        The files written: the rule, its cases, and what else it needs.

    Raises:
        SystemExit: The code or name is malformed or taken, or a file exists; nothing is written.
    """
    if not re.fullmatch(r"ASY[1-9]\d\d", code):
        sys.exit(f"`{code}` is no code of a rule, expected ASY and three digits, as in ASY310")
    if code[3] == "2":
        sys.exit(f"`{code}` comes with its direct twin: scaffold `ASY1{code[4:]}`")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", name):
        sys.exit(f"`{name}` is no name of a rule, expected words joined by hyphens, as in `session-per-request`")
    if taken := (*find(code), *find(name)):
        sys.exit(f"`{taken[0].code}` is `{taken[0].name}` already")

    package = root / "src" / "asynclint"
    family = package / "rules" / FAMILIES[code[3]]
    category = name.removeprefix("blocking-")
    fields = {"code": code, "name": name, "since": version(root), "category": category, "number": int(code[4:])}
    preview = "" if code[3] == "1" else "\n<!-- preview -->\n"
    files = {root / "tests" / "asynclint" / "cases" / f"{name}.md": CASES.format(**fields, preview=preview)}
    if code[3] == "1":
        files[family / f"{category.replace('-', '_')}.py"] = BLOCKING_RULE.format(**fields)
    else:
        files[family / f"{name.replace('-', '_')}.py"] = RULE.format(**fields)
    if not (family / "__init__.py").exists():
        files[family / "__init__.py"] = ""
    for path in files:
        if path.exists():
            sys.exit(f"{path.relative_to(root)} exists")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if code[3] == "1":
        add_category(package / "catalog" / "categories.toml", CATEGORY.format(**fields))
    return list(files)


def add_category(path: Path, text: str) -> None:
    """Append a category to the catalogue's, unless it is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = path.read_text(encoding="utf-8") if path.exists() else ""
    if text.splitlines()[1] not in known.splitlines():
        path.write_text(known + text, encoding="utf-8")


def main() -> None:
    """Parse the command line and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("code", help="ASY and three digits: ASY310")
    parser.add_argument("name", help='reads well after "allow": session-per-request')
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    for path in scaffold(arguments.code, arguments.name, arguments.root):
        print(path.relative_to(arguments.root))


if __name__ == "__main__":
    main()
