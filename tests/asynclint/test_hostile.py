"""Programs made to break the command: it ends, says one clear line, executes nothing, and checks the rest."""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from asynclint.checking import Checker
from asynclint.project.cache import with_checksum
from asynclint.settings import Settings
from asynclint.syntax import extract
from support.command import BLOCKING

pytestmark = pytest.mark.thorough

SIZE = 2_000_000
"""Characters of what is meant to be large."""
LIMIT = 60
"""Seconds after which a run that takes one or two is taken to be hung, or quadratic."""
RUN = [sys.executable, "-P", "-m", "asynclint"]
GOOD = "good.py:5:5: ASY101 "


class Outcome:
    """What came of a run: its exit code, the lines that begin a finding, and what went to stderr."""

    def __init__(self, result: subprocess.CompletedProcess[str]) -> None:
        assert "Traceback" not in result.stdout + result.stderr, result.stderr
        self.code = result.returncode
        self.text = result.stdout
        self.lines = [line for line in result.stdout.splitlines() if ": ASY" in line]
        self.stderr = result.stderr

    def beside_the_good_file(self) -> list[str]:
        """The findings beside that of `good.py`, which must be there."""
        assert [line for line in self.lines if line.startswith(GOOD)], self.text[:500]
        return [line for line in self.lines if not line.startswith(GOOD)]


