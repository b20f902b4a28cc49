"""What is kept between runs."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asynclint.checking import Checker
from asynclint.findings import Finding
from asynclint.project.cache import FILES, Cache, with_checksum
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


LIBRARY = """\
import time
from tools import Spring, wind


class Clock(Spring):
    def __init__(self):
        self.hand = wind

    def tick(self):
        self.pause()

    def pause(self):
        time.sleep(1)


class Watch(Clock):
    strap = None

    def late(self):
        return super().pause


class Gear:
    def turn(self):
        raise NotImplementedError


class Wheel(Gear):
    def turn(self):
        time.sleep(1)


def early():
    time.sleep(1)


async def later():
    early()


def idle():
    str(1)


def through(twin):
    return lambda function: function


@through(idle)
def both():
    time.sleep(1)
"""
CALLERS = {
    "calls_both": "from library import both\n\nasync def main():\n    both()\n",
    "calls_early": "from library import early\n\nasync def main():\n    early()\n",
    "calls_idle": "from library import idle\n\nasync def main():\n    idle()\n",
    "waits": "from library import later\n\nasync def main():\n    await later()\n",
    "ticks": "from library import Clock\n\nasync def main():\n    Clock().tick()\n",
    "watches": "from library import Watch\n\nasync def main():\n    Watch().tick()\n",
    "lates": "from library import Watch\n\nasync def main():\n    Watch().late()\n",
    "winds": "from library import Clock\n\nasync def main():\n    Clock().hand()\n",
    "springs": "from library import Clock\n\nasync def main():\n    Clock().jump()\n",
    "turns": "from library import Gear\n\nasync def main(gear: Gear):\n    gear.turn()\n",
    "shadows": "from library import *\n\nasync def main():\n    early()\n    print()\n",
}
CLOCKS = {"ticks", "watches", "lates", "winds", "springs"}


@pytest.mark.parametrize(
    ("before", "after", "looked_at"),
    [
        ("import time\n", "# a line more\nimport time\n", set()),
        ("str(1)\n", "str(1)\n\n\ndef other():\n    pass\n", set()),
        ("    def tick", "    def other(self):\n        pass\n\n    def tick", {"watches", "lates", "springs"}),
        ("    early()\n", "    early()\n    early()\n", set()),
        ("    early()\n", "    early()  # noqa: ASY201\n", set()),
        ("str(1)\n", "time.sleep(1)\n", {"calls_idle"}),
        ("str(1)\n", "return early()\n", {"calls_idle", "calls_both"}),
        ("str(1)\n", "str(1)\n\n\nprint = idle\n", {"shadows", "calls_idle", "lates"}),
        ("def idle", "def rest", {"calls_idle", "calls_both"}),
        ("def early():\n", "def early():\n    'Waits.'\n", {"calls_early", "shadows"}),
        ("def early", "async def early", {"calls_early", "shadows"}),
        ("(idle)", "(later)", {"calls_both"}),
        ("time.sleep(1)\n\n\nclass Watch", "idle()\n\n\nclass Watch", {"ticks", "watches"}),
        ("        self.pause()", "        pass", {"ticks", "watches"}),
        ("    def pause", "    @property\n    def pause", {"ticks", "watches", "lates"}),
        ("self.hand = wind", "self.hand = idle", {"winds"}),
        ("Spring, wind", "wind", CLOCKS | {"turns"}),
        ("Spring, wind", "wind, Spring", set()),
        ("Clock(Spring)", "Clock(dict)", CLOCKS | {"turns"}),
        ("strap = None", "pause = idle", {"watches", "lates"}),
        ("class Wheel", "class Half(Gear):\n    turn = idle\n\n\nclass Wheel", {"turns"}),
    ],
)
def test_only_what_rests_on_the_changed_part_of_a_file_is_looked_at(
    before: str, after: str, looked_at: set[str], tmp_path: Path
) -> None:
    root = tmp_path / "program"
    root.mkdir()
    for name, text in CALLERS.items():
        (root / f"{name}.py").write_text(text)
    slow = "    time.sleep(1)\n"
    (root / "tools.py").write_text(f"import time\n\ndef wind():\n{slow}\nclass Spring:\n  def jump(self):\n{slow}")
    (root / "library.py").write_text(LIBRARY)
    checked(root, tmp_path / "cache")
    assert LIBRARY.count(before) == 1
    (root / "library.py").write_text(LIBRARY.replace(before, after))
    cache = Cache(tmp_path / "cache")
    paths = sorted(map(str, root.glob("*.py")))
    outcomes = list(Runner(Checker(Settings(), [root], cache=cache), cache).run(Files(found=paths)))
    cache.close()
    assert {Path(outcome.path).stem for outcome in outcomes if not outcome.kept} == looked_at | {"library"}
    findings = [finding for outcome in outcomes for finding in outcome.findings]
    assert findings == checked(root)[0]
    assert checked(root, tmp_path / "cache") == (findings, 0)


def test_an_implementation_that_comes_or_goes_in_another_file_is_seen(tmp_path: Path) -> None:
    package = tmp_path / "program" / "gears"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "gear.py").write_text("class Gear:\n    def turn(self):\n        raise NotImplementedError\n")
    turning = "from gears.gear import Gear\n\nclass {}(Gear):\n    def turn(self):\n        {}\n"
    (package / "wheel.py").write_text(f"import time\n{turning.format('Wheel', 'time.sleep(1)')}")
    (package / "entry.py").write_text("from .gear import Gear\n\nasync def main(gear: Gear):\n    gear.turn()\n")
    for text, count in (("", 1), (turning.format("Hand", "pass"), 0), ("", 1)):
        (package / "hand.py").write_text(text)
        assert len(checked(package.parent, tmp_path / "cache")[0]) == count


@pytest.mark.parametrize("place", [1, 30, 59])
def test_an_override_anywhere_in_a_long_line_of_classes_is_seen(place: int, program: Path, tmp_path: Path) -> None:
    classes = [f"class C{number}(C{number - 1}):\n    x = {number}\n" for number in range(1, 60)]
    classes.insert(0, "import time\n\nclass C0:\n    def pause(self):\n        time.sleep(1)\n")
    (program / "line.py").write_text("".join(classes))
    (program / "other.py").write_text("from line import C59\n\nasync def main():\n    C59().pause()\n")
    assert len(checked(program, tmp_path / "cache")[0]) == 2
    classes[place] += "    def stop(self):\n        pass\n"
    (program / "line.py").write_text("".join(classes))
    assert len(checked(program, tmp_path / "cache")[0]) == 2
    classes[place] += "    def pause(self):\n        pass\n"
    (program / "line.py").write_text("".join(classes))
    assert len(checked(program, tmp_path / "cache")[0]) == 1


def test_a_chain_shows_its_lines_where_they_are_now(program: Path, tmp_path: Path) -> None:
    checked(program, tmp_path / "cache")
    for number in range(1, 4):
        (program / "helper.py").write_bytes(b"# a line more\n" * number + PAUSE)
        kept, looked_at = checked(program, tmp_path / "cache")
        assert looked_at == 1
        assert [hop.line for hop in kept[0].chain] == [4, 4 + number]
        assert kept == checked(program)[0]


def test_a_run_that_another_overtakes_finds_what_is_there(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked(program, tmp_path / "cache")
    for name in ("helper", "other"):
        (program / f"{name}.py").write_text("def pause():\n    pass\n")
    rows = Cache.rows

    def rows_later(cache: Cache, query: str, *values: object) -> list[Any]:
        if "FROM parts" in query:
            monkeypatch.setattr(Cache, "rows", rows)
            checked(program, tmp_path / "cache")  # forgets the first run, of which nothing is left
        return rows(cache, query, *values)

    monkeypatch.setattr(Cache, "rows", rows_later)
    assert checked(program, tmp_path / "cache") == ([], 3)
    assert checked(program, tmp_path / "cache") == ([], 0)


def test_runs_of_which_nothing_is_left_are_forgotten(program: Path, tmp_path: Path) -> None:
    for number in range(40):
        (program / "other.py").write_text(f"import time\n\nasync def main():\n    time.sleep({number})\n")
        checked(program, tmp_path / "cache")
    with sqlite3.connect(tmp_path / "cache" / FILES[0]) as connection:
        turns = [turn for (turn,) in connection.execute("SELECT turn FROM links ORDER BY turn")]
        assert turns == [1, 40]
        assert {turn for (turn,) in connection.execute("SELECT turn FROM parts")} == set(turns)
    connection.close()


def test_where_findings_take_much_room_those_of_the_last_settings_are_kept(program: Path, tmp_path: Path) -> None:
    for directory in (program.parent, program):  # other roots are other settings
        checked(directory, tmp_path / "cache", files="**/entry.py")

    def runs() -> int:
        with sqlite3.connect(tmp_path / "cache" / FILES[0]) as connection:
            (count,) = connection.execute("SELECT count(DISTINCT run) FROM parts").fetchone()
        connection.close()
        return int(count)

    assert runs() == 2
    Cache(tmp_path / "cache", limit=50_000).close()
    assert runs() == 2
    Cache(tmp_path / "cache", limit=5_000).close()
    assert runs() == 1


def test_of_many_runs_the_smallest_are_looked_at_again(tmp_path: Path) -> None:
    root = tmp_path / "program"
    root.mkdir()
    for number in range(30):
        (root / f"m{number:02}.py").write_text("import time\n\nasync def main():\n    time.sleep(1)\n")
        found, _ = checked(root, tmp_path / "cache")
        assert len(found) == number + 1
    _, looked_at = checked(root, tmp_path / "cache")
    assert looked_at < 30
    assert checked(root, tmp_path / "cache") == (found, 0)


def test_other_settings_find_other_things(program: Path) -> None:
    def codes(*options: str) -> set[str]:
        lines = asynclint("check", *options, ".", cwd=program).stdout.splitlines()
        return {line.split()[1] for line in lines if ": ASY" in line}

    assert codes() == {"ASY101", "ASY201"}
    assert codes("--select", "ASY2") == {"ASY201"}
    assert codes() == {"ASY101", "ASY201"}


CHUNKS = (
    "def {name}():\n    {call}()\n",
    "def {name}(given=None):\n    return {cls}().{method}\n",
    "async def {name}():\n    {call}()\n    await {call}()\n    {cls}().{method}()\n",
    "class {cls}({base}):\n    def {method}(self):\n        self.{other}()\n",
    "class {cls}({base}):\n    def {method}(self):\n        {call}()\n        time.sleep(1)\n",
    "def {name}():\n    {call}()\n    time.sleep(1)\n",
    "class {cls}:\n    def __init__(self):\n        self.{method} = {call}\n        self.one: {base} = {base}()\n",
    "class {cls}({base}):\n    @property\n    def {method}(self):\n        return time.sleep(1)\n",
    "class {cls}({base}):\n    def {method}(self):\n        raise NotImplementedError\n",
    "def {name}(call):\n    def inner(*given):\n        {call}()\n        return call()\n    return inner\n",
    "@{call}\ndef {name}():\n    time.sleep(1)\n",
    "async def {name}(one: {cls}):\n    one.{method}()\n    one.{other}\n    len(one)\n",
    "{name} = {call}()\n",
    "{call} = {cls}().{method}\n",
    "from {module} import {call}, {cls}\n",
    "from {module} import *\n",
    "import {module}\n\ndef {name}():\n    {module}.{call}()\n    time.sleep(1)  # noqa: ASY201\n",
    "# nothing\n",
)


@pytest.mark.parametrize("seed", range(4))
def test_a_warm_run_finds_what_a_cold_one_does_after_random_edits(seed: int, tmp_path: Path) -> None:
    """Modules of chunks that name each other at random, of which edits replace, add and remove some."""
    choice = random.Random(seed)
    root = tmp_path / "program"
    root.mkdir()
    modules = {f"m{number}": ["import time\n"] for number in range(8)}

    def chunk() -> str:
        of = {"name": "fgh", "call": "fgh", "cls": "AB", "base": "AB", "method": "pq", "other": "pq"}
        names = {kind: choice.choice(letters) for kind, letters in of.items()}
        text = choice.choice(CHUNKS).format(**names, module=choice.choice([*modules]))
        return text + choice.choice(["", "", "", "\n", "print = f\n"])

    def edit(name: str) -> None:
        chunks = modules[name]
        place = choice.randrange(len(chunks)) + 1
        chunks[place : place + choice.randrange(3)] = [chunk() for _ in range(choice.randrange(3))]
        if choice.random() < 0.3:
            lines = "\n".join(chunks).split("\n")
            lines[choice.randrange(len(lines))] += choice.choice(["  # why", "  # noqa", "  # noqa: ASY201"])
            chunks[:] = ["\n".join(lines)]
        (root / f"{name}.py").write_text("\n".join(chunks))

    for name in [*modules] * 8:
        edit(name)
    for _ in range(40):
        files = choice.choice(["*.py", "*.py", "m[1-4].py"])
        assert checked(root, tmp_path / "cache", files=files)[0] == checked(root, files=files)[0]
        for name in choice.sample([*modules], choice.choice([1, 1, 1, 2])):
            edit(name)


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
