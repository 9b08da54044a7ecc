"""What a task's tests ask a program to define: read off tests, reference and prompt as text; nothing is run.

Approximate where texts do not say: a name that a test calls and no text defines is a function of unknown parameters, or
a class where it is written like one.
"""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from sandbox.parsing import parse
from tasks.grading.grader import compiled
from tasks.types import CallTest, JudgeTest, ReferenceTests, Task

_HEAD = re.compile(
    r"^([ \t]*)(?:class +(\w+)|((?:@\w[\w.]*\s+)*)(?:async +)?def +(\w+)\s*(?=\())", re.MULTILINE
)
_LONGEST_HEAD = 2000  # characters of a parameter list
_KEPT_DECORATORS = ("@staticmethod", "@classmethod", "@property")
_RAISES = frozenset({"raises", "assertRaises", "assertRaisesRegex"})


@dataclass(frozen=True, slots=True)
class Function:
    """`parameters`: its list as written, annotations left out; None: unknown."""

    name: str
    parameters: str | None = None
    decorator: str = ""

    @property
    def names(self) -> list[str]:
        """The parameters that an argument can be read from by name, `self` and `cls` aside."""
        arguments = _arguments(self.parameters or "")
        if arguments is None:
            return []
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        return [one.arg for one in every if one.arg not in ("self", "cls")]


@dataclass(frozen=True, slots=True)
class Class:
    """`methods`: none where no text says which."""

    name: str
    methods: tuple[Function, ...] = ()


@dataclass(frozen=True, slots=True)
class Surface:
    """`exceptions` are the program's classes that a test catches; `caught` every name that it catches."""

    functions: tuple[Function, ...] = ()
    classes: tuple[Class, ...] = ()
    exceptions: tuple[str, ...] = ()
    caught: tuple[str, ...] = ()
    literals: tuple[str, ...] = field(default=())  # constants that a judge's test compares with, as written


def surface_of(task: Task) -> Surface:
    """Of a task with call, judge or reference tests; empty for standard input."""
    trees = [tree for test in _judges(task) if (tree := parsed(test.source)) is not None]
    known = definitions(task.prompt) | definitions(task.context) | definitions(task.reference or "")
    caught = list(dict.fromkeys(name for tree in trees for name in _caught(tree)))
    heads = _called(task) + ([task.entry_point] if task.entry_point else [])
    given = definitions(task.context).keys() - {name.partition(".")[0] for name in heads}
    names = dict.fromkeys([*heads, *(name for tree in trees for name in asked_names(tree))])
    functions, classes, exceptions = [], dict[str, Class](), []
    for name in names:
        head, _, method = name.partition(".")
        found = known.get(head)
        if head in given:
            continue
        if head in caught:
            exceptions.append(head)
        elif method or isinstance(found, Class) or (found is None and head[:1].isupper()):
            before = classes.get(head) or (found if isinstance(found, Class) else Class(head))
            if method and method not in {one.name for one in before.methods}:
                added = Function(method, f"self, {_counted(task, trees, name) or '*args, **kwargs'}")
                before = Class(head, (*before.methods, added))
            classes[head] = before
        else:
            functions.append(
                found if isinstance(found, Function) else Function(head, _counted(task, trees, head))
            )
    return Surface(
        tuple(functions),
        tuple(classes.values()),
        tuple(exceptions),
        tuple(caught),
        tuple(text for tree in trees for text in _literals(tree)),
    )


