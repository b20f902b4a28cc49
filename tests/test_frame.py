"""The frame both packages stand in: one version, light imports, small modules, nothing from outside the project."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import asynckit
import asynclint

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"
MODULES = sorted(
    {package.__name__ for package in (asynckit, asynclint)}
    | {
        info.name
        for package in (asynckit, asynclint)
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    }
)
HEAVY = ("click", "flake8", "libcst", "multiprocessing", "pathspec", "pygls", "rich")


def loaded_by(statement: str, names: tuple[str, ...]) -> list[str]:
    """Which of the modules `names` a fresh Python has loaded after `statement`."""
    code = f"import sys\n{statement}\nprint(*(name for name in {names!r} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


@pytest.mark.parametrize("module", MODULES)
def test_every_module_imports(module: str) -> None:
    if module.endswith(".__main__"):
        assert importlib.util.find_spec(module) is not None
    else:
        importlib.import_module(module)


def test_importing_asynckit_is_light() -> None:
    assert loaded_by("import asynckit", (*HEAVY, "asynclint", "concurrent.futures.process")) == []


def test_importing_asynclint_is_light() -> None:
    assert loaded_by("import asynclint", (*HEAVY, "anyio", "asynckit")) == []


def test_flake8_loads_the_plugin_without_the_fixes() -> None:
    forbidden = tuple(name for name in HEAVY if name not in ("flake8", "multiprocessing"))
    assert loaded_by("import asynclint.flake8", (*forbidden, "anyio", "asynckit")) == []


def test_the_version_is_stated_once() -> None:
    assert asynckit.__version__ == importlib.metadata.version("asynckit")
    stating = [
        path for path in SRC.rglob("*.py") if re.search(r"^__version__\s*(:.*)?=", path.read_text("utf-8"), re.M)
    ]
    assert stating == [SRC / "asynckit" / "_version.py"]
    assert '\nversion = "' not in (ROOT / "pyproject.toml").read_text("utf-8")


@pytest.mark.parametrize("path", sorted(SRC.rglob("*.py")), ids=lambda path: path.relative_to(SRC).as_posix())
def test_modules_are_small(path: Path) -> None:
    lines = len(path.read_text("utf-8").splitlines())
    # A family's directory holds rules, one a file; what stands beside the families serves them all.
    is_rule = path.parent.parent == SRC / "asynclint" / "rules" and path.name != "__init__.py"
    limit = 150 if is_rule else 400
    assert lines < limit, f"{lines} lines: split it, a {'rule' if is_rule else 'module'} wants to be under {limit}"


def test_every_package_is_typed() -> None:
    assert all((SRC / name / "py.typed").is_file() for name in ("asynckit", "asynclint"))


def test_nothing_in_the_project_needs_what_is_outside_it() -> None:
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    outside = "../" + "shared"
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    naming = [path for path in files if path.is_file() and outside in path.read_text("utf-8", errors="replace")]
    assert naming == []
