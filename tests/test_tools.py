"""The tools of the checkout: scaffolding, generated documents, finding interpreters."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def tool(name: str) -> ModuleType:
    """The tool as a module, though `tools/` is no package."""
    spec = importlib.util.spec_from_file_location(f"tools_{name}", ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A place with the one file that the scaffolder reads."""
    package = tmp_path / "src" / "asynckit"
    package.mkdir(parents=True)
    (package / "_version.py").write_text('__version__ = "1.2.3"\n')
    return tmp_path


def scaffold(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / "new_rule.py"), *arguments, "--root", str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_new_rule_gets_a_file_and_cases(checkout: Path) -> None:
    run = scaffold(checkout, "ASY399", "scaffolded-rule")
    assert run.returncode == 0, run.stderr
    rule = checkout / "src" / "asynclint" / "rules" / "concurrency" / "scaffolded_rule.py"
    cases = checkout / "tests" / "asynclint" / "cases" / "scaffolded-rule.md"
    assert (rule.parent / "__init__.py").exists()
    ast.parse(rule.read_text())
    assert 'since="1.2.3"' in rule.read_text()
    assert "# error: [ASY399]" in cases.read_text()


@pytest.mark.parametrize(
    ("code", "name", "path", "codes"),
    [
        ("ASY399", "scaffolded-rule", "rules/concurrency/scaffolded_rule.py", ["ASY399"]),
        ("ASY199", "blocking-scaffold", "rules/blocking/scaffold.py", ["ASY199", "ASY299"]),
    ],
)
def test_a_scaffolded_rule_can_be_declared(checkout: Path, code: str, name: str, path: str, codes: list[str]) -> None:
    scaffold(checkout, code, name)
    source = (checkout / "src" / "asynclint" / path).read_text()
    namespace: dict[str, Any] = {}
    exec(compile(source, path, "exec"), namespace)
    assert [rule.code for rule in namespace["RULES"]] == codes
    assert {rule.name for rule in namespace["RULES"]} == {name}


def test_a_new_blocking_rule_gets_a_category_in_the_catalogue(checkout: Path) -> None:
    scaffold(checkout, "ASY199", "blocking-scaffold")
    categories = tomllib.loads((checkout / "src/asynclint/catalog/categories.toml").read_text())
    assert categories["scaffold"]["number"] == 99


@pytest.mark.parametrize(
    ("code", "name", "message"),
    [
        ("ASY39", "scaffolded-rule", "no code of a rule"),
        ("ASY399", "Session", "no name of a rule"),
        ("ASY299", "blocking-scaffold", "comes with its direct twin"),
        ("ASY101", "another-sleep", "`ASY101` is `blocking-sleep` already"),
        ("ASY199", "blocking-sleep", "`ASY101` is `blocking-sleep` already"),
    ],
)
def test_a_malformed_or_taken_rule_is_refused(checkout: Path, code: str, name: str, message: str) -> None:
    before = sorted(checkout.rglob("*"))
    run = scaffold(checkout, code, name)
    assert run.returncode == 1
    assert message in run.stderr
    assert sorted(checkout.rglob("*")) == before


def test_only_the_marked_part_of_a_text_is_generated() -> None:
    generate = tool("generate_docs")
    text = "before\n<!-- generated: rules -->\nold\n<!-- end generated -->\nafter\n"
    once = generate.filled(text, "rules", "new \\1")
    assert once == "before\n<!-- generated: rules -->\n\nnew \\1\n\n<!-- end generated -->\nafter\n"
    assert generate.filled(once, "rules", "new \\1") == once
    assert generate.filled(text, "helpers", "new") == text


def test_interpreters_are_run_before_they_are_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = tmp_path / "python9.9"
    shim.write_text("#!/bin/sh\necho 'not installed' >&2\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    interpreters = tool("interpreters")
    assert str(shim) in interpreters.candidates("9.9")
    assert interpreters.working("9.9") is None
    assert interpreters.working(f"{sys.version_info.major}.{sys.version_info.minor}") == sys.executable
