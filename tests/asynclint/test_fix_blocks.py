"""`with` blocks that become a function for a worker thread."""

from __future__ import annotations

from textwrap import dedent

import pytest

THREAD = {"asyncio": "asyncio.to_thread", "anyio": "anyio.to_thread.run_sync", "trio": "trio.to_thread.run_sync"}


def block(text: str) -> str:
    return dedent(text).lstrip("\n")


@pytest.mark.parametrize("library", ["asyncio", "anyio", "trio"])
def test_block_becomes_a_function_for_every_library(fix, library):
    before = f"""
        import {library}


        async def f(config_path):
            with open(config_path) as file:
                data = file.read()
            return data
    """
    after = f"""
        import {library}


        async def f(config_path):
            def read_config():
                with open(config_path) as file:
                    return file.read()

            data = await {THREAD[library]}(read_config)
            return data
    """
    assert fix(block(before), library=library).text == block(after)


REWRITES = {
    "return": (
        """
        async def f(self):
            with open(self.path) as file:
                return json.load(file)
        """,
        """
        async def f(self):
            def read_file():
                with open(self.path) as file:
                    return json.load(file)

            return await asyncio.to_thread(read_file)
        """,
    ),
    "several names": (
        """
        async def f(p):
            x = 1
            # the header comes first
            with open(p) as file:
                head = file.readline()
                # then the rest
                a, *rest = file.readline().split(",")  # fields
                unused = len(rest)
            return head, a, rest
        """,
        """
        async def f(p):
            x = 1

            # the header comes first
            def read_file():
                with open(p) as file:
                    head = file.readline()
                    # then the rest
                    a, *rest = file.readline().split(",")  # fields
                    unused = len(rest)
                    return head, a, rest

            head, a, rest = await asyncio.to_thread(read_file)
            return head, a, rest
        """,
    ),
    "nothing returned": (
        """
        async def f(p, text):
            if text:
                with open("out/report.csv", "w", encoding="utf-8") as file:
                    file.write(f"{text.x}\\n")
        """,
        """
        async def f(p, text):
            if text:
                def write_report():
                    with open("out/report.csv", "w", encoding="utf-8") as file:
                        file.write(f"{text.x}\\n")

                await asyncio.to_thread(write_report)
        """,
    ),
    "one line": (
        """
        async def f(p):
            with open(p) as g: data = g.read()
            return data
        """,
        """
        async def f(p):
            def read_data():
                with open(p) as g: return g.read()

            data = await asyncio.to_thread(read_data)
            return data
        """,
    ),
    "semicolons": (
        """
        async def f(p):
            with open(p) as g: a = g.read(); b = g.tell();
            return a, b
        """,
        """
        async def f(p):
            def read_file():
                with open(p) as g: a = g.read(); b = g.tell();return a, b

            a, b = await asyncio.to_thread(read_file)
            return a, b
        """,
    ),
    "two files": (
        """
        async def f(p, q):
            with open(p) as g, open(q, "w") as h:
                h.write(g.read())
        """,
        """
        async def f(p, q):
            def write_file():
                with open(p) as g, open(q, "w") as h:
                    h.write(g.read())

            await asyncio.to_thread(write_file)
        """,
    ),
    "annotation": (
        """
        async def f(p):
            with open(p) as g:
                lines: list[str] = [line.strip() for line in g]
            return lines
        """,
        """
        async def f(p):
            def read_lines():
                with open(p) as g:
                    return [line.strip() for line in g]

            lines: list[str] = await asyncio.to_thread(read_lines)
            return lines
        """,
    ),
    "name taken": (
        """
        async def f(p, read_data):
            with open(p) as g:
                data = g.read()
            with open(p) as g:
                data += g.read()
            return data
        """,
        """
        async def f(p, read_data):
            def read_data_2():
                with open(p) as g:
                    return g.read()

            data = await asyncio.to_thread(read_data_2)
            with open(p) as g:
                data += await asyncio.to_thread(g.read)
            return data
        """,
    ),
    "names read in a closure": (
        """
        async def f(p):
            with open(p) as g:
                data = g.read()
                size = len(data)
            return lambda: size
        """,
        """
        async def f(p):
            def read_size():
                with open(p) as g:
                    data = g.read()
                    return len(data)

            size = await asyncio.to_thread(read_size)
            return lambda: size
        """,
    ),
    "try": (
        """
        async def f(p):
            try:
                with open(p) as g:
                    data = g.read()
            except OSError:
                data = ""
            return data
        """,
        """
        async def f(p):
            try:
                def read_data():
                    with open(p) as g:
                        return g.read()

                data = await asyncio.to_thread(read_data)
            except OSError:
                data = ""
            return data
        """,
    ),
    "backslash and brackets": (
        """
        async def f(p):
            with open(p,
                      "w") as g:
                g.write("a"
                  "b"); g.write('''
        c''' + \\
                  "d")
        """,
        """
        async def f(p):
            def write_file():
                with open(p,
                          "w") as g:
                    g.write("a"
                      "b"); g.write('''
        c''' + \\
                  "d")

            await asyncio.to_thread(write_file)
        """,
    ),
}


@pytest.mark.parametrize(("before", "after"), REWRITES.values(), ids=REWRITES)
def test_rewrites(fix, before, after):
    head = "import asyncio\nimport json\n\n\n"
    assert fix(head + block(before)).text == head + block(after)


