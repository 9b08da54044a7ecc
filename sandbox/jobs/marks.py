"""Marks in a test where a program that gives too little could leave its asserts out.

`zip(f(x), wanted)` ends with the shorter, a loop over what the program returned runs as often as that allows, and a
test function may end without a single assert carried out. So the marks tell the judge's `Record`: of
`zip` and `map`, which operands are the program's; of a loop with asserts, that one goes on; of each assert; and of
what the program gave and the test evaluates.
The text shows what is the program's: what a name is made from, in any scope.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from sandbox.inside.judge import sizes
from sandbox.inside.judge.seen import RECORD
from sandbox.jobs.made_from import (
    always_runs,
    bindings,
    callers,
    gives,
    holding,
    last_name,
    leads,
    name_of,
    own_names,
    reached,
    targets,
    tell_apart,
)

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_OPERANDS = ("actual", "desired", "a", "b", "x", "y")  # of numpy's functions, by name
_RUNNING = frozenset({"eval", "exec", "compile"})  # what the program returned would run in the judge


class Marks(ast.NodeTransformer):
    """Reads a test's tree when it is made; changes it when it `visit`s it, however it was changed in between."""

    def __init__(self, tree: ast.Module, programs: Iterable[str], *, asserts: bool) -> None:
        """`programs`: names that the program provides. `asserts`: whether each assert is marked, too."""
        nodes = list(ast.walk(tree))
        tell_apart(nodes)
        bound = list(bindings(nodes))
        theirs = reached(set(programs), leads(bound))
        self._theirs = holding(tree, lambda node: not theirs.isdisjoint(own_names(node)), gives)
        own = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        functions = [node for node in nodes if isinstance(node, _FUNCTIONS)]
        self._shadowed = own | {node.name for node in functions}
        self._values: dict[str, list[Any]] = {}  # by name, all that it is bound to
        for target, value in bound:
            for name in targets(target):
                self._values.setdefault(name, []).append(value if isinstance(target, ast.Name) else None)
        self._sites = holding(tree, _is_site, always_runs)
        self._asserts = asserts
        self._calls = 0  # around the node that is visited
        asserting = {node.name for node in functions if node in self._sites}
        self.asserting = sorted(reached(asserting, callers(functions)))

    def visit(self, node: ast.AST) -> Any:
        """What stands in for a node of the program's is the program's."""
        visited = super().visit(node)
        if node in self._theirs and isinstance(visited, ast.AST):
            self._theirs.add(visited)
        return visited

    def visit_For(self, node: ast.For) -> ast.AST:
        self.generic_visit(node)
        if node in self._sites and self._is_theirs(node.iter):
            node.iter = self._loop(node.iter)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        operands = self._operands(node.args)
        theirs = [self._is_theirs(operand) for operand in operands]
        plain = not any(isinstance(operand, ast.Starred) for operand in operands)
        called = node.func
        self._calls += 1
        self.generic_visit(node)
        self._calls -= 1
        if isinstance(called, ast.Name):
            node.func = called  # what it is called with is looked at below
        name = self._builtin(node.func)
        if name in ("zip", "map") and plain and any(theirs) and not all(theirs[name == "map" :]):
            flags = ast.Tuple([ast.Constant(each) for each in theirs[name == "map" :]], ast.Load())
            return ast.copy_location(_call(name, flags, node), node)
        if name in ("all", "any") and theirs == [True]:
            node.args = [self._loop(node.args[0])]
        if not self._is_own(called):
            self._size_operands(node, last_name(called))
        if name in _RUNNING and plain and theirs[:1] == [True]:
            text = ast.Call(_method("to_run"), [ast.Constant(name), node.args[0]], [])
            node.args[0] = ast.copy_location(text, node.args[0])
        if self._asserts and _is_assert_call(node):
            return ast.copy_location(ast.Call(_method("ran"), [node], []), node)
        return node

    def _is_own(self, function: ast.expr) -> bool:
        """Whether it is the test's, or a method of the program's object, whatever its name."""
        if isinstance(function, ast.Attribute):
            return self._is_theirs(function.value)
        return isinstance(function, ast.Name) and function.id in self._shadowed

    def _builtin(self, function: ast.expr) -> str:
        """The name of one of Python's own functions."""
        if isinstance(function, ast.Name):
            return "" if function.id in self._shadowed else function.id
        return function.attr if isinstance(function, ast.Attribute) and _is_of_builtins(function) else ""

    def _operands(self, arguments: list[ast.expr]) -> list[ast.expr]:
        """The arguments, with those of `*[a, b]`, and of `*pair` where `pair` is only ever such a list, one by one."""
        return [
            part
            for each in arguments
            for part in (self._shown(each.value) if isinstance(each, ast.Starred) else None) or [each]
        ]

    def _shown(self, node: ast.expr) -> list[ast.expr] | None:
        values = self._values.get(name_of(node), []) if isinstance(node, ast.Name) else [node]
        shown = [value.elts if isinstance(value, (ast.List, ast.Tuple)) else None for value in values]
        flags = {None if parts is None else tuple(map(self._is_theirs, parts)) for parts in shown}
        return shown[0] if len(flags) == 1 else None

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        return (
            self._sized(node, node.ops[0], node.left, node.comparators[0])
            if len(node.ops) == 1
            else self.generic_visit(node)
        )

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        return self._sized(node, node.op, node.left, node.right)

    def _sized(self, node: ast.expr, operator: ast.AST, left: ast.expr, right: ast.expr) -> ast.AST:
        """Where arrays may be compared value by value: within a call, `(got == wanted).all()`."""
        how, first = type(operator).__name__, self._is_theirs(left)
        mixed = self._calls and how in sizes.OPERATORS and first != self._is_theirs(right)
        self.generic_visit(node)
        if not mixed:
            return node
        if isinstance(node, ast.Compare):
            operands = [node.left, node.comparators[0]]
        else:
            assert isinstance(node, ast.BinOp)
            operands = [node.left, node.right]
        marks: list[ast.expr] = [ast.Constant(how), ast.Constant(first)]
        return ast.copy_location(ast.Call(_method("compare"), [*marks, *operands], []), node)

    def _size_operands(self, node: ast.Call, how: str) -> None:
        """Of numpy's functions that compare, given in order or as `actual=` and `desired=`."""
        if how not in sizes.FUNCTIONS:
            return
        named = [each for each in node.keywords if each.arg in _OPERANDS]
        operands = [*node.args, *(each.value for each in named)][:2]
        theirs = [self._is_theirs(each) for each in operands]
        if (
            len(operands) != 2
            or theirs[0] == theirs[1]
            or any(isinstance(each, ast.Starred) for each in operands)
        ):
            return
        marks: list[ast.expr] = [ast.Constant(how), ast.Constant(theirs[0])]
        both = ast.Starred(ast.Call(_method("sized"), [*marks, *operands], []), ast.Load())
        node.args = [ast.copy_location(both, node), *node.args[2:]]
        node.keywords = [each for each in node.keywords if each not in named]

    def visit_Name(self, node: ast.Name) -> ast.AST:
        known = node.id in _RUNNING - self._shadowed and isinstance(node.ctx, ast.Load)
        return self._runner(node.id, node) if known else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        known = _is_of_builtins(node) and node.attr in _RUNNING and isinstance(node.ctx, ast.Load)
        return self._runner(node.attr, node) if known else node

    def _runner(self, name: str, node: ast.expr) -> ast.expr:
        """For `eval` and its like under another name, or handed to a function: whose text they get cannot be told."""
        return ast.copy_location(ast.Call(_method("runner"), [ast.Constant(name)], []), node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST | list[ast.AST]:
        self.generic_visit(node)
        if not self._asserts or not _is_site(node):
            return node
        return [ast.copy_location(ast.Expr(ast.Call(_method("ran"), [], [])), node), node]

    def _is_theirs(self, node: ast.AST) -> bool:
        return node in self._theirs

    def _loop(self, iterable: ast.expr) -> ast.expr:
        watch = ast.Call(_method("watch"), [], [])
        return ast.copy_location(ast.Call(_method("loop"), [watch, iterable], []), iterable)


def _is_of_builtins(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("builtins", "__builtins__")


def _method(name: str) -> ast.expr:
    return ast.Attribute(ast.Name(RECORD, ast.Load()), name, ast.Load())


def _call(name: str, flags: ast.expr, node: ast.Call) -> ast.Call:
    return ast.Call(_method(name), [flags, *node.args], node.keywords)


def _is_assert_call(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, (ast.Name, ast.Attribute)):
        return False
    name = last_name(node.func)
    return name.startswith("assert") or name in ("raises", "warns")


def _is_site(node: ast.AST) -> bool:
    """An assertion that a right program may carry out: not the `assert False` that it never reaches."""
    if isinstance(node, ast.Assert):
        return not isinstance(node.test, ast.Constant) or bool(node.test.value)
    return _is_assert_call(node)
