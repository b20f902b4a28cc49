"""A module's bytes as text, and its syntax tree with positions counted the way findings count them."""

from __future__ import annotations

import ast
import codecs
import io
import re
import tokenize
import warnings
from collections.abc import Iterator

from asynclint.findings import Finding

Span = tuple[int, int, int, int]
"""Line, column, end line, end column: 1-based, in characters, the end exclusive."""

NEWLINE = re.compile(r"\r\n|\r|\n")


class UnreadableError(Exception):
    """The bytes are not the source of a Python module; the message says why."""


def decode(source: bytes) -> tuple[str, str]:
    """Text and the codec that turns it back into the same bytes, byte order mark and coding line included.

    Raises:
        UnreadableError: The bytes are not text in the encoding they name.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        text = source.decode(encoding)
        if text.encode(encoding) == source:
            return text, encoding
    except (SyntaxError, UnicodeError, LookupError) as error:
        raise UnreadableError(f"cannot be decoded: {error}") from None
    raise UnreadableError(f"does not survive decoding as {codecs.lookup(encoding).name}")


def parse(text: str) -> ast.Module:
    """Syntax tree of a module's text, without the warnings that compiling may print.

    Raises:
        UnreadableError: It does not parse.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        raise UnreadableError(f"does not parse: {error.msg} (line {error.lineno})") from None
    except ValueError as error:
        raise UnreadableError(f"does not parse: {error}") from None
    except (RecursionError, MemoryError):
        raise UnreadableError("nests too deeply") from None


def span_of(finding: Finding) -> Span:
    """Where the expression of a finding is."""
    return finding.line, finding.column, finding.end_line, finding.end_column


class Tree:
    """A syntax tree one can climb, and whose calls are found by their span."""

    def __init__(self, text: str) -> None:
        self.root: ast.Module = parse(text)
        self._lines = NEWLINE.split(text)
        self._parents: dict[ast.AST, ast.AST] = {}
        self._calls: dict[Span, ast.Call] = {}
        for parent in ast.walk(self.root):
            for child in ast.iter_child_nodes(parent):
                # `ctx` and operator nodes are shared between parents: nobody climbs from them.
                self._parents[child] = parent
            if isinstance(parent, ast.Call):
                self._calls[self.span(parent)] = parent

    def call_at(self, span: Span) -> ast.Call | None:
        """The call with exactly this span."""
        return self._calls.get(span)

    def span(self, node: ast.expr | ast.stmt) -> Span:
        """Where a node is; `ast` itself counts columns in UTF-8 bytes."""
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        return node.lineno, self._column(node.lineno, node.col_offset), end_line, self._column(end_line, end_column)

    def _column(self, line: int, offset: int) -> int:
        text = self._lines[line - 1] if line <= len(self._lines) else ""
        return 1 + (offset if text.isascii() else len(text.encode()[:offset].decode("utf-8", "replace")))

    def around(self, span: Span) -> tuple[str, str]:
        """The characters right before and after a span, `""` at the ends of lines."""
        line, column, end_line, end_column = span
        return self._lines[line - 1][: column - 1][-1:], self._lines[end_line - 1][end_column - 1 :][:1]

    def parent(self, node: ast.AST) -> ast.AST:
        """The node that holds this one; the module holds itself."""
        return self._parents.get(node, self.root)

    def climb(self, node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
        """Pairs of a node's ancestor and the child through which it holds the node, innermost first."""
        while (parent := self._parents.get(node)) is not None:
            yield parent, node
            node = parent


FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
