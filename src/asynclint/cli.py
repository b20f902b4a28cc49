"""The command: `asynclint check`, `fix`, `explain`, `rules`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asynclint.checking import Checker
from asynclint.findings import Context, Finding, Severity
from asynclint.project.cache import DIRECTORY, Cache
from asynclint.project.discovery import discover
from asynclint.project.sources import may_run_on_loop, read_source
from asynclint.report import formats, renderer
from asynclint.report.running import Stopwatch, described, progress
from asynclint.running import Runner
from asynclint.settings import SettingsError, load_settings, near

if TYPE_CHECKING:
    from asynclint.fixes import FixResult

CLEAN, FOUND, FAILED = 0, 1, 2
_STDIN = "-"
_ROUNDS = 10


def run(arguments: Sequence[str]) -> int:
    """Run the command line; its exit code."""
    try:
        code = _asynclint.main(list(arguments), "asynclint", standalone_mode=False)
    except click.UsageError as error:
        return _fail(error.format_message())
    except SettingsError as error:
        return _fail(str(error))
    except click.exceptions.Abort:
        return 130
    except BrokenPipeError:
        # The reader has gone (`| head`): nothing more can be said, and closing must not say so either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FOUND
    return int(code or CLEAN)


def _fail(message: str) -> int:
    click.echo(f"asynclint: {message}", err=True)
    return FAILED


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"asynclint {version('asynckit')}")
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version.")
def _asynclint() -> None:
    """Find code that blocks or wastes the event loop, also behind helper functions, and fix it."""


_cache_option = click.option(
    "--cache-dir",
    type=click.Path(path_type=Path),
    default=DIRECTORY,
    show_default=True,
    envvar="ASYNCLINT_CACHE_DIR",
    help="Where facts and findings are kept between runs.",
)


def _selecting(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say what to look at and for."""
    options = (
        click.argument("paths", nargs=-1, metavar="PATH..."),
        click.option("--select", multiple=True, metavar="CODES", help="Codes, prefixes or names to report."),
        click.option("--ignore", multiple=True, metavar="CODES", help="Codes, prefixes or names not to report."),
        click.option("--preview", is_flag=True, help="Also rules in preview, and what is likely but not proven."),
        click.option(
            "--config", type=click.Path(path_type=Path), help="Settings, instead of the nearest pyproject.toml."
        ),
        click.option(
            "--severity",
            type=click.Choice([severity.value for severity in Severity]),
            help="Report nothing less grave.",
        ),
        click.option(
            "--exclude-context",
            multiple=True,
            type=click.Choice([context.value for context in Context if context]),
            help="Report nothing in tests, scripts or start-up code.",
        ),
        click.option("--no-cache", is_flag=True, help="Neither read nor write the cache."),
        _cache_option,
        click.option("--traceback", "show_traceback", is_flag=True, help="Show where an internal error comes from."),
    )
    for option in reversed(options):
        command = option(command)
    return command


