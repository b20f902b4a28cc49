"""Facts: plain data about one module, a pure function of its bytes.

Expressions are kept as *access paths*, strings that read like the code they came from:

    client.get                  the attribute `get` of the name `client`
    client@3.get                the same, where binding 3 of this function is the one that reaches
    client@3,5.get              bindings 3 and 5 may reach (two branches)
    open().__enter__()          what `with open(…) as f` binds to `f`
    fetch().__await__()         the result of `await fetch(…)`
    xs.__iter__().__next__()    an item of `for x in xs`
    pairs().1                   the second of `a, b = pairs()`
    Client().[]                 a list, tuple or set of what the path before stands for
    Client().[:]                a dictionary with such values
    Client().[,]                a pair: its place in a row, and what the path before stands for
    Client().[()]               something that gives it when it is called or awaited

An empty path means: not known. A name without `@` is looked up in the enclosing scopes. `partial(f, …)` has the path of
`f`: calling the one is calling the other.

A *binding* says what a name stands for; its value is an access path or one of

    import a.b / from .a import b      what an import statement binds
    def 7 / lambda 7 / class 2         the seventh function, the second class of this module
    : Client|list[Item]                an instance of the annotated type
    : self 2                           an instance of the second class of this module, or of a subclass
    type Client|Server                 a type alias
    None                               the constant
"""

from __future__ import annotations

import json
import marshal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, NamedTuple, cast

FORMAT = 8
"""Version of these facts: a cache written by another version is not read."""


AWAITED = ".__await__()"
"""What follows the access path of something in that of what awaiting it gives."""
_SHORT = 40
NOTHING: list[Any] = []
NO_KEYWORDS: dict[str, str] = {}
"""Facts are never written to once they are there; so what is empty, as most of it is, may be one and the same."""


class Call(NamedTuple):
    """A call site.

    Attributes:
        target: Access path of what is called.
        use: What becomes of the result: `await`, `drop` (an expression statement), `return`, `store:NAME`, `with`,
            `async with`, `for`, `async for`, `yield from`, or `other`.
            An argument of `list`, `sorted` and other builtins that consume an iterable counts as `for`.
        arguments: Positional arguments: an access path, `= 0` or `= 'word'` for a constant (`=` for a long one),
            `lambda 7`, `*` for unpacking, or `""`.
        keywords: The same by name; unpacking is `**`.
        implicit: Made by a statement (`with` calls `__enter__`), an operator or a property, not written as a call.
        lazy: Inside a generator expression, whose body runs when it is consumed.
        guards: Conditions (`conditions.py`) on the function's parameters, without which it is not made.
        branches: How many branches lead to it: of an `if`, an `except`, a `case`, or what follows one that returned.
    """

    target: str
    line: int
    column: int
    end_line: int
    end_column: int
    use: str
    arguments: list[str]
    keywords: dict[str, str]
    implicit: bool = False
    lazy: bool = False
    guards: list[str] = NOTHING
    branches: int = 0


class Statement(NamedTuple):
    """A statement of an async function, with its blocks: the outline that the rules of control flow read.

    Attributes:
        kind: The `ast` class in lower case: `assign`, `asyncwith`, `try`, … `excepthandler`.
        loads: Names read by the statement's own expressions (not by its blocks).
        stores: Names and access paths it writes.
        first_call, last_call: Its own calls are `function.calls[first_call:last_call]`, in the order they are made.
        awaits: How many `await` expressions it has of its own.
        value: Access path of the value (of `return`, `raise`, `assign`, `expr`), or the types a handler catches, joined
            by `|`; a bare `except:` catches `BaseException`.
        blocks: `(label, statements)` with labels `body`, `else`, `handlers`, `finally`, `case`.
    """

    kind: str
    line: int
    column: int
    end_line: int
    end_column: int
    loads: list[str]
    stores: list[str]
    first_call: int
    last_call: int
    awaits: int
    value: str
    blocks: list[tuple[str, list[Statement]]]


