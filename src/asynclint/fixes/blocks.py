"""Whether the body of a `with` can move into a local function that a worker thread runs, and how.

The block must be a straight line of simple statements whose calls belong in a thread: methods of what was opened,
library functions that are given it, and well-known functions without side effects. What it assigns and others read is
returned.
"""

from __future__ import annotations

import ast
import builtins
import keyword
from collections.abc import Iterator
from dataclasses import dataclass

from asynclint.fixes.names import Names
from asynclint.fixes.places import why_not_awaited
from asynclint.fixes.source import COMPREHENSIONS, Tree

_PURE_MODULES = frozenset(
    {"base64", "csv", "hashlib", "json", "marshal", "ormsgpack", "orjson", "pickle", "re", "toml", "tomllib", "yaml"}
)
_GIVEN_MODULES = frozenset({"ast", "configparser", "np", "numpy", "pandas", "pd", "shutil", "tarfile", "zipfile"})
_PURE_CONSTRUCTORS = frozenset({"Path", "PurePath", "pathlib.Path", "pathlib.PurePath"})
_PURE_BUILTINS = frozenset(
    {"all", "any", "bool", "bytearray", "bytes", "dict", "enumerate", "float", "frozenset", "int", "isinstance", "len"}
    | {"list", "max", "memoryview", "min", "print", "range", "repr", "reversed", "round", "set", "sorted", "str", "sum"}
    | {"tuple", "zip", "next", "iter", "abs", "ord", "chr", "hash"}
)
_VALUE_METHODS = frozenset(name for kind in (str, bytes, dict, list) for name in dir(kind) if not name.startswith("_"))
_CALLBACKS = frozenset({"cls", "converters", "default", "key", "object_hook", "object_pairs_hook", "opener"})
_FRAME_READERS = frozenset({"__class__", "dir", "eval", "exec", "locals", "super", "vars"})
_WRITERS = ("write", "dump", "save", "truncate", "extractall")


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """How a `with` becomes a function.

    Attributes:
        function: Its name.
        names: What the block assigns and others read, in order of assignment.
        ends: How it ends: `"return"` if the last statement is a return already; `"assignment"` if the last statement
            assigns the one name and becomes a return; `"names"` if a return of the names is added; `"nothing"`.
        first: Whether it is the first statement of its own block.
        doubt: Why only `--unsafe-fixes` may do it, or `""`.
    """

    function: str
    names: tuple[str, ...]
    ends: str
    first: bool = False
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the block stays where it is."""

    reason: str


def with_of(tree: Tree, call: ast.Call) -> ast.With | None:
    """The `with` statement that enters what this call returns."""
    item = tree.parent(call)
    statement = tree.parent(item)
    return statement if isinstance(item, ast.withitem) and isinstance(statement, ast.With) else None


def plan_block(tree: Tree, names: Names, call: ast.Call) -> BlockPlan | Refusal:
    """Plan the move of the `with` block that `call` opens."""
    statement = with_of(tree, call)
    if statement is None:
        return Refusal("it is not what a `with` statement enters")
    if reason := why_not_awaited(tree, call):
        return Refusal(reason)
    function = next(parent for parent, _ in tree.climb(statement) if isinstance(parent, ast.AsyncFunctionDef))
    block = _Block(tree, statement, function)
    if reason := block.why_not():
        return Refusal(reason)
    returned = block.names_read_elsewhere()
    last = statement.body[-1]
    if isinstance(last, ast.Return):
        ends = "return"
        if returned and block.guard() is not None:
            return Refusal("it returns from inside a `try`, whose other parts read what it assigns")
        returned = ()
    elif not returned:
        ends = "nothing"
    elif len(returned) == 1 and _assigns_only(last, returned[0]):
        ends = "assignment"
    else:
        ends = "names"
    if len(statement.body) > 1 and returned and (guard := block.guard()) is not None:
        return Refusal(f"an exception half-way would lose `{returned[0]}`, and the `{guard}` around it goes on")
    first = _comes_first(tree, statement)
    return BlockPlan(names.fresh(_name(call, statement, returned)), returned, ends, first, block.doubt())


def _comes_first(tree: Tree, statement: ast.With) -> bool:
    blocks = [value for _, value in ast.iter_fields(tree.parent(statement)) if isinstance(value, list)]
    return any(block and block[0] is statement for block in blocks)


class _Block:
    def __init__(self, tree: Tree, statement: ast.With, function: ast.AsyncFunctionDef) -> None:
        self.tree = tree
        self.statement = statement
        self.function = function
        self.inside = set(ast.walk(statement))
        self.opened = {n.id for item in statement.items if item.optional_vars for n in _stores(item.optional_vars)}
        self.assigned = [node.id for part in statement.body for node in _stores(part)]

    def why_not(self) -> str:
        """The reason for which this block cannot be a function of its own."""
        entered = [item.context_expr for item in self.statement.items]
        openers = {ast.unparse(manager.func) for manager in entered if isinstance(manager, ast.Call)}
        if len(openers) != 1 or not all(isinstance(manager, ast.Call) for manager in entered):
            return "the `with` also enters something else"
        if not all(item.optional_vars is None or _only_names(item.optional_vars) for item in self.statement.items):
            return "the `with` binds more than plain names"
        for position, part in enumerate(self.statement.body):
            if reason := self._why_not_moved(part, last=position == len(self.statement.body) - 1):
                return reason
        for node in self.inside:
            if reason := self._why_not_inside(node):
                return reason
        return self._why_names_clash()

    def _why_not_moved(self, part: ast.stmt, *, last: bool) -> str:
        match part:
            case ast.Expr() | ast.Pass():
                return ""
            case ast.Assign(targets=targets):
                return "" if all(map(_only_names, targets)) else "it assigns to more than plain names"
            case ast.AnnAssign(target=ast.Name(), value=ast.expr()):
                return ""
            case ast.Return(value=ast.expr()) if last:
                generator = any(isinstance(n, ast.Yield) for n in _own_nodes(self.function))
                return "it returns from an asynchronous generator" if generator else ""
            case _:
                return f"its body is not a straight line of simple statements (line {part.lineno})"

    def _why_not_inside(self, node: ast.AST) -> str:
        match node:
            case ast.Await() | ast.Yield() | ast.YieldFrom():
                return "it awaits or yields inside"
            case ast.Lambda() | ast.NamedExpr():
                return "it has a lambda or an assignment expression inside"
            case ast.comprehension(is_async=1):
                return "it has an asynchronous comprehension inside"
            case ast.Name(id=name) if name in _FRAME_READERS:
                return f"`{name}` depends on the function around it"
            case _:
                return ""

    def _why_names_clash(self) -> str:
        own = {*self.opened, *self.assigned}
        for node in ast.walk(self.function):
            if isinstance(node, (ast.Global, ast.Nonlocal)) and (shared := own.intersection(node.names)):
                return f"`{min(shared)}` belongs to an outer scope"
            if isinstance(node, ast.Name) and node.id in {"locals", "vars", "eval", "exec"}:
                return f"`{node.id}` in the same function may look at its variables"
        bound: set[str] = set()
        for item in self.statement.items:
            if clash := _loads(item.context_expr) & own - bound:
                return f"`{min(clash)}` is read before the block assigns it"
            bound.update(node.id for node in _stores(item.optional_vars) if item.optional_vars)
        for part in self.statement.body:
            if clash := _loads(part) & own - bound:
                return f"`{min(clash)}` is read before the block assigns it"
            bound.update(node.id for node in _stores(part))
        if escaped := {name for name in self.opened - set(self.assigned) if self._read_elsewhere(name)}:
            return f"`{min(escaped)}` is used after the block"
        return ""

    def names_read_elsewhere(self) -> tuple[str, ...]:
        """Names the block assigns and other code of the function reads."""
        return tuple(name for name in dict.fromkeys(self.assigned) if self._read_elsewhere(name))

    def _read_elsewhere(self, name: str) -> bool:
        for node in ast.walk(self.function):
            if isinstance(node, ast.Name) and node.id == name and node not in self.inside and self._sees_block(node):
                return True
        return False

    def _sees_block(self, node: ast.Name) -> bool:
        """Whether a use of a name outside the block may see what the block bound it to."""
        if isinstance(node.ctx, ast.Store):
            statement = self.tree.parent(node)
            return isinstance(statement, ast.AugAssign)
        # Another `with … as f` binds the name for its own body.
        for parent, _ in self.tree.climb(node):
            if isinstance(parent, (ast.With, ast.AsyncWith)) and parent is not self.statement:
                names = {n.id for item in parent.items if item.optional_vars for n in _stores(item.optional_vars)}
                header = any(node is part for item in parent.items for part in ast.walk(item.context_expr))
                if node.id in names and not header:
                    return False
            if parent is self.function:
                break
        return True

    def guard(self) -> str | None:
        """What around the block may swallow an exception and go on."""
        for parent, child in self.tree.climb(self.statement):
            if parent is self.function:
                return None
            if isinstance(parent, (ast.Try, ast.TryStar)) and child in parent.body:
                return "try"
            if isinstance(parent, (ast.With, ast.AsyncWith)):
                texts = [ast.unparse(item.context_expr) for item in parent.items]
                if any(word in text for text in texts for word in ("suppress", "raises", "ignore")):
                    return "with"
        return None

    def doubt(self) -> str:
        """A call in the block that might not belong in a thread."""
        arguments = [part for item in self.statement.items for part in ast.iter_child_nodes(item.context_expr)]
        for part in (*arguments, *self.statement.body):
            for node in ast.walk(part):
                if isinstance(node, ast.Call) and not self._belongs_in_thread(node):
                    return f"`{ast.unparse(node.func)}()` would run in the thread as well"
        return ""

    def _belongs_in_thread(self, call: ast.Call) -> bool:
        if any(keyword.arg in _CALLBACKS for keyword in call.keywords):
            return False
        text = ast.unparse(call.func)
        if text in _PURE_CONSTRUCTORS or text.startswith("os.path."):
            return True
        match call.func:
            case ast.Name(id=name):
                return name in _PURE_BUILTINS and hasattr(builtins, name)
            case ast.Attribute(value=owner, attr=method):
                root = _root(owner)
                given = any(isinstance(a, ast.Name) and a.id in self.opened for a in call.args)
                return (
                    root in self.opened
                    or root in _PURE_MODULES
                    or (given and root in _GIVEN_MODULES)
                    or (method in _VALUE_METHODS and self._is_value(owner))
                )
            case _:
                return False

    def _is_value(self, node: ast.expr) -> bool:
        """Whether an expression is surely data made in this block, or a constant."""
        match node:
            case ast.Constant() | ast.JoinedStr() | ast.List() | ast.Dict() | ast.Tuple() | ast.BinOp():
                return True
            case ast.Call():
                return self._belongs_in_thread(node)
            case ast.Subscript(value=value):
                return self._is_value(value)
            case ast.Name(id=name):
                return name in self.assigned or name in self._loop_variables()
            case _:
                return isinstance(node, COMPREHENSIONS)

    def _loop_variables(self) -> set[str]:
        """Names that comprehensions inside the block bind."""
        return {n.id for node in self.inside if isinstance(node, ast.comprehension) for n in _stores(node.target)}


def _assigns_only(statement: ast.stmt, name: str) -> bool:
    match statement:
        case ast.Assign(targets=[ast.Name(id=target)]) | ast.AnnAssign(target=ast.Name(id=target)):
            return target == name
        case _:
            return False


def _only_names(target: ast.expr) -> bool:
    match target:
        case ast.Name():
            return True
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return all(map(_only_names, parts))
        case ast.Starred(value=value):
            return _only_names(value)
        case _:
            return False


def _stores(node: ast.AST | None) -> list[ast.Name]:
    """Names bound by a statement or target; those that comprehensions bind are their own."""
    if node is None or isinstance(node, COMPREHENSIONS):
        return []
    if isinstance(node, ast.Name):
        return [node] if isinstance(node.ctx, ast.Store) else []
    return [name for child in ast.iter_child_nodes(node) for name in _stores(child)]


def _loads(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(function):
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            yield from _own_nodes(child)


def _root(node: ast.expr) -> str:
    while isinstance(node, (ast.Attribute, ast.Call, ast.Subscript)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _name(call: ast.Call, statement: ast.With, returned: tuple[str, ...]) -> str:
    """A name that says what the function does: `read_config`, `write_report`, `read_file`."""
    called = [n.func.attr for n in ast.walk(statement) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
    verb = "write" if any(name.startswith(_WRITERS) for name in called) else "read"
    argument = call.args[0] if call.args else None
    match argument:
        case ast.Name(id=text) | ast.Attribute(attr=text):
            pass
        case ast.Constant(value=str(path)):
            text = path.replace("\\", "/").rpartition("/")[2].partition(".")[0]
        case _:
            text = ""
    text = _noun(text) or _noun(returned[0] if len(returned) == 1 else "")
    name = f"{verb}_{text or 'file'}"
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"{verb}_file"


def _noun(text: str) -> str:
    """The part of a variable's name that says what is in the file: `config_path` holds a config."""
    text = text.lower().strip("_").replace("-", "_")
    for suffix in ("_path", "_file", "_filename", "_fname"):
        text = text.removesuffix(suffix)
    vague = len(text) < 3 or text in {"path", "file", "filename", "fname", "name", "fpath"}
    return "" if vague or not text.isidentifier() or not text.isascii() else text
