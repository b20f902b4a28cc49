"""Facts about one module."""

from __future__ import annotations

import ast
import sysconfig
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asynclint.syntax import Function, Module, SourceError, extract, plain


def facts(source: str) -> Module:
    return extract(source.encode())


def targets(function: Function) -> list[str]:
    return [plain(call.target) for call in function.calls if not call.implicit]


STDLIB = Path(sysconfig.get_path("stdlib"))


@pytest.mark.parametrize("name", ["asyncio/tasks.py", "asyncio/base_events.py", "typing.py", "contextlib.py", "ast.py"])
def test_facts_survive_being_written_down(name: str) -> None:
    module = extract((STDLIB / name).read_bytes())
    assert Module.from_text(module.to_text()) == module
    assert Module.from_bytes(module.to_bytes()) == module


def test_facts_do_not_depend_on_who_parses() -> None:
    source = (STDLIB / "asyncio" / "queues.py").read_bytes()
    assert extract(source) == extract(source, ast.parse(source))


@given(st.binary(max_size=200))
@example(b"#\x80")  # `ast` passes over it, the interpreter would not
def test_any_bytes_give_facts_or_a_source_error(source: bytes) -> None:
    try:
        module = extract(source)
    except SourceError as error:
        assert error.line >= 1
        assert error.column >= 1
        assert str(error)
    else:
        assert module.functions[0].name == "<module>"


def test_a_call_knows_what_becomes_of_its_result() -> None:
    module = facts(
        "async def f():\n"
        "    a()\n    x = b()\n    await c()\n    return d(e())\n\n\n"
        "async def g():\n"
        "    for i in h():\n        pass\n    async for j in k():\n        pass\n"
        "    list(m())\n    with n(), o():\n        pass\n"
    )
    uses = {call.target: call.use for function in module.functions for call in function.calls if not call.implicit}
    assert uses == {
        "a": "drop",
        "b": "store:x",
        "c": "await",
        "d": "return",
        "e": "other",
        "h": "for",
        "k": "async for",
        "list": "drop",
        "m": "for",
        "n": "with",
        "o": "with",
    }


def test_the_bindings_that_reach_a_call_are_noted() -> None:
    module = facts("def f(a):\n    x = p()\n    if a:\n        x = q()\n    x.go()\n    x = r()\n    x.go()\n")
    function = module.functions[1]
    reaching = [
        [function.bindings[int(i)][1] for i in call.target.partition("@")[2].partition(".")[0].split(",")]
        for call in function.calls
        if call.target.endswith(".go")
    ]
    assert reaching == [["p()", "q()"], ["r()"]]


def test_code_that_cannot_run_makes_no_calls() -> None:
    module = facts(
        "def f(a):\n    if a:\n        return\n        g()\n    else:\n        raise ValueError\n    h()\n\n\n"
        "def k():\n    while True:\n        m()\n    n()\n"
    )
    assert [targets(function) for function in module.functions] == [[], [], ["m"]]


def test_attributes_of_a_class_come_from_everywhere() -> None:
    (cls,) = facts(
        "class A:\n    x: int\n    y = make()\n"
        "    def m(self, z: 'B'):\n        self.z = z\n        def later():\n            self.w = w()\n"
    ).classes
    assert {name: [value for _, value in values] for name, values in cls.attributes.items()} == {
        "x": [": int"],
        "y": ["make()"],
        "m": ["def 1"],
        "z": ["z@1"],
        "w": ["w()"],
    }


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("Client", "Client"),
        ("'pkg.Client'", "pkg.Client"),
        ("Optional[Client]", "Client"),
        ("Client | None", "Client"),
        ("Union[A, 'B', None]", "A|B"),
        ("Annotated[Client, Depends(get)]", "Client"),
        ("list[Client]", "list[Client]"),
        ("'not valid ['", ""),
    ],
)
def test_annotations_are_normalised(annotation: str, expected: str) -> None:
    (binding,) = facts(f"def f(x: {annotation}): ...").functions[1].bindings
    assert binding == ("x", f": {expected}" if expected else "")


def test_names_that_are_bound_and_never_read_are_noted() -> None:
    module = facts("def f():\n    a = 1\n    b = 2\n    c = 3\n    def g():\n        return c\n    return b, g\n")
    assert module.functions[1].unread == ["a"]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_columns_count_characters_in_any_encoding(encoding: str) -> None:
    source = f"# coding: {encoding}\n'éé'; go()\n".encode(encoding)
    (call,) = extract(source).functions[0].calls
    assert (call.column, call.end_column) == (6, 10)


def test_noqa_comments_are_read_as_flake8_reads_them() -> None:
    module = facts("a # noqa\nb # NOQA: asy101,E501\nc # noqa:ASY2 because\nd # noqa: because\ne\n")
    assert module.noqa == {1: [], 2: ["ASY101", "E501"], 3: ["ASY2"], 4: []}


def test_a_noqa_speaks_for_all_lines_that_are_joined_to_its_own() -> None:
    module = facts('a\nb + \\\n"""\n\n""" + \\\nc  # noqa: ASY101\n"""d"""  # noqa: ASY2\n')
    assert module.noqa == {**{line: ["ASY101"] for line in range(2, 7)}, 7: ["ASY2"]}


def test_what_is_unpacked_is_walked_once_however_deep_it_nests() -> None:
    source = "x"
    for _ in range(50):  # walked twice at each step, it would never end
        source = f"gather(*[{source}])"
    assert [call.target for call in facts(source).functions[0].calls] == ["gather"] * 50
