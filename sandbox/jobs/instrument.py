"""Reads a test and its prompt for the judge: which names the program owes, and where its asserts are.

Done by the host, once for all programs that a test judges; only source goes in and comes out.
"""

from __future__ import annotations

import ast
import builtins
import datetime
import importlib
import itertools
import math
import symtable
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.inside.judge.seen import RECORD
from sandbox.jobs.marks import Marks
from sandbox.jobs.shares import shares
from sandbox.parsing import parse

USUAL_MODULE = "solution"  # KodCode's name for it
_NAME_LENGTH = 200
# Without state of their own, which a test would mean to share with the program.
_USUAL_MODULES = (
    "bisect cmath collections copy datetime decimal fractions functools heapq itertools json math operator re "
    "statistics string typing"
).split()
_USUAL_NAMES = {
    **dict.fromkeys(("Counter", "OrderedDict", "defaultdict", "deque", "namedtuple"), "collections"),
    **dict.fromkeys((name for name in dir(math) if name[0] != "_" and name not in ("e", "dist")), "math"),
    **dict.fromkeys(
        (
            name
            for name in dir(itertools)
            if name[0] != "_" and name not in ("compress", "count", "cycle", "repeat")
        ),
        "itertools",
    ),
    **dict.fromkeys("approx raises".split(), "pytest"),
    **dict.fromkeys(("StringIO", "BytesIO"), "io"),
    **dict.fromkeys(("redirect_stdout", "redirect_stderr"), "contextlib"),
    **dict.fromkeys(
        "assert_allclose assert_almost_equal assert_array_almost_equal assert_array_equal".split(),
        "numpy.testing",
    ),
    **dict.fromkeys("assert_frame_equal assert_index_equal assert_series_equal".split(), "pandas.testing"),
    "MagicMock": "unittest.mock",
    "TestCase": "unittest",
    "timedelta": "datetime",
    "reduce": "functools",
    "deepcopy": "copy",
    "Decimal": "decimal",
    "Fraction": "fractions",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What the judge does for a test; all plain, for its payload."""

    helpers: list[str]  # statements of the prompt to run first
    test: str  # of scripts and checks instrumented
    asserts: list[str]  # of scripts and checks
    asserting: list[str]  # functions of the test that hold an assertion
    wanted: list[str]  # names that the program should define
    modules: list[str]  # under which the test imports it
    classes: list[str]  # of the program's, that the test is about
    imports: list[str]  # modules that it cannot do without, beyond the standard library and the program's
    shares: list[str]  # parts of the environment that the test shares with the program


def split_entry_point(entry_point: str | None) -> tuple[str, str]:
    """The class and the method of `Solution.f`; of a function, "" and its name."""
    owner, _, name = (entry_point or "").rpartition(".")
    return owner, name


def plan(kind: str, test: str, entry_point: str | None, prompt: str) -> Plan:
    """Raises `SyntaxError` (or `ValueError`, `RecursionError`) where test or prompt is not Python."""
    owner, name = split_entry_point(entry_point)
    owed = owner or name or None
    names = modules(test, name or None)
    own = imported_names(test, names) | {owed, name}
    kept = helpers(prompt, owed)
    kept = [*_usual_imports("\n".join([*kept, test]), own), *kept]
    source = "\n".join(kept)
    _, given = global_names(source)
    wanted = free_names(test) | free_names(source) | imported_names(test, names)
    wanted = wanted - given - {"*"} - {name} | ({owed} if owed else set())
    marked = mark if kind in ("unittest", "pytest") else instrument
    instrumented, asserts, asserting = marked(test, set(wanted) | names)
    return Plan(
        helpers=kept,
        test=instrumented,
        asserts=asserts,
        asserting=asserting,
        wanted=sorted(wanted),
        modules=sorted(names),
        # `Solution` only holds functions: no test is about how its objects compare. The prompt's own are the judge's.
        classes=sorted((classes(prompt) - given | set(filter(_is_class_name, wanted))) - {"Solution"}),
        imports=sorted(_imports(parse(test)) - names - sys.stdlib_module_names),
        shares=shares(test),
    )


def _imports(tree: ast.AST) -> set[str]:
    """The packages that code imports where nothing deals with their absence."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
        elif not isinstance(node, ast.Try | ast.If | ast.With):
            found |= _imports(node)
    return found


def _usual_imports(source: str, own: set[str | None]) -> list[str]:
    """Imports that `source` leaves to the program, of what is not the program's own: its could be forged."""
    missing = free_names(source) - own
    tree = parse(source)
    attributes: dict[str, set[str]] = {name: set() for name in missing}
    bases = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in missing:
            attributes[node.value.id].add(node.attr)
            bases.add(node.value)
    # A name that is also used without an attribute is hardly a module's.
    modules = missing - {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n not in bases}
    found = [f"from {_USUAL_NAMES[name]} import {name}" for name in missing & set(_USUAL_NAMES)]
    for name in modules & set(_USUAL_MODULES):
        if attributes[name] <= set(dir(importlib.import_module(name))):
            found.append(f"import {name}")
    found += [f"import {name}" for name in modules & {"pytest", "unittest"}]
    for name in modules & {"np", "numpy"}:
        if "random" not in attributes[name]:  # a seed would have to reach the program's
            found.append(f"import numpy as {name}")
    found += [f"import pandas as {name}" for name in modules & {"pd", "pandas"}]
    # `datetime` is a module, or its class, by what is used of it.
    is_class = "datetime" in missing and "import datetime" not in found
    if is_class and attributes["datetime"] <= set(dir(datetime.datetime)):
        found.append("from datetime import datetime")
    return sorted(found)


def global_names(source: str) -> tuple[set[str], set[str]]:
    """The module-level names that `source` reads, and those that it binds."""
    read: set[str] = set()
    bound: set[str] = set()
    top = symtable.symtable(source, "<source>", "exec")
    for symbol in top.get_symbols():
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
            bound.add(symbol.get_name())
        if symbol.is_referenced():
            read.add(symbol.get_name())
    for table in _descendants(top):
        for symbol in table.get_symbols():
            if symbol.is_global() and symbol.is_referenced():
                read.add(symbol.get_name())
            if symbol.is_declared_global() and symbol.is_assigned():
                bound.add(symbol.get_name())
    return read, bound


def free_names(source: str) -> set[str]:
    """Names that `source` reads and neither it nor Python defines."""
    read, bound = global_names(source)
    return read - bound - set(vars(builtins)) - {"__file__"}


def _descendants(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _descendants(child)


def helpers(prompt: str, entry_point: str | None) -> list[str]:
    """The prompt's statements, without what the program owes: the entry point, and bodies left open."""
    body = parse(prompt).body
    return [ast.unparse(node) for node in body if not _is_left_open(node, entry_point)]


def _is_left_open(node: ast.stmt, entry_point: str | None) -> bool:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return node.name == entry_point or all(map(_is_filler, node.body))
    if isinstance(node, ast.ClassDef):
        methods = [part for part in node.body if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef))]
        return node.name == entry_point or any(_is_left_open(method, None) for method in methods)
    return False


