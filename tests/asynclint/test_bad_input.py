"""Whatever lies in a directory, the command says one clear line about it and checks the rest."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from asynclint.checking import Checker
from asynclint.project.program import read_source
from asynclint.settings import Settings
from support.command import BLOCKING, asynclint

GOOD = "good.py:5:5: ASY101 "


def check_beside_a_good_file(tmp_path: Path, *arguments: str) -> tuple[int, list[str], str]:
    """Check `tmp_path`, where something is wrong, with a good file beside it."""
    (tmp_path / "good.py").write_text(BLOCKING)
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.iterdir()}
    result = asynclint("check", "--no-cache", *(arguments or (".",)), cwd=tmp_path)
    assert "Traceback" not in result.stderr + result.stdout
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.iterdir()} == before, "something was written"
    lines = [line for line in result.stdout.splitlines() if ": ASY" in line]
    assert any(line.startswith(GOOD) for line in lines), result
    return result.returncode, [line for line in lines if not line.startswith(GOOD)], result.stderr


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"async def f(:\n    pass\n", "bad.py:1:13: ASY000 not analysed: invalid syntax"),
        (b"async def f():\n    x = '\x00'\n", "ASY000 not analysed: source code"),
        (b"# async\nx = '\xff'\n", "ASY000 not analysed: "),
        (b"# -*- coding: no-such-thing -*-\n# async\n", "ASY000 not analysed: "),
        (b"async = 1\n", "bad.py:1:7: ASY000 not analysed: invalid syntax"),
        (b"# async\nx = " + b"(" * 10_000 + b")" * 10_000, "ASY000 not analysed: "),
        (b"# async\nx = " + b"-" * 100_000 + b"1\n", "ASY000 not analysed: "),
        (b"# async\nx = " + b"a+" * 100_000 + b"a\n", "ASY000 not analysed: "),
        (b"# async\nx = a" + b".a" * 100_000 + b"\n", "ASY000 not analysed: "),
    ],
    ids=["syntax", "nul", "utf-8", "coding", "keyword", "parentheses", "unary", "sum", "attributes"],
)
def test_a_file_that_does_not_parse_is_named_once(content: bytes, expected: str, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_bytes(content)
    code, others, _ = check_beside_a_good_file(tmp_path)
    assert code == 1
    (line,) = others
    assert line.startswith("bad.py:")
    assert expected in line


def test_a_file_given_by_name_is_parsed_even_without_async_code(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("def f(:\n")
    code, others, _ = check_beside_a_good_file(tmp_path, "bad.py", "good.py")
    assert (code, len(others)) == (1, 1)


def test_newer_syntax_than_the_interpreter_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("async def f():\n    ???\n")
    _, others, _ = check_beside_a_good_file(tmp_path)
    assert len(others) == 1


def test_empty_and_binary_looking_files_pass(tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_bytes(b"")
    (tmp_path / "latin.py").write_bytes(b"# coding: latin-1\nasync def f():\n    return '\xe9'\n")
    (tmp_path / "bom.py").write_bytes(b"\xef\xbb\xbfasync def f():\n    pass\n")
    code, others, _ = check_beside_a_good_file(tmp_path)
    assert (code, others) == (1, [])


def test_what_the_compiler_warns_of_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text("async def f(x):\n    return '\\d' if x is 1 else 1if x else 2\n")
    code, others, stderr = check_beside_a_good_file(tmp_path)
    assert (code, others, stderr) == (1, [], "1 finding\n")


def test_a_path_that_does_not_exist_is_a_usage_error_and_the_rest_is_checked(tmp_path: Path) -> None:
    code, others, stderr = check_beside_a_good_file(tmp_path, "missing.py", "good.py")
    assert (code, others) == (2, [])
    assert "asynclint: missing.py: no such file or directory\n" in stderr


def test_a_fifo_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.py")
    code, others, _ = check_beside_a_good_file(tmp_path)
    assert (code, others) == (1, [])
    code, others, stderr = check_beside_a_good_file(tmp_path, "x.py", "good.py")
    assert (code, others) == (2, [])
    assert "asynclint: x.py: neither a regular file nor a directory\n" in stderr


def test_loops_of_links_end(tmp_path: Path) -> None:
    (tmp_path / "loop.py").symlink_to("loop.py")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "outer").symlink_to(tmp_path)
    code, others, _ = check_beside_a_good_file(tmp_path)
    assert (code, others) == (1, [])
    code, _, stderr = check_beside_a_good_file(tmp_path, "loop.py", "good.py")
    assert code == 2
    assert "asynclint: loop.py: too many levels of symbolic links\n" in stderr


def test_a_directory_with_a_module_name_is_entered(tmp_path: Path) -> None:
    (tmp_path / "d.py").mkdir()
    (tmp_path / "d.py" / "inner.py").write_text(BLOCKING)
    _, others, _ = check_beside_a_good_file(tmp_path)
    assert [line.partition(":")[0] for line in others] == ["d.py/inner.py"]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of this platform are not POSIX ones")
def test_an_unreadable_file_is_named(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    # Not in `tmp_path`, which only its owner may enter.
    directory = TemporaryDirectory()
    request.addfinalizer(directory.cleanup)
    Path(directory.name).chmod(0o755)
    monkeypatch.chdir(directory.name)
    Path("bad.py").write_text(BLOCKING)
    Path("bad.py").chmod(0)
    checker = Checker(Settings(), ["bad.py"])
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may read everything
    try:
        if os.access("bad.py", os.R_OK, effective_ids=True):
            pytest.skip("this user may read everything")
        (finding,) = checker.check("bad.py")
    finally:
        os.seteuid(user)
    assert (finding.code, finding.path) == ("ASY000", "bad.py")
    assert "cannot be read: Permission denied" in finding.message


def test_reading_a_fifo_that_came_after_the_look_does_not_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.py")
    with pytest.raises(OSError, match="not a regular file"):
        read_source(str(tmp_path / "x.py"))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("[tool.asynclint]\nselct = []\n", "[tool.asynclint] has an unknown key `selct`; did you mean `select`?"),
        ("[tool.asynclint]\nselect = ['ASY777']\n", "[tool.asynclint] `select` names `ASY777`, which is no rule"),
        ("[tool.asynclint]\nignore = ['blocking-slep']\n", "did you mean `blocking-sleep`?"),
        ("[tool.asynclint]\nselect = 'ASY1'\n", "`select` must be a list of strings, not 'ASY1'"),
        ("[tool.asynclint]\npreview = 1\n", "`preview` must be true or false, not 1"),
        ("[tool]\nasynclint = 3\n", "[tool.asynclint] must be a table, not int"),
        ("[tool.asynclint\n", "not valid TOML"),
    ],
)
def test_wrong_settings_are_one_line_that_names_the_file(config: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(config)
    (tmp_path / "good.py").write_text(BLOCKING)
    result = asynclint("check", "good.py", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"asynclint: {tmp_path / 'pyproject.toml'}: ")
    assert expected in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [["check", "--no-such-option"], ["check", "--select", "ASY777"], ["check", "--format", "xml"], ["chekc"]],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: list[str], tmp_path: Path) -> None:
    result = asynclint(*arguments, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("asynclint: ")
    assert result.stderr.count("\n") == 1


def test_a_bug_in_a_rule_hides_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    from asynclint import rules
    from asynclint.cli import run

    (tmp_path / "a.py").write_text("async def f(): ...\n")
    (tmp_path / "good.py").write_text(BLOCKING)
    monkeypatch.chdir(tmp_path)
    real = rules.check

    def fails_on_a(module, *arguments, **options):
        if module.shown == "a.py":
            raise KeyError("a bug")
        return real(module, *arguments, **options)

    monkeypatch.setattr(rules, "check", fails_on_a)
    assert run(["check", "--no-cache", "."]) == 2
    output = capsys.readouterr()
    assert GOOD in output.out
    assert "asynclint: a.py: internal error: KeyError: 'a bug'\n" in output.err
    assert sys.exc_info() == (None, None, None)
