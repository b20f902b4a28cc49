"""Single calls: what is rewritten, how, and what is left alone."""

from __future__ import annotations

import ast
from textwrap import dedent, indent

import pytest

from asynclint.findings import Safety

LIBRARIES = ("asyncio", "anyio", "trio")
THREAD = {"asyncio": "asyncio.to_thread", "anyio": "anyio.to_thread.run_sync", "trio": "trio.to_thread.run_sync"}


def in_async(body: str, *imports: str) -> str:
    head = "".join(f"import {name}\n" for name in imports)
    return f"{head}\n\nasync def f(u, p, xs, cond):\n{indent(dedent(body).strip(), '    ')}\n"


def body_of(text: str) -> str:
    return dedent(text.partition("cond):\n")[2]).strip()


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("time.sleep(1)", "await LIB.sleep(1)"),
        ("requests.get(u)", "await THREAD(requests.get, u)"),
        ("f = open(p, 'w')", "f = await THREAD(open, p, 'w')"),
        ("requests.get(*xs)", "await THREAD(requests.get, *xs)"),
        ("with block(u) as b: use(b)", "with await THREAD(block, u) as b: use(b)"),
        ("return self.client.read()", "return await THREAD(self.client.read)"),
        ("block(x for x in xs)", "await THREAD(block, (x for x in xs))"),
        ("block((x for x in xs),)", "await THREAD(block, (x for x in xs),)"),
        ("block()()", "(await THREAD(block))()"),
        ("super().read(1)", "await THREAD(super().read, 1)"),
    ],
)
def test_rewrites_for_every_library(fix, library, before, after):
    after = after.replace("LIB", library).replace("THREAD", THREAD[library])
    assert body_of(fix(in_async(before, library), library=library, blocks=False).text) == after


@pytest.mark.parametrize(
    ("library", "after"),
    [
        ("asyncio", "await asyncio.to_thread(requests.get, u, *xs, timeout=3, **kw)"),
        ("anyio", "await anyio.to_thread.run_sync(functools.partial(requests.get, u, *xs, timeout=3, **kw))"),
        ("trio", "await trio.to_thread.run_sync(functools.partial(requests.get, u, *xs, timeout=3, **kw))"),
    ],
)
def test_keyword_arguments_are_bound_where_the_library_does_not_pass_them_on(fix, library, after):
    before = in_async("requests.get(u, *xs, timeout=3, **kw)", library)
    text = fix(before, library=library).text
    assert body_of(text) == after
    assert ("import functools" in text) is ("functools.partial" in after)


