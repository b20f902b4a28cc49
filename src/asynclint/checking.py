"""Checks files: what all doors share."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from asynclint.findings import Finding, Severity
from asynclint.project.cache import Cache
from asynclint.project.discovery import roots_of
from asynclint.project.sources import Sources, may_run_on_loop, read_source
from asynclint.settings import Settings

if TYPE_CHECKING:
    from asynclint.project.modules import ProgramModule
    from asynclint.project.program import Program
    from asynclint.rules import Rule
    from asynclint.syntax import SourceError

_FRAMES = 6000


class Checker:
    """A program, and the rules to hold it against.

    What looks at programs is imported when there is one to look at: where nothing has changed, its start would be most
    of a run.

    Attributes:
        sources: The files and directories of the program.
    """

    def __init__(self, settings: Settings, paths: Iterable[str | Path], *, cache: Cache | None = None) -> None:
        """Make a checker for the files at, and below, `paths`."""
        # Linking nests as deep as what it reads; on the interpreter's own stack, which has room for far more.
        sys.setrecursionlimit(max(sys.getrecursionlimit(), _FRAMES))
        self.settings: Settings = settings
        self.sources: Sources = Sources()
        self._cache = cache
        project = [settings.directory, f"{settings.directory}{os.sep}src"] if settings.directory else []
        places = (*map(str, roots_of(paths)), *settings.roots, *filter(os.path.isdir, project))
        self._roots = list(dict.fromkeys(places))

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that are on."""
        return self.settings.rules()

    @cached_property
    def program(self) -> Program:
        """What the files belong to."""
        from asynclint.project.program import Program

        return Program(
            self._roots,
            cache=self._cache,
            sources=self.sources,
            catalog=self.settings.catalog,
            follow=self.settings.follow,
            likely=self.settings.preview,
        )

    def question(self) -> str:
        """All that findings depend on beside the files."""
        environment = os.environ.get("VIRTUAL_ENV", sys.prefix) if "first-party" not in self.settings.follow else ""
        return repr((self.settings, self._roots, Path.cwd(), environment, sys.version_info[:2]))

    def check(self, path: str, *, only_async: bool = False) -> list[Finding]:
        """The findings in a file that no `# noqa` on their lines silences; ASY000 where it cannot be analysed.

        Args:
            only_async: A file that has nothing for a loop to run costs one read: there is nothing to find.
        """
        from asynclint.rules import unsilenced
        from asynclint.syntax import SourceError

        try:
            source = read_source(path)
            if only_async and not may_run_on_loop(source):
                return []
            module = self.program.load(path, source)
        except (OSError, SourceError) as error:
            return [_not_analysed(path, error)]
        return unsilenced(module, self._findings(module))

    def check_text(
        self, path: str, source: bytes, tree: ast.Module | None = None, *, noqa: bool = True
    ) -> list[Finding]:
        """The findings in a text that belongs at `path`.

        Args:
            tree: Its syntax tree, where the caller has parsed it.
            noqa: Leave out what a `# noqa` on its own lines silences.
        """
        from asynclint.rules import unsilenced
        from asynclint.syntax import SourceError

        try:
            module = self.program.load_source(path, source, tree)
        except SourceError as error:
            return [_not_analysed(path, error)]
        findings = self._findings(module)
        return unsilenced(module, findings) if noqa else findings

    def _findings(self, module: ProgramModule) -> list[Finding]:
        from asynclint.rules import check

        found = check(module, self.program, self.rules, preview=self.settings.preview)
        return [finding for finding in found if self.settings.wants(finding)]


def _not_analysed(path: str, error: OSError | SourceError) -> Finding:
    from asynclint.rules import find
    from asynclint.syntax import SourceError

    (rule,) = find("ASY000")
    if isinstance(error, SourceError):
        line, column, message = error.line, error.column, f"not analysed: {error}"
    else:
        line, column, message = 1, 1, f"not analysed: cannot be read: {error.strerror or error}"
    return Finding(
        code=rule.code,
        name=rule.name,
        severity=Severity.ERROR,
        path=path,
        line=line,
        column=column,
        end_line=line,
        end_column=column + 1,
        function="<module>",
        message=message,
        help="mend the file, or leave it out with `exclude` in `[tool.asynclint]`",
    )
