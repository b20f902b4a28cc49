"""Write the parts of the documents that the code already says: rule pages, and README's tables of rules and helpers.

    python tools/generate_docs.py           write what differs
    python tools/generate_docs.py --check   write nothing; name what differs, and exit with 1 if anything does

In README.md, what stands between `<!-- generated: rules -->` (or `helpers`) and `<!-- end generated -->` is replaced.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from pathlib import Path

import asynckit
from asynclint.rules import Default, Rule, all_rules, page

ROOT = Path(__file__).resolve().parents[1]
FAMILIES = {
    "0": "Files that could not be checked",
    "1": "Blocking calls in async code",
    "2": "Blocking calls reached through helpers",
    "3": "Concurrency lost or unbounded",
    "4": "Task lifetime",
    "5": "Cancellation, timeouts, exceptions",
    "6": "Synchronisation and threads",
    "7": "Libraries",
    "8": "Where async does not pay",
    "9": "Opinions",
}
INTRODUCTION = """\
*On* rules are reported by default, *opt-in* ones when selected by their code, *previews* under `--preview`. A *safe*
fix keeps the program's meaning, blocking aside; an *unsafe* one is made only when asked for."""
DEFAULTS = {Default.ON: "on", Default.OPT: "opt-in", Default.PREVIEW: "preview"}


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, ("---",) * len(head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def rule_table(rules: list[Rule], link: str) -> str:
    """One row a rule; `link` is a format string that makes a page's address of a rule's name."""
    return table(
        ("code", "name", "default", "fix", "what"),
        [
            (
                f"`{rule.code}`",
                f"[{rule.name}]({link.format(rule.name)})",
                DEFAULTS[rule.default],
                rule.fix.value if rule.fix.value != "none" else "–",
                rule.summary,
            )
            for rule in rules
        ],
    )


def rule_pages(rules: tuple[Rule, ...]) -> dict[str, str]:
    """Text by file name: a page for each name (a direct rule and its twin share one), and the index of all."""
    pages: dict[str, list[str]] = {}
    for rule in rules:
        pages.setdefault(f"{rule.name}.md", []).append(page(rule))
    index = ["# Rules", INTRODUCTION]
    for digit, title in FAMILIES.items():
        if family := [rule for rule in rules if rule.code[3] == digit]:
            index += [f"## {title} (ASY{digit}xx)", rule_table(family, "{}.md")]
    names = "\n".join(name.removesuffix(".md") for name in pages)
    index.append(f"```{{toctree}}\n:hidden:\n\n{names}\n```")
    # Two rules on one page: the first has the title, the second goes one level down.
    texts = {name: "\n".join([first, *map(_demoted, rest)]) for name, (first, *rest) in pages.items()}
    return {**texts, "index.md": "\n\n".join(index) + "\n"}


def _demoted(text: str) -> str:
    """A page with every heading one level lower; what looks like a heading inside a code block is a comment."""
    parts = re.split(r"(^```.*?^```$)", text, flags=re.M | re.S)
    return "".join(part if part.startswith("```") else re.sub(r"^#", "##", part, flags=re.M) for part in parts)


def helper_table() -> str:
    """One row a public name of asynckit, with the first line of its docstring."""
    rows: list[tuple[str, ...]] = []
    for name in asynckit.__all__:
        summary = (inspect.getdoc(getattr(asynckit, name)) or "").partition("\n")[0]
        if not name.startswith("_"):
            rows.append((f"`{name}`", summary.rstrip(".")))
    return table(("name", "what"), rows)


def filled(text: str, name: str, content: str) -> str:
    """`text` with the part generated under `name` replaced, if there is one."""
    part = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end generated -->)", re.S)
    return part.sub(lambda match: f"{match[1]}\n{content}\n\n{match[2]}", text)


def wanted() -> dict[Path, str | None]:
    """What every generated file should hold; `None` for a page whose rule is gone."""
    rules = all_rules()
    directory = ROOT / "docs" / "rules"
    texts: dict[Path, str | None] = dict.fromkeys(directory.glob("*.md"))
    texts |= {directory / name: text for name, text in rule_pages(rules).items()}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    readme = filled(readme, "rules", rule_table(list(rules), "docs/rules/{}.md"))
    texts[ROOT / "README.md"] = filled(readme, "helpers", helper_table())
    return texts


def main() -> int:
    """Write, or check, every generated file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if anything differs")
    check = parser.parse_args().check
    stale = 0
    for path, text in wanted().items():
        if text == (path.read_text(encoding="utf-8") if path.exists() else None):
            continue
        stale += 1
        print(f"{'stale' if check else 'written' if text is not None else 'removed'}: {path.relative_to(ROOT)}")
        if check:
            continue
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if check and stale:
        print("run `python tools/generate_docs.py`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
