"""The rules, found by looking: a file in a family's directory is all it takes to add one."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import walk_packages

from asynclint.rules.rule import Default, Rule
from asynclint.rules.run import check, unsilenced

__all__ = ["Default", "Rule", "all_rules", "check", "find", "page", "unsilenced"]


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule, in order of code."""
    modules = [import_module(info.name) for info in walk_packages(__path__, f"{__name__}.") if not info.ispkg]
    rules = [rule for module in modules for rule in getattr(module, "RULES", ())]
    return tuple(sorted(rules, key=lambda rule: rule.code))


def find(code_or_name: str) -> tuple[Rule, ...]:
    """The rules with this code or name; a direct rule and its twin through helpers share a name."""
    wanted = code_or_name.strip()
    return tuple(rule for rule in all_rules() if wanted.upper() == rule.code or wanted.lower() == rule.name)


def page(rule: Rule) -> str:
    """A rule's page in Markdown: what `explain` prints and the documentation shows."""
    applies = ", ".join(rule.back_ends)
    facts = f"Code `{rule.code}` · default: {rule.default} · fix: {rule.fix} · {applies} · since {rule.since}"
    sections = [f"# {rule.name} ({rule.code})", rule.summary, facts, "## Why", rule.why.strip()]
    for title, examples in (("Bad", rule.bad), ("Good", rule.good)):
        fences = "\n\n".join(f"```python\n{example.strip()}\n```" for example in examples)
        if fences:
            sections += [f"## {title}", fences]
    if rule.fix_notes:
        sections += ["## Fix", rule.fix_notes.strip()]
    if rule.references:
        sections += ["## References", "\n".join(f"- <{url}>" for url in rule.references)]
    return "\n\n".join(sections) + "\n"
