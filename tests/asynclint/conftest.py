"""Collects the literate cases of `cases/` (see its README), and the fixtures that tests of fixes share."""

from __future__ import annotations

import ast
import io
import re
import tempfile
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from asynclint.findings import Action, Finding, Fix, Safety, Severity
from asynclint.fixes import FixResult, fix_source
from asynclint.project.program import Program
from asynclint.rules import Default, Rule, all_rules, check, unsilenced
from asynclint.settings import Settings

CASES = Path(__file__).parent / "cases"

# -- literate cases ----------------------------------------------------------------------------------------------------

_FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<info>[^`]*)$")
_HEADING = re.compile(r"^#{1,6}\s+(?P<title>.+?)\s*#*$")
_COMMENT = re.compile(r"<!--\s*(?P<text>.*?)\s*-->")
_MARKER = re.compile(r'#\s*error:\s*\[(?P<codes>[A-Z]+\d+(?:\s*,\s*[A-Z]+\d+)*)\](?:\s*"(?P<text>[^"]*)")?')
_MARKER_LIKE = re.compile(r"#\s*errors?\b\s*[:\[]", re.IGNORECASE)
_CODES = re.compile(r"[A-Z]+\d*(?:\s*,\s*[A-Z]+\d*)*")


class CaseError(Exception):
    """A case file is not written the way its README says."""


@dataclass(slots=True)
class Fence:
    """One piece of code: the file it goes to (`""` if it stands alone), and the line of its first line."""

    file: str
    line: int
    code: str


@dataclass(slots=True)
class Case:
    """One test: a module of its own, or the modules of one project."""

    title: str
    fences: list[Fence]
    preview: bool = False
    select: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Marker:
    """A finding that a comment announces; `text` is part of its message."""

    file: str
    line: int
    code: str
    text: str


@dataclass(slots=True)
class _Section:
    title: str
    preview: bool = False
    select: tuple[str, ...] = ()
    fences: list[Fence] = field(default_factory=list)


def parse_cases(text: str) -> list[Case]:
    """The cases of a Markdown text, in order.

    Raises:
        CaseError: It is not written the way the README says.
    """
    sections, needs_markers = _sections(text)
    cases = [case for section in sections for case in _cases_of(section)]
    if needs_markers and not any(markers_of(fence) for case in cases for fence in case.fences):
        raise CaseError("no line has a marker `# error: [CODE]`: write one, or say `<!-- no markers -->`")
    return cases


def _sections(text: str) -> tuple[list[_Section], bool]:
    sections: list[_Section] = []
    needs_markers = True
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if (opening := _FENCE.match(line)) is not None:
            fence = _fence(number, opening, lines)
            if fence is None:
                continue
            if not sections:
                raise CaseError(f"line {number}: code before the first heading: every case needs one to be named by")
            sections[-1].fences.append(fence)
        elif (heading := _HEADING.match(line)) is not None:
            sections.append(_Section(heading["title"]))
        for comment in _COMMENT.finditer(line):
            words, _, value = comment["text"].partition(":")
            if words == "no markers":
                needs_markers = False
            elif words in {"preview", "select"} and not sections:
                raise CaseError(f"line {number}: `{words}` belongs under the heading that it is about")
            elif words == "preview":
                sections[-1].preview = True
            elif words == "select":
                if not _CODES.fullmatch(value.strip()):
                    raise CaseError(f"line {number}: expected `<!-- select: ASY104 -->`, came `{comment[0]}`")
                sections[-1].select += tuple(code.strip() for code in value.split(","))
    return sections, needs_markers


def _fence(number: int, opening: re.Match[str], lines: Iterator[tuple[int, str]]) -> Fence | None:
    """Read up to the end of a fence; `None` if it holds something else than Python."""
    language, *words = opening["info"].split() or [""]
    code = []
    for _, line in lines:
        if line.rstrip() == opening["ticks"]:
            break
        code.append(f"{line}\n")
    else:
        raise CaseError(f"line {number}: the code is not closed by {opening['ticks']}")
    if language != "python":
        return None
    file = ""
    for word in words:
        key, _, file = word.partition("=")
        path = PurePosixPath(file)
        if key != "file" or path.suffix != ".py" or path.is_absolute() or ".." in path.parts:
            raise CaseError(f"line {number}: expected `python file=pkg/module.py`, came `{opening['info'].strip()}`")
    return Fence(file, number + 1, "".join(code))


def _cases_of(section: _Section) -> Iterator[Case]:
    """Every fence alone, those with a file name together."""
    project = [fence for fence in section.fences if fence.file]
    names = [fence.file for fence in project]
    if twice := {name for name in names if names.count(name) > 1}:
        raise CaseError(f"section `{section.title}` has {min(twice)} twice")
    groups = [[fence] for fence in section.fences if not fence.file] + ([project] if project else [])
    for number, fences in enumerate(groups, 1):
        title = section.title if len(groups) == 1 else f"{section.title} ({number})"
        yield Case(title, fences, section.preview, section.select)


def markers_of(fence: Fence) -> list[Marker]:
    """The markers in a fence's comments.

    Raises:
        CaseError: The code cannot be split into tokens, or a comment looks like a marker and is none.
    """
    markers = []
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(fence.code).readline))
    except (tokenize.TokenError, SyntaxError) as error:
        raise CaseError(f"the code at line {fence.line} is not Python: {error}") from None
    for token in tokens:
        if token.type != tokenize.COMMENT:
            continue
        found = list(_MARKER.finditer(token.string))
        if len(found) != len(_MARKER_LIKE.findall(token.string)):
            line = fence.line + token.start[0] - 1
            raise CaseError(f'line {line}: expected `# error: [CODE, …] "message"`, came `{token.string}`')
        for match in found:
            codes = [code.strip() for code in match["codes"].split(",")]
            markers += [Marker(fence.file, token.start[0], code, match["text"] or "") for code in codes]
    return markers