LEAVES_ALONE = [
    ("with open(p) as g:\n    for line in g:\n        use(line)", "straight line"),
    ("with open(p) as g:\n    if u:\n        x = g.read()", "straight line"),
    ("with open(p) as g:\n    x = 1\n    x += g.read()", "straight line"),
    ("with open(p) as g:\n    return\n", "straight line"),
    ("with open(p) as g:\n    raise ValueError(g)", "straight line"),
    ("with open(p) as g:\n    import x", "straight line"),
    ("with open(p) as g:\n    self.x = g.peek()", "more than plain names"),
    ("with open(p) as g:\n    xs[0] = g.peek()", "more than plain names"),
    ("with open(p) as self.g:\n    x = 1", "more than plain names"),
    ("with open(p) as g:\n    x = await g.peek()", "awaits or yields"),
    ("with open(p) as g:\n    x = yield g", "awaits or yields"),
    ("with open(p) as g:\n    return g.peek()\nyield 1", "asynchronous generator"),
    ("with open(p) as g:\n    x = lambda: g.peek()", "lambda"),
    ("with open(p) as g:\n    print(x := g.peek())", "assignment expression"),
    ("with open(p) as g:\n    x = [y async for y in g]", "asynchronous comprehension"),
    ("with open(p) as g:\n    x = super().load(g)", "depends on the function around it"),
    ("with open(p) as p:\n    x = p.peek()", "`p` is read before"),
    ("with open(p) as g:\n    u = u + g.peek()", "`u` is read before"),
    ("with open(p) as g:\n    x = g.peek()\nprint(g.closed)", "`g` is used after"),
    ("global x\nwith open(p) as g:\n    x = g.peek()", "`x` belongs to an outer scope"),
    ("with open(p) as g:\n    x = g.peek()\nprint(locals())", "may look at its variables"),
    ("with lock, open(p) as g:\n    x = g.peek()", "enters something else"),
    ("with move_on_after(1), open(p) as g:\n    x = g.peek()", "enters something else"),
    ("try:\n    with open(p) as g:\n        x = g.peek()\n        y = g.peek()\nexcept E: pass\nprint(x)", "half-way"),
    ("with suppress(E):\n    with open(p) as g:\n        x = g.peek()\n        y = g.peek()\nprint(x)", "half-way"),
    ("try:\n    with open(p) as g:\n        x = 1\n        return g.peek()\nfinally:\n    print(x)", "from inside"),
    ("with open(p) as g:\n    self.items.append(g.peek())", "would run in the thread as well"),
    ("with open(p) as g:\n    loop.call_soon(u)", "would run in the thread as well"),
    ("with open(p) as g:\n    x = self.parse(g)", "would run in the thread as well"),
    ("with open(self.find(u)) as g:\n    x = g.peek()", "would run in the thread as well"),
    ("with open(p) as g:\n    x = json.load(g, object_hook=self.hook)", "would run in the thread as well"),
]


@pytest.mark.parametrize(("body", "reason"), LEAVES_ALONE)
def test_leaves_alone(fix, body, reason):
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    source = f"import asyncio\n\n\nasync def f(self, u, p, xs):\n{lines}"
    planned = fix(source)
    assert reason in planned.reasons
    assert "def read_" not in planned.text
    assert body.partition("\n")[0] in planned.text


def test_unknown_calls_may_move_when_unsafe_fixes_are_asked_for(fix):
    source = "import asyncio\n\n\nasync def f(p, g):\n    with open(p) as h:\n        g(h)\n"
    assert "--unsafe-fixes" in fix(source).reasons
    assert "await asyncio.to_thread(read_file)" in fix(source, unsafe=True).text


def test_blocking_calls_inside_count_as_fixed(fix):
    source = "import asyncio\n\n\nasync def f(p):\n    with open(p) as h:\n        x = h.read()\n        h.read()\n"
    planned = fix(source)
    assert len(planned.findings) == len(planned.result.applied) == 3
    assert planned.text.count("await") == 1


def test_block_outside_async_code_is_left_alone(fix):
    source = "def f(p):\n    with open(p) as h:\n        x = h.peek()\n"
    planned = fix(source)
    assert planned.text == source
    assert "`f` is not an async function" in planned.reasons


def test_moved_block_keeps_crlf_and_tabs(fix):
    source = "import asyncio\r\nasync def f(p):\r\n\twith open(p) as h:\r\n\t\tx = h.read()\r\n\treturn x\r\n"
    text = fix(source).text
    assert "\n" not in text.replace("\r\n", "")
    assert "\tdef read_file():\r\n\t\twith open(p) as h:\r\n\t\t\treturn h.read()\r\n\r\n\tx = await" in text


def test_moved_block_gives_what_it_gave(fix, tmp_path):
    import asyncio

    path = tmp_path / "numbers.txt"
    source = block("""
        import asyncio


        async def f(p):
            total = []
            for factor in 1, 2:
                with open(p, "w") as file:
                    written = file.write(str(factor))
                    again = file.write("!")
                with open(p) as file:
                    text = file.read()
                total.append((factor, written, again, text))
            return total
    """)
    planned = fix(source)
    assert planned.text.count("to_thread") == 2
    results = []
    for text in (source, planned.text):
        space: dict = {}
        exec(text, space)  # our own source, written above
        results.append(asyncio.run(space["f"](path)))
    assert results[0] == results[1] == [(1, 1, 1, "1!"), (2, 1, 1, "2!")]
