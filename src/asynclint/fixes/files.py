"""Fixing files: the one place of the package that writes them."""

from __future__ import annotations

import difflib
import os
import re
import stat
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from asynclint.findings import Finding
from asynclint.fixes.source import UnreadableError, decode, parse

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_NO_NEWLINE = "\n\\ No newline at end of file\n"
MISSING_LIBCST = "fixing needs libcst: pip install 'asynckit[lint]'"


@dataclass(frozen=True, slots=True)
class FixResult:
    """What fixing a file would make of it; nothing is written yet.

    Attributes:
        path: The file, as it was given.
        before: Its bytes when they were read.
        after: Its bytes with the fixes applied; the same if there are none.
        applied: Findings that `after` no longer has.
        skipped: Findings with a fix that was not applied, each with the reason.
        error: Why the file as a whole could not be fixed, `""` if it could; `after` is then `before`.
    """

    path: str
    before: bytes
    after: bytes
    applied: tuple[Finding, ...] = ()
    skipped: tuple[tuple[Finding, str], ...] = ()
    error: str = ""

    @property
    def changed(self) -> bool:
        """Whether there is something to write."""
        return self.before != self.after

    def diff(self) -> str:
        """The change as a unified diff, `""` if there is none."""
        if not self.changed:
            return ""
        before, after = (_LINE.findall(decode(source)[0]) for source in (self.before, self.after))
        lines = difflib.unified_diff(before, after, fromfile=self.path, tofile=self.path)
        return "".join(line if line.endswith(("\n", "\r")) else f"{line}{_NO_NEWLINE}" for line in lines)


def fix_file(
    path: str | os.PathLike[str], findings: Iterable[Finding], *, unsafe: bool = False, expected: bytes | None = None
) -> FixResult:
    """Read a file and work out what its fixes make of it. Nothing is written.

    Args:
        path: The file.
        findings: Findings in this file.
        unsafe: Also apply fixes that may change what the program does.
        expected: The bytes that the findings were made from, if they are at hand: a file that differs is left alone.
    """
    name = os.fspath(path)
    try:
        source = Path(name).read_bytes()
    except OSError as error:
        return FixResult(name, b"", b"", error=f"cannot be read: {error.strerror or error}")
    if expected is not None and source != expected:
        return FixResult(name, source, source, error="changed since it was checked; left alone")
    return fix_source(source, findings, unsafe=unsafe, path=name)


def fix_source(
    source: bytes, findings: Iterable[Finding], *, unsafe: bool = False, path: str = "<source>"
) -> FixResult:
    """Work out what fixes make of a module. Pure.

    Args:
        source: The module, with its byte order mark and coding line if it has them.
        findings: Findings in this module.
        unsafe: Also apply fixes that may change what the program does.
        path: Its name in the result.
    """
    findings = [finding for finding in findings if finding.fix is not None]
    if not findings:
        return FixResult(path, source, source)
    try:
        import libcst  # an extra, and slow to import
    except ImportError:
        return FixResult(path, source, source, error=MISSING_LIBCST)
    from asynclint.fixes.rewrite import rewrite

    try:
        text, encoding = decode(source)
        # libcst does not give lone carriage returns back everywhere; positions are the same with line feeds.
        old_mac = "\r" in text and "\n" not in text
        text = text.replace("\r", "\n") if old_mac else text
        module = libcst.parse_module(text)
        if module.code != text:
            raise UnreadableError("its layout would not survive")
        result = rewrite(module, findings, unsafe=unsafe)
        if not result.applied:
            return FixResult(path, source, source, skipped=result.skipped)
        code = result.module.code
        _compile(code)
        after = (code.replace("\n", "\r") if old_mac else code).encode(encoding)
    except UnreadableError as error:
        return FixResult(path, source, source, error=f"left alone: {error}")
    except libcst.ParserSyntaxError as error:
        return FixResult(path, source, source, error=f"left alone: libcst cannot parse it (line {error.raw_line})")
    except (UnicodeError, RecursionError, libcst.CSTValidationError) as error:
        return FixResult(path, source, source, error=f"left alone: {type(error).__name__}: {error}")
    return FixResult(path, source, after, result.applied, result.skipped)


def _compile(code: str) -> None:
    """Make sure that what replaces a file is a module.

    Raises:
        UnreadableError: It is not.
    """
    tree = parse(code)
    try:
        compile(tree, "<fixed>", "exec", dont_inherit=True)
    except SyntaxError as error:
        raise UnreadableError(f"the fixed code would not compile: {error.msg} (line {error.lineno})") from None


def write(result: FixResult) -> str:
    """Replace a file by its fixed version, at once or not at all.

    Keeps permissions, and the owner where allowed; writes through symbolic links. Other hard links to the file keep
    the old content.

    Returns:
        Why it was not written, in one line, or `""`.
    """
    if result.error or not result.changed:
        return result.error
    target = Path(os.path.realpath(result.path))
    try:
        status = target.stat()
        if not stat.S_IMODE(status.st_mode) & 0o222 or not os.access(target, os.W_OK):
            return "not written: the file is read-only"
        if target.read_bytes() != result.before:
            return "not written: the file changed since it was read"
        _replace(target, result.after, status)
    except OSError as error:
        return f"not written: {error.strerror or error}"
    return ""


def _replace(target: Path, content: bytes, status: os.stat_result) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if hasattr(os, "chown"):
            with suppress(OSError):
                os.chown(temporary, status.st_uid, status.st_gid)
        temporary.chmod(stat.S_IMODE(status.st_mode))  # after chown, which may clear bits
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