def run(*arguments: str | Path, cwd: Path, command: list[str] = RUN) -> Outcome:
    """Run the command; one that has not ended by itself after `LIMIT` seconds fails the test."""
    environment = {**os.environ, "PYTHONUTF8": "1"}
    result = subprocess.run(
        [*command, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        encoding="utf-8",
        env=environment,
        check=False,
        timeout=LIMIT,
    )
    return Outcome(result)


def check(root: Path, files: Mapping[str, str | bytes] | None = None, *arguments: str | Path) -> Outcome:
    """Write files and check the directory they are in, without a cache."""
    write(root, files or {})
    return run("check", "--no-cache", *(arguments or (".",)), cwd=root)


def write(root: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files below `root`."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


# -- one expression ----------------------------------------------------------------------------------------------------


def repeated(start: str, middle: str, end: str, close: str = "") -> str:
    """An expression of `SIZE` characters."""
    count = SIZE // len(middle + close)
    return f"async def f():\n    return 1\nx = {start}{middle * count}{end}{close * count}\n"


@pytest.mark.parametrize(
    "source",
    [
        repeated("", "1+", "1"),
        repeated("", "-", "1"),
        repeated("", "(", "1", ")"),
        repeated("", "f(", "1", ")"),
        repeated("", "[", "1", "]"),
        repeated("a", ".a", ""),
        repeated("a", "()", ""),
        repeated("a", "[0]", ""),
        repeated("", "lambda:", "1"),
        repeated("", "a if b else ", "1"),
        repeated("", "a<", "1").replace("x = ", "x = (").replace("1\n", "1\n" + "(" * 300 + "\n", 1),
    ],
    ids=["sum", "unary", "parentheses", "calls", "lists", "attributes", "results", "items", "lambdas", "ifs", "open"],
)
def test_two_megabytes_that_nest_are_one_line(source: str, tmp_path: Path) -> None:
    outcome = check(tmp_path, {"bad.py": source, "good.py": BLOCKING})
    (line,) = outcome.beside_the_good_file()
    assert re.match(r"bad\.py:\d+:\d+: ASY000 not analysed: ", line)
    assert outcome.code == 1


@pytest.mark.parametrize(
    "source",
    [
        repeated("[", "1,", "]"),
        repeated("{", "1:f,", "}"),
        repeated("", "a or ", "1"),
        repeated("", "a<", "1"),
        repeated("'", "a", "'"),
        repeated("(", "f(),", ")"),
    ],
    ids=["list", "dict", "or", "comparison", "string", "calls"],
)
def test_two_megabytes_that_do_not_nest_are_checked(source: str, tmp_path: Path) -> None:
    outcome = check(tmp_path, {"large.py": source + BLOCKING})
    assert [line.partition(":")[0] for line in outcome.lines] == ["large.py"]
    assert " ASY101 " in outcome.lines[0]
    assert outcome.code == 1


# -- many files --------------------------------------------------------------------------------------------------------

FILES = 20_000
"""`benchmarks/generated.py` has 100,000: here they would take half a minute, most of it to write and delete them."""


def test_many_small_files_end_in_modest_memory() -> None:
    with TemporaryDirectory() as directory:
        root = Path(directory)
        pattern = root / "x.py"
        pattern.write_text("async def f():\n    return 1\n")
        for number in range(FILES // 100):
            inner = root / f"package{number // 10}" / f"part{number % 10}"
            inner.mkdir(parents=True)
            for index in range(100):
                os.link(pattern, inner / f"m{index}.py")  # a link is made several times faster than a file
        (root / "good.py").write_text(BLOCKING)
        outcome = run("-c", MEASURED, "check", "--no-cache", "-j1", ".", cwd=root, command=[sys.executable, "-P"])
    assert outcome.beside_the_good_file() == []
    assert outcome.code == 1
    (peak,) = re.findall(r"^peak (\d+)$", outcome.stderr, re.M)
    assert int(peak) < 400 * 2**20


MEASURED = """
import resource, sys
from asynclint.cli import run
code = run(sys.argv[1:])
unit = 1 if sys.platform == "darwin" else 1024
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, file=sys.stderr)
sys.exit(code)
"""


# -- imports -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "files",
    [
        {"a.py": "from b import *\n", "b.py": "from c import *\n", "c.py": "from a import *\n"},
        {"a.py": "from a import *\nfrom a import x as x\n"},
        {
            "a/__init__.py": "from . import *\nfrom a import x\nfrom .b import x as y\n",
            "a/b.py": "from . import y as x\n",
        },
        {"a/__init__.py": "import a\nfrom .. import *\nfrom ...... import z\nx = a.a.a.x\n"},
        {"a.py": "import b\nx = b.x\n", "b.py": "import a\nx = a.x\n"},
        {"a.py": "from b import x\nclass C(x.C): ...\n", "b.py": "import a as x\nclass C(x.C): ...\n"},
        {f"{name}.py": "".join(f"from {other} import *\n" for other in "abcdefgh") for name in "abcdefgh"},
    ],
    ids=["stars", "itself", "package", "beyond", "names", "classes", "all"],
)
def test_imports_in_a_circle_end(files: dict[str, str], tmp_path: Path) -> None:
    entry = "from a import *\nimport a\n\n\nasync def main():\n    a.x()\n    a.C().go()\n    x.y.z()\n    y()\n"
    outcome = check(tmp_path, {**files, "entry.py": entry, "good.py": BLOCKING})
    assert outcome.beside_the_good_file() == []
    assert (outcome.code, outcome.stderr) == (1, "1 finding\n")


def test_what_a_circle_of_re_exports_leads_to_is_found(tmp_path: Path) -> None:
    files = {
        "a/__init__.py": "from .b import *\nfrom a.c import *\n",
        "a/b.py": "from a import *\nfrom .c import *\n",
        "a/c.py": "from .b import *\nfrom a import pause as again\nimport time\ndef pause():\n    time.sleep(1)\n",
        "entry.py": "import a\nasync def main():\n    a.pause()\n",
    }
    outcome = check(tmp_path, files)
    assert [line[: line.index(" `")] for line in outcome.lines] == ["entry.py:3:5: ASY201"]


CANARY = "from pathlib import Path\nPath(__file__).with_name('executed').touch()\nif Path:\n    raise SystemExit\n"
SHADOWED = ["abc", "ast", "asyncio", "click", "codecs", "encodings", "json", "os", "pathlib", "re", "site", "sqlite3"]
SHADOWED += ["sitecustomize", "tokenize", "tomllib", "types", "typing", "usercustomize", "asynclint", "conftest"]


@pytest.mark.parametrize("command", [["check"], ["check", "-j2"], ["fix", "--diff"], ["fix"]], ids=" ".join)
def test_modules_that_shadow_the_standard_library_are_not_executed(command: list[str], tmp_path: Path) -> None:
    packages = {f"{name}/__init__.py": CANARY + BLOCKING for name in SHADOWED[::2]}
    modules = {f"{name}.py": CANARY + BLOCKING for name in SHADOWED[1::2]}
    others = {"setup.py": CANARY, "__main__.py": CANARY, "__init__.py": CANARY, "x.pth": f"import json\n{CANARY}"}
    write(tmp_path, {**packages, **modules, **others, "good.py": BLOCKING})
    outcome = run(*command, ".", cwd=tmp_path)
    assert not list(tmp_path.rglob("executed"))
    assert outcome.code == (0 if command == ["fix"] else 1)
    assert "internal error" not in outcome.stderr


def test_what_shadows_a_library_is_what_is_called(tmp_path: Path) -> None:
    files = {
        "json/__init__.py": f"{CANARY}import time\ndef loads(x):\n    time.sleep(1)\n",
        "asyncio.py": f"{CANARY}def sleep(x):\n    open('x')\n",
        "entry.py": "import asyncio, json\nasync def main():\n    json.loads('')\n    asyncio.sleep(1)\n",
    }
    outcome = check(tmp_path, files)
    assert [line.split()[1] for line in outcome.lines] == ["ASY201", "ASY203"]
    assert not list(tmp_path.rglob("executed"))


# -- encodings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "column"),
    [
        (b"# coding: latin-1\nimport time\nasync def f():\n    '\xe9'; time.sleep(1)\n", 10),
        (
            b"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nimport time\nasync def f(): '\x80'; time.sleep(1)\n",
            21,
        ),
        ("# coding: koi8-r\nimport time\nasync def f(): 'ж'; time.sleep(1)\n".encode("koi8-r"), 21),
        ("# coding: shift_jis\nimport time\nasync def f(): 'あ'; time.sleep(1)\n".encode("shift_jis"), 21),
        (b"\xef\xbb\xbf# coding: utf-8\nimport time\nasync def f(): '\xc3\xa9'; time.sleep(1)\n", 21),
        ("import time\nasync def ж(): '\U0001f600'; time.sleep(1)\n".encode(), 21),
    ],
    ids=["latin-1", "cp1252", "koi8-r", "shift_jis", "bom", "utf-8"],
)
def test_columns_count_characters_in_every_encoding(content: bytes, column: int, tmp_path: Path) -> None:
    (line,) = check(tmp_path, {"text.py": content}).lines
    assert re.fullmatch(rf"text\.py:\d:{column}: ASY101 .*", line)


WRONG = {
    "utf-16": "async def f(): ...\n".encode("utf-16"),
    "utf-16 with a line": b"\xff\xfe# coding: utf-16\n" + "async def f(): ...\n".encode("utf-16-le"),
    "utf-8": b"# coding: utf-8\n# async\nx = '\xe9'\n",
    "ascii": b"# coding: ascii\n# async\nx = '\xc3\xa9'\n",
    "shift_jis": b"# coding: shift_jis\n# async\nx = '\x81\n",
    "bom": b"\xef\xbb\xbf# coding: latin-1\nasync def f(): ...\n",
    "bytes": b"# coding: \xff\xfe\nasync def f(): '\xff'\n",
    "idna": b"# coding: idna\nasync def f(): 'x'\n" + b"# " + b"\xff" * 1000 + b"\n",
    "path": b"# coding: ../../etc\nasync def f(): ...\n",
    "binary": b"# async\n" + bytes(range(256)) * 100,
    "nul": b"async def f(): ...\n" + b"\0" * 100_000,
    "utf-16 by a line": b"# coding: utf-16\nasync def f(): ...\n",
    "rot13": b"# coding: rot13\nasync def f(): ...\n",
    "zlib": b"# coding: zlib\nasync def f(): ...\n",
}


@pytest.mark.parametrize(
    "content",
    [pytest.param(content, id=name) for name, content in WRONG.items()],
)
def test_a_wrong_encoding_is_one_line(content: bytes, tmp_path: Path) -> None:
    outcome = check(tmp_path, {"bad.py": content, "good.py": BLOCKING}, "bad.py", "good.py")
    (line,) = outcome.beside_the_good_file()
    assert re.match(r"bad\.py:\d+:\d+: ASY000 not analysed: .", line)
    assert (outcome.code, outcome.stderr) == (1, "2 findings\n")


# -- newer Pythons -----------------------------------------------------------------------------------------------------

NEWER = {
    (3, 12): [
        "type X = int",
        "type X[T] = list[T]",
        "if 1: type X = int",
        "def g[T](x): pass",
        "async def g[*Ts, **P](x: T) -> T: pass",
        "def g[\n    T,  # what\n    S: (int, str),\n](x): pass",
        "class C[T: int](list[T]): pass",
        "x = f'{y['a']}'",
        """print(f"{", ".join(y)} {z}", file=x)""",
        """x = f"{f"{f"{1}"}"}\"""",
        """x = rf"{y!r:{"a"}}\"""",
        "x = f'{\n    y\n}'",
        "x = f'{\"\\n\".join(y)}'",
        "x = (\n    f'a'\n    f'{y['a']}'\n)",
        'x = f"""{y  # what\n}"""',
    ],
    (3, 13): [
        "class C[T = int]: pass",
        "class C[\n    T,\n    S = int,\n]: pass",
        "def g[T: (int, str) = int, *Ts = *tuple[int]](x): pass",
        "type X[T = int] = list[T]",
    ],
    (3, 14): [
        "try: pass\nexcept A, B: pass",
        "try: pass\nexcept A, b.C, D: pass",
        "try: pass\nexcept* A, B: pass",
        "x = t'{y}'",
        'x = g(rT"{y}", 1)',
        "x = t'''\n{y}'''",
    ],
}


@pytest.mark.parametrize(
    ("version", "source"), [(version, source) for version, sources in NEWER.items() for source in sources]
)
def test_newer_syntax_is_one_line_that_names_the_python(version: tuple[int, int], source: str, tmp_path: Path) -> None:
    write(tmp_path, {"new.py": f"# async\n\n{source}\n"})
    findings = Checker(Settings(), [tmp_path]).check(str(tmp_path / "new.py"))
    expected = f"not analysed: needs Python 3.{version[1]} or newer to be analysed: "
    if sys.version_info >= version:
        assert findings == []
    else:
        (finding,) = findings
        assert finding.code == "ASY000"
        assert finding.message.startswith(expected)
        assert finding.line >= 3


@pytest.mark.parametrize(
    "source",
    [
        "type X",
        "type X[3] = int",
        "x y type = 3",
        "def g[](x): pass",
        "def g[T]: pass",
        "def g[1](x): pass",
        "def g[T (x): pass",
        "class C[T] pass",
        "class C[a.b]: pass",
        "x = f'{y z}'",
        "x = f'{y['a'}'",
        "x = f'{y['a]}'",
        "x = f'{y'",
        "x = y t'a'",
        "x = xt'a'",
        "print 't'",
        "try: pass\nexcept A, e: pass",
        "try: pass\nexcept (A, B), e: pass",
        "try: pass\nexcept A, B as e: pass",
        "try: pass\nexcept A B: pass",
        'x = f"' + "{f'{" * 500,
        "x = " + "f'{" * 5000,
        "def g[" * 5000,
        "???",
    ],
)
def test_a_slip_of_the_pen_asks_for_no_newer_python(source: str, tmp_path: Path) -> None:
    write(tmp_path, {"bad.py": f"# async\n\n{source}\n"})
    (finding,) = Checker(Settings(), [tmp_path]).check(str(tmp_path / "bad.py"))
    assert finding.code == "ASY000"
    assert "newer" not in finding.message


# -- the cache ---------------------------------------------------------------------------------------------------------


def other_tables(file: Path) -> None:
    """A valid database of somebody else."""
    file.unlink()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE facts (x BLOB)")
        connection.execute("CREATE VIEW findings AS SELECT x AS run FROM facts")
        connection.execute("INSERT INTO facts VALUES (1)")
    connection.close()


def replaced(table: str, value: Callable[[str], object]) -> Callable[[Path], None]:
    """Give all rows of a table another value."""

    def poison(file: Path) -> None:
        key = {"findings": "path", "links": "turn", "parts": "place"}.get(table, "key")
        with sqlite3.connect(file) as connection:
            rows = connection.execute(f"SELECT {key}, value FROM {table}").fetchall()
            assert rows
            changed = [(value(text.partition("\n")[2]), name) for name, text in rows]
            connection.executemany(f"UPDATE {table} SET value = ? WHERE {key} = ?", changed)
        connection.close()

    return poison


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def scribbled(file: Path) -> None:
    """Random bytes behind a header that is right."""
    content = file.read_bytes()
    file.write_bytes(content[:100] + random.Random(11).randbytes(len(content) - 100))  # a seed that is recorded


def with_broken_log(file: Path) -> None:
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).write_bytes(random.Random(12).randbytes(50_000))


