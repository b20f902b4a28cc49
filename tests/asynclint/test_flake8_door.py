"""flake8 with the plugin, as its users run it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from support.command import BLOCKING, asynclint

HELPER = "import time\n\n\ndef pause():\n    time.sleep(1)\n"
SELECT = "--select=ASY0,ASY1,ASY2,ASY3,ASY4,ASY5,ASY6,ASY7,ASY8,ASY9"
CALLER = "from pkg.tools import pause\n\n\nasync def main():\n    pause()\n"


def flake8(*arguments: str, cwd: Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run flake8 with warnings of the plugin's own code as errors."""
    command = [sys.executable, "-P", "-m", "flake8", "--isolated", *arguments]
    return subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, text=True, check=False)


def directory_of(package: str) -> Path:
    """Where an installed package lies."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def project(root: Path) -> Path:
    (root / "pkg").mkdir()
    (root / "pkg" / "__init__.py").touch()
    (root / "pkg" / "tools.py").write_text(HELPER)
    (root / "pkg" / "app.py").write_text(CALLER)
    (root / "direct.py").write_text(BLOCKING)
    return root


def test_direct_calls_and_chains_through_other_modules_are_found(tmp_path: Path) -> None:
    result = flake8("--select=ASY1,ASY2", ".", cwd=project(tmp_path))
    assert sorted(result.stdout.splitlines()) == [
        "./direct.py:5:5: ASY101 `time.sleep` blocks the event loop",
        "./pkg/app.py:5:5: ASY201 `pause` blocks the event loop with `time.sleep` [tools.py:5]",
    ]
    assert result.stderr == ""


def test_it_is_on_without_being_selected_and_works_beside_flake8_async(tmp_path: Path) -> None:
    result = flake8(".", cwd=project(tmp_path))
    assert "ASY101" in result.stdout
    (tmp_path / "direct.py").write_text("import trio\n\n\nasync def f(x):\n    await trio.sleep(0)\n    open(x)\n")
    result = flake8("--select=ASYNC115,ASY1", "direct.py", cwd=tmp_path)
    assert {line.split()[1] for line in result.stdout.splitlines()} == {"ASYNC115", "ASY103"}


SILENT = (
    "time.sleep(1)  # noqa",
    "time.sleep(1)  #noqa:ASY101",
    "time.sleep(1)  # NOQA: asy101",
    "time.sleep(1)  # noqa: E501, ASY1",
    "time.sleep(1)  # type: ignore # noqa: ASY101 because",
    "time.sleep(\n        1\n    )  # noqa: ASY101",
    "x = time.sleep(1), \\\n        2  # noqa: ASY101",
    'x = time.sleep(1), """\n    text\n    """  # noqa: ASY101',
)
HEARD = ("time.sleep(1)  # noqa: E501", "time.sleep(1)  # noqa: E501 # noqa: ASY101", "# noqa\n    time.sleep(1)")


def test_a_noqa_silences_the_same_at_both_doors_however_it_is_spelled(tmp_path: Path) -> None:
    bodies = [f"async def f{number}():\n    {body}\n" for number, body in enumerate((*SILENT, *HEARD))]
    (tmp_path / "app.py").write_text("import time\n" + "".join(bodies))
    theirs = flake8("--select=ASY1", "app.py", cwd=tmp_path).stdout
    ours = asynclint("check", "--no-cache", "app.py", cwd=tmp_path).stdout
    everything = flake8("--select=ASY1", "--disable-noqa", "app.py", cwd=tmp_path).stdout
    found = [text.count(": ASY101 ") for text in (theirs, ours, everything)]
    assert found == [len(HEARD), len(HEARD), len(bodies)]


def test_standard_input_is_placed_by_its_display_name(tmp_path: Path) -> None:
    result = flake8(
        "--select=ASY1,ASY2", "--stdin-display-name", "pkg/new.py", "-", cwd=project(tmp_path), stdin=CALLER
    )
    assert result.stdout.startswith("pkg/new.py:5:5: ASY201")


def test_several_processes_give_the_same_findings(tmp_path: Path) -> None:
    project(tmp_path)
    for number in range(8):
        (tmp_path / "pkg" / f"copy{number}.py").write_text(CALLER)
    one, two = (flake8("--select=ASY1,ASY2", f"-j{jobs}", ".", cwd=tmp_path).stdout for jobs in (1, 2))
    assert sorted(one.splitlines()) == sorted(two.splitlines())
    assert one.count("ASY201") == 9


def test_flake8_and_the_command_find_the_same(tmp_path: Path) -> None:
    project(tmp_path)
    ours = asynclint("check", "--no-cache", ".", cwd=tmp_path).stdout
    theirs = flake8("--select=ASY1,ASY2", ".", cwd=tmp_path).stdout
    ours_places = {line.split(" `")[0] for line in ours.splitlines() if ": ASY" in line}
    theirs_places = {line.removeprefix("./").split(" `")[0] for line in theirs.splitlines()}
    assert ours_places == theirs_places


def test_settings_of_the_project_apply(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.asynclint]\nignore = ['ASY101']\n")
    assert "ASY101" not in flake8("--select=ASY1,ASY2", ".", cwd=tmp_path).stdout
    (tmp_path / "pyproject.toml").write_text("[tool.asynclint]\nignor = ['ASY101']\n")
    result = flake8("--select=ASY1,ASY2", "direct.py", cwd=tmp_path)
    assert result.returncode == 1
    assert "unknown key `ignor`; did you mean `ignore`?" in result.stdout


def test_a_file_that_does_not_parse_is_flake8s_to_report(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("async def f(:\n")
    (tmp_path / "good.py").write_text(BLOCKING)
    result = flake8("--select=E9,ASY", ".", cwd=tmp_path)
    assert "./bad.py:1:" in result.stdout
    assert "E999" in result.stdout
    assert "./good.py:5:5: ASY101" in result.stdout


def test_a_real_package_gets_the_same_findings_from_both_doors(tmp_path: Path) -> None:
    shutil.copytree(directory_of("anyio"), tmp_path / "anyio")
    # Not the whole package: flake8-async, which is installed beside it for other tests, takes a minute for that.
    files = [f"anyio/{name}.py" for name in ("from_thread", "_backends/_asyncio", "_core/_fileio", "streams/tls")]
    found = json.loads(asynclint("check", "--severity", "info", "--format", "json", *files, cwd=tmp_path).stdout)
    (tmp_path / "pyproject.toml").write_text("[tool.asynclint]\nseverity = 'info'\n")
    seen = flake8(SELECT, "-j2", *files, cwd=tmp_path).stdout.splitlines()
    expected = {(f"{f['path']}:{f['line']}:{f['column']}:", f["code"]) for f in found}
    assert len(expected) >= 3
    assert {tuple(line.split(" ")[:2]) for line in seen} == expected


def test_rules_can_be_ignored_by_file_and_in_flake8s_configuration(tmp_path: Path) -> None:
    project(tmp_path)
    configuration = (
        "[flake8]\nselect = ASY1,ASY2\nper-file-ignores =\n    direct.py: ASY101\nasynclint-no-cache = true\n"
    )
    (tmp_path / "setup.cfg").write_text(configuration)
    command = [sys.executable, "-P", "-m", "flake8", "."]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert [line.split()[1] for line in result.stdout.splitlines()] == ["ASY201"]
    assert not (tmp_path / ".asynclint_cache").exists()


@pytest.mark.parametrize("encoding", ["euc-jp", "shift_jis", "utf-8"])
def test_a_coding_line_changes_neither_findings_nor_columns(encoding: str, tmp_path: Path) -> None:
    text = f"# coding: {encoding}\nimport time\nasync def main():\n    x = '日本語'; time.sleep(1)\n"
    (tmp_path / "app.py").write_bytes(text.encode(encoding))
    assert flake8("--select=ASY1", "app.py", cwd=tmp_path).stdout.startswith("app.py:4:16: ASY101 ")


def test_the_cache_lies_where_the_environment_says(tmp_path: Path) -> None:
    project(tmp_path)
    command = [sys.executable, "-P", "-m", "flake8", "--isolated", "--select=ASY1", "direct.py"]
    environment = {**os.environ, "ASYNCLINT_CACHE_DIR": "elsewhere"}
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert (tmp_path / "elsewhere" / "cache.sqlite").exists()
    assert not (tmp_path / ".asynclint_cache").exists()


def test_files_that_others_have_led_to_are_checked_in_turn(tmp_path: Path) -> None:
    base = "import time\nclass Base:\n    def run(self): self.step()\n    def step(self): pass\n"
    slow = "class Slow(Base):\n    def step(self): time.sleep(1)\n"
    (tmp_path / "base.py").write_text(f"{base}{slow}async def main(slow: Slow): slow.run()\n")
    for name in ("a", "z"):
        (tmp_path / f"{name}.py").write_text("from base import Slow\nasync def main(slow: Slow): slow.run()\n")
    result = flake8("--select=ASY2", ".", "-j1", cwd=tmp_path)
    assert [line.partition(":")[0] for line in sorted(result.stdout.splitlines())] == ["./a.py", "./base.py", "./z.py"]
    assert result.stderr == ""
