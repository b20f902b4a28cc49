"""Which rules the settings turn on, and where settings come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from asynclint.project.discovery import discover
from asynclint.rules import all_rules
from asynclint.settings import Settings, SettingsError, load_settings


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
    assert load_settings(inner) == Settings()


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


def test_a_file_given_by_name_is_taken_whatever_it_is_called(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.touch()
    assert discover([str(script), str(script)], exclude=["script"]).named == [str(script)]
