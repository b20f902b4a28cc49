"""The tool that holds the catalogue against the libraries it tells of."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).parents[1] / "tools"
PACKAGE = {
    "fake/__init__.py": "from ._client import Client as Client\nfrom ._missing_dependency import nothing\n",
    "fake/_client.py": (
        "from fake._base import Base\n\n\nclass Client(Base):\n    timeout: float\n\n    def __init__(self):\n"
        "        self.session = open_session()\n\n    def get(self): ...\n"
    ),
    "fake/_base.py": "class Base:\n    def close(self): ...\n",
    "fake/importable.py": "def run(): ...\n",
    "fake-1.2.dist-info/METADATA": "Name: fake\nVersion: 1.2\n",
}
CATALOGUE = """\
# what is fake
distribution = "fake"

[[api]]
name = "fake.Client"
also = ["fake._client.Client"]
category = "http"
blocks = ["get", "gone"]
safe = ["close", "session"]
returns = { session = "fake.Session" }

[[api]]
name = "fake.Session"
virtual = true
category = "http"
blocks = ["*", "send"]
"""


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    spec = importlib.util.spec_from_file_location("verify_catalog", TOOLS / "verify_catalog.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "verify_catalog", module)  # its dataclasses look their module up
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "fetched", lambda name, store, dependencies=False: store / name)
    return module


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for name, text in PACKAGE.items():
        path = tmp_path / "store" / "fake" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "store"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "fake.toml"
    path.write_text(CATALOGUE)
    return path


def test_what_cannot_be_imported_is_looked_up_in_the_source(tool: ModuleType, store: Path, file: Path) -> None:
    report = tool.verified(file, store)
    assert report.missing == ["fake.Client.gone"]
    assert report.release == "fake 1.2"
    assert report.imported + report.read == 5
    assert report.read
    assert report.lines()[1:] == ["    missing: fake.Client.gone"]


def test_what_can_be_imported_is(tool: ModuleType, store: Path, file: Path) -> None:
    (store / "fake" / "fake" / "_missing_dependency.py").write_text("nothing = None\n")
    file.write_text(CATALOGUE.replace(', "gone"', "").replace(', "session"', ""))
    report = tool.verified(file, store)
    assert report.missing == []
    assert report.imported + report.read == 5


def test_names_of_our_own_are_not_looked_for(tool: ModuleType, store: Path, file: Path) -> None:
    assert not any("Session" in name for name in tool.verified(file, store).missing)


def test_the_release_is_noted_and_nothing_else_changes(tool: ModuleType, store: Path, file: Path) -> None:
    file.write_text(CATALOGUE.replace(', "gone"', ""))
    for _ in range(2):
        tool.note(tool.verified(file, store))
    noted = CATALOGUE.replace(', "gone"', "").replace('"fake"\n', '"fake"\nverified = "fake 1.2"\n', 1)
    assert file.read_text() == noted


def test_a_file_with_missing_names_is_not_noted(tool: ModuleType, store: Path, file: Path) -> None:
    tool.note(tool.verified(file, store))
    assert file.read_text() == CATALOGUE


def test_the_standard_library_needs_nothing_installed(tool: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "os.toml"
    file.write_text('[[api]]\nname = "os"\ncategory = "file-io"\nblocks = ["system", "no_such_thing"]\n')
    report = tool.verified(file, tmp_path)
    assert report.missing == ["os.no_such_thing"]


def test_every_file_of_the_catalogue_can_be_read(tool: ModuleType) -> None:
    files = list(tool.files(""))
    sinks = 0
    for file in files:
        names, blocking = tool.names_of(tool.tomllib.loads(file.read_text(encoding="utf-8")))
        assert names or file.stem == "asynckit", file.name
        sinks += blocking
    assert sinks >= 1500