class _Run:
    """One run over the given paths."""

    def __init__(
        self,
        paths: tuple[str, ...],
        select: tuple[str, ...],
        ignore: tuple[str, ...],
        preview: bool,
        severity: str | None,
        exclude_context: tuple[str, ...],
        config: Path | None,
        no_cache: bool,
        cache_dir: Path,
        show_traceback: bool,
        stdin: str = "",
    ) -> None:
        self.paths = tuple(path for path in paths or (".",) if path != _STDIN or not stdin)
        places = (*self.paths, *([stdin] if _STDIN in paths else []))
        first = Path(places[0])
        start = first if first.is_dir() else first.parent
        self.settings = load_settings(start, config).with_options(
            select=_split(select),
            ignore=_split(ignore),
            preview=preview,
            severity=severity,
            exclude_contexts=exclude_context,
        )
        self.cache = None if no_cache else Cache(cache_dir)
        self.checker = Checker(self.settings, places, cache=self.cache)
        try:
            self.files = discover(self.paths, self.settings.exclude, self.settings.directory)
        except ValueError as error:
            raise SettingsError(f"`exclude`: {error}") from None
        self.failed = bool(self.files.problems)
        self._show_traceback = show_traceback
        self._texts: dict[str, list[str]] = {}
        for problem in self.files.problems:
            click.echo(f"asynclint: {problem}", err=True)

    def findings(
        self, jobs: int, advanced: Callable[[int], None] | None = None, *, anew: bool = False
    ) -> Iterator[Finding]:
        """What is found, file by file; `anew`: also where nothing has changed."""
        try:
            store = None if anew else self.cache
            for outcome in Runner(self.checker, store, jobs=jobs, advanced=advanced).run(self.files):
                if outcome.error:
                    self.say(outcome.path, outcome.error, outcome.trace)
                yield from outcome.findings
        finally:
            self.close()

    def close(self) -> None:
        """Write what was learned to the cache."""
        if self.cache is not None:
            self.cache.close()

    @contextmanager
    def keeping_on(self, path: str) -> Iterator[None]:
        """Say an internal error on one line and go on: a bug that one file brings out hides nothing in the others."""
        try:
            yield
        except BrokenPipeError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever a rule raises
            import traceback

            self.say(path, f"{type(error).__name__}: {error}", traceback.format_exc())

    def say(self, path: str, error: str, trace: str) -> None:
        """Report an internal error."""
        self.failed = True
        click.echo(f"asynclint: {path}: internal error: {error}", err=True)
        if self._show_traceback:
            click.echo(trace, err=True)

    def check_input(self, path: str) -> list[Finding]:
        """The findings in the text on standard input, which belongs at `path`."""
        from asynclint.project.modules import decode

        source = sys.stdin.buffer.read()
        self._texts[path] = decode(source).splitlines()
        return self.checker.check_text(path, source)

    def line_of(self, path: str, number: int) -> str:
        """A line of a file that was checked."""
        import linecache

        if path in self._texts:
            return "".join(self._texts[path][number - 1 : number])
        try:
            return linecache.getline(path, number)
        except (OSError, SyntaxError, LookupError, ValueError):  # a coding line that names no encoding of text
            return ""


def _split(values: tuple[str, ...]) -> list[str]:
    return [part for value in values for part in value.split(",") if part.strip()]


@_asynclint.command()
@_selecting
@click.option("--format", "format_", type=click.Choice(formats()), default="text", show_default=True)
@click.option("--exit-zero", is_flag=True, help="Exit with 0 whatever is found.")
@click.option("--jobs", "-j", type=click.IntRange(min=0), default=0, help="Processes; 0: as many as it pays.")
@click.option("--statistics", "with_statistics", is_flag=True, help="Say how much was understood, and what it cost.")
@click.option("--stdin-display-name", default="stdin.py", metavar="PATH", help="Where the text on `-` belongs.")
def check(
    format_: str, exit_zero: bool, jobs: int, with_statistics: bool, stdin_display_name: str, **options: Any
) -> int:
    """Report what blocks or wastes the event loop in files and directories (`-`: standard input)."""
    watch = Stopwatch()
    run = _Run(**options, stdin=stdin_display_name)
    watch.lap("finding the files")
    with progress(len(run.files)) as advanced:
        findings = list(run.findings(1 if with_statistics else jobs, advanced, anew=with_statistics))
    if _STDIN in options["paths"]:
        findings += run.check_input(stdin_display_name)
    watch.lap("checking them")
    click.echo(renderer(format_)(findings, run.line_of), nl=False)
    watch.lap("writing the report")
    if with_statistics:
        click.echo(described(run.checker.program, watch), err=True)
    if format_ == "text":
        click.echo(_count(len(findings), "finding"), err=True)
    if run.failed:
        return FAILED
    return FOUND if findings and not exit_zero else CLEAN


