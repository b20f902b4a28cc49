"""Which rules the settings turn on, and where settings come from."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from asynclint.project.discovery import discover
from asynclint.rules import all_rules
from asynclint.settings import Settings, SettingsError, load_settings
from support.command import BLOCKING, asynclint


def codes(settings: Settings) -> set[str]:
    return {rule.code for rule in settings.rules()}


def test_by_default_every_rule_that_is_on_is_reported() -> None:
    assert codes(Settings()) == {rule.code for rule in all_rules() if rule.default == "on"}


def test_of_select_and_ignore_the_closer_one_wins() -> None:
    assert codes(Settings(select=("ASY101",), ignore=("ASY1",))) == {"ASY101"}
    assert "ASY101" not in codes(Settings(select=("ASY1",), ignore=("ASY101",)))
    assert codes(Settings(select=("ASY101",), ignore=("ASY101",))) == set()


def test_a_name_selects_a_rule_and_its_twin() -> None:
    assert codes(Settings(select=("blocking-sleep",))) == {"ASY101", "ASY201"}


def test_the_nearest_pyproject_applies(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text("[tool.asynclint]\nroots = ['lib']\nignore = ['asy301']\n")
    settings = load_settings(inner)
    assert settings.ignore == ("ASY301",)
    assert settings.roots == (str(tmp_path / "lib"),)
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\n")
    assert load_settings(inner) == Settings(directory=str(tmp_path / "a"))


def test_the_command_line_replaces_select_and_adds_to_ignore() -> None:
    settings = Settings(select=("ASY1",), ignore=("ASY101",)).with_options(select=["ASY2"], ignore=["ASY201"])
    assert (settings.select, settings.ignore) == (("ASY2",), ("ASY101", "ASY201"))


def test_a_settings_file_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"missing\.toml: cannot be read: No such file"):
        load_settings(tmp_path, tmp_path / "missing.toml")


def test_directories_are_walked_in_order_without_what_is_not_the_projects(tmp_path: Path) -> None:
    for name in ("b.py", "a/z.py", "a/b.pyi", "a.py", ".venv/x.py", "node_modules/x.py", "build/x.py", "old/gen/x.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = discover([str(tmp_path), str(tmp_path / "a")], exclude=["gen/", "!keep.py"])
    assert [Path(path).relative_to(tmp_path).as_posix() for path in found.found] == ["a/z.py", "a.py", "b.py"]
    assert found.problems == []


@pytest.mark.parametrize("path", [".", "src", "src/gen"])
def test_patterns_start_where_the_settings_lie(path: str, tmp_path: Path) -> None:
    (tmp_path / "src" / "gen").mkdir(parents=True)
    (tmp_path / "src" / "gen" / "app.py").write_text(BLOCKING)
    (tmp_path / "pyproject.toml").write_text("[tool.asynclint]\nexclude = ['/src/gen/']\n")
    assert asynclint("check", path, cwd=tmp_path).stderr == "0 findings\n"


def test_a_pattern_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.asynclint]\nexclude = ['!']\n")
    result = asynclint("check", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("asynclint: `exclude`: ")
    assert result.stderr.count("\n") == 1


def test_imports_start_from_the_project_whatever_part_of_it_is_checked(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "src" / "app").mkdir(parents=True)
    (tmp_path / "src" / "app" / "__init__.py").touch()
    (tmp_path / "src" / "app" / "helper.py").write_text("import time\ndef pause(): time.sleep(1)\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "program.py").write_text("from app.helper import pause\nasync def main(): pause()\n")
    for path in (".", "tests", "tests/program.py"):
        assert asynclint("check", "--severity", "info", path, cwd=tmp_path).stderr == "1 finding\n"


def test_all_of_a_library_may_be_safe(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.asynclint]\nsafe = ['requests.*']\n")
    (tmp_path / "app.py").write_text(
        "import requests\nasync def main(session: requests.Session):\n"
        "    requests.get('x')\n    session.get('x')\n    open('x')\n"
    )
    assert asynclint("check", cwd=tmp_path).stderr == "1 finding\n"


def test_a_file_given_by_name_is_taken_whatever_it_is_called(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.touch()
    assert discover([str(script), str(script)], exclude=["script"]).named == [str(script)]


# -- what the settings add to the catalogue ----------------------------------------------------------------------------

MODULES = {
    "ourlib/__init__.py": "",
    "ourlib/legacy.py": "def ask():\n    return compute()\n\n\ndef compute():\n    return 1\n",
    "ourlib/fast.py": "import time\n\n\ndef nap():\n    time.sleep(0)\n\n\ndef in_thread(call):\n    return call\n",
    "app.py": (
        "import getpass\nimport time\nfrom ourlib.fast import in_thread, nap\nfrom ourlib.legacy import ask\n\n\n"
        "@in_thread\ndef pause():\n    time.sleep(1)\n\n\n"
        "async def main():\n    ask()\n    nap()\n    pause()\n    getpass.getpass()\n"
    ),
}


def found(tmp_path: Path, settings: str) -> list[tuple[str, int, str]]:
    """Code, line and severity of what is found in `MODULES` with these settings."""
    for name, text in MODULES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "pyproject.toml").write_text(f"[tool.asynclint]\n{settings}")
    output = asynclint("check", "--format", "json", "app.py", cwd=tmp_path)
    assert output.returncode in (0, 1), output.stderr
    return [(finding["code"], finding["line"], finding["severity"]) for finding in json.loads(output.stdout)]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("", [("ASY201", 14, "error"), ("ASY201", 15, "error"), ("ASY106", 16, "error")]),
        ('safe = ["ourlib.fast.*"]', [("ASY201", 15, "error"), ("ASY106", 16, "error")]),
        ('safe = ["time.sleep"]', [("ASY106", 16, "error")]),
        ('offloads = ["ourlib.fast.in_thread"]', [("ASY201", 14, "error"), ("ASY106", 16, "error")]),
        (
            "[tool.asynclint.categories]\ninput = 'off'\nsleep = 'warning'",
            [("ASY201", 14, "warning"), ("ASY201", 15, "warning")],
        ),
        (
            "safe = ['time.sleep']\n[[tool.asynclint.sinks]]\nname = 'ourlib.legacy.ask'\ncategory = 'database'",
            [("ASY107", 13, "error"), ("ASY106", 16, "error")],
        ),
        (
            (
                "safe = ['time.sleep']\n[[tool.asynclint.sinks]]\n"
                "name = 'ourlib.legacy.*'\ncategory = 'http'\nseverity = 'warning'"
            ),
            [("ASY102", 13, "warning"), ("ASY106", 16, "error")],
        ),
    ],
)
def test_sinks_safe_calls_and_categories_can_be_declared(
    settings: str, expected: list[tuple[str, int, str]], tmp_path: Path
) -> None:
    assert found(tmp_path, settings) == expected


def test_chains_go_through_the_installed_packages_that_are_followed(tmp_path: Path) -> None:
    site = tmp_path / "venv" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    site.mkdir(parents=True)
    (site / "thirdparty.py").write_text("import time\n\n\ndef fetch():\n    time.sleep(1)\n")
    project = tmp_path / "project"
    project.mkdir()
    (project / "app.py").write_text("import thirdparty\n\n\nasync def main():\n    thirdparty.fetch()\n")

    def codes(follow: str) -> list[str]:
        (project / "pyproject.toml").write_text(f"[tool.asynclint]\n{follow}")
        command = [sys.executable, "-P", "-m", "asynclint", "check", "--format", "json", "app.py"]
        environment = {**os.environ, "VIRTUAL_ENV": str(tmp_path / "venv")}
        run = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
        return [finding["code"] for finding in json.loads(run.stdout)]

    assert codes("") == codes('follow = "first-party"') == codes('follow = ["other"]') == []
    assert codes('follow = "installed"') == codes('follow = ["thirdparty"]') == ["ASY201"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('severity = "grave"', "`severity` is 'grave', which it cannot be"),
        ('exclude-context = ["test"]', "unknown key `exclude-context`; did you mean `exclude-contexts`?"),
        ('exclude-contexts = ["tests"]', "did you mean `test`?"),
        ("[tool.asynclint.categories]\nhtpp = 'off'", "did you mean `http`?"),
        ("[tool.asynclint.categories]\nhttp = 'of'", "did you mean `off`?"),
        ("[[tool.asynclint.sinks]]\nname = 'a.b'", "a sink needs `category`"),
        ("[[tool.asynclint.sinks]]\nname = 'a.b'\ncategory = 'http'\nhlep = 'x'", "did you mean `help`?"),
        ("[[tool.asynclint.sinks]]\nname = 'b'\ncategory = 'http'", "expected a dotted name"),
        ("safe = ['nap']", "expected a dotted name"),
        ("follow = 'all'", "known are `first-party`, `installed`"),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_line(settings: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.asynclint]\n{settings}\n")
    (tmp_path / "app.py").touch()
    result = asynclint("check", "app.py", cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_documented_settings_can_be_read(tmp_path: Path) -> None:
    document = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    (tmp_path / "pyproject.toml").write_text(document.split("```toml\n")[1].split("```")[0])
    settings = load_settings(tmp_path)
    for field in dataclasses.fields(Settings):
        assert getattr(settings, field.name) != field.default, field.name
    assert settings.catalog().declares >= {"ourlib.fast.*", "ourlib.legacy.Database.*"}
