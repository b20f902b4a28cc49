"""What the user chose, in `[tool.asynclint]` of the nearest `pyproject.toml` and on the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from asynclint.rules import Default, Rule, all_rules

_WHOLE_CODE = len("ASY101")
_FEW = 10


class SettingsError(Exception):
    """A setting that cannot be used: one line that names where it stands, what was expected, and the near word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The keys of `[tool.asynclint]`.

    Attributes:
        select: Codes (`ASY101`), prefixes (`ASY1`) or names (`blocking-sleep`) to report instead of the default.
        ignore: The same, not to report; where both match, the longer one wins.
        preview: Also report rules in preview, and what is likely but not proven.
        exclude: Patterns in the manner of `.gitignore` of files not to look for in directories.
        roots: Directories, from the settings' file, that imports start from, beside those found by looking.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    preview: bool = False
    exclude: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()

    def with_options(
        self, *, select: Iterable[str] = (), ignore: Iterable[str] = (), preview: bool = False
    ) -> Settings:
        """These settings with what was said on the command line: it replaces `select` and adds to the others.

        Raises:
            SettingsError: A code is not known.
        """
        chosen, ignored = _codes(select, "--select"), _codes(ignore, "--ignore")
        return replace(
            self, select=chosen or self.select, ignore=self.ignore + ignored, preview=self.preview or preview
        )

    def rules(self) -> tuple[Rule, ...]:
        """The rules that these settings turn on."""
        return tuple(rule for rule in all_rules() if self._enables(rule))

    def _enables(self, rule: Rule) -> bool:
        wanted = max((_match(rule, selector) for selector in self.select), default=0)
        unwanted = max((_match(rule, selector) for selector in self.ignore), default=0)
        if rule.default is Default.OPT or (rule.default is Default.PREVIEW and not self.preview):
            # Only by its own code or name: `ASY1` does not drag in what is off for a reason.
            return wanted >= _WHOLE_CODE and wanted > unwanted
        return wanted > unwanted if self.select else not unwanted


def _match(rule: Rule, selector: str) -> int:
    """How closely a selector names a rule: 0 not at all, `_WHOLE_CODE` or more by its code or name."""
    if selector == rule.name:
        return _WHOLE_CODE
    return len(selector) if rule.code.startswith(selector) else 0


def load_settings(start: Path, config: Path | None = None) -> Settings:
    """The settings that apply to `start`: those of `config`, or of the nearest `pyproject.toml` upwards that has any.

    Raises:
        SettingsError: The file cannot be read, is not TOML, or holds a key or value that asynclint does not know.
    """
    if config is not None:
        return _read(config)
    directory = start.resolve()
    for parent in (directory, *directory.parents):
        candidate = parent / "pyproject.toml"
        if candidate.is_file():
            return _read(candidate)
    return Settings()


def _read(path: Path) -> Settings:
    try:
        document = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
    tool = document.get("tool", {})
    table = tool.get("asynclint", {}) if isinstance(tool, dict) else {}
    where = f"{path}: [tool.asynclint]"
    if not isinstance(table, dict):
        raise SettingsError(f"{where} must be a table, not {type(table).__name__}")
    known = {field.name for field in fields(Settings)}
    for key in table:
        if key not in known:
            raise SettingsError(f"{where} has an unknown key `{key}`{near(key, known)}")
    settings = Settings(**{key: _value(key, value, where) for key, value in table.items()})
    return replace(settings, roots=tuple(str(path.parent / root) for root in settings.roots))


def _value(key: str, value: Any, where: str) -> Any:
    if key == "preview":
        if not isinstance(value, bool):
            raise SettingsError(f"{where} `{key}` must be true or false, not {value!r}")
        return value
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise SettingsError(f"{where} `{key}` must be a list of strings, not {value!r}")
    return _codes(value, f"{where} `{key}`") if key in ("select", "ignore") else tuple(value)


def _codes(values: Iterable[str], where: str) -> tuple[str, ...]:
    """Selectors in their usual case.

    Raises:
        SettingsError: One of them selects no rule.
    """
    codes = []
    for value in values:
        selector = value.strip().lower() if "-" in value else value.strip().upper()
        if not selector or not any(_match(rule, selector) for rule in all_rules()):
            known = {rule.code for rule in all_rules()} | {rule.name for rule in all_rules()}
            raise SettingsError(f"{where} names `{value}`, which is no rule{near(selector, known)}")
        codes.append(selector)
    return tuple(codes)


def near(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: the known one that looks most like it, or all when they are few."""
    names = sorted(set(known))
    matches = get_close_matches(word, names, n=1)
    if matches:
        return f"; did you mean `{matches[0]}`?"
    return f"; known are {', '.join(f'`{name}`' for name in names)}" if len(names) < _FEW else ""
