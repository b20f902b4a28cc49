"""Checking and fixing again finds nothing left to fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from asynclint.findings import Finding, Safety
from asynclint.fixes import fix_file, write
from asynclint.project.program import Program
from asynclint.rules import Default, all_rules, check

PROGRAM = """\
import LIB
import json
import shutil
import subprocess
import time
from pathlib import Path

import requests


async def f(url, path: Path):
    time.sleep(1)
    answer = requests.get(
        url,
        timeout=3,  # seconds
    ).json()
    requests.post(url, data=open(path).read())
    with open(path, "w") as file:
        json.dump(answer, file)
    text = path.read_text(encoding="utf-8").splitlines()
    shutil.copy(path, url)
    if subprocess.run(["true"], check=False).returncode:
        return [time.sleep(n) for n in text]
"""

RULES = [rule for rule in all_rules() if rule.default is Default.ON]


def findings_in(path: Path) -> list[Finding]:
    program = Program([path.parent])
    return check(program.load(path), program, RULES)


@pytest.mark.parametrize("library", ["asyncio", "anyio", "trio"])
def test_second_run_changes_nothing(tmp_path, library):
    path = tmp_path / "module.py"
    path.write_text(PROGRAM.replace("LIB", library))
    first = fix_file(path, findings_in(path), unsafe=True)
    assert len(first.applied) >= 7
    assert first.skipped == ()
    assert write(first) == ""
    while any(f.fix is not None for f in findings_in(path)):  # what was hidden by what is fixed now
        again = fix_file(path, findings_in(path), unsafe=True)
        assert again.applied
        assert write(again) == ""
    fixed = path.read_bytes()
    last = fix_file(path, findings_in(path), unsafe=True)
    assert (last.changed, last.applied) == (False, ())
    assert path.read_bytes() == fixed


def examples() -> list:
    return [
        pytest.param(rule, example, id=f"{rule.code}-{number}")
        for rule in all_rules()
        if rule.fix is not Safety.NONE
        for number, example in enumerate(rule.bad, 1)
    ]


@pytest.mark.parametrize(("rule", "example"), examples())
def test_fixed_example_of_a_rule_is_no_longer_reported(tmp_path, rule, example):
    path = tmp_path / "module.py"
    path.write_text(example)
    program = Program([tmp_path])
    found = check(program.load(path), program, [rule], preview=True)
    result = fix_file(path, found, unsafe=True)
    if not result.applied:
        pytest.skip("no finding of this example has a fix that applies")
    assert write(result) == ""
    program = Program([tmp_path])
    left = check(program.load(path), program, [rule], preview=True)
    assert len(left) <= len(found) - len(result.applied)
