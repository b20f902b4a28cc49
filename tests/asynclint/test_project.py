"""The whole program: finding modules, linking, caching."""

from __future__ import annotations

from pathlib import Path

import pytest

from asynclint.checking import Checker
from asynclint.project.discovery import roots_of
from asynclint.project.program import Program
from asynclint.settings import Settings

PAUSE = "import time\n\n\ndef pause():\n    time.sleep(1)\n"


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def sinks(root: Path, file: str, *roots: Path) -> list[str]:
    program = Program(roots or [root])
    return [blocked.sink.public_name for blocked in program.blocked(program.load(root / file))]


@pytest.mark.parametrize(
    "statement",
    [
        "from pkg.inner.tools import pause",
        "from pkg.inner import tools; pause = tools.pause",
        "import pkg.inner.tools as t; pause = t.pause",
        "from .inner.tools import pause",
        "from .inner import *; pause = tools.pause",
        "try:\n    from pkg.inner.tools import pause\nexcept ImportError:\n    pause = None",
    ],
)
def test_every_kind_of_import_leads_to_the_module(statement: str, tmp_path: Path) -> None:
    (tmp_path / "pkg" / "inner").mkdir(parents=True)
    (tmp_path / "pkg" / "__init__.py").touch()
    (tmp_path / "pkg" / "inner" / "__init__.py").write_text("from . import tools\n")
    (tmp_path / "pkg" / "inner" / "tools.py").write_text(PAUSE)
    (tmp_path / "pkg" / "app.py").write_text(f"{statement}\n\n\nasync def main():\n    pause()\n")
    assert sinks(tmp_path, "pkg/app.py") == ["time.sleep"]


def test_namespace_packages_and_src_layouts(tmp_path: Path) -> None:
    write(tmp_path, src__space__tools=PAUSE, app="from space.tools import pause\nasync def main():\n    pause()\n")
    assert tmp_path / "src" in roots_of([tmp_path])
    assert sinks(tmp_path, "app.py", *roots_of([tmp_path])) == ["time.sleep"]


def test_a_directory_without_an_init_is_part_of_the_package_around_it(tmp_path: Path) -> None:
    (tmp_path / "package" / "part").mkdir(parents=True)
    (tmp_path / "package" / "__init__.py").touch()
    file = tmp_path / "package" / "part" / "module.py"
    file.touch()
    assert roots_of([file]) == [tmp_path]
    (tmp_path / "package" / "part" / "pyproject.toml").touch()
    assert roots_of([file]) == [tmp_path / "package" / "part"]


def test_modules_that_import_each_other_end(tmp_path: Path) -> None:
    write(
        tmp_path,
        a="from b import *\nfrom b import x as y\nasync def main():\n    y()\n    z()\n",
        b="from a import *\nfrom a import y as x\n",
    )
    assert sinks(tmp_path, "a.py") == []


def test_a_module_of_the_program_hides_one_of_the_standard_library(tmp_path: Path) -> None:
    write(tmp_path, shutil="def rmtree(x): ...\n", app="import shutil\nasync def main():\n    shutil.rmtree('x')\n")
    assert sinks(tmp_path, "app.py") == []


def test_a_broken_module_is_not_known_and_breaks_nothing(tmp_path: Path) -> None:
    write(tmp_path, bad="def f(:\n", app="import bad, time\nasync def main():\n    bad.f()\n    time.sleep(1)\n")
    assert sinks(tmp_path, "app.py") == ["time.sleep"]


def test_results_do_not_depend_on_the_order_of_questions(tmp_path: Path) -> None:
    chain = "".join(f"def f{n}():\n    f{n + 1}()\n" for n in range(50)) + "def f50():\n    open('x')\n"
    callers = "".join(f"async def a{n}():\n    f{n}()\n" for n in range(0, 50, 7))
    write(tmp_path, lib=chain, one=f"from lib import *\n{callers}", two=f"from lib import *\n{callers}")
    found = []
    for order in (("one.py", "two.py"), ("two.py", "one.py")):
        program = Program([tmp_path])
        chains = {file: program.blocked(program.load(tmp_path / file)) for file in order}
        found.append({file: [len(blocked.chain) for blocked in chains[file]] for file in chains})
    assert found[0] == found[1]
    assert found[0]["one.py"] == [52 - n for n in range(0, 50, 7)]


@pytest.mark.parametrize(
    "body",
    [
        "if x.is_new:\n   sleep(1)\n  sleep(2)",
        "if x.is_old:\n   pass\n  else:\n   sleep(1)\n  sleep(2)",
        "try:\n   x.go()\n  except OSError:\n   sleep(1)\n  sleep(2)",
        "match x:\n   case 1:\n    sleep(1)\n  sleep(2)",
        "if x.is_new:\n   if x.is_odd:\n    sleep(1)\n   sleep(2)",
        "if x.is_old:\n   if x.is_odd:\n    return\n   sleep(1)\n  else:\n   sleep(2)",
    ],
)
def test_of_ways_of_one_length_that_with_the_fewest_branches_is_shown(body: str, tmp_path: Path) -> None:
    write(tmp_path, app=f"from time import sleep\ndef work(x):\n  {body}\nasync def main(x):\n  work(x)\n")
    program = Program([tmp_path])
    (blocked,) = program.blocked(program.load(tmp_path / "app.py"))
    assert [hop.text for hop in blocked.chain] == ["work(x)", "sleep(2)"]


def test_a_long_chain_and_a_large_cycle_end(tmp_path: Path) -> None:
    count = 3000
    chain = "".join(f"def f{n}():\n    f{n + 1}()\n" for n in range(count)) + f"def f{count}():\n    open('x')\n"
    cycle = "".join(f"def g{n}():\n    g{(n + 1) % count}()\n" for n in range(count))
    write(tmp_path, app=f"{chain}{cycle}async def main():\n    f0()\n    g0()\n")
    program = Program([tmp_path])
    (blocked,) = program.blocked(program.load(tmp_path / "app.py"))
    assert len(blocked.chain) == count + 2


def test_a_deep_hierarchy_ends(tmp_path: Path) -> None:
    classes = "".join(f"class C{n + 1}(C{n}): ...\n" for n in range(2000))
    root = "class C0:\n    def go(self):\n        open('x')\n"
    write(tmp_path, app=f"{root}{classes}async def main(c: C2000):\n    c.go()\n")
    assert sinks(tmp_path, "app.py") == ["open"]


def test_a_changed_text_gives_new_answers(tmp_path: Path) -> None:
    write(tmp_path, app="import time\nasync def main():\n    time.sleep(1)\n")
    checker = Checker(Settings(), [tmp_path])
    path = str(tmp_path / "app.py")
    assert [finding.code for finding in checker.check(path)] == ["ASY101"]
    assert checker.check_text(path, b"import anyio\nasync def main():\n    await anyio.sleep(1)\n") == []