@_asynclint.command()
@_selecting
@click.option("--diff", "show_diff", is_flag=True, help="Show what would change; write nothing.")
@click.option("--unsafe-fixes", "unsafe", is_flag=True, help="Also fixes that may change what the program does.")
def fix(show_diff: bool, unsafe: bool, **options: Any) -> int:
    """Rewrite files so that what can be fixed is."""
    from asynclint.fixes import write

    run = _Run(**options)
    fixed = left = 0
    for path, _ in run.files:
        with run.keeping_on(path):
            result, findings = _fix_to_the_end(run.checker, path, unsafe=unsafe)
            left += len(findings)
            if show_diff:
                click.echo(result.diff(), nl=False)
            error = result.error if show_diff else write(result)
            if error:
                run.failed = True
                click.echo(f"asynclint: {path}: {error}", err=True)
            else:
                fixed += len(result.applied)
    run.close()
    click.echo(f"{_count(fixed, 'finding')} {'would be ' if show_diff else ''}fixed, {left} left", err=True)
    if run.failed:
        return FAILED
    return FOUND if left or (show_diff and fixed) else CLEAN


def _fix_to_the_end(checker: Checker, path: str, *, unsafe: bool) -> tuple[FixResult, list[Finding]]:
    """Fix a file until nothing more can be: one fix may stand inside another, and is left for the next round.

    Returns:
        The change, and the findings that remain.
    """
    from asynclint.fixes import FixResult, fix_source

    try:
        before = after = read_source(path)
    except OSError as error:
        return FixResult(path, b"", b"", error=f"cannot be read: {error.strerror or error}"), []
    applied: list[Finding] = []
    for _ in range(_ROUNDS):
        findings = checker.check_text(path, after) if may_run_on_loop(after) else []
        step = fix_source(after, findings, unsafe=unsafe, path=path)
        if step.error or not step.applied:
            return FixResult(path, before, after, tuple(applied), step.skipped, step.error), findings
        applied += step.applied
        after = step.after
    return FixResult(path, before, before, error=f"left alone: still something to fix after {_ROUNDS} rounds"), []


@_asynclint.command()
@click.argument("rule", metavar="CODE|NAME")
def explain(rule: str) -> int:
    """Say what a rule is about, with examples: `explain ASY101` or `explain blocking-sleep`."""
    from asynclint.rules import all_rules, find, page

    rules = find(rule)
    if not rules:
        known = {word for known in all_rules() for word in (known.code, known.name)}
        return _fail(f"no rule is called `{rule}`{near(rule.upper() if rule[:3].upper() == 'ASY' else rule, known)}")
    click.echo("\n".join(page(found) for found in rules), nl=False)
    return CLEAN


@_asynclint.group()
def cache() -> None:
    """What is kept between runs."""


@cache.command()
@_cache_option
def clear(cache_dir: Path) -> int:
    """Delete the cache."""
    from asynclint.project.cache import FILES, is_own

    own = [*FILES, *([".gitignore"] if is_own(cache_dir / ".gitignore") else [])]
    if not any((cache_dir / name).is_file() for name in own):
        click.echo(f"no cache in {cache_dir}", err=True)
        return CLEAN
    for name in own:
        try:
            (cache_dir / name).unlink(missing_ok=True)
        except OSError as error:
            return _fail(f"{cache_dir / name}: cannot be deleted: {error.strerror}")
    with suppress(OSError):  # somebody else keeps something there
        cache_dir.rmdir()
    click.echo(f"deleted the cache in {cache_dir}", err=True)
    return CLEAN


@_asynclint.command()
def rules() -> int:
    """List all rules."""
    from asynclint.rules import all_rules

    for rule in all_rules():
        click.echo(f"{rule.code}  {rule.name:<24} {rule.default:<8} fix: {rule.fix:<7} {rule.summary}")
    return CLEAN


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
