"""What is kept between runs."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from asynclint.checking import Checker
from asynclint.findings import Finding
from asynclint.project.cache import Cache, with_checksum
from asynclint.project.discovery import Files
from asynclint.running import Runner
from asynclint.settings import Settings
from asynclint.syntax import extract
from support.command import asynclint

PAUSE = b"import time\n\ndef pause():\n    time.sleep(1)\n"
KEY = Cache.key("some digest")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Cache]:
    cache = Cache(tmp_path / "cache")
    yield cache
    cache.close()


# -- facts -------------------------------------------------------------------------------------------------------------


def test_facts_come_back_as_they_were_put(store: Cache, tmp_path: Path) -> None:
    facts = extract(PAUSE)
    store.put(KEY, facts.to_text())
    store.close()
    again = Cache(tmp_path / "cache")
    assert again.get(KEY) == facts
    assert again.get(Cache.key("another")) is None
    again.close()


@pytest.mark.parametrize("poison", [b"", b"no database", b"SQLite format 3\x00" + b"\xff" * 200])
def test_a_corrupt_file_is_no_cache(poison: bytes, tmp_path: Path) -> None:
    (tmp_path / "cache.sqlite").write_bytes(poison)
    cache = Cache(tmp_path)
    assert cache.get(KEY) is None
    cache.put(KEY, extract(b"").to_text())
    cache.close()
    again = Cache(tmp_path)  # it has been made anew
    assert again.get(KEY) == extract(b"")
    again.close()


@pytest.mark.parametrize("text", ["", "null", "[]", "[[], []]", "{", '[[["x"]],{},[],[],[],[0,0]]', "[" * 5000])
@pytest.mark.parametrize("is_checked", [True, False])
def test_a_poisoned_entry_is_no_entry(text: str, is_checked: bool, tmp_path: Path) -> None:
    Cache(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "cache.sqlite")
    with connection:
        value = with_checksum(text) if is_checked else text
        connection.execute("INSERT INTO facts VALUES (?, ?, 1, 1)", (KEY, value))
    connection.close()
    cache = Cache(tmp_path)
    assert cache.get(KEY) is None
    cache.close()


def test_a_directory_that_cannot_be_made_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = Cache(tmp_path / "file" / "cache")
    cache.put(KEY, extract(b"").to_text())
    cache.flush()
    assert cache.get(KEY) is None
    cache.close()


def test_what_has_not_been_used_for_longest_goes_when_there_is_too_much(tmp_path: Path) -> None:
    text = extract(PAUSE).to_text()
    Cache(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "cache.sqlite")
    with connection:
        rows = [(f"{number}", with_checksum(text), len(text), number) for number in range(10)]
        connection.executemany("INSERT INTO facts VALUES (?, ?, ?, ?)", rows)
    connection.close()
    Cache(tmp_path, limit=8 * len(text)).close()
    cache = Cache(tmp_path)
    kept = [number for number in range(10) if cache.get(str(number)) is not None]
    assert kept == [4, 5, 6, 7, 8, 9]
    cache.close()


def test_two_runs_may_write_at_once(tmp_path: Path) -> None:
    first, second = Cache(tmp_path), Cache(tmp_path)
    text = extract(PAUSE).to_text()
    first.put("first", text)
    second.put("second", text)
    first.close()
    second.close()
    both = Cache(tmp_path)
    assert both.get("first") == both.get("second") == extract(PAUSE)
    both.close()


# -- findings ----------------------------------------------------------------------------------------------------------


def checked(root: Path, store: Path | None = None, jobs: int = 1, files: str = "**/*.py") -> tuple[list[Finding], int]:
    """The findings below `root`, and how many files were looked at."""
    cache = Cache(store) if store is not None else None
    checker = Checker(Settings(), [root], cache=cache)
    outcomes = list(Runner(checker, cache, jobs=jobs).run(Files(found=sorted(map(str, root.glob(files))))))
    if cache is not None:
        cache.close()
    return [finding for outcome in outcomes for finding in outcome.findings], sum(not o.kept for o in outcomes)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """An entry, a helper that it calls, and an entry that has nothing to do with either."""
    root = tmp_path / "program"
    root.mkdir()
    (root / "entry.py").write_text("from helper import pause\n\nasync def main():\n    pause()\n")
    (root / "helper.py").write_bytes(PAUSE)
    (root / "other.py").write_text("import time\n\nasync def main():\n    time.sleep(1)\n")
    return root


def test_nothing_is_looked_at_while_nothing_changes(program: Path, tmp_path: Path) -> None:
    first, looked_at = checked(program, tmp_path / "cache")
    assert looked_at == 3
    assert [finding.code for finding in first] == ["ASY201", "ASY101"]
    assert checked(program, tmp_path / "cache") == (first, 0)


def test_what_analyses_is_not_imported_while_nothing_changes(program: Path) -> None:
    script = "import sys; from asynclint.cli import run; run(['check', '.']); print(*sys.modules)"

    def imported() -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=program, capture_output=True, encoding="utf-8", check=True
        )
        return {"asynclint.syntax", "asynclint.catalog", "asynclint.rules"} & set(done.stdout.split())

    assert len(imported()) == 3
    assert imported() == set()


def test_a_change_reaches_the_files_that_depend_on_it_and_no_others(program: Path, tmp_path: Path) -> None:
    checked(program, tmp_path / "cache")
    (program / "helper.py").write_text("def pause():\n    pass\n")
    findings, looked_at = checked(program, tmp_path / "cache")
    assert [Path(finding.path).name for finding in findings] == ["other.py"]
    assert looked_at == 2  # the helper, and the entry that calls it


def test_a_change_of_nothing_but_comments_reaches_no_file(program: Path, tmp_path: Path) -> None:
    first, _ = checked(program, tmp_path / "cache")
    for name in ("entry.py", "helper.py"):
        with (program / name).open("a") as file:
            file.write("# nothing\n")
    assert checked(program, tmp_path / "cache") == (first, 0)
    assert checked(program, tmp_path / "cache") == (first, 0)


@pytest.mark.parametrize("between", [(), ("other.py",)], ids=["at once", "after a run over others"])
def test_a_comment_beside_a_call_is_shown_with_it(between: tuple[str, ...], program: Path, tmp_path: Path) -> None:
    checked(program, tmp_path / "cache")
    (program / "helper.py").write_bytes(PAUSE.replace(b"sleep(1)", b"sleep(1)  # a nap"))
    for files in between:
        checked(program, tmp_path / "cache", files=files)
    (finding, _), _ = checked(program, tmp_path / "cache")
    assert finding.chain[-1].text == "time.sleep(1)  # a nap"


def test_a_comment_that_silences_is_heeded(program: Path, tmp_path: Path) -> None:
    checked(program, tmp_path / "cache")
    (program / "helper.py").write_bytes(PAUSE.replace(b"sleep(1)", b"sleep(1)  # noqa: ASY201"))
    findings, _ = checked(program, tmp_path / "cache")
    assert [Path(finding.path).name for finding in findings] == ["other.py"]


def test_many_changes_at_once_are_all_seen(tmp_path: Path) -> None:
    root = tmp_path / "program"
    root.mkdir()
    for number in range(50):
        (root / f"m{number}.py").write_text("import time\n\nasync def main():\n    time.sleep(1)\n")
    assert len(checked(root, tmp_path / "cache")[0]) == 50
    for number in range(30):
        (root / f"m{number}.py").write_text("async def main():\n    pass\n")
    assert len(checked(root, tmp_path / "cache")[0]) == 20


def test_a_new_file_that_hides_a_library_is_seen(program: Path, tmp_path: Path) -> None:
    (program / "other.py").write_text("import requests\n\nasync def main():\n    requests.get('')\n")
    assert len(checked(program, tmp_path / "cache")[0]) == 2
    (program / "requests.py").write_text("def get(url):\n    pass\n")
    assert len(checked(program, tmp_path / "cache")[0]) == 1


def test_a_file_that_cannot_be_analysed_is_looked_at_again_when_it_is_mended(program: Path, tmp_path: Path) -> None:
    (program / "other.py").write_text("async def main(:\n")
    assert [finding.code for finding in checked(program, tmp_path / "cache")[0]] == ["ASY201", "ASY000"]
    (program / "other.py").write_text("async def main():\n    pass\n")
    assert [finding.code for finding in checked(program, tmp_path / "cache")[0]] == ["ASY201"]


def test_other_settings_find_other_things(program: Path) -> None:
    def codes(*options: str) -> set[str]:
        lines = asynclint("check", *options, ".", cwd=program).stdout.splitlines()
        return {line.split()[1] for line in lines if ": ASY" in line}

    assert codes() == {"ASY101", "ASY201"}
    assert codes("--select", "ASY2") == {"ASY201"}
    assert codes() == {"ASY101", "ASY201"}


def test_a_warm_run_finds_what_a_cold_one_does_after_random_edits(tmp_path: Path) -> None:
    """Modules that call and import each other at random, edited one at a time."""
    choice = random.Random(3)  # a seed that is recorded
    root = tmp_path / "program"
    root.mkdir()
    names = [f"m{number}" for number in range(12)]

    def write(name: str) -> None:
        others = choice.sample(names, 3)
        imports = "".join(f"from {other} import work as {other}_work\n" for other in others)
        body = choice.choice(["time.sleep(1)", "pass", *(f"{other}_work()" for other in others)])
        entry = "".join(f"    {other}_work()\n" for other in others)
        text = f"import time\n{imports}\ndef work():\n    {body}\n\nasync def main():\n{entry}"
        (root / f"{name}.py").write_text(text)

    def remark(name: str) -> None:
        path = root / f"{name}.py"
        lines = path.read_text().split("\n")
        lines[choice.randrange(len(lines))] += choice.choice(["  # why", "  # noqa", "  # noqa: ASY201"])
        path.write_text("\n".join(lines))

    for name in names:
        write(name)
    for _ in range(50):
        files = choice.choice(["*.py", "m1*.py"])
        assert checked(root, tmp_path / "cache", files=files)[0] == checked(root, files=files)[0]
        choice.choice([write, remark])(choice.choice(names))


# -- processes ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="several processes are used where they can be forked")
def test_any_number_of_processes_finds_the_same_in_the_same_order(program: Path, tmp_path: Path) -> None:
    for number in range(20):
        (program / f"entry{number}.py").write_text("from helper import pause\n\nasync def main():\n    pause()\n")
    alone, _ = checked(program)
    assert len(alone) == 22
    for jobs in (2, 3):
        assert checked(program, jobs=jobs)[0] == alone
        assert checked(program, tmp_path / f"cache{jobs}", jobs=jobs)[0] == alone
        assert checked(program, tmp_path / f"cache{jobs}", jobs=jobs) == (alone, 0)


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_cache_can_be_cleared(program: Path) -> None:
    asynclint("check", cwd=program)
    assert (program / ".asynclint_cache" / "cache.sqlite").exists()
    assert asynclint("cache", "clear", cwd=program).returncode == 0
    assert not (program / ".asynclint_cache").exists()
    assert asynclint("cache", "clear", cwd=program).returncode == 0


@pytest.mark.parametrize("text", [".env\n", "*\n.env\n"])
def test_a_gitignore_of_somebody_elses_stays(text: str, program: Path) -> None:
    (program / ".gitignore").write_text(text)
    result = asynclint("cache", "clear", "--cache-dir", ".", cwd=program)
    assert (result.returncode, result.stderr) == (0, "no cache in .\n")
    asynclint("check", "--cache-dir", ".", cwd=program)
    assert (program / "cache.sqlite").exists()
    asynclint("cache", "clear", "--cache-dir", ".", cwd=program)
    assert not (program / "cache.sqlite").exists()
    assert (program / ".gitignore").read_text() == text


def test_a_directory_that_is_there_gets_no_gitignore(program: Path) -> None:
    asynclint("check", "--cache-dir", ".", cwd=program)
    assert not (program / ".gitignore").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="a file's name may be any bytes on Linux")
def test_a_name_that_is_no_text_is_no_obstacle(program: Path) -> None:
    (program / os.fsdecode(b"caf\xe9.py")).write_text("import time\nasync def main():\n    time.sleep(1)\n")
    first = asynclint("check", ".", cwd=program)
    assert "Traceback" not in first.stderr
    again = asynclint("check", ".", cwd=program)
    assert (again.returncode, again.stdout) == (1, first.stdout)
    assert "ASY101" in first.stdout


def test_a_cache_that_is_damaged_inside_is_made_anew(program: Path) -> None:
    first = asynclint("check", cwd=program)
    file = program / ".asynclint_cache" / "cache.sqlite"
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)
    for _ in range(3):
        again = asynclint("check", cwd=program)
        assert (again.returncode, again.stdout) == (first.returncode, first.stdout)
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM facts").fetchone()[0] > 0
    connection.close()
