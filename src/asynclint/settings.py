"""What the user chose, in `[tool.asynclint]` of the nearest `pyproject.toml` and on the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asynclint.findings import Context, Finding, Severity

if TYPE_CHECKING:
    from asynclint.catalog import Catalog
    from asynclint.rules import Rule

_WHOLE_CODE = len("ASY101")
_FEW = 10
_OFF = "off"
_FOLLOW = ("first-party", "installed")
_SINK_KEYS = {"name": str, "category": str, "help": str, "severity": str, "when": str}


class SettingsError(Exception):
    """A setting that cannot be used: one line that names where it stands, what was expected, and the near word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The keys of `[tool.asynclint]`, with `-` for `_`.

    Attributes:
        select: Codes (`ASY101`), prefixes (`ASY1`) or names (`blocking-sleep`) to report instead of the default.
        ignore: The same, not to report; where both match, the longer one wins.
        preview: Also report rules in preview, and what is likely but not proven.
        severity: Report nothing less grave: `error`, `warning` or `info`.
        exclude_contexts: Report nothing in `test` files, in a `script`'s block, or in `startup` code.
        exclude: Patterns in the manner of `.gitignore` of files not to look for in directories.
        roots: Directories, from the settings' file, that imports start from, beside those found by looking.
        follow: `first-party`: chains end at the program's own modules; `installed`: they go on through installed
            packages; a list of packages: through these.
        categories: Category of the catalogue to its severity, or to `off`.
        sinks: Tables with `name` (a function; `pkg.mod.*` for all of a module or class), `category`, and, where the
            category's do not fit, `help`, `severity` and `when`.
        safe: Functions (`pkg.mod.*`) that do not block, whatever they call.
        offloads: Functions that run what they are given, or decorate, off the loop.
        directory: Where the settings' file lies, which is no key of it; `""` without one.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    preview: bool = False
    severity: Severity = Severity.WARNING
    exclude_contexts: tuple[Context, ...] = ()
    exclude: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    follow: tuple[str, ...] = ("first-party",)
    categories: tuple[tuple[str, str], ...] = ()
    sinks: tuple[tuple[tuple[str, str], ...], ...] = ()
    safe: tuple[str, ...] = ()
    offloads: tuple[str, ...] = ()
    directory: str = ""

    def with_options(
        self,
        *,
        select: Iterable[str] = (),
        ignore: Iterable[str] = (),
        preview: bool = False,
        severity: str | None = None,
        exclude_contexts: Iterable[str] = (),
    ) -> Settings:
        """These settings with what was said on the command line: it replaces `select` and adds to the others.

        Raises:
            SettingsError: A code is not known.
        """
        chosen, ignored = _codes(select, "--select"), _codes(ignore, "--ignore")
        return replace(
            self,
            select=chosen or self.select,
            ignore=self.ignore + ignored,
            preview=self.preview or preview,
            severity=Severity(severity) if severity else self.severity,
            exclude_contexts=(*self.exclude_contexts, *map(Context, exclude_contexts)),
        )

    def wants(self, finding: Finding) -> bool:
        """Whether a finding is grave enough, and stands where findings are wanted."""
        return finding.severity.reaches(self.severity) and finding.context not in self.exclude_contexts

    def catalog(self) -> Catalog:
        """The catalogue with what these settings add to it, and take from it."""
        from asynclint.catalog import builtin_catalog, read_catalog

        if not (self.categories or self.sinks or self.safe or self.offloads):
            return builtin_catalog()
        catalog = read_catalog()
        for name, severity in self.categories:
            catalog.grade(name, None if severity == _OFF else severity)
        for sink in self.sinks:
            table = dict(sink)
            owner, _, member = table.pop("name").rpartition(".")
            catalog.declare({**table, "name": owner, "blocks": [member]})
        for role, names in (("safe", self.safe), ("offloads", self.offloads)):
            for name in names:
                owner, _, member = name.rpartition(".")
                catalog.declare({"name": owner, role: [member]})
        return catalog

    def rules(self) -> tuple[Rule, ...]:
        """The rules that these settings turn on."""
        from asynclint.rules import all_rules

        return tuple(rule for rule in all_rules() if self._enables(rule))

    def _enables(self, rule: Rule) -> bool:
        from asynclint.rules import Default

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
    for key in table:
        if key not in _READERS:
            raise SettingsError(f"{where} has an unknown key `{key}`{near(key, _READERS)}")
    settings = Settings(
        **{key.replace("-", "_"): _READERS[key](value, f"{where} `{key}`") for key, value in table.items()}
    )
    directory = path.absolute().parent
    return replace(settings, roots=tuple(str(directory / root) for root in settings.roots), directory=str(directory))