def _is_filler(node: ast.stmt) -> bool:
    """A docstring, `pass`, `...` or `raise NotImplementedError`."""
    if isinstance(node, ast.Raise):
        return node.exc is not None and "NotImplemented" in ast.unparse(node.exc)
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def classes(prompt: str) -> set[str]:
    """The classes that the prompt defines or leaves open."""
    return {node.name for node in parse(prompt).body if isinstance(node, ast.ClassDef)}


def modules(source: str, entry_point: str | None) -> set[str]:
    """The modules by which `source` imports the program: the usual one, and what holds its entry point."""
    found = {USUAL_MODULE}
    for node in ast.walk(parse(source)):
        if not isinstance(node, ast.ImportFrom) or not node.module or node.level:
            continue
        if any(alias.name == entry_point for alias in node.names):
            found.add(node.module)
    return found


def imported_names(source: str, module_names: set[str]) -> set[str]:
    """The names that `source` imports from `module_names`."""
    return {
        alias.name
        for node in ast.walk(parse(source))
        if isinstance(node, ast.ImportFrom) and node.module in module_names
        for alias in node.names
    }


def instrument(source: str, programs: set[str]) -> tuple[str, list[str], list[str]]:
    """The test with every assert reporting to the `Record`, the asserts' names by their number, and no functions.

    Where nothing could catch an assert's failure, the test goes on after it, so that the later asserts
    count too. The unmodified test would have ended there and failed; so does this one, at its end.
    `programs` are the names that the program provides.
    """
    tree = parse(source)
    marks = Marks(tree, programs | _parameters_of_check(tree), asserts=False)
    own = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
    transformer = _Asserts(catches=any(map(_can_catch, ast.walk(tree))), own=own)
    tree = marks.visit(transformer.visit(tree))
    return ast.unparse(ast.fix_missing_locations(tree)), transformer.names, []


