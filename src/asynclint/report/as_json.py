"""A list of objects, for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict

from asynclint.findings import Finding

_NOT_REPORTED = ("fix", "preview")


def render(findings: Iterable[Finding], line_of: Callable[[str, int], str]) -> str:
    """The findings as JSON; a chain is a list of hops, the first hop first, the sink last."""
    objects = [{key: value for key, value in asdict(f).items() if key not in _NOT_REPORTED} for f in findings]
    return json.dumps(objects, indent=2, ensure_ascii=False) + "\n"
