"""The flake8 door: `flake8 --select ASY1,ASY2,…`.

flake8 hands over one file at a time; chains through other modules are followed from there, reading only what the file's
async code can reach. Nothing but the standard library is imported, so plain flake8 stays as light as it was.
"""

from __future__ import annotations

import ast
import os
from argparse import Namespace
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from asynclint.checking import Checker
from asynclint.findings import Finding
from asynclint.project.cache import DIRECTORY, Cache
from asynclint.project.discovery import roots_of
from asynclint.project.modules import encode
from asynclint.project.sources import may_run_on_loop
from asynclint.rules import all_rules
from asynclint.settings import SettingsError, load_settings


class Plugin:
    """What flake8 makes for each file."""

    name = "asynclint"
    preview: ClassVar[bool] = False
    cached: ClassVar[bool] = True
    noqa: ClassVar[bool] = True
    asked: ClassVar[tuple[str, ...]] = ()

    def __init__(self, tree: ast.Module, filename: str, lines: list[str]) -> None:
        """Take a file as flake8 has read it: `filename` is the display name for standard input."""
        self._tree = tree
        self._path = filename
        self._lines = lines

    @classmethod
    def add_options(cls, manager: Any) -> None:
        """Declare the options."""
        manager.add_option(
            "--asynclint-preview",
            action="store_true",
            parse_from_config=True,
            help="Report asynclint's rules in preview, and what is likely but not proven.",
        )
        manager.add_option(
            "--asynclint-no-cache",
            action="store_true",
            parse_from_config=True,
            help=f"Neither read nor write {DIRECTORY}, where facts about modules are kept between runs.",
        )

    @classmethod
    def parse_options(cls, options: Namespace) -> None:
        """Take the options: rules that are off by default come on when flake8 is told their very code."""
        cls.preview = options.asynclint_preview
        cls.cached = not options.asynclint_no_cache
        cls.noqa = not options.disable_noqa
        codes = {rule.code for rule in all_rules()}
        chosen = [*(options.select or ()), *(options.extend_select or ())]
        cls.asked = tuple(sorted(codes.intersection(chosen)))
        _checker.cache_clear()

    def run(self) -> Iterator[tuple[int, int, str, type[Plugin]]]:
        """Line, column from 0, text and source of each finding."""
        source = encode("".join(self._lines))
        if not may_run_on_loop(source):
            return
        roots = tuple(map(str, roots_of([self._path])))
        try:
            checker = _checker(roots, self.preview, self.cached, self.asked)
        except SettingsError as error:
            from flake8.exceptions import ExecutionError

            raise ExecutionError(f"asynclint: {error}") from None  # a finding might not be selected
        for finding in checker.check_text(self._path, source, self._tree, noqa=self.noqa):
            yield finding.line, finding.column - 1, _text(finding), type(self)
        checker.program.save()


@cache
def _checker(roots: tuple[str, ...], preview: bool, cached: bool, asked: tuple[str, ...]) -> Checker:
    """One program for all files of the same roots that this process checks."""
    settings = load_settings(Path(roots[0])).with_options(preview=preview)
    chosen = settings.rules()
    if asked:
        chosen = tuple(rule for rule in all_rules() if rule in chosen or rule.code in asked)
    checker = Checker(settings, roots, cache=Cache(_cache_directory()) if cached else None)
    checker.rules = chosen
    return checker


def _cache_directory() -> Path:
    return Path(os.environ.get("ASYNCLINT_CACHE_DIR") or DIRECTORY)


def _text(finding: Finding) -> str:
    sites = [f"{Path(hop.path).name}:{hop.line}" for hop in finding.chain[1:]]
    chain = f" [{' -> '.join(sites)}]" if sites else ""
    return f"{finding.code} {finding.message}{chain}"