def parsed(source: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings(action="ignore"):  # of invalid escapes, which datasets have
            return parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def definitions(text: str) -> dict[str, Function | Class]:
    """Top-level functions, and classes with their methods, of a program, or of the pieces of one within prose."""
    found: dict[str, Function | Class] = {}
    owner, owner_indent, method_indent = "", -1, -1
    for head in _HEAD.finditer(text):
        indent = len(head[1].expandtabs())
        if head[2]:
            if indent == 0 or owner == "":
                owner, owner_indent, method_indent = head[2], indent, -1
                found[owner] = Class(owner)
            continue
        decorator = next((d for d in (head[3] or "").split() if d in _KEPT_DECORATORS), "")
        function = Function(head[4], _bare(_parameters(text, head.end())), decorator)
        if indent <= owner_indent or not owner:
            if indent <= max(owner_indent, 0):
                found[function.name], owner, owner_indent = function, "", -1
            continue
        method_indent = indent if method_indent < 0 else method_indent
        held = found[owner]
        if indent == method_indent and isinstance(held, Class):
            found[owner] = Class(owner, (*held.methods, function))
    return found


def asked_names(tree: ast.Module) -> Iterator[str]:
    """Names that a test takes from the program: imported from `solution`, or bound nowhere."""
    bound, loaded = set[str](), dict[str, None]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "solution":
            loaded.update(dict.fromkeys(alias.name for alias in node.names if alias.name != "*"))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            bound.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "solution"
        ):
            loaded[node.attr] = None
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            loaded[node.id] = None
        elif isinstance(node, ast.Name):
            bound.add(node.id)
    yield from (
        n for n in loaded if n not in bound and not hasattr(builtins, n) and n not in ("solution", "__file__")
    )


def _judges(task: Task) -> Sequence[JudgeTest]:
    tests = task.tests
    return (
        () if isinstance(tests, ReferenceTests) else [test for test in tests if isinstance(test, JudgeTest)]
    )


def _called(task: Task) -> list[str]:
    """Functions of call tests and of inputs."""
    if isinstance(task.tests, ReferenceTests):
        return [task.tests.function]
    calls = (test for test in task.tests if isinstance(test, CallTest))
    return list(dict.fromkeys(test.function for test in calls))


def _counted(task: Task, trees: Iterable[ast.Module], name: str) -> str | None:
    """Parameters by the arguments that tests give."""
    most, keywords = 0, dict[str, None]()
    calls: list[tuple[int, Iterable[str]]] = []
    if isinstance(task.tests, ReferenceTests):
        calls += [(len(args), ()) for args in task.tests.inputs]
    else:
        given = [test for test in task.tests if isinstance(test, CallTest)] or compiled(task)
        calls += [(len(test.args), test.kwargs) for test in given if test.function == name]
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                calls.append((len(node.args), [word.arg for word in node.keywords if word.arg]))
    for count, words in calls:
        most = max(most, count)
        keywords.update(dict.fromkeys(words))
    if not calls:
        return None
    return ", ".join(
        [*(f"x{number}=None" for number in range(1, most + 1)), *(f"{word}=None" for word in keywords)]
    )


def _caught(tree: ast.Module) -> Iterator[str]:
    """Names of exception classes that a test catches or asks for."""
    for node in ast.walk(tree):
        kinds: list[ast.expr] = []
        if isinstance(node, ast.ExceptHandler) and node.type is not None:
            kinds = [node.type]
        elif isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            kinds = [node.args[0]] if called in _RAISES else []
        for kind in kinds:
            for part in kind.elts if isinstance(kind, ast.Tuple) else [kind]:
                yield from [part.id] if isinstance(part, ast.Name) else []


def _literals(tree: ast.Module) -> Iterator[str]:
    """What a test compares with, where it is written out: operands of comparisons, arguments of `assertEqual`."""
    for node in ast.walk(tree):
        sides: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and "assert" in (
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        ):
            sides = node.args
        for side in sides:
            if _is_literal(side):
                yield ast.unparse(side)


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _parameters(text: str, start: int) -> str:
    """The text between the parenthesis at `start` and its partner; empty where that is not near."""
    depth = 0
    for position in range(start, min(len(text), start + _LONGEST_HEAD)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth == 0:
            return text[start + 1 : position]
    return ""


def _bare(parameters: str) -> str | None:
    """Without annotations, and with defaults that need no name of the program's; None where it is no list."""
    arguments = _arguments(parameters)
    if arguments is None:
        return None
    for node in ast.walk(arguments):
        if isinstance(node, ast.arg):
            node.annotation = None
    arguments.defaults = [_default(node) for node in arguments.defaults]
    arguments.kw_defaults = [node and _default(node) for node in arguments.kw_defaults]
    return ast.unparse(arguments)


def _default(node: ast.expr) -> ast.expr:
    return node if _is_literal(node) else ast.Constant(None)


def _arguments(parameters: str) -> ast.arguments | None:
    tree = parsed(f"def f({parameters}): pass")
    return tree.body[0].args if tree and isinstance(tree.body[0], ast.FunctionDef) else None