def _strings(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise SettingsError(f"{where} must be a list of strings, not {value!r}")
    return tuple(value)


def _boolean(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise SettingsError(f"{where} must be true or false, not {value!r}")
    return value


def _one_of(value: Any, known: Iterable[str], where: str) -> str:
    if value not in (names := list(known)):
        raise SettingsError(f"{where} is {value!r}, which it cannot be{near(str(value), names)}")
    return str(value)


def _dotted(value: Any, where: str) -> tuple[str, ...]:
    names = _strings(value, where)
    for name in names:
        if "." not in name.strip("."):
            raise SettingsError(f"{where} names `{name}`; expected a dotted name such as `package.module.function`")
    return names


def _follow(value: Any, where: str) -> tuple[str, ...]:
    return (_one_of(value, _FOLLOW, where),) if isinstance(value, str) else _strings(value, where)


def _graded(value: Any, where: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise SettingsError(f"{where} must be a table of categories, not {value!r}")
    return tuple(
        (
            _one_of(name, _categories(), f"{where}: a category"),
            _one_of(severity, (*Severity, _OFF), f"{where} `{name}`"),
        )
        for name, severity in value.items()
    )


def _categories() -> Iterable[str]:
    from asynclint.catalog import builtin_catalog

    return builtin_catalog().categories


def _sinks(value: Any, where: str) -> tuple[tuple[tuple[str, str], ...], ...]:
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        raise SettingsError(f"{where} must be a list of tables, not {value!r}")
    for table in value:
        for key, text in table.items():
            if key not in _SINK_KEYS:
                raise SettingsError(f"{where} has an unknown key `{key}`{near(key, _SINK_KEYS)}")
            if not isinstance(text, str):
                raise SettingsError(f"{where} `{key}` must be a string, not {text!r}")
        if missing := {"name", "category"} - table.keys():
            raise SettingsError(f"{where}: a sink needs `{min(missing)}`, and {table!r} has none")
        _dotted([table["name"]], where)
        _one_of(table["category"], _categories(), f"{where} `category`")
        _one_of(table.get("severity", "info"), Severity, f"{where} `severity`")
    return tuple(tuple(table.items()) for table in value)


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "select": lambda value, where: _codes(_strings(value, where), where),
    "ignore": lambda value, where: _codes(_strings(value, where), where),
    "preview": _boolean,
    "severity": lambda value, where: Severity(_one_of(value, Severity, where)),
    "exclude-contexts": lambda value, where: tuple(
        Context(_one_of(name, filter(None, Context), where)) for name in _strings(value, where)
    ),
    "exclude": _strings,
    "roots": _strings,
    "follow": _follow,
    "categories": _graded,
    "sinks": _sinks,
    "safe": _dotted,
    "offloads": _dotted,
}


def _codes(values: Iterable[str], where: str) -> tuple[str, ...]:
    """Selectors in their usual case.

    Raises:
        SettingsError: One of them selects no rule.
    """
    codes = []
    for value in values:
        from asynclint.rules import all_rules

        selector = value.strip().lower() if "-" in value else value.strip().upper()
        if not selector or not any(_match(rule, selector) for rule in all_rules()):
            known = {rule.code for rule in all_rules()} | {rule.name for rule in all_rules()}
            raise SettingsError(f"{where} names `{value}`, which is no rule{near(selector, known)}")
        codes.append(selector)
    return tuple(codes)


def near(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: the known one that looks most like it, or all when they are few."""
    from difflib import get_close_matches

    names = sorted(set(known))
    matches = get_close_matches(word, names, n=1)
    if matches:
        return f"; did you mean `{matches[0]}`?"
    return f"; known are {', '.join(f'`{name}`' for name in names)}" if len(names) < _FEW else ""
