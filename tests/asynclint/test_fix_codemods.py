"""The fixes, run by libcst's own tool."""

from __future__ import annotations

import subprocess
import sys

import libcst as cst
import pytest
from libcst.codemod import CodemodContext, SkipFile

from asynclint.codemods import ApplyFixes, OffloadBlockingCalls
from asynclint.fixes.rewrite import rewrite

BEFORE = "import time\nfrom asyncio import to_thread\n\n\nasync def f(p):\n    'é'; time.sleep(1)\n    return open(p)\n"


@pytest.mark.parametrize("command", [ApplyFixes, OffloadBlockingCalls])
def test_command_fixes_what_the_rules_find(tmp_path, command):
    path = tmp_path / "example.py"
    path.write_text(BEFORE, encoding="utf-8")
    module = command(CodemodContext(filename=str(path))).transform_module(cst.parse_module(BEFORE))
    assert "'é'; await asyncio.sleep(1)\n    return await to_thread(open, p)\n" in module.code


def test_command_says_what_it_leaves(tmp_path):
    source = BEFORE.replace("time.sleep(1)", "f'{time.sleep(1)=}'")
    context = CodemodContext(filename=str(tmp_path / "example.py"))
    module = OffloadBlockingCalls(context).transform_module(cst.parse_module(source))
    assert "time.sleep(1)=" in module.code
    assert "ASY101 not fixed: it is in an f-string" in context.warnings[0]


def test_command_honours_noqa(tmp_path):
    source = BEFORE.replace("time.sleep(1)", "time.sleep(1)  # noqa: ASY101")
    context = CodemodContext(filename=str(tmp_path / "example.py"))
    assert "time.sleep(1)  # noqa" in OffloadBlockingCalls(context).transform_module(cst.parse_module(source)).code


def test_module_that_python_cannot_parse_is_skipped(tmp_path):
    # Trees can say what Python does not.
    module = cst.Module([cst.SimpleStatementLine([cst.Expr(cst.Name("in"))])])
    command = OffloadBlockingCalls(CodemodContext(filename=str(tmp_path / "x.py")))
    with pytest.raises(SkipFile, match="invalid syntax"):
        command.transform_module(module)


def test_module_without_fixes_is_given_back(fix):
    module = cst.parse_module(BEFORE)
    assert rewrite(module, []).module is module


def test_tool_runs_the_command(tmp_path):
    path = tmp_path / "example.py"
    path.write_bytes(BEFORE.encode())
    command = ["asynclint.codemods.OffloadBlockingCalls", "--unsafe-fixes"]
    run = subprocess.run(
        [sys.executable, "-m", "libcst.tool", "codemod", "--no-format", "--hide-progress", "-x", *command, path.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "await asyncio.sleep(1)" in path.read_text(encoding="utf-8")
