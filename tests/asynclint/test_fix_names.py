"""How new code refers to libraries: as the file does already, or by a new import in its place."""

from __future__ import annotations

from textwrap import dedent

import pytest

BODY = "\n\nasync def f():\n    CALL\n"


@pytest.mark.parametrize(
    ("imports", "library", "call", "after"),
    [
        ("import asyncio", "asyncio", "time.sleep(1)", "await asyncio.sleep(1)"),
        ("import asyncio as aio", "asyncio", "time.sleep(1)", "await aio.sleep(1)"),
        ("from asyncio import sleep", "asyncio", "time.sleep(1)", "await sleep(1)"),
        ("from asyncio import sleep as nap", "asyncio", "time.sleep(1)", "await nap(1)"),
        ("import asyncio\nfrom asyncio import sleep", "asyncio", "time.sleep(1)", "await sleep(1)"),
        ("from asyncio import to_thread", "asyncio", "block(1)", "await to_thread(block, 1)"),
        ("import asyncio.subprocess", "asyncio", "time.sleep(1)", "await asyncio.sleep(1)"),
        ("from anyio import to_thread", "anyio", "block(1)", "await to_thread.run_sync(block, 1)"),
        ("from anyio.to_thread import run_sync", "anyio", "block(1)", "await run_sync(block, 1)"),
        ("import anyio.to_thread as tt", "anyio", "block(1)", "await tt.run_sync(block, 1)"),
        ("import anyio\nfrom functools import partial", "anyio", "block(x=1)",
         "await anyio.to_thread.run_sync(partial(block, x=1))"),
        ("import trio\nimport functools as ft", "trio", "block(x=1)",
         "await trio.to_thread.run_sync(ft.partial(block, x=1))"),
        ("import os, asyncio", "asyncio", "time.sleep(1)", "await asyncio.sleep(1)"),
    ],
)  # fmt: skip
def test_spelling_of_the_file_is_reused(fix, imports, library, call, after):
    source = imports + BODY.replace("CALL", call)
    assert fix(source, library=library).text == imports + BODY.replace("CALL", after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("async def f():\n    time.sleep(1)\n", "import asyncio\n\nasync def f():\n    X\n"),
        ("import time\n\nasync def f():\n    block()\n", "import asyncio\nimport time\n\nasync def f():\n    Y\n"),
        (
            '"""Doc."""\n\n# about time\nimport time\n\nasync def f():\n    time.sleep(1)\n',
            '"""Doc."""\n\nimport asyncio\n# about time\nimport time\n\nasync def f():\n    X\n',
        ),
        (
            '"""Doc."""\nfrom __future__ import annotations\nasync def f():\n    time.sleep(1)\n',
            '"""Doc."""\nfrom __future__ import annotations\n\nimport asyncio\n\nasync def f():\n    X\n',
        ),
        (
            "import abc\nimport time\nfrom os import path\n\nimport yaml\n\nasync def f():\n    time.sleep(1)\n",
            "import abc\nimport asyncio\nimport time\nfrom os import path\n\nimport yaml\n\nasync def f():\n    X\n",
        ),
        (
            "from __future__ import annotations\n\nimport abc\n\nasync def f():\n    time.sleep(1)\n",
            "from __future__ import annotations\n\nimport abc\nimport asyncio\n\nasync def f():\n    X\n",
        ),
        (
            "# licence\n\nimport yaml\n\nasync def f():\n    time.sleep(1)\n",
            "# licence\n\nimport asyncio\n\nimport yaml\n\nasync def f():\n    X\n",
        ),
        (
            "from os import path\n\nasync def f():\n    time.sleep(1)\n",
            "import asyncio\nfrom os import path\n\nasync def f():\n    X\n",
        ),
        (
            "if True:\n    import time\n\nasync def f():\n    time.sleep(1)\n",
            "import asyncio\n\nif True:\n    import time\n\nasync def f():\n    X\n",
        ),
    ],
)
def test_missing_import_goes_among_its_kind(fix, before, after):
    after = after.replace("X", "await asyncio.sleep(1)").replace("Y", "await asyncio.to_thread(block)")
    assert fix(before).text == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import os\n\nimport yaml\n\nx = 1\n", "import os\n\nimport anyio\nimport yaml\n\nx = 1\n"),
        ("import os\n\nfrom . import x\n", "import os\n\nimport anyio\n\nfrom . import x\n"),
        ("from . import x\n", "import anyio\n\nfrom . import x\n"),
    ],
)
def test_third_party_library_is_imported_below_the_standard_library(fix, before, after):
    code = "\n\nasync def f():\n    block()\n"
    assert fix(before + code, library="anyio").text.partition("\n\nasync def")[0] == after


