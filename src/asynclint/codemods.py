"""The fixes as codemods, for projects that run theirs with libcst's own tool:

    python -m libcst.tool codemod --no-format -x asynclint.codemods.OffloadBlockingCalls PATH …

Without `--no-format` the tool runs the formatter of its configuration on what it changes: `black`, if nothing is said.
`asynclint fix` does the same, and also keeps what the tool does not: a byte order mark, a file that changed meanwhile.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import libcst as cst
from libcst.codemod import CodemodCommand, CodemodContext, SkipFile

from asynclint.checking import Checker
from asynclint.fixes.rewrite import rewrite
from asynclint.fixes.source import UnreadableError, parse
from asynclint.project.modules import encode
from asynclint.settings import load_settings


class ApplyFixes(CodemodCommand):
    """Applies the fixes of every rule that is on, by default or by the project's configuration."""

    DESCRIPTION: str = "Fix what asynclint finds, as far as its rules know how to."
    FAMILIES: tuple[str, ...] = ("ASY",)
    """How the codes begin whose findings are fixed."""

    def __init__(self, context: CodemodContext, unsafe_fixes: bool = False) -> None:
        """Make the command for one file.

        Args:
            context: Names the file; its imports are followed from there.
            unsafe_fixes: Also apply fixes that may change what the program does.
        """
        super().__init__(context)
        self.unsafe = unsafe_fixes

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """Add the command's options."""
        arg_parser.add_argument(
            "--unsafe-fixes", action="store_true", help="also apply fixes that may change what the program does"
        )

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """Check the module and apply its fixes."""
        path = Path(self.context.filename or "module.py")
        checker = Checker(load_settings(path.parent), [path])
        try:
            # Positions must refer to what the tool has parsed, whatever is in the file by now.
            findings = checker.check_text(str(path), encode(tree.code), parse(tree.code))
            chosen = [finding for finding in findings if finding.code.startswith(self.FAMILIES)]
            result = rewrite(tree, chosen, unsafe=self.unsafe)
        except UnreadableError as error:
            raise SkipFile(str(error)) from None
        for finding, reason in result.skipped:
            self.warn(f"{path.name}:{finding.line}:{finding.column}: {finding.code} not fixed: {reason}")
        return result.module


class OffloadBlockingCalls(ApplyFixes):
    """Awaits what has an async twin, and moves other blocking calls to a worker thread."""

    DESCRIPTION: str = "Keep blocking calls off the event loop: await their async twin, or run them in a worker thread."
    FAMILIES: tuple[str, ...] = ("ASY1", "ASY2")