@dataclass(slots=True)
class Function:
    """A function, a lambda, or (index 0) the module's own code.

    Attributes:
        parent: Index of the function it is defined in.
        owner: Index of the class it is a method of, or -1.
        parameters: Names in order, that of `**options` with its stars; parameter i is binding i.
        defaults: Number of a parameter to its constant default, as an argument is written.
        decorators: Access paths.
        annotation: The return annotation, as in a `: T` binding, without the colon.
        returns: Access paths of returned values; of yielded ones, in a generator.
        bindings: `[name, value]`: everything a name of this function may stand for.
        unread: Names that are bound and never read, here or in a function defined here.
        writes: Access paths of attributes, items and globals written.
        touched: Access paths that may run code although no call is written (a property, an operator, an iteration),
            each with its first place: line, column, end line, end column.
        outline: Statements, for async functions only.
    """

    name: str
    qualname: str
    line: int
    column: int
    is_async: bool = False
    is_generator: bool = False
    is_stub: bool = False
    parent: int = -1
    owner: int = -1
    parameters: list[str] = field(default_factory=list)
    defaults: dict[str, str] = field(default_factory=dict)
    decorators: list[str] = field(default_factory=list)
    annotation: str = ""
    returns: list[str] = field(default_factory=list)
    bindings: list[tuple[str, str]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    touched: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)
    outline: list[Statement] = field(default_factory=list)


@dataclass(slots=True)
class Class:
    """A class.

    Attributes:
        scope: Index of the function whose code defines it.
        bases: Access paths.
        attributes: Name to `(function index, binding value)` pairs: methods, class variables, `self.x = …`.
    """

    name: str
    qualname: str
    line: int
    scope: int
    bases: list[str] = field(default_factory=list)
    decorators: list[str] = field(default_factory=list)
    attributes: dict[str, list[tuple[int, str]]] = field(default_factory=dict)


class _Functions(dict[int, Function]):
    """A sequence of functions, decoded from their lines one by one: most of a library is never asked about.

    Made of a dictionary, which finds what has been decoded without running Python code; and which may hold others
    beyond the sequence: methods as subclasses run them (`project/receivers.py`).
    """

    def __init__(self, lines: list[str] | list[bytes], made: Sequence[Function] = ()) -> None:
        """Make it of lines, or of functions."""
        super().__init__(enumerate(made))
        self._lines = lines
        self._count = len(lines) or len(made)
        self._variants = 0

    def add(self, function: Function) -> int:
        """Keep a function beyond the sequence; its index."""
        index = self._count + self._variants
        self._variants += 1
        self[index] = function
        return index

    def __missing__(self, index: int) -> Function:
        function = self[index] = _function(self._lines[index])
        return function

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Function]:  # type: ignore[override]  # a sequence
        return map(self.__getitem__, range(self._count))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (_Functions, list)) and list(self) == list(other)

    __hash__ = None  # like a list


def as_sequence(lines: list[str] | list[bytes], made: Sequence[Function] = ()) -> Sequence[Function]:
    """The functions of a module, from their lines, or as they were made."""
    return cast("Sequence[Function]", _Functions(lines, made))