@pytest.mark.parametrize(
    "source",
    [
        "asyncio = None\nasync def f():\n    block()\n",
        "async def f(asyncio):\n    block()\n",
        "import asyncio\nasync def f():\n    asyncio = 1\n    block()\n",
        "import asyncio\nasync def f():\n    for asyncio in x: block()\n",
        "import asyncio\nasync def f():\n    [block() for asyncio in x]\n",
        "import asyncio\nasync def f():\n    try: pass\n    except E as asyncio: block()\n",
        "import asyncio\nasync def f():\n    match x:\n        case {**asyncio}: block()\n",
        "import asyncio\nasync def f():\n    (asyncio := 1)\n    block()\n",
        "import asyncio\nasync def f():\n    [(asyncio := 1) for x in y]\n    block()\n",
        "import asyncio\nasync def f():\n    block()\ndef g():\n    global asyncio\n    asyncio = 1\n",
        "import asyncio\ndef g(asyncio):\n    async def f():\n        block()\n",
        "import asyncio\ndef asyncio(): pass\nasync def f():\n    block()\n",
        "from . import asyncio\nasync def f():\n    block()\n",
        "try:\n    import asyncio\nexcept ImportError:\n    asyncio = None\nasync def f():\n    block()\n",
        "async def f():\n    block()\n    import asyncio\n",
        "async def f():\n    if x:\n        import asyncio\n    block()\n",
    ],
)
def test_shadowed_library_is_left_alone(fix, source):
    planned = fix(source)
    assert planned.text == source
    assert "`asyncio` is not, or not only, the module of that name here" in planned.reasons


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio\nclass A:\n    asyncio = 1\n    async def f(self):\n        block()\n",
        "import asyncio\ndef g(asyncio): pass\nasync def f():\n    block()\n",
        "async def f():\n    import asyncio\n    block()\n",
        "def g():\n    import asyncio\n    async def f():\n        block()\n    return f\n",
        "import asyncio\nasync def f():\n    [asyncio for asyncio in x]\n    block()\n",
    ],
)
def test_names_of_other_scopes_do_not_matter(fix, source):
    assert fix(source).text == source.replace("block()", "await asyncio.to_thread(block)")


def test_import_for_the_type_checker_only_does_not_count(fix):
    source = dedent("""\
        from typing import TYPE_CHECKING

        if TYPE_CHECKING:
            import asyncio


        async def f():
            block()
    """)
    assert fix(source).text.startswith("import asyncio\nfrom typing import TYPE_CHECKING\n")


def test_shadowed_member_is_reached_through_the_module(fix):
    source = "import asyncio\nfrom asyncio import sleep\nasync def f(sleep):\n    time.sleep(1)\n"
    assert "await asyncio.sleep(1)" in fix(source).text


def test_imports_that_become_unused_stay(fix):
    assert fix("import asyncio\nimport time\nasync def f():\n    time.sleep(1)\n").text.count("import time\n") == 1


def test_several_fixes_share_one_import(fix):
    source = "async def f():\n    block()\n    time.sleep(1)\n    block(x=1)\n"
    text = fix(source, library="trio").text
    assert text.startswith("import functools\n\nimport trio\n\nasync def")
    assert text.count("import trio") == 1


def test_local_variable_that_shadows_partial_stops_only_what_needs_it(fix):
    source = "import trio\nasync def f(functools):\n    block(x=1)\n    block(1)\n"
    planned = fix(source, library="trio")
    assert "    block(x=1)\n    await trio.to_thread.run_sync(block, 1)\n" in planned.text
    assert "`functools` is not" in planned.reasons
