"""Programs made to break the command: it ends, says one clear line, executes nothing, and checks the rest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support.command import BLOCKING

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
        repeated("f'", "{a}", "'"),
        repeated("(", "f(),", ")"),
    ],
    ids=["list", "dict", "or", "comparison", "string", "f-string", "calls"],
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


CANARY = "from pathlib import Path\nPath(__file__).with_name('executed').touch()\nraise SystemExit('executed')\n"
SHADOWED = ["abc", "ast", "asyncio", "click", "codecs", "encodings", "json", "os", "pathlib", "re", "site", "sqlite3"]
SHADOWED += ["sitecustomize", "tokenize", "tomllib", "types", "typing", "usercustomize", "asynclint", "conftest"]


@pytest.mark.parametrize("command", [["check"], ["check", "-j2"], ["fix", "--diff"], ["fix"]], ids=" ".join)
def test_modules_that_shadow_the_standard_library_are_not_executed(command: list[str], tmp_path: Path) -> None:
    packages = {f"{name}/__init__.py": CANARY + BLOCKING for name in SHADOWED[::2]}
    modules = {f"{name}.py": CANARY + BLOCKING for name in SHADOWED[1::2]}
    others = {"setup.py": CANARY, "__main__.py": CANARY, "__init__.py": CANARY, "x.pth": f"import json\n{CANARY}"}
    write(tmp_path, {**packages, **modules, **others, "good.py": BLOCKING})
    outcome = run(*command, ".", cwd=tmp_path)
    assert not [path for path in tmp_path.rglob("executed")]
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


@pytest.mark.parametrize(
    "content",
    [
        "async def f(): ...\n".encode("utf-16"),
        b"\xff\xfe# coding: utf-16\n" + "async def f(): ...\n".encode("utf-16-le"),
        b"# coding: utf-8\n# async\nx = '\xe9'\n",
        b"# coding: ascii\n# async\nx = '\xc3\xa9'\n",
        b"# coding: shift_jis\n# async\nx = '\x81\n",
        b"# coding: utf-16\nasync def f(): ...\n",
        b"\xef\xbb\xbf# coding: latin-1\nasync def f(): ...\n",
        b"# coding: rot13\nasync def f(): ...\n",
        b"# coding: zlib\nasync def f(): ...\n",
        b"# coding: \xff\xfe\nasync def f(): '\xff'\n",
        b"# coding: idna\nasync def f(): 'x'\n" + b"# " + b"\xff" * 1000 + b"\n",
        b"# coding: ../../etc\nasync def f(): ...\n",
        b"# async\n" + bytes(range(256)) * 100,
        b"async def f(): ...\n" + b"\0" * 100_000,
    ],
    ids=[
        *("utf-16", "utf-16-line", "utf-8", "ascii", "shift_jis", "coding-16", "bom", "rot13", "zlib", "bytes", "idna"),
        *("path", "binary", "nul"),
    ],
)
def test_a_wrong_encoding_is_one_line(content: bytes, tmp_path: Path) -> None:
    outcome = check(tmp_path, {"bad.py": content, "good.py": BLOCKING}, "bad.py", "good.py")
    (line,) = outcome.beside_the_good_file()
    assert re.match(r"bad\.py:\d+:\d+: ASY000 not analysed: .", line)
    assert (outcome.code, outcome.stderr) == (1, "2 findings\n")