@dataclass(slots=True)
class Module:
    """All facts about one module.

    Attributes:
        functions: Index 0 is the module's own code.
        exports: Module-level name to the bindings of function 0 that reach the end of the module.
        stars: Modules named in `from … import *`.
        imports: Names of all imported modules, in any scope, as written: relative ones begin with a dot.
        noqa: Line to the codes silenced there; an empty list silences all.
        script: First and last line of the `if __name__ == "__main__":` block, or zeros.
    """

    functions: Sequence[Function] = field(default_factory=lambda: as_sequence([]))
    classes: list[Class] = field(default_factory=list)
    exports: dict[str, list[int]] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)
    noqa: dict[int, list[str]] = field(default_factory=dict)
    script: tuple[int, int] = (0, 0)

    def add_variant(self, function: Function) -> int:
        """Keep a function beyond those of the module; its index."""
        return cast("_Functions", self.functions).add(function)

    def _head(self) -> list[Any]:
        return [
            [_row_of_class(cls) for cls in self.classes],
            self.exports,
            self.stars,
            self.imports,
            sorted(self.noqa.items()),
            self.script,
        ]

    def to_text(self) -> str:
        """The facts as lines of JSON: the module, then one line a function."""
        return "\n".join([_dumps(self._head()), *[_dumps(_row_of_function(function)) for function in self.functions]])

    @classmethod
    def from_text(cls, text: str) -> Module:
        """The inverse of `to_text`; functions are decoded when they are first asked for.

        Raises:
            ValueError, TypeError, LookupError: The text does not have the expected shape.
        """
        head, *functions = text.split("\n")
        return cls._made(json.loads(head), functions)

    def to_bytes(self) -> bytes:
        """The facts for another process of the same interpreter, in less time than text takes."""
        return marshal.dumps((self._head(), [marshal.dumps(_plain_row(function)) for function in self.functions]))

    @classmethod
    def from_bytes(cls, data: bytes) -> Module:
        """The inverse of `to_bytes`, as lazy as `from_text`."""
        return cls._made(*marshal.loads(data))  # noqa: S302  # a forked copy of this process made it

    @classmethod
    def _made(cls, head: list[Any], functions: list[str] | list[bytes]) -> Module:
        classes, exports, stars, imports, noqa, (first, last) = head
        if not functions:
            raise ValueError("a module has at least the function of its own code")
        module = cls(as_sequence(functions), [], exports, stars, imports, dict(noqa), (first, last))
        for *fields, attributes in classes:
            pairs_of = {name: [(index, value) for index, value in values] for name, values in attributes.items()}
            module.classes.append(Class(*[*fields, pairs_of]))
        return module


as_named: Callable[[type, tuple[Any, ...]], Any] = tuple.__new__
"""Makes a `NamedTuple` of a tuple: what it calls itself, after another call."""


def constant(value: object) -> str:
    """A constant argument of a call: numbers and short words are kept as they are written."""
    is_short = isinstance(value, str) and len(value) <= _SHORT
    return f"= {value!r}" if is_short or value is None or isinstance(value, (bool, int, float)) else "="


def plain(path: str) -> str:
    """An access path as the source has it, without binding numbers: `client@3.get` is `client.get`."""
    root, at, rest = path.partition("@")
    return root + rest.lstrip("0123456789,") if at else path


_dumps = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode


_row_of_class = attrgetter(*Class.__slots__)
_row_of_function = attrgetter(*Function.__slots__)


def _plain_row(function: Function) -> list[Any]:
    """What `_row_of_function` gives, with tuples in place of named ones, which `marshal` does not know."""
    *head, calls, unread, writes, touched, outline = _row_of_function(function)
    return [*head, [*map(tuple, calls)], unread, writes, touched, [*map(_plain_statement, outline)]]


def _plain_statement(statement: Statement) -> list[Any]:
    *head, blocks = statement
    return [*head, [(label, [*map(_plain_statement, block)]) for label, block in blocks]]


def _function(line: str | bytes) -> Function:
    row = marshal.loads(line) if isinstance(line, bytes) else json.loads(line)  # noqa: S302  # `to_bytes` made it
    *head, bindings, calls, unread, writes, touched, outline = row
    body = (
        [(name, value) for name, value in bindings],
        [Call._make(call) for call in calls],
        unread,
        writes,
        {path: tuple(place) for path, place in touched.items()},
        _statements(outline),
    )
    return Function(*[*head, *body])


def _statements(data: Any) -> list[Statement]:
    return [
        Statement._make([*head, [(label, _statements(block)) for label, block in blocks]]) for *head, blocks in data
    ]