def rules_for(case: Case) -> list[Rule]:
    """The rules that a case is checked with."""
    if case.select:
        return [rule for rule in all_rules() if rule.code.startswith(case.select)]
    wanted = {Default.ON, Default.PREVIEW} if case.preview else {Default.ON}
    return [rule for rule in all_rules() if rule.default in wanted]


def check_sources(sources: dict[str, str], rules: Iterable[Rule], *, preview: bool = False) -> dict[str, list[Finding]]:
    """What rules find in the modules of a project, by file name."""
    # The directory's name says nothing of tests: rules grade test files apart.
    with tempfile.TemporaryDirectory(prefix="case-") as root:
        for name, code in sources.items():
            path = Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code, encoding="utf-8")
        program = Program([root])
        found = {}
        for name in sources:
            module = program.load(Path(root, name))
            grave = [f for f in check(module, program, rules, preview=preview) if Settings().wants(f)]
            found[name] = unsilenced(module, grave)
        return found


def run_case(case: Case) -> list[str]:
    """Check a case; what is wrong, one line each."""
    sources = {fence.file or "example.py": fence.code for fence in case.fences}
    found = check_sources(sources, rules_for(case), preview=case.preview)
    problems: list[tuple[int, str]] = []
    for fence in case.fences:
        findings = found[fence.file or "example.py"]
        markers = markers_of(fence)
        lines = ["", *fence.code.splitlines()]
        expected = {(marker.line, marker.code) for marker in markers}
        for finding in findings:
            if (finding.line, finding.code) not in expected:
                problems.append(_problem(fence, finding.line, f"false alarm: {finding.code} {finding.message}", lines))
        for marker in markers:
            messages = [f.message for f in findings if (f.line, f.code) == (marker.line, marker.code)]
            if not messages:
                problems.append(_problem(fence, marker.line, f"missed alarm: {marker.code}", lines))
            elif not any(marker.text in message for message in messages):
                said = "; ".join(messages)
                text = f'wrong message: {marker.code} should say "{marker.text}", says "{said}"'
                problems.append(_problem(fence, marker.line, text, lines))
    return [text for _, text in sorted(dict.fromkeys(problems))]


