"""The command, as its users run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from asynclint.rules import all_rules
from support.command import BLOCKING, CLEAN, asynclint


def test_check_shows_place_source_and_help(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(BLOCKING)
    result = asynclint("check", ".", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        "app.py:5:5: ASY101 `time.sleep` blocks the event loop",
        "  |",
        "5 | time.sleep(1)",
        "  | ^^^^^^^^^^^^^",
        "  = help: await the sleep of the async library in use: `asyncio.sleep`, `anyio.sleep`, `trio.sleep`",
        "",
    ]
    assert result.stderr == "1 finding\n"


def test_check_shows_every_hop_of_a_chain_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import tools\n\n\nasync def main():\n    tools.pause()\n")
    (tmp_path / "tools.py").write_text("import time\n\n\ndef pause():\n    time.sleep(1)\n")
    result = asynclint("check", "app.py", cwd=tmp_path)
    assert "app.py:5 in main: tools.pause()\n" in result.stdout
    assert "tools.py:5 in pause: time.sleep(1)\n" in result.stdout


def test_clean_code_exits_with_0_and_says_nothing_on_stdout(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(CLEAN)
    result = asynclint("check", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "")


def test_exit_zero_reports_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(BLOCKING)
    result = asynclint("check", "--exit-zero", cwd=tmp_path)
    assert result.returncode == 0
    assert "ASY101" in result.stdout


def test_json_has_the_promised_keys(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import time\n\n\ndef f():\n    time.sleep(1)\n\n\nasync def main():\n    f()\n")
    result = asynclint("check", "--format", "json", cwd=tmp_path)
    (finding,) = json.loads(result.stdout)
    assert list(finding) == [
        "code",
        "name",
        "severity",
        "path",
        "line",
        "column",
        "end_line",
        "end_column",
        "function",
        "message",
        "help",
        "sink",
        "chain",
        "context",
        "others",
    ]
    assert (finding["code"], finding["path"], finding["line"], finding["column"]) == ("ASY201", "app.py", 9, 5)
    assert (finding["end_line"], finding["end_column"], finding["function"]) == (9, 8, "main")
    assert finding["sink"] == "time.sleep"
    assert finding["chain"] == [
        {"path": "app.py", "line": 9, "column": 5, "function": "main", "text": "f()"},
        {"path": "app.py", "line": 5, "column": 5, "function": "f", "text": "time.sleep(1)"},
    ]


def test_select_and_ignore_take_codes_prefixes_and_names(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(BLOCKING + "    open('x')\n")
    for options, expected in (
        (["--select", "ASY101"], {"ASY101"}),
        (["--select", "blocking-file-io"], {"ASY103"}),
        (["--select", "asy1", "--ignore", "ASY103"], {"ASY101"}),
        (["--ignore", "ASY1"], set()),
        (["--select", "ASY103,ASY101"], {"ASY101", "ASY103"}),
    ):
        result = asynclint("check", "--format", "json", *options, cwd=tmp_path)
        assert {finding["code"] for finding in json.loads(result.stdout)} == expected, options


def test_preview_reports_what_is_only_likely(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import aiohttp\n\n\n"
        "async def load(session: aiohttp.ClientSession, url):\n    return await session.get(url)\n\n\n"
        "async def main(session: aiohttp.ClientSession):\n"
        "    a = await load(session, 1)\n    b = await load(session, 2)\n"
        "    return a, b\n"
    )
    assert asynclint("check", cwd=tmp_path).returncode == 0
    assert "ASY301" in asynclint("check", "--preview", cwd=tmp_path).stdout


def test_standard_input_belongs_where_its_display_name_says(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text("import time\n\n\ndef pause():\n    time.sleep(1)\n")
    source = "from tools import pause\n\n\nasync def main():\n    pause()\n"
    result = asynclint("check", "--stdin-display-name", "app.py", "-", cwd=tmp_path, stdin=source)
    assert result.stdout.startswith("app.py:5:5: ASY201")


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.code)
def test_explain_prints_a_rule_by_code_and_by_name(rule, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from asynclint.cli import _asynclint

    for word in (rule.code, rule.code.lower(), rule.name):
        output = CliRunner().invoke(_asynclint, ["explain", word], standalone_mode=False).output
        assert f"# {rule.name} ({rule.code})" in output
        assert all(example.strip() in output for example in (*rule.bad, *rule.good))


def test_explain_suggests_the_near_name(tmp_path: Path) -> None:
    result = asynclint("explain", "blocking-slep", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr == "asynclint: no rule is called `blocking-slep`; did you mean `blocking-sleep`?\n"


def test_fix_diff_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    file.write_text(BLOCKING)
    result = asynclint("fix", "--diff", cwd=tmp_path)
    assert result.returncode == 1
    assert "-    time.sleep(1)\n+    await asyncio.sleep(1)\n" in result.stdout
    assert file.read_text() == BLOCKING


def test_fix_rewrites_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    file.write_text(BLOCKING)
    first = asynclint("fix", cwd=tmp_path)
    fixed = file.read_text()
    second = asynclint("fix", cwd=tmp_path)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "await asyncio.sleep(1)" in fixed
    assert file.read_text() == fixed
    assert second.stderr == "0 findings fixed, 0 left\n"


@pytest.mark.parametrize(
    "call", ["apply(time.sleep)", "list(map(time.sleep, [1]))", "asyncio.get_running_loop().call_soon(time.sleep, 1)"]
)
def test_fix_leaves_the_call_alone_to_which_a_blocking_function_is_handed(call: str, tmp_path: Path) -> None:
    source = f"import asyncio\nimport time\n\n\ndef apply(f):\n    f(1)\n\n\nasync def main():\n    {call}\n"
    (tmp_path / "handed.py").write_text(source)
    result = asynclint("fix", "--unsafe-fixes", cwd=tmp_path)
    assert result.stderr.splitlines()[-1].endswith("1 left")
    assert (tmp_path / "handed.py").read_text() == source


def test_fix_goes_on_until_what_stood_inside_another_fix_is_fixed_too(tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    file.write_text("import requests\n\n\nasync def main(url, path):\n    requests.post(url, data=open(path).read())\n")
    asynclint("fix", cwd=tmp_path)
    assert asynclint("check", "--select", "ASY102", cwd=tmp_path).returncode == 0
    assert "to_thread(open, path)" in file.read_text()


def test_noqa_protects_from_fixes(tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    file.write_text(BLOCKING.replace("sleep(1)", "sleep(1)  # noqa: ASY101"))
    before = file.read_text()
    asynclint("fix", cwd=tmp_path)
    assert file.read_text() == before


def test_the_cache_gives_the_same_findings_and_can_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(BLOCKING)
    cold = asynclint("check", "--no-cache", cwd=tmp_path)
    assert not (tmp_path / ".asynclint_cache").exists()
    first, second = (asynclint("check", cwd=tmp_path) for _ in range(2))
    assert (tmp_path / ".asynclint_cache" / "cache.sqlite").exists()
    assert cold.stdout == first.stdout == second.stdout


def test_nothing_of_the_checked_tree_is_imported(tmp_path: Path) -> None:
    """Modules of the standard library and of asynclint's own needs, lying in the directory that is checked."""
    canary = "import os\nopen(os.environ['CANARY'], 'a').write(__name__)\nasync def main():\n    open('x')\n"
    names = (
        "ast",
        "asyncio",
        "click",
        "conftest",
        "json",
        "libcst",
        "pathspec",
        "setup",
        "sqlite3",
        "tomllib",
        "typing",
    )
    for name in names:
        (tmp_path / f"{name}.py").write_text(canary)
    (tmp_path / "app.py").write_text(
        "import json\nimport setup\n\n\nasync def main():\n    json.main()\n    open('x')\n"
    )
    marks = tmp_path.parent / f"{tmp_path.name}-executed"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"} | {"CANARY": str(marks)}
    script = Path(sys.executable).with_name("asynclint")
    for program in ([script], [sys.executable, "-m", "asynclint"]):
        for arguments in (["check", "."], ["check", "--format", "json", "."], ["fix", "--diff", "."]):
            result = subprocess.run(
                [*program, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert result.returncode == 1, result.stderr
            assert "app.py" in result.stdout
            assert "Traceback" not in result.stderr
    assert not marks.exists(), marks.read_text()


def test_less_grave_findings_and_tests_can_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import time\n\n\nasync def main(path):\n    open(path)\n    time.sleep(1)\n")
    (tmp_path / "test_app.py").write_text((tmp_path / "app.py").read_text())

    def codes(*options: str) -> list[str]:
        return [
            finding["code"]
            for finding in json.loads(asynclint("check", "--format", "json", *options, cwd=tmp_path).stdout)
        ]

    assert codes() == ["ASY103", "ASY101", "ASY101"]  # opening a file in a test is graded `info`
    assert codes("--severity", "error") == ["ASY101"]
    assert codes("--severity", "info") == ["ASY103", "ASY101"] * 2
    assert codes("--severity", "info", "--exclude-context", "test") == ["ASY103", "ASY101"]


def test_statistics_say_what_was_understood(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(BLOCKING)
    result = asynclint("check", "--statistics", cwd=tmp_path)
    assert "files: 1, functions: 2, of them async: 1" in result.stderr
    assert "calls: 1, resolved: 1 (100 %)" in result.stderr
    assert "peak memory" in result.stderr


def test_the_excerpt_of_standard_input_is_of_what_was_checked(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(BLOCKING)
    text = "import time\nasync def other():\n  x = 1; time.sleep(99)\n"
    result = asynclint("check", "-", "--stdin-display-name", "app.py", cwd=tmp_path, stdin=text)
    assert result.stdout.splitlines()[:3] == [
        "app.py:3:10: ASY101 `time.sleep` blocks the event loop",
        "  |",
        "3 | x = 1; time.sleep(99)",
    ]


def test_only_formats_are_formats(tmp_path: Path) -> None:
    result = asynclint("check", "--format", "running", cwd=tmp_path)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_what_the_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text('import time\nasync def main():\n    "☃"; time.sleep(1)\n', encoding="utf-8")
    command = [sys.executable, "-P", "-m", "asynclint", "check", "--no-cache", "."]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment, check=False)
    assert result.returncode == 1
    assert b"\\u2603" in result.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_report_that_cannot_be_written_is_one_line_and_no_finding(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(BLOCKING)
    command = [sys.executable, "-P", "-m", "asynclint", "check", "--no-cache", "."]
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("asynclint: ")
    assert result.stderr.count("\n") == 1


def test_a_reader_of_fixes_who_goes_away_is_no_error(tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"app{number}.py").write_text(BLOCKING)
    command = [sys.executable, "-P", "-m", "asynclint", "fix", "--diff", "--no-cache", "."]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert "internal error" not in process.stderr.read()


def test_statistics_are_of_all_files_though_nothing_has_changed(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(BLOCKING)
    asynclint("check", cwd=tmp_path)
    result = asynclint("check", "--statistics", cwd=tmp_path)
    assert "files: 1, functions: 2, of them async: 1\n" in result.stderr
