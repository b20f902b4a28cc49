"""Syntax of later Pythons, recognised where an earlier one's parser gives up.

Guessing wrong would send somebody after another Python for the sake of a slip of the pen, so only what is complete, and
right in the later version, counts.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

_LINES = 25
"""Parameter lists may be spread over so many lines around the place of the error."""
_REACH = 2000
"""Characters looked at before and after that place: the whole program may stand on one line."""
_STRINGS = 20
_DEPTH = 20

_NAME = r"[^\W\d]\w*"
_DOTTED = rf"{_NAME}(?:\.{_NAME})*"
_HEADER = re.compile(
    rf"(?:^|[:;])[ \t]*(?:(?:async[ \t]+)?(?P<kind>def|class)|type)[ \t]+{_NAME}[ \t]*(?P<mark>[\[=])", re.M
)
_PARAMETER = re.compile(rf"\s*\*{{0,2}}{_NAME}\s*(?::[^=]+)?(?P<default>=[^=].*)?", re.S)
_AFTER = {"def": "(", "class": "(:", None: "="}
_EXCEPT = re.compile(rf"\bexcept[ \t]*\*?[ \t]*{_DOTTED}(?P<rest>(?:[ \t]*,[ \t]*{_DOTTED})+)[ \t]*:")
_OLD_TARGET = re.compile(r"[ \t]*,[ \t]*[a-z_][a-z_0-9]*")
_TEMPLATE = re.compile(r"(?<!\w)(?:t|tr|rt)$", re.I)
_LITERAL = re.compile(r"(?<!\w)(?P<prefix>[bfru]{0,2})(?P<quote>\"\"\"|'''|\"|')", re.I)

Version = tuple[int, int]


def newer_syntax(error: SyntaxError, source: bytes, running: Version = sys.version_info[:2]) -> str:
    """What to say where `error` comes from syntax of a later Python than `running`; `""` where it does not."""
    text, place = _around(error, source)
    if place < 0:
        return ""
    candidates = (_type_parameters(text, place), _exceptions(error, text, place), _template(text, place))
    version, what = next(filter(None, candidates), ((3, 12), ""))
    if not what and running < version and _is_nested(error, text, place):
        what = "what stands in the braces of an f-string"
    if not what or version <= running:
        return ""
    return f"needs Python {version[0]}.{version[1]} or newer to be analysed: {what}"


def _around(error: SyntaxError, source: bytes) -> tuple[str, int]:
    """The text around an error, and the error's index in it; -1 where its place is not known."""
    number, offset = error.lineno or 0, error.offset or 0
    lines = source.decode("utf-8", "replace").split("\n")
    if not 0 < number <= len(lines) or offset < 1:
        return "", -1
    first = max(number - 1 - _LINES, 0)
    text = "\n".join(lines[first : number + _LINES])
    place = sum(len(line) + 1 for line in lines[first : number - 1]) + offset - 1
    start = max(place - _REACH, 0)
    return text[start : place + _REACH], place - start


# -- statements --------------------------------------------------------------------------------------------------------

Found = tuple[Version, str] | None


def _type_parameters(text: str, place: int) -> Found:
    """`def f[T](…)`, `class C[T]`, `type X = …`."""
    header = None
    for match in _HEADER.finditer(text, 0):
        if match.start() <= place:
            header = match
    if header is None:
        return None
    kind = header["kind"]
    what = f"type parameters of a {'class' if kind == 'class' else 'function'}" if kind else "a `type` statement"
    if header["mark"] == "=":
        return ((3, 12), what) if not kind and place < header.end() else None
    end = _closing(text, header.end())
    if end < place or text[end + 1 :].lstrip()[:1] not in tuple(_AFTER[kind]):
        return None
    *parameters, last = _separated(re.sub(r"#.*", "", text[header.end() : end]))
    if last.strip():
        parameters.append(last)
    matches = [_PARAMETER.fullmatch(parameter) for parameter in parameters]
    if not matches or None in matches:
        return None
    if any(match["default"] for match in matches if match is not None):
        return (3, 13), "a default of a type parameter"
    return (3, 12), what


