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
def catalogue(tool: ModuleType, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a catalogue that is all there is, beside a store that is filled."""
    path = tmp_path / "catalogue" / "apis" / "fake.toml"
    path.parent.mkdir(parents=True)
    path.write_text(CATALOGUE.replace(', "session"', "").replace(', "gone"', ""))
    (store / "fake" / "fake" / "_missing_dependency.py").write_text("nothing = None\n")
    monkeypatch.setattr(tool, "CATALOGUE", tmp_path / "catalogue")
    monkeypatch.setattr(tool, "STORE", store)
    return path


def run(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["verify_catalog", *arguments])
    code: int = tool.main()
    return code


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


def test_what_is_missing_is_printed_and_fails_the_run(
    tool: ModuleType, catalogue: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tool, monkeypatch) == 0
    catalogue.write_text(CATALOGUE)
    assert run(tool, monkeypatch, "--only", "fake") == 1
    assert "    missing: fake.Client.gone\n" in capsys.readouterr().out


def test_what_cannot_be_installed_fails_the_run(
    tool: ModuleType, catalogue: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object, **__: object) -> Path:
        raise tool.subprocess.SubprocessError

    monkeypatch.setattr(tool, "fetched", refused)
    assert run(tool, monkeypatch) == 1
    assert "cannot be installed: fake" in capsys.readouterr().out


def test_a_file_that_is_not_there_is_an_error(
    tool: ModuleType, catalogue: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(tool, monkeypatch, "--only", "fake,fkae")
    assert stopped.value.code == 2
    assert "no file of the catalogue: fkae" in capsys.readouterr().err


def test_only_the_virtual_table_itself_is_left_out(tool: ModuleType) -> None:
    apis = [{"name": "fake.Session", "virtual": True}, {"name": "fake.Session.inner"}, {"name": "fake.SessionPool"}]
    assert tool.names_of({"api": apis})[0] == {"fake.SessionPool": []}


@pytest.mark.parametrize("key", ["bases", "returns", "items"])
def test_a_class_that_only_a_value_names_is_looked_up(tool: ModuleType, key: str) -> None:
    classes = ["fake.Gone", "fake.Session", "fake.Client", "io.IOBase"]
    value = classes if key == "bases" else dict(zip("abcd", classes, strict=True))
    apis = [{"name": "fake.Client", key: value}, {"name": "fake.Session", "virtual": True}]
    names = tool.names_of({"api": apis}, {"io.IOBase"})[0]
    assert {name for name in names if name[-2:-1] != "."} == {"fake.Client", "fake.Gone"}


def test_a_stub_stands_in_for_a_compiled_module_and_is_not_left_behind(
    tool: ModuleType, store: Path, file: Path
) -> None:
    (store / "fake" / "fake" / "compiled.pyi").write_text("def fast() -> None: ...\n")
    file.write_text('distribution = "fake"\n\n[[api]]\nname = "fake.compiled"\nsafe = ["fast"]\n')
    before = sorted((store / "fake").rglob("*.py"))
    for _ in range(2):
        report = tool.verified(file, store)
        assert (report.imported, report.read, report.missing) == (0, 2, [])
    assert sorted((store / "fake").rglob("*.py")) == before


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("distribution", ['distribution = "fake"  # why', 'distribution = [\n    "fake",\n]'])
def test_the_note_keeps_the_form_of_the_file(tool: ModuleType, tmp_path: Path, distribution: str, end: str) -> None:
    file = tmp_path / "fake.toml"
    rest = '\n[[api]]\nname = "fake"\nhelp = """\nverified = by hand\n"""\n'
    file.write_bytes(f"{distribution}\n{rest}".replace("\n", end).encode())
    for _ in range(2):
        tool.note(tool.Report(file, release="fake 1.2"))
    noted = f'{distribution}\nverified = "fake 1.2"\n{rest}'
    assert file.read_bytes() == noted.replace("\n", end).encode()


@pytest.mark.parametrize("name", ["fake.Client", "fake._client.Client"])
def test_members_that_no_entry_names_are_suggested(tool: ModuleType, store: Path, catalogue: Path, name: str) -> None:
    client = store / "fake" / "fake" / "_client.py"
    client.write_text(client.read_text() + "\n    def post(self): ...\n")
    assert tool.suggest(name, store) == ["post"]


def test_what_an_entry_of_a_base_names_is_not_suggested(tool: ModuleType, store: Path, catalogue: Path) -> None:
    base = '\n[[api]]\nname = "fake._base.Base"\nsafe = ["close"]\n'
    text = catalogue.read_text().replace('safe = ["close"]\n', 'bases = ["fake._base.Base"]\n') + base
    catalogue.write_text(text)
    assert tool.suggest("fake.Client", store) == []


def test_what_only_another_system_has_is_found_in_the_source(tool: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "asyncio.toml"
    file.write_text('[[api]]\nname = "asyncio"\nsafe = ["ProactorEventLoop", "NoSuchLoop"]\n')
    assert tool.verified(file, tmp_path).missing == ["asyncio.NoSuchLoop"]


@pytest.mark.parametrize("name", ["elsewhere", "elsewhere.Client", "fake.Dependency.get", "fake.Gone"])
def test_what_the_sources_do_not_hold_is_not_found_in_them(tool: ModuleType, store: Path, name: str) -> None:
    package = store / "fake" / "fake" / "__init__.py"
    package.write_text("from elsewhere import Dependency\n")
    assert tool.not_in_source({name: [], "fake.Dependency": []}, [store / "fake"]) == {name: []}