def _problem(fence: Fence, line: int, text: str, lines: list[str]) -> tuple[int, str]:
    place = fence.line + line - 1
    name = f" ({fence.file}:{line})" if fence.file else ""
    return place, f"line {place}{name}: {text}\n    {lines[line].strip()}"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the Markdown files of `cases/`."""
    if file_path.suffix == ".md" and CASES in file_path.parents and file_path.name != "README.md":
        return CaseFile.from_parent(parent, path=file_path)
    return None


class CaseFile(pytest.File):
    """One Markdown file."""

    def collect(self) -> Iterator[pytest.Item]:
        """Its cases."""
        titles: dict[str, int] = {}
        try:
            cases = parse_cases(self.path.read_text(encoding="utf-8"))
        except CaseError as error:
            raise self.CollectError(f"{self.path.name}: {error}") from None
        for case in cases:
            titles[case.title] = titles.get(case.title, 0) + 1
            again = f" #{titles[case.title]}" if titles[case.title] > 1 else ""
            yield CaseItem.from_parent(self, name=f"{case.title}{again}", case=case)


class _CaseFailureError(Exception):
    """Findings and markers differ."""


class CaseItem(pytest.Item):
    """One case."""

    def __init__(self, *, case: Case, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case = case

    def runtest(self) -> None:
        """Compare findings and markers."""
        if problems := run_case(self.case):
            raise _CaseFailureError("\n".join(problems))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Only the differences; the traceback of anything else."""
        if isinstance(excinfo.value, (_CaseFailureError, CaseError)):
            return f"{self.path.name}: {self.name}\n{excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the code is."""
        return self.path, self.case.fences[0].line - 1, self.name


@pytest.fixture(scope="session")
def check_example():
    """Codes that rules report for a module: `check_example(code, rules, preview=False)`."""

    def codes(code: str, rules: Iterable[Rule], *, preview: bool = False) -> set[str]:
        return {finding.code for finding in check_sources({"example.py": code}, rules, preview=preview)["example.py"]}

    return codes


# -- fixes -------------------------------------------------------------------------------------------------------------

OFFLOAD = {"asyncio": "asyncio.to_thread", "anyio": "anyio.to_thread.run_sync", "trio": "trio.to_thread.run_sync"}
_BLOCKING = frozenset({"requests.get", "requests.post", "open", "io.open", "block", "client.get", "read"})


def _findings(source: str, library: str, safety: Safety, *, blocks: bool) -> Iterator[Finding]:
    """A finding for each call of `time.sleep` and of some functions taken for blocking, wherever it is."""
    lines = re.split(r"\r\n|\r|\n", source)

    def column(line: int, offset: int) -> int:
        return len(lines[line - 1].encode()[:offset].decode()) + 1

    tree = ast.parse(source)
    entered = {item.context_expr for node in ast.walk(tree) if isinstance(node, ast.With) for item in node.items}
    for node in ast.walk(tree):
        callee = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        last = callee.rpartition(".")[2]
        if callee in {"time.sleep", "snooze"}:
            fix = Fix(safety, Action.REPLACE_CALL, f"{library}.sleep")
        elif callee in _BLOCKING or last in {"read", "read_text", "blocking"}:
            in_header = blocks and node in entered
            fix = Fix(safety, Action.OFFLOAD_BLOCK if in_header else Action.OFFLOAD_CALL, OFFLOAD[library])
        else:
            continue
        assert isinstance(node, ast.Call)
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        yield Finding(
            code="ASY100",
            name="blocking",
            severity=Severity.WARNING,
            path="example.py",
            line=node.lineno,
            column=column(node.lineno, node.col_offset),
            end_line=node.end_lineno,
            end_column=column(node.end_lineno, node.end_col_offset),
            function="f",
            message="blocks",
            help="",
            sink=callee,
            fix=fix,
        )


@dataclass(frozen=True, slots=True)
class Planned:
    """Findings made by hand, and what fixing makes of them."""

    findings: tuple[Finding, ...]
    result: FixResult

    @property
    def text(self) -> str:
        """The fixed source."""
        assert not self.result.error, self.result.error
        return self.result.after.decode()

    @property
    def reasons(self) -> str:
        """Why what was not fixed was not."""
        return "\n".join(reason for _, reason in self.result.skipped)


@pytest.fixture(scope="session")
def fix():
    """Fix `time.sleep`, `requests.get`, `open`, `block`, `….read()` in a source: `fix(source, library="trio")`."""

    def fixed(
        source: str,
        *,
        library: str = "asyncio",
        safety: Safety = Safety.SAFE,
        unsafe: bool = False,
        blocks: bool = True,
    ) -> Planned:
        findings = tuple(_findings(source, library, safety, blocks=blocks))
        return Planned(findings, fix_source(source.encode(), findings, unsafe=unsafe))

    return fixed
