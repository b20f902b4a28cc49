"""Reading and replacing files: everything but the fixed calls stays as it was."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from asynclint.findings import Finding
from asynclint.fixes import FixResult, fix_file, write

SOURCE = "import asyncio\nimport time\n\n\nasync def f():\n    time.sleep(1)\n"
FIXED = SOURCE.replace("time.sleep", "await asyncio.sleep")


@pytest.fixture
def findings_in(fix):
    def findings(text: str) -> tuple[Finding, ...]:
        return fix(text).findings

    return findings


@pytest.fixture
def example(tmp_path) -> Path:
    path = tmp_path / "example.py"
    path.write_bytes(SOURCE.encode())
    return path


def leftovers(path: Path) -> list[Path]:
    return list(path.parent.glob(".*.tmp"))


def test_file_is_replaced(example, findings_in):
    result = fix_file(example, findings_in(SOURCE))
    assert example.read_text() == SOURCE, "nothing is written before `write`"
    assert write(result) == ""
    assert example.read_text() == FIXED
    assert leftovers(example) == []


def test_result_without_change_writes_nothing(example):
    before = example.stat()
    result = fix_file(example, [])
    assert not result.changed
    assert write(result) == ""
    assert example.stat().st_mtime_ns == before.st_mtime_ns
    assert example.stat().st_ino == before.st_ino


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (f"# -*- coding: latin-1 -*-\n# é\n{SOURCE}", "latin-1"),
        (f"#!/usr/bin/env python\n# vim: set fileencoding=cp1251 :\nx = 'привет'; {SOURCE}", "cp1251"),
        (f"# é\n{SOURCE}", "utf-8-sig"),
        (f"# coding: utf-8\n# é漢\n{SOURCE}", "utf-8-sig"),
        (f"# coding: shift_jis\n# 漢字\n{SOURCE}", "shift_jis"),
    ],
)
def test_encoding_and_byte_order_mark_are_kept(tmp_path, findings_in, text, encoding):
    path = tmp_path / "example.py"
    path.write_bytes(text.encode(encoding))
    assert write(fix_file(path, findings_in(text))) == ""
    assert path.read_bytes() == text.replace("time.sleep", "await asyncio.sleep").encode(encoding)


@pytest.mark.parametrize(
    "text",
    [
        SOURCE.replace("\n", "\r\n"),
        SOURCE.replace("\n", "\r"),
        SOURCE.replace("\n", "\r\n", 3),
        SOURCE.replace("\n", "\r", 2),
        SOURCE.rstrip("\n"),
        SOURCE.rstrip("\n").replace("\n", "\r\n"),
        SOURCE + "    ",
        SOURCE + "\n\n# end",
        SOURCE.replace("    time", "\ttime"),
        SOURCE.replace("\n\n\n", "\n\x0c\n"),
        SOURCE + "x = '''\r\n\r\n'''\n",
        SOURCE.replace("    time", "    if 1:\n\n      pass\n    time"),
    ],
)
def test_newlines_and_layout_are_kept(tmp_path, findings_in, text):
    path = tmp_path / "example.py"
    path.write_bytes(text.encode())
    assert write(fix_file(path, findings_in(text))) == ""
    assert path.read_bytes() == text.replace("time.sleep", "await asyncio.sleep").encode()


def test_new_lines_end_as_the_others(tmp_path, findings_in):
    text = SOURCE.removeprefix("import asyncio\n").replace("\n", "\r\n")
    path = tmp_path / "example.py"
    path.write_bytes(text.encode())
    assert write(fix_file(path, findings_in(text))) == ""
    assert path.read_bytes() == FIXED.replace("\n", "\r\n").encode()


@pytest.mark.parametrize("mode", [0o644, 0o755, 0o600, 0o664])
def test_permissions_are_kept(example, findings_in, mode):
    example.chmod(mode)
    assert write(fix_file(example, findings_in(SOURCE))) == ""
    assert stat.S_IMODE(example.stat().st_mode) == mode


def test_symbolic_link_is_written_through(tmp_path, example, findings_in):
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.py"
    link.symlink_to(Path("..", "example.py"))
    assert write(fix_file(link, findings_in(SOURCE))) == ""
    assert link.is_symlink()
    assert example.read_text() == FIXED


def test_file_that_changed_since_it_was_read_is_left_alone(example, findings_in):
    result = fix_file(example, findings_in(SOURCE))
    example.write_text("changed = True\n")
    assert write(result) == "not written: the file changed since it was read"
    assert example.read_text() == "changed = True\n"


def test_file_that_changed_since_it_was_checked_is_left_alone(example, findings_in):
    findings = findings_in(SOURCE)
    result = fix_file(example, findings, expected=SOURCE.encode() + b"\n")
    assert "changed since it was checked" in result.error
    assert not result.changed
    assert fix_file(example, findings, expected=SOURCE.encode()).changed


def test_file_that_is_gone_is_an_error_line(example, findings_in):
    result = fix_file(example, findings_in(SOURCE))
    example.unlink()
    assert "not written: " in write(result)
    assert "cannot be read: " in fix_file(example, findings_in(SOURCE)).error
    assert not example.exists()


def test_directory_is_an_error_line(tmp_path):
    assert "cannot be read: " in fix_file(tmp_path, []).error


def test_read_only_file_is_an_error_line(example, findings_in):
    result = fix_file(example, findings_in(SOURCE))
    example.chmod(0o444)
    assert write(result) == "not written: the file is read-only"
    assert example.read_text() == SOURCE


def test_directory_that_cannot_be_written_is_an_error_line(example, findings_in, monkeypatch):
    # A superuser may write anywhere, so the refusal is played.
    result = fix_file(example, findings_in(SOURCE))

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    assert write(result) == "not written: Permission denied"
    assert example.read_text() == SOURCE


def test_full_disk_leaves_the_file_and_no_debris(example, findings_in, monkeypatch):
    result = fix_file(example, findings_in(SOURCE))

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert write(result) == "not written: No space left on device"
    assert example.read_text() == SOURCE
    assert leftovers(example) == []


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"async def f(:\n    time.sleep(1)\n", "does not parse"),
        (b"# coding: nonsense\n", "cannot be decoded"),
        (b"x = '\xff'\n", "cannot be decoded"),
        (b"x = 1\0\n", "left alone"),
        (b"x = " + b"(" * 500 + b")" * 500, "left alone"),
    ],
)
def test_source_that_is_no_module_is_an_error_line(tmp_path, findings_in, content, error):
    path = tmp_path / "example.py"
    path.write_bytes(content)
    result = fix_file(path, findings_in(SOURCE))
    assert error in result.error or "left alone" in result.error
    assert "\n" not in result.error
    assert not result.changed
    assert write(result) == result.error
    assert path.read_bytes() == content


def test_result_that_would_not_compile_is_not_written(example, findings_in, monkeypatch):
    from asynclint.fixes import places, plan

    monkeypatch.setattr(plan, "why_not_awaited", lambda tree, call: "")
    assert places.why_not_awaited is not plan.why_not_awaited
    source = SOURCE.replace("async def", "def")
    example.write_text(source)
    result = fix_file(example, findings_in(source))
    assert "would not compile" in result.error
    assert result.after == source.encode()


def test_diff_shows_the_change():
    before, after = b"a\r\nb\rc", b"a\r\nB\rc"
    assert FixResult("x.py", before, before).diff() == ""
    diff = FixResult("x.py", before, after).diff()
    assert "-b\r+B\r c\n\\ No newline at end of file\n" in diff


def test_missing_libcst_is_said_in_one_line(example, findings_in, monkeypatch):
    monkeypatch.setitem(sys.modules, "libcst", None)
    result = fix_file(example, findings_in(SOURCE))
    assert result.error == "fixing needs libcst: pip install 'asynckit[lint]'"
    assert result.after == SOURCE.encode()


def test_importing_the_package_does_not_import_libcst():
    code = "import asynclint.fixes, sys; sys.exit('libcst' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