def mark(source: str, programs: set[str]) -> tuple[str, list[str], list[str]]:
    """The test functions of unittest or pytest, marked; no asserts; and which functions hold an assertion."""
    tree = parse(source)
    marks = Marks(tree, programs, asserts=True)
    try:
        return ast.unparse(ast.fix_missing_locations(marks.visit(tree))), [], marks.asserting
    except ValueError:  # quotes in an f-string, of which older Pythons cannot make text
        return source, [], []


def _parameters_of_check(tree: ast.Module) -> set[str]:
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "check"]
    return {argument.arg for node in functions for argument in node.args.args}


def _can_catch(node: ast.AST) -> bool:
    if isinstance(node, (ast.Try, ast.TryStar)):
        return bool(node.handlers)
    return isinstance(node, (ast.With, ast.AsyncWith))


class _Asserts(ast.NodeTransformer):
    def __init__(self, catches: bool, own: set[str]) -> None:
        self.names: list[str] = []
        self._own = own  # functions of the test: theirs are the asserts, not calls of them
        self._catches = catches  # somewhere in the test, so that only the outermost level is safe
        self._inside = 0  # of functions other than `check`, and of statements that can catch

    def generic_visit(self, node: ast.AST) -> ast.AST:
        is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        closed = _can_catch(node) or (is_function and getattr(node, "name", "") != "check")
        self._inside += closed
        super().generic_visit(node)
        self._inside -= closed
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        number, resumes = self._number(node, node.test)
        failure = f"{RECORD}.failed({number}, {resumes})"
        branch = parse(f"if 0: {RECORD}.held({number})\nelse: {failure}; raise AssertionError").body[0]
        assert isinstance(branch, ast.If)
        branch.test = node.test
        if resumes:
            branch.orelse.pop()
            return self._resuming(node, number, branch)
        if node.msg is not None:
            branch.orelse[1] = ast.Raise(ast.Call(ast.Name("AssertionError", ast.Load()), [node.msg], []))
        return ast.copy_location(branch, node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | list[ast.AST]:
        """A call such as `numpy.testing.assert_allclose(...)` is an assert, too."""
        call = node.value
        name = ast.unparse(call.func).rpartition(".")[2] if isinstance(call, ast.Call) else ""
        if not name.startswith("assert") or name in self._own:
            return self.generic_visit(node)
        number, resumes = self._number(node, call)
        held = parse(f"{RECORD}.held({number})").body[0]
        return self._resuming(node, number, node, held) if resumes else [node, ast.copy_location(held, node)]

    def _number(self, node: ast.stmt, what: ast.expr) -> tuple[int, bool]:
        """The next assert's number, and whether the test can go on after its failure."""
        self.names.append(f"line {node.lineno}: {ast.unparse(what)}"[:_NAME_LENGTH])
        return len(self.names) - 1, not (self._catches and self._inside)

    def _resuming(self, node: ast.stmt, number: int, *body: ast.stmt) -> ast.AST:
        source = f"try: pass\nexcept {RECORD}.Exception: {RECORD}.raised({number})"
        attempt = parse(source).body[0]
        assert isinstance(attempt, ast.Try)
        attempt.body = list(body)
        return ast.copy_location(attempt, node)


def _is_class_name(name: str) -> bool:
    return name[:1].isupper() and (len(name) == 1 or not name.isupper())