PRECEDENCE = [
    ("time.sleep(1) or u", "await asyncio.sleep(1) or u"),
    ("not time.sleep(1)", "not await asyncio.sleep(1)"),
    ("-block()", "-await asyncio.to_thread(block)"),
    ("block().x", "(await asyncio.to_thread(block)).x"),
    ("block()[0]", "(await asyncio.to_thread(block))[0]"),
    ("xs[block()]", "xs[await asyncio.to_thread(block)]"),
    ("xs[block():]", "xs[await asyncio.to_thread(block):]"),
    ("block()(1)", "(await asyncio.to_thread(block))(1)"),
    ("print(block())", "print(await asyncio.to_thread(block))"),
    ("print(*block(), **block())", "print(*await asyncio.to_thread(block), **await asyncio.to_thread(block))"),
    ("block() ** 2", "(await asyncio.to_thread(block)) ** 2"),
    ("2 ** block()", "2 ** (await asyncio.to_thread(block))"),
    ("2 ** -block()", "2 ** -await asyncio.to_thread(block)"),
    ("block() + 1 < 2", "await asyncio.to_thread(block) + 1 < 2"),
    ("1 if block() else 2", "1 if await asyncio.to_thread(block) else 2"),
    ("[block()for x in xs]", "[(await asyncio.to_thread(block))for x in xs]"),
    ("{block(): block()}", "{await asyncio.to_thread(block): await asyncio.to_thread(block)}"),
    ("{**block()}", "{**await asyncio.to_thread(block)}"),
    ("(block())", "(await asyncio.to_thread(block))"),
    ("(block()).x", "(await asyncio.to_thread(block)).x"),
    ("(y := block())", "(y := await asyncio.to_thread(block))"),
    ("a = b = block()", "a = b = await asyncio.to_thread(block)"),
    ("a, *b = block()", "a, *b = await asyncio.to_thread(block)"),
    ("xs[0] = block()", "xs[0] = await asyncio.to_thread(block)"),
    ("a: int = block()", "a: int = await asyncio.to_thread(block)"),
    ("u += block()", "u += await asyncio.to_thread(block)"),
    ("block().x = 1", "(await asyncio.to_thread(block)).x = 1"),
    ("del block().x", "del (await asyncio.to_thread(block)).x"),
    ("assert block(), block()", "assert await asyncio.to_thread(block), await asyncio.to_thread(block)"),
    ("yield block()", "yield await asyncio.to_thread(block)"),
    ("for x in block(): pass", "for x in await asyncio.to_thread(block): pass"),
    ("while time.sleep(1): pass", "while await asyncio.sleep(1): pass"),
    ("if(block()): pass", "if(await asyncio.to_thread(block)): pass"),
    ("return(u).read()", "return(await asyncio.to_thread((u).read))"),
    ("x = 1 if(u).read()else 2", "x = 1 if(await asyncio.to_thread((u).read))else 2"),
    ("f'{block()!r:>{block()}}'", "f'{await asyncio.to_thread(block)!r:>{await asyncio.to_thread(block)}}'"),
    ("async with block() as b: pass", "async with await asyncio.to_thread(block) as b: pass"),
    ("(x for x in block())", "(x for x in await asyncio.to_thread(block))"),
    ("[x for y in xs for x in block() if block()]",
     "[x for y in xs for x in await asyncio.to_thread(block) if await asyncio.to_thread(block)]"),
    ("lambda: 0 or (lambda x: x)\nblock()", "lambda: 0 or (lambda x: x)\nawait asyncio.to_thread(block)"),
    ("match block():\n    case 1: pass", "match await asyncio.to_thread(block):\n    case 1: pass"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), PRECEDENCE)
def test_parentheses_are_added_where_precedence_needs_them(fix, before, after):
    planned = fix(in_async(before, "asyncio", "time"))
    assert body_of(planned.text) == after
    assert not planned.result.skipped


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("g = lambda: time.sleep(1)", "in a lambda"),
        ("def g():\n    time.sleep(1)", "`g` is not an async function"),
        ("g = (time.sleep(x) for x in xs)", "generator expression"),
        ("g = (x for x in xs for y in block())", "generator expression"),
        ("g = (x for x in xs if block())", "generator expression"),
        ("g = ([block() for y in xs] for x in xs)", "generator expression"),
        ("class A:\n    x = block()", "class body"),
        ("class A(block()): pass", "header of a class"),
        ("def g(x=block()): pass", "parameters of a function"),
        ("async def g(x=block()): pass", "parameters of a function"),
        ("@block()\nasync def g(): pass", "in a decorator"),
        ("async def g() -> block(): pass", "in an annotation"),
        ("x: block() = 1", "in an annotation"),
        ("await block()", "awaited already"),
        ("f'{block()=}'", "prints its source"),
        ("f'{block( ) = !r}'", "prints its source"),
        ("self.total += block()", "other tasks may change it"),
        ("xs[0] += block()", "other tasks may change it"),
        ("global total\ntotal += block()", "other tasks may change it"),
        ("snooze(secs=1)", "other arguments"),
        ("snooze(*xs)", "other arguments"),
        ("snooze(1, 2)", "other arguments"),
        ("snooze()", "other arguments"),
    ],
)
def test_leaves_alone_what_await_would_break(fix, before, reason):
    source = in_async(before, "asyncio", "time")
    planned = fix(source)
    assert planned.text == source
    assert reason in planned.reasons


def test_leaves_alone_module_level_and_sync_code(fix):
    source = "import time\n\ntime.sleep(1)\n\n\ndef f():\n    time.sleep(1)\n"
    planned = fix(source)
    assert planned.text == source
    assert "it is not in a function" in planned.reasons