def a_directory(file: Path) -> None:
    file.unlink()
    (file / "inner").mkdir(parents=True)


def a_loop_of_links(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


def a_file_for_the_directory(file: Path) -> None:
    shutil.rmtree(file.parent)
    file.parent.write_bytes(b"")


def a_directory_for_the_ignore_file(file: Path) -> None:
    (file.parent / ".gitignore").unlink()
    (file.parent / ".gitignore").mkdir()


SHAPES: list[Callable[[str], str]] = [
    lambda _: "",
    lambda _: "null",
    lambda _: "[]",
    lambda _: "[" * 100_000,
    lambda text: text[:-1],
    lambda text: text.split("\n")[0],
    lambda text: f"{text}\n{text}",
    lambda text: re.sub(r"\d+", "-1", text),
    lambda text: re.sub(r"\d+", "99999999", text),
    lambda text: re.sub(r"\d+", "null", text),
    lambda text: re.sub(r'"[^"]*"', "7", text),
    lambda text: re.sub(r'"[^"]*"', '"import os"', text),
    lambda text: text.replace("[]", "{}"),
    lambda text: text.replace("{}", "[[[]]]"),
]


def forged(table: str) -> list[Any]:
    """Rows with the right checksum and the wrong shape."""
    return [
        pytest.param(
            replaced(table, lambda text, shape=shape: with_checksum(shape(text))),
            id=f"{table}-{number}",
        )
        for number, shape in enumerate(SHAPES)
    ]


ROWS = [
    pytest.param(replaced(table, lambda text, value=value: value), id=f"{table}-{type(value).__name__}")
    for table in ("facts", "runs", "findings", "links", "parts")
    for value in (None, 1, b"\xff", "x")
]
FILES_OF_OTHERS = [
    *(other_tables, truncated, scribbled, with_broken_log, a_directory, a_loop_of_links),
    *(a_file_for_the_directory, a_directory_for_the_ignore_file),
]
CACHED = {
    "entry.py": "import helper\n\n\nasync def main(x):\n    helper.pause(x)\n",
    "helper.py": "import time\n\n\nclass C:\n    a = 1\n\n\ndef pause(x):\n    if x:\n        time.sleep(1)\n",
}


Capture = pytest.CaptureFixture[str]


def checked_after(poison: Callable[[Path], None], root: Path, capsys: Capture) -> Iterator[tuple[Any, Any]]:
    """The exit code and the output of runs before and after the cache is poisoned."""
    from asynclint.cli import run

    write(root, CACHED)
    os.chdir(root)
    before = run(["check", "."]), capsys.readouterr()
    assert before[0] == 1
    assert before[1].out.startswith("entry.py:5:5: ASY201 ")
    poison(root / ".asynclint_cache" / "cache.sqlite")
    for _ in range(2):
        with (root / "entry.py").open("a") as file:
            file.write("\n")  # one file is looked at anew, so that the facts of the other are asked for
        yield (run(["check", "."]), capsys.readouterr()), before


@pytest.mark.parametrize("poison", [*FILES_OF_OTHERS, *ROWS, *forged("runs")])
def test_a_poisoned_cache_is_no_cache(
    poison: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    for after, before in checked_after(poison, tmp_path, capsys):
        assert after == before


@pytest.mark.parametrize("poison", [*forged("facts"), *forged("findings"), *forged("links"), *forged("parts")])
def test_who_forges_checksums_gets_a_wrong_report_at_worst(
    poison: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    for (code, output), _ in checked_after(poison, tmp_path, capsys):
        assert code in (0, 1, 2)
        *errors, count = output.err.splitlines()
        assert all(re.match(r"asynclint: \w+\.py: internal error: \w+: .", error) for error in errors)
        assert bool(errors) is (code == 2)
        assert re.fullmatch(r"\d findings?", count)


# -- disks -------------------------------------------------------------------------------------------------------------


def mounting(*lines: str) -> list[str]:
    """A command that mounts things for itself and its children alone, then runs its arguments."""
    if shutil.which("unshare") is None:
        pytest.skip("needs `unshare`, to mount something that nobody else sees")
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"]
    if os.geteuid() == 0:
        del command[1:3]
    probe = subprocess.run([*command, "mount -t tmpfs -o size=64k tmpfs /mnt"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip(f"mounting is not permitted here: {probe.stderr.decode().strip()}")
    return [*command, "\n".join([*lines, 'exec "$@"']), "sh", *RUN]


@pytest.mark.parametrize("place", [".", ".asynclint_cache"], ids=["directory", "cache"])
def test_a_read_only_directory_is_checked_without_a_cache(place: str, tmp_path: Path) -> None:
    write(tmp_path, {"good.py": BLOCKING})
    (tmp_path / place).mkdir(exist_ok=True)
    command = mounting(f"mount --bind {place} {place}", f"mount -o remount,bind,ro {place}", 'cd "$PWD"')
    before = sorted(tmp_path.rglob("*"))
    outcome = run("check", ".", cwd=tmp_path, command=command)
    assert outcome.beside_the_good_file() == []
    assert (outcome.code, outcome.stderr) == (1, "1 finding\n")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_cache_that_became_read_only_is_still_no_obstacle(tmp_path: Path) -> None:
    write(tmp_path, {"good.py": BLOCKING})
    command = mounting("mount --bind . .", "mount -o remount,bind,ro .", 'cd "$PWD"')
    first = run("check", ".", cwd=tmp_path)
    (tmp_path / "other.py").write_text(BLOCKING)
    second = run("check", ".", cwd=tmp_path, command=command)
    assert len(second.lines) == 2
    assert (first.code, second.code, second.stderr) == (1, 1, "2 findings\n")


def test_what_cannot_be_fixed_for_want_of_rights_is_left_as_it_is(tmp_path: Path) -> None:
    write(tmp_path, {"good.py": BLOCKING})
    command = mounting("mount --bind . .", "mount -o remount,bind,ro .", 'cd "$PWD"')
    outcome = run("fix", ".", cwd=tmp_path, command=command)
    assert outcome.code == 2
    assert re.match(r"asynclint: good\.py: .*[Rr]ead-only", outcome.stderr)
    assert (tmp_path / "good.py").read_text() == BLOCKING


@pytest.mark.parametrize("size", [4, 16, 64, 256])
def test_a_full_disk_stops_nothing(size: int, tmp_path: Path) -> None:
    functions = "".join(f"async def f{number}():\n    time.sleep(1)\n" for number in range(300))
    write(tmp_path, {f"m{number}.py": f"import time\n{functions}" for number in range(10)})
    cache = tmp_path / "cache"
    cache.mkdir()
    command = mounting(f"mount -t tmpfs -o size={size}k tmpfs cache")
    outcome = run("check", "--cache-dir", "cache", ".", cwd=tmp_path, command=command)
    assert len(outcome.lines) == 3000
    assert (outcome.code, outcome.stderr) == (1, "3000 findings\n")


def test_a_file_to_fix_on_a_full_disk_is_left_as_it_is(tmp_path: Path) -> None:
    source = BLOCKING + "# " + "x" * 30_000 + "\n"
    write(tmp_path, {"good.py": source})
    (tmp_path / "disk").mkdir()
    lines = [
        "mount -t tmpfs -o size=40k tmpfs disk",
        "cp good.py disk",
        "cd disk",
        "trap 'cat good.py >&2' EXIT",
        '"$@"',
    ]
    command = mounting("\n".join(lines).removesuffix('"$@"') + '"$@" || code=$?', "exit $code")
    outcome = run("fix", "--no-cache", ".", cwd=tmp_path, command=command)
    assert outcome.code == 2
    message, *rest = outcome.stderr.splitlines(keepends=True)
    assert re.match(r"asynclint: good\.py: .*[Nn]o space", message)
    assert "".join(rest).endswith(source)


# -- deep and long -----------------------------------------------------------------------------------------------------

HOPS = 20_000


def chain(count: int) -> str:
    """Functions that call one another in a row, down to one that sleeps."""
    links = "".join(f"def f{number}():\n    f{number + 1}()\n" for number in range(count))
    return f"import time\n{links}def f{count}():\n    time.sleep(1)\nasync def main():\n    f0()\n"


def test_a_chain_of_twenty_thousand_is_reported_by_its_ends(tmp_path: Path) -> None:
    outcome = check(tmp_path, {"chain.py": chain(HOPS)})
    assert (outcome.code, outcome.stderr) == (1, "1 finding\n")
    lines = outcome.text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.endswith(" = chain:")) + 1
    hops = [line.strip() for line in lines[start : start + 21]]
    assert hops[0] == f"chain.py:{2 * HOPS + 5} in main: f0()"
    assert hops[9:12] == [
        "chain.py:19 in f8: f9()",
        f"… {HOPS + 2 - 20} more",
        f"chain.py:{2 * HOPS - 15} in f{HOPS - 9}: f{HOPS - 8}()",
    ]
    assert hops[-1] == f"chain.py:{2 * HOPS + 3} in f{HOPS}: time.sleep(1)"
    assert len(lines) < 40


def test_a_message_is_bounded_however_long_the_chain(tmp_path: Path) -> None:
    outcome = check(tmp_path, {"chain.py": chain(200)})
    assert max(map(len, outcome.text.splitlines())) < 1000


def test_a_chain_of_thirty_is_shown_whole(tmp_path: Path) -> None:
    assert " more\n" not in check(tmp_path, {"chain.py": chain(28)}).text
    assert " more\n" in check(tmp_path, {"chain.py": chain(29)}).text


@pytest.mark.parametrize("column", [5, 100_000, 199_997])
def test_of_a_long_line_the_part_around_the_finding_is_shown(column: int, tmp_path: Path) -> None:
    before = "x=1;" * ((column - 5) // 4)
    line = f"    {before}time.sleep(1);{'y=1;' * ((200_000 - column) // 4)}\n"
    outcome = check(tmp_path, {"long.py": f"import time\nasync def main():\n{line}"})
    place, _, excerpt, marks, *_ = outcome.text.splitlines()
    assert place.startswith(f"long.py:3:{5 + len(before)}: ASY101 ")
    assert len(excerpt) < 300
    assert [excerpt[index] for index, mark in enumerate(marks) if mark == "^"] == list("time.sleep(1)")


def test_a_circle_of_twenty_thousand_ends(tmp_path: Path) -> None:
    links = "".join(f"def g{number}():\n    g{(number + 1) % HOPS}()\n" for number in range(HOPS))
    entry = "async def main():\n    g0()\n    g1()\n"
    outcome = check(tmp_path, {"circle.py": f"{links}{entry}", "good.py": BLOCKING})
    assert outcome.beside_the_good_file() == []
    blocks = f"import time\n{links}".replace("    g0()\n", "    g0()\n    time.sleep(1)\n", 1)
    outcome = check(tmp_path, {"circle.py": f"{blocks}async def main():\n    g{HOPS - 1}()\n", "good.py": BLOCKING})
    assert [line.partition(" ")[2][:6] for line in outcome.beside_the_good_file()] == ["ASY201"]


def test_twenty_thousand_that_all_reach_the_same_places_are_counted(tmp_path: Path) -> None:
    links = "".join(f"def g{number}():\n    g{(number + 1) % HOPS}()\n    time.sleep(1)\n" for number in range(HOPS))
    entries = "".join(f"async def a{number}():\n    g{number}()\n" for number in range(HOPS))
    outcome = check(tmp_path, {"circle.py": f"import time\n{links}{entries}"})
    assert outcome.stderr == f"{HOPS} findings\n"
    assert outcome.text.count(f"{HOPS - 1} other places") == HOPS


@pytest.mark.parametrize(
    "classes",
    [
        "".join(f"class C{number}(C{number - 1}): ...\n" for number in range(1, 5000)),
        "".join(f"class C{number}(C0): ...\n" for number in range(1, 5000)),
        "".join(f"class C{number}(C{number // 2}): ...\n" for number in range(1, 5000)),
        "".join(f"class C{number}(C{number - 1}, C{max(number - 2, 0)}): ...\n" for number in range(1, 5000)),
    ],
    ids=["line", "flat", "tree", "lattice"],
)
def test_five_thousand_classes_of_one_hierarchy_end(classes: str, tmp_path: Path) -> None:
    base = "class C0:\n    def go(self):\n        open('x')\n"
    entry = "async def main(c: C4999, d: C2500):\n    c.go()\n    d.go()\n"
    outcome = check(tmp_path, {"deep.py": f"{base}{classes}{entry}"})
    assert [line.split()[1] for line in outcome.lines] == ["ASY203", "ASY203"]


@pytest.mark.parametrize(
    "method",
    ["def go(self): super().go()", "def go(self): self.go999()", "def go{number}(self): super().go{base}()"],
    ids=["the same", "called", "another"],
)
def test_a_thousand_classes_that_call_their_bases_end(method: str, tmp_path: Path) -> None:
    base = "class C0:\n    def go(self): open('x')\n    def go0(self): open('x')\n"
    base += "".join(f"    def go{number}(self): self.go{number - 1}()\n" for number in range(1, 1000))
    classes = "".join(
        f"class C{number}(C{number - 1}):\n    {method.format(number=number, base=number - 1)}\n"
        for number in range(1, 1000)
    )
    end = "class End(C999):\n    def go0(self): open('y')\n"
    entry = "async def main(c: C999, e: End):\n    c.go()\n    c.go999()\n    e.go()\n    e.go999()\n"
    outcome = check(tmp_path, {"deep.py": f"{base}{classes}{end}{entry}"})
    assert [line.split()[1] for line in outcome.lines] == ["ASY203"] * 4


def test_two_thousand_functions_that_hand_a_function_round_end(tmp_path: Path) -> None:
    ring = "".join(
        f"def g{number}(f, k):\n    g{(number * 7 + 3) % 2000}(f, k)\n    g{(number + 1) % 2000}(k, f)\n"
        for number in range(2000)
    )
    last = "def g0(f, k):\n    g1(f, k)\n    run(f)\ndef run(f):\n    f()\ndef nap():\n    time.sleep(1)\n"
    entry = "async def main():\n" + "".join(f"    g{number}(nap, 1)\n" for number in range(0, 2000, 10))
    outcome = check(tmp_path, {"ring.py": f"import time\n{ring}{last}{entry}"})
    assert [line.split()[1] for line in outcome.lines] == ["ASY201"] * 200


KEPT = {
    "circle": "".join(f"def g{number}():\n    g{(number + 1) % HOPS}()\n    time.sleep(1)\n" for number in range(HOPS))
    + "async def main():\n    g7()\n",
    "line": "class C0:\n    def m(self): time.sleep(1)\n"
    + "".join(f"class C{number}(C{number - 1}):\n    def m{number}(self): self.m()\n" for number in range(1, 2000))
    + "async def main():\n    C1900().m1900()\n",
}


@pytest.mark.parametrize("shape", KEPT)
def test_what_many_things_rest_on_is_kept_without_a_square(shape: str, tmp_path: Path) -> None:
    for comment in ("", "# a line more\n"):
        write(tmp_path, {"many.py": f"{comment}import time\n{KEPT[shape]}"})
        outcome = run("check", ".", cwd=tmp_path)
        assert [line.split()[1] for line in outcome.lines] == ["ASY201"]


WIDE = {
    "implementations": "class Base(abc.ABC):\n    @abc.abstractmethod\n    def go(self): ...\n"
    + "".join(f"class C{number}(Base):\n    def go(self): time.sleep({number})\n" for number in range(4000))
    + "async def main(base: Base):\n"
    + "    base.go()\n" * 4000,
    "bindings": "async def main(client, numbers):\n    time.sleep(1)\n    for number in numbers:\n"
    + "".join(
        f"        if number == {number}:\n            client = client.near(numbers)\n        client.go()\n"
        for number in range(4000)
    ),
}


@pytest.mark.parametrize(("shape", "count"), [("implementations", 4000), ("bindings", 1)])
def test_four_thousand_things_that_something_may_be_end(shape: str, count: int, tmp_path: Path) -> None:
    outcome = check(tmp_path, {"wide.py": f"import abc\nimport time\n{WIDE[shape]}"})
    assert len(outcome.lines) == count


DEPTH = 400
ROWS_OF_QUESTIONS = {
    "results": "def g0(): return requests.Session()\n"
    + "".join(f"def g{n}(): return g{n - 1}()\n" for n in range(1, DEPTH))
    + f"async def main():\n    g{DEPTH - 1}().get('x')\n",
    "variables": "async def main():\n    x0 = requests.Session()\n"
    + "".join(f"    x{n} = x{n - 1}\n" for n in range(1, DEPTH))
    + f"    x{DEPTH - 1}.get('x')\n",
    "properties": "class C0:\n    @property\n    def s(self): return requests.Session()\n"
    + "".join(f"class C{n}:\n    @property\n    def s(self): return C{n - 1}().s\n" for n in range(1, DEPTH))
    + f"async def main():\n    C{DEPTH - 1}().s.get('x')\n",
}


@pytest.mark.parametrize("kind", ROWS_OF_QUESTIONS)
def test_questions_that_lead_to_one_another_in_a_long_row_end(kind: str, tmp_path: Path) -> None:
    outcome = check(tmp_path, {"row.py": f"import requests\n{ROWS_OF_QUESTIONS[kind]}", "good.py": BLOCKING})
    assert outcome.code == 1, outcome.stderr
    outcome.beside_the_good_file()


def test_a_name_bound_under_many_conditions_costs_the_same_for_each() -> None:
    def size(count: int) -> int:
        """Length of the facts about a function with so many conditions."""
        source = "async def main(a):\n" + "    if a:\n        a = f(a)\n" * count
        return len(extract(source.encode()).to_text())

    assert size(800) < 3 * size(400)