def _closing(text: str, start: int) -> int:
    """Where the bracket that was opened before `start` is closed, or -1."""
    depth = 0
    for index in range(start, len(text)):
        if text[index] in "([{":
            depth += 1
        elif text[index] in ")]}":
            if not depth:
                return index
            depth -= 1
    return -1


def _separated(text: str) -> Iterator[str]:
    """The parts between commas that stand in no brackets."""
    depth = start = 0
    for index, character in enumerate(text):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and not depth:
            yield text[start:index]
            start = index + 1
    yield text[start:]


def _exceptions(error: SyntaxError, text: str, place: int) -> Found:
    """`except A, B:`, but not Python 2's `except A, error:`."""
    if "must be parenthesized" not in error.msg:
        return None
    line = text[text.rfind("\n", 0, place) + 1 :].partition("\n")[0]
    match = _EXCEPT.search(line)
    if match is None or _OLD_TARGET.fullmatch(match["rest"]):
        return None
    return (3, 14), "`except` with several exceptions and no parentheses"


def _template(text: str, place: int) -> Found:
    """`t"…"`."""
    if text[place : place + 1] in ("'", '"') and _TEMPLATE.search(text[max(place - 3, 0) : place]):
        return (3, 14), "a template string"
    return None


# -- f-strings ---------------------------------------------------------------------------------------------------------


def _is_nested(error: SyntaxError, text: str, place: int) -> bool:
    """Whether an f-string at `place` holds in its braces what it must not before Python 3.12, and is right since."""
    if error.msg.startswith("f-string expression part cannot include"):
        return True
    starts = [m for m in _LITERAL.finditer(text, 0, place + 3) if "f" in m["prefix"].lower()]
    for match in starts[-_STRINGS:]:
        end, is_new = _formatted(text, match.end(), match["quote"], 0)
        if is_new and end >= place:
            return True
    return False


def _formatted(text: str, at: int, quote: str, depth: int) -> tuple[int, bool]:
    """The end of an f-string, by the rules of Python 3.12, and whether it needs them; -1 where it is not right."""
    is_new = False
    while 0 <= at < len(text):
        if text.startswith(quote, at):
            return at + len(quote), is_new
        if text[at] == "\n" and len(quote) == 1:
            return -1, False
        if text.startswith("{{", at) or (text[at] == "\\" and text[at + 1 : at + 2] != "{"):
            at += 2
        elif text[at] == "{":
            at, inner = _braces(text, at + 1, quote, depth + 1)
            is_new |= inner
        else:
            at += 1
    return -1, False


def _braces(text: str, at: int, quote: str, depth: int) -> tuple[int, bool]:
    """The same for an expression of an f-string in `quote`, from after its opening brace to after its closing one."""
    is_new, inside, is_format = False, 0, False
    while at < len(text) and depth < _DEPTH:
        character = text[at]
        if is_format and character == "{":
            at, inner = _braces(text, at + 1, quote, depth + 1)
            is_new |= inner
            if at < 0:
                break
            continue
        if character == "}" and not inside:
            return at + 1, is_new
        if is_format:
            if text.startswith(quote, at):
                break
        elif (literal := _LITERAL.match(text, at)) is not None:
            end = _literal_end(text, literal, depth)
            if end < 0:
                break
            is_new |= quote in text[at:end] or "\\" in text[at:end]
            at = end
            continue
        elif character == "#":
            at = text.find("\n", at)
            is_new = True
            if at < 0:
                break
        else:
            inside += (character in "([{") - (character in ")]}")
            is_format = character == ":" and not inside
            is_new |= character == "\\" or (character == "\n" and len(quote) == 1)
        at += 1
    return -1, False


def _literal_end(text: str, literal: re.Match[str], depth: int) -> int:
    quote = literal["quote"]
    if "f" in literal["prefix"].lower():
        return _formatted(text, literal.end(), quote, depth + 1)[0]
    match = re.compile(rf"(?:\\.|(?!{quote})[^\\{'' if len(quote) > 1 else chr(10)}])*{quote}", re.S).match(
        text, literal.end()
    )
    return match.end() if match else -1