@pytest.mark.parametrize("name", ["locals", "eval", "super", "vars"])
def test_leaves_alone_builtins_that_look_at_their_caller(fix, name):
    from dataclasses import replace

    from asynclint.fixes import fix_source

    source = in_async("xs = block()", "asyncio")
    (finding,) = fix(source).findings
    changed = source.replace("block", name)
    moved = replace(finding, end_column=finding.end_column + len(name) - len("block"))
    result = fix_source(changed.encode(), [moved])
    assert not result.changed
    assert "depends on the function that calls it" in result.skipped[0][1]


def test_f_string_with_a_label_is_rewritten(fix):
    assert body_of(fix(in_async("f'size={block()}'", "asyncio")).text) == "f'size={await asyncio.to_thread(block)}'"


def test_span_without_a_call_is_left_alone(fix):
    from asynclint.fixes import fix_source

    source = in_async("time.sleep(1)", "asyncio", "time")
    findings = fix(source).findings
    shifted = source.replace("    time.sleep", "    x = time.sleep").encode()
    result = fix_source(shifted, findings)
    assert result.after == shifted
    assert "the file changed" in result.skipped[0][1]


def test_nested_fixes_are_applied_together(fix):
    before = "requests.post(u, data=open(p).read()).json(block())"
    after = (
        "(await asyncio.to_thread(requests.post, u, data=await asyncio.to_thread("
        "(await asyncio.to_thread(open, p)).read))).json(await asyncio.to_thread(block))"
    )
    assert body_of(fix(in_async(before, "asyncio")).text) == after


def test_same_fix_from_two_rules_is_applied_once(fix):
    from asynclint.fixes import fix_source

    source = in_async("time.sleep(1)", "asyncio", "time")
    findings = fix(source).findings * 2
    result = fix_source(source.encode(), findings)
    assert result.after.decode().count("await") == 1
    assert len(result.applied) == 2


def test_different_fixes_of_one_call_wait_for_the_next_run(fix):
    from asynclint.fixes import fix_source

    source = in_async("time.sleep(1)", "asyncio", "trio", "time")
    both = (*fix(source).findings, *fix(source, library="trio").findings)
    result = fix_source(source.encode(), both)
    assert result.after.decode().count("await") == 1
    assert "another fix edits the same call" in result.skipped[0][1]


def test_unsafe_fixes_need_to_be_asked_for(fix):
    source = in_async("time.sleep(1)", "asyncio", "time")
    held = fix(source, safety=Safety.UNSAFE)
    assert held.text == source
    assert "--unsafe-fixes" in held.reasons
    assert "await" in fix(source, safety=Safety.UNSAFE, unsafe=True).text
    assert fix(source, safety=Safety.NONE, unsafe=True).text == source


def test_layout_and_comments_are_kept(fix):
    before = """\
        d = requests.get(  # why
            u,  # where
            timeout=(
                3 # seconds
            ),

            # no more
        ).json()  # all
    """
    after = """\
        d = (await asyncio.to_thread(  # why
            requests.get,
            u,  # where
            timeout=(
                3 # seconds
            ),

            # no more
        )).json()  # all
    """
    assert body_of(fix(in_async(before, "asyncio")).text) == dedent(after).strip()


def test_call_chain_over_lines_stays_valid(fix):
    before = "x = (\n    client\n    # the session\n    .read(u)\n    .decode()\n)"
    text = fix(in_async(before, "asyncio")).text
    ast.parse(text)
    assert "# the session" in text
    assert "await asyncio.to_thread(" in text


@pytest.mark.parametrize("prefix", ["'éü漢😀'; ", "ключ = 'x'; ", "\tx = 1; "[1:], "'\u2028\x0c'; "])
def test_columns_count_characters(fix, prefix):
    source = f"import asyncio\nasync def f():\n    {prefix}time.sleep(1)\n"
    assert fix(source).text == source.replace("time.sleep", "await asyncio.sleep")


def test_tabs_are_kept(fix):
    source = "import asyncio, time\n\nasync def f():\n\tif 1:\n\t\t'é';\ttime.sleep(\n\t\t\t1)\n"
    assert fix(source).text == source.replace("time.sleep", "await asyncio.sleep")


def test_async_function_in_class_in_function_is_reached(fix):
    source = dedent("""
        import asyncio
        def outer():
            class A:
                @property
                async def f(self):
                    async def g():
                        block()
                    return [block() for _ in range(3)]
    """)
    planned = fix(source)
    assert planned.text.count("await asyncio.to_thread(block)") == 2
