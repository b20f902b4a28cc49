"""The package as it is installed: what it imports, what it names, its command."""

from __future__ import annotations

import doctest
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import asynckit
from asynckit._cli import main


def test_importing_it_loads_only_anyio_and_the_standard_library() -> None:
    program = "import sys; before = set(sys.modules); import asynckit; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    tops = {name.partition(".")[0] for name in loaded}
    assert tops - sys.stdlib_module_names <= {"anyio", "asynckit", "sniffio", "typing_extensions", "idna"}
    assert "multiprocessing" not in tops
    assert "asynckit._cli" not in loaded


def test_all_names_what_there_is() -> None:
    assert sorted(asynckit.__all__) == asynckit.__all__
    public = {
        name for name, thing in vars(asynckit).items() if not name.startswith("_") and not inspect.ismodule(thing)
    }
    assert public | {"__version__"} == set(asynckit.__all__)


@pytest.mark.parametrize("name", sorted(set(asynckit.__all__) - {"__version__", "Outcome"}))
def test_everything_public_says_what_it_is(name: str) -> None:
    thing = getattr(asynckit, name)
    assert inspect.getdoc(thing)
    for member, value in vars(thing).items() if inspect.isclass(thing) else ():
        if not member.startswith("_"):
            assert getattr(value, "__doc__", None) or not callable(value), member


MODULES_WITH_EXAMPLES = [
    path.stem for path in sorted(Path(asynckit.__file__).parent.glob("_[a-z]*.py")) if ">>> " in path.read_text()
]


@pytest.mark.parametrize("module", MODULES_WITH_EXAMPLES, ids=lambda name: name.lstrip("_"))
def test_the_examples_in_the_docstrings_run(module: str) -> None:
    source = importlib.import_module(f"asynckit.{module}")
    failed, tried = doctest.testmod(source)
    assert tried > 0
    assert failed == 0


def test_info_shows_versions_back_ends_and_limits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    shown = capsys.readouterr().out
    assert asynckit.__version__ in shown
    assert "asyncio, uvloop" in shown
    assert "trio" in shown
    assert "100 items at once by default" in shown


def test_info_knows_how_many_threads_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    main(["info"])
    assert f"{asynckit.default_thread_pool().limit} threads" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"asynckit {asynckit.__version__}\n"


def test_no_command_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "usage: asynckit" in capsys.readouterr().err
