"""Fixed programs do what they did: generated ones are run before and after, and the calls they make are compared."""

from __future__ import annotations

import ast
import asyncio
import re
import sys
import types
from typing import Any, Self

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

NAMES = ("x", "été", "名", "_q")


class Recorder:
    """Stands for everything a generated program calls; notes calls in order, whichever thread makes them."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def blocking(self, *args: Any, **kwargs: Any) -> Recorder:
        self.calls.append(("blocking", [self.plain(a) for a in args], sorted(map(str, kwargs))))
        return self

    def plain(self, value: Any) -> Any:
        return "recorder" if value is self else str(value)

    def sleep(self, seconds: Any) -> None:
        self.calls.append(("sleep", self.plain(seconds)))

    async def async_sleep(self, seconds: Any) -> None:
        self.sleep(seconds)

    @property
    def x(self) -> Recorder:
        return self

    @property
    def attribute(self) -> Recorder:
        self.calls.append("attribute")
        return self

    def pure(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append("pure")
        return args[-1] if args else self

    def __getitem__(self, index: Any) -> Recorder:
        self.calls.append("item")
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Recorder:
        return self.blocking(*args, **kwargs)

    def __add__(self, other: Any) -> Recorder:
        return self

    __radd__ = __pow__ = __rpow__ = __add__

    def __repr__(self) -> str:
        return "recorder"

    def __neg__(self) -> Recorder:
        return self

    def __enter__(self) -> Self:
        self.calls.append("enter")
        return self

    def __exit__(self, *details: object) -> None:
        self.calls.append("exit")

    def __iter__(self) -> Any:
        return iter([1, 2])


def unary(inner: str) -> st.SearchStrategy[str]:
    return st.sampled_from(
        [f"-{inner}", f"({inner})", f"({inner}).x", f"{inner}[0]", f"(not {inner})", f"[{inner}]", f"({inner},)"]
    )


EXPRESSIONS = st.recursive(
    st.sampled_from(["1", "r", *NAMES, "'é😀'", "'''a\n\tb'''"]),
    lambda inner: st.one_of(
        inner.map(lambda a: f"r.blocking({a})"),
        inner.map(lambda a: f"r.blocking({a}).blocking(k={a})"),
        inner.map(lambda a: f"r.pure(r.blocking(  # {a[:1]!r}\n\t{a},\n)\n)"),
        st.tuples(inner, inner).map(lambda p: f"r.blocking({p[0]}, *[{p[1]}], k={p[0]}, **{{'z': {p[1]}}})"),
        st.tuples(inner, inner).map(lambda p: f"r.pure({p[0]}, {p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]} if {p[1]} else r.blocking())"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]} or {p[1]})"),
        inner.flatmap(unary),
        inner.map(lambda a: f"[{a} for y in r for z in r.blocking({a})if {a}]"),
        inner.map(lambda a: f"r + r.blocking({a})**2"),
        inner.map(lambda a: f"(w := r.blocking({a})).attribute"),
        inner.map(lambda a: f"r.blocking({a})()"),
        inner.map(lambda a: f"[r.blocking({a})for y in(r).blocking()]"),
        inner.map(lambda a: f"(lambda v={a}: r.blocking({a}))()"),
        inner.map(lambda a: f"list(r.blocking({a}) for y in r)"),
    ),
    max_leaves=6,
)

STATEMENTS = st.one_of(
    EXPRESSIONS.map(lambda e: [e]),
    EXPRESSIONS.map(lambda e: ["r.calls.append('label'); " + e]),
    st.tuples(st.sampled_from(NAMES), EXPRESSIONS).map(lambda p: [f"{p[0]} = {p[1]}"]),
    st.integers(0, 3).map(lambda n: [f"time.sleep({n})"]),
    EXPRESSIONS.map(lambda e: [f"for x in [{e}]:", f"\t{e}"]),
    EXPRESSIONS.map(lambda e: [f"if r.blocking({e}):", "\ttime.sleep(2)", "else:", f"\t{e}"]),
    st.tuples(st.sampled_from(NAMES), EXPRESSIONS).map(
        lambda p: ["with open(r) as h:", f"\t{p[0]} = h.pure({p[1]})", "\t_q = h.pure(h)"]
    ),
    st.tuples(st.sampled_from(NAMES), EXPRESSIONS).map(
        lambda p: ["for i in r:", f"\twith open({p[1]}) as h:", f"\t\t{p[0]} = h.pure(i)", "\tr.pure(x)"]
    ),
    st.just(["if r.pure(x):", "\twith open(x) as h: return h.pure(h), 2, h.pure()"]),
    EXPRESSIONS.map(lambda e: ["try:", f"\treturn {e}", "finally:", f"\tr.blocking({e})"]),
)


@st.composite
def programs(draw: Any) -> str:
    statements = draw(st.lists(STATEMENTS, min_size=1, max_size=4))
    heading = draw(st.sampled_from(["import asyncio\nimport time\n", "import time\n", '"""Doc."""\nimport time\n']))
    lines = ["async def f(r):", "\tx = été = 名 = _q = r", *(f"\t{line}" for part in statements for line in part)]
    text = heading + "\n".join([*lines, "\treturn [r.plain(v) for v in (x, été, 名, _q)]"]) + "\n"
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


def run(text: str) -> tuple[Any, list[Any]]:
    """Run `f` of a program, with stubs for the modules it uses."""
    recorder = Recorder()

    async def to_thread(function: Any, /, *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    stubs = types.SimpleNamespace(sleep=recorder.async_sleep, to_thread=to_thread)
    space = {"asyncio": stubs, "time": types.SimpleNamespace(sleep=recorder.sleep), "open": recorder.blocking}
    tree = ast.parse(text)
    tree.body = [node for node in tree.body if not isinstance(node, ast.Import)]
    exec(compile(tree, "<generated>", "exec"), space)  # generated above
    try:
        result = asyncio.run(space["f"](recorder))  # type: ignore[operator]
    except (TypeError, AttributeError) as error:
        result = type(error)
    return recorder.plain(result), recorder.calls


def compiles(text: str) -> bool:
    """Whether a program is one: an assignment expression may not stand everywhere an expression may."""
    try:
        compile(text, "<generated>", "exec")
    except SyntaxError:
        return False
    return True


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=programs())
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_fixed_program_does_what_it_did(fix, text):
    assume(compiles(text))
    planned = fix(text, unsafe=True)
    fixed = planned.text
    assert run(text) == run(fixed)
    assert len(planned.result.applied) + len(planned.result.skipped) == len(planned.findings)
    if planned.result.applied:
        assert sorted(re.findall(r"#.*", text)) == sorted(re.findall(r"#.*", fixed))
        newline = "\r\n" if "\r\n" in text else "\n"
        assert re.sub(r"\r\n|\r|\n", newline, fixed) == fixed


def test_generated_programs_run_on_this_interpreter():
    assert sys.version_info >= (3, 11)
    assert run("async def f(r):\n    r.blocking(1)\n    return 3\n") == ("3", [("blocking", ["1"], [])])
