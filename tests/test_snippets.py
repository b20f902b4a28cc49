"""The examples in the documents run.

Every ```` ```python ```` block of README.md and docs/ is executed as a script. A comment on the line before the fence
says what else it is:

- `<!-- snippet: bad -->`: an example of what not to do; it must compile and is not run.
- `<!-- snippet: continues -->`: goes on in the namespace of the block above it.
- `<!-- snippet: file -->`: run as a file by a Python of its own, for what must be importable by another process.

Rule pages are left out: their examples are the rules' own, and tested with them.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FENCE = re.compile(
    r"(?:^<!-- snippet: (?P<kind>[\w ]+) -->\n+)?^(?P<indent> *)```python\n(?P<code>.*?)^(?P=indent)```$", re.M | re.S
)
KINDS = ("run", "bad", "continues", "file")


@dataclass
class Snippet:
    """One or more blocks run in one namespace, in order."""

    path: Path
    line: int
    kind: str
    blocks: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT).as_posix()}:{self.line}"


def snippets(path: Path) -> list[Snippet]:
    """The examples of one document; each block is padded with empty lines, so that tracebacks show its own lines."""
    text = path.read_text(encoding="utf-8")
    found: list[Snippet] = []
    for match in FENCE.finditer(text):
        kind = match["kind"] or "run"
        line = text.count("\n", 0, match.start("code"))
        assert kind in KINDS, f"{path}:{line}: unknown snippet kind {kind!r}, expected one of {', '.join(KINDS)}"
        indent = len(match["indent"])
        code = "\n" * line + "".join(row[indent:] or "\n" for row in match["code"].splitlines(keepends=True))
        if kind == "continues":
            assert found, f"{path}:{line}: nothing above to continue"
            assert found[-1].kind == "run", f"{path}:{line}: only a block that is run can be continued"
            found[-1].blocks.append(code)
        else:
            found.append(Snippet(path, line, kind, [code]))
    return found


DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(
        path
        for path in sorted((ROOT / "docs").rglob("*.md"))
        if path.relative_to(ROOT / "docs").parts[0] not in ("rules", "_build")
    ),
]


@pytest.mark.parametrize("snippet", [each for path in DOCUMENTS for each in snippets(path)], ids=str)
def test_documented_example_runs(snippet: Snippet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if snippet.kind == "file":
        (tmp_path / "example.py").write_text(snippet.blocks[0], encoding="utf-8")
        run = subprocess.run([sys.executable, "example.py"], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        return
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in snippet.blocks:
        code = compile(block, str(snippet.path), "exec", dont_inherit=True)
        if snippet.kind != "bad":
            exec(code, namespace)


def test_every_python_fence_is_collected() -> None:
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        assert len(FENCE.findall(text)) == len(re.findall(r"^ *```+ ?python", text, re.M)), path


def test_snippets_of_a_document_are_in_order_and_at_their_lines(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nx = 1\n```\n\n<!-- snippet: continues -->\n\n```python\ny = x\n```\n\n"
        "<!-- snippet: bad -->\n```python\nraise\n```\n\n- item\n\n  ```python\n  if True:\n      z = 2\n  ```\n"
    )
    found = snippets(page)
    assert [each.kind for each in found] == ["run", "bad", "run"]
    assert all(first.line < second.line for first, second in pairwise(found))
    assert found[0].blocks == ["\nx = 1\n", "\n" * 7 + "y = x\n"]
    assert found[2].blocks[0].strip() == "if True:\n    z = 2"
