"""The collector of literate cases: what it reads, what it refuses, what it says."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def collector():
    """The conftest as a module: tests do not import each other."""
    spec = importlib.util.spec_from_file_location("case_collector", HERE / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def fence(code: str, info: str = "python") -> str:
    return f"```{info}\n{code}```\n"


SLEEP = "import time\n\n\nasync def f():\n    time.sleep(1)"
CASE = f"# Sleeps\n\n{fence(SLEEP + '  # error: [ASY101]' + chr(10))}"


def problems(collector, text: str) -> list[str]:
    return [problem for case in collector.parse_cases(text) for problem in collector.run_case(case)]


def test_markers_and_findings_that_agree_pass(collector):
    assert problems(collector, CASE) == []
    assert problems(collector, CASE.replace("[ASY101]", '[ASY101] "`time.sleep` blocks"')) == []


def test_every_fence_is_a_case_named_by_its_heading(collector):
    cases = collector.parse_cases(CASE + fence("x = 1\n") + "\n## More ##\n" + fence("#\n") + fence("", "toml"))
    assert [case.title for case in cases] == ["Sleeps (1)", "Sleeps (2)", "More"]


def test_fences_with_file_names_are_one_project(collector):
    text = (
        "# Across modules\n"
        + fence("", "python file=pkg/__init__.py")
        + fence("import time\n\ndef wait():\n    time.sleep(1)\n", "python file=pkg/util.py")
        + fence("from .util import wait\n\nasync def f():\n    wait()  # error: [ASY201]\n", "python file=pkg/main.py")
    )
    (case,) = collector.parse_cases(text)
    assert [part.file for part in case.fences] == ["pkg/__init__.py", "pkg/util.py", "pkg/main.py"]
    assert collector.run_case(case) == []


def test_missed_and_false_alarms_name_the_line_of_the_case_file(collector):
    text = CASE.replace("  # error: [ASY101]", "").replace("import time", "import time  # error: [ASY102]", 1)
    assert problems(collector, text) == [
        "line 4: missed alarm: ASY102\n    import time  # error: [ASY102]",
        "line 8: false alarm: ASY101 `time.sleep` blocks the event loop\n    time.sleep(1)",
    ]


def test_message_that_differs_is_a_problem(collector):
    (problem,) = problems(collector, CASE.replace("[ASY101]", '[ASY101] "sings"'))
    assert 'wrong message: ASY101 should say "sings", says "`time.sleep` blocks' in problem


def test_several_codes_and_several_markers(collector):
    code = 'f()  # error: [ASY101, ASY202] "a" # error: [ASY303]\ns = "# error: [ASY404]"\n'
    markers = collector.markers_of(collector.Fence("", 1, code))
    assert [(m.line, m.code, m.text) for m in markers] == [(1, "ASY101", "a"), (1, "ASY202", "a"), (1, "ASY303", "")]


def test_comments_choose_the_rules(collector):
    chosen = {}
    for comment in ("", "<!-- preview -->", "<!-- select: ASY2, ASY401 -->"):
        (case,) = collector.parse_cases(CASE.replace("# Sleeps\n", f"# Sleeps\n{comment}\n"))
        chosen[comment] = [rule.code for rule in collector.rules_for(case)]
    on, preview, selected = chosen.values()
    assert "ASY101" in on
    assert set(on) <= set(preview)
    assert selected
    assert all(code.startswith(("ASY2", "ASY401")) for code in selected)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (fence("x = 1\n"), "line 1: code before the first heading"),
        ("# A\n```python\nx = 1\n", "line 2: the code is not closed"),
        ("# A\n" + fence("x = 1\n"), "no line has a marker"),
        ("# A\n" + fence("x = 1  # error: ASY101\n"), "line 3: expected `# error: "),
        ("# A\n" + fence("x = 1  # error: [asy101]\n"), "line 3: expected `# error: "),
        ("# A\n" + fence("x = 1  # Error: [ASY101]\n"), "line 3: expected `# error: "),
        ("# A\n" + fence("x = (\n"), "line 3 is not Python"),
        ("# A\n" + fence("x = 1\n", "python title=x.py"), "line 2: expected `python file="),
        ("# A\n" + fence("x = 1\n", "python file=../x.py"), "line 2: expected `python file="),
        ("# A\n" + fence("x = 1\n", "python file=/x.py"), "line 2: expected `python file="),
        ("# A\n" + fence("", "python file=x.py") * 2, "section `A` has x.py twice"),
        ("<!-- preview -->\n# A\n", "line 1: `preview` belongs under the heading"),
        ("# A\n<!-- select: sleeping -->\n", "line 2: expected `<!-- select: "),
    ],
)
def test_malformed_case_file_is_an_error(collector, text, error):
    with pytest.raises(collector.CaseError) as caught:
        collector.parse_cases(text)
    assert error in str(caught.value)


def test_file_without_markers_may_say_so(collector):
    assert problems(collector, f"<!-- no markers -->\n# A\n{fence('x = 1' + chr(10))}") == []


def test_code_in_comments_is_not_run(collector):
    code = "x = 1  # error: [ASY101] \"{__import__('os').abort()}\"\n"
    (problem,) = problems(collector, f"# A\n{fence(code)}")
    assert "missed alarm: ASY101" in problem


def test_pytest_collects_and_reports_the_cases(tmp_path):
    shutil.copy(HERE / "conftest.py", tmp_path)
    cases = tmp_path / "cases" / "family"
    cases.mkdir(parents=True)
    (cases / "good.md").write_text(CASE + CASE)
    (cases / "bad.md").write_text(CASE.replace("101", "102"))
    (cases / "broken.md").write_text(fence("x = 1\n"))
    (tmp_path / "cases" / "README.md").write_text(fence("not a case\n"))
    (tmp_path / "outside.md").write_text(fence("not a case\n"))
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "--continue-on-collection-errors", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 2 passed, 1 error" in run.stdout
    assert "PASSED cases/family/good.md::Sleeps #2" in run.stdout
    assert "line 8: missed alarm: ASY102" in run.stdout
    assert "line 8: false alarm: ASY101" in run.stdout
    assert "broken.md: line 1: code before the first heading" in run.stdout
    assert "Traceback" not in run.stdout
