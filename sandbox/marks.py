"""Marks in a test where a program that gives too little could leave its asserts out.

`zip(f(x), wanted)` ends with the shorter, a loop over what the program returned runs as often as that allows, and a
test function that came to its end may not have carried out a single assert. So the judge's `Record` is told: of
`zip` and `map`, which operands are the program's; of a loop with asserts, that one goes on; of each assert; and of
what the program gave and the test evaluates.
What is the program's is told from the text: what a name is made from, whatever the scope.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from sandbox import bound
from sandbox.inside.record import RECORD

_GROWING = frozenset({"append", "appendleft", "add", "extend", "insert", "update"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_RUNNING = frozenset({"eval", "exec", "compile"})  # what the program returned would run in the judge


class Marks(ast.NodeTransformer):
    """Reads a test's tree when it is made; changes it when it `visit`s it, however it was changed in between."""

    def __init__(self, tree: ast.Module, programs: Iterable[str], *, asserts: bool) -> None:
        """`programs`: names that the program provides. `asserts`: whether each assert is marked, too."""
        theirs = _reached(set(programs), _uses(tree))
        self._theirs = _holding(tree, lambda node: not theirs.isdisjoint(_own_names(node)), _gives)
        own = {
            node.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        self._shadowed = own | {node.name for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)}
        self._sites = _holding(tree, _is_site, _always_runs)
        self._asserts = asserts
        self.asserting = sorted(_reached(self._named_sites(tree), _calls(tree)))

    def _named_sites(self, tree: ast.Module) -> set[str]:
        return {node.name for node in ast.walk(tree) if isinstance(node, _FUNCTIONS) and node in self._sites}

    def visit_For(self, node: ast.For) -> ast.AST:
        self.generic_visit(node)
        if node in self._sites and self._is_theirs(node.iter):
            node.iter = self._loop(node.iter)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        theirs = [self._is_theirs(argument) for argument in node.args]
        plain = not any(isinstance(argument, ast.Starred) for argument in node.args)
        called = node.func
        self.generic_visit(node)
        if isinstance(called, ast.Name):
            node.func = called  # what it is called with is looked at below
        name = node.func.id if isinstance(node.func, ast.Name) and node.func.id not in self._shadowed else ""
        if name in ("zip", "map") and plain and any(theirs) and not all(theirs[name == "map" :]):
            flags = ast.Tuple([ast.Constant(each) for each in theirs[name == "map" :]], ast.Load())
            return ast.copy_location(_call(name, flags, node), node)
        if name in ("all", "any") and theirs == [True]:
            node.args = [self._loop(node.args[0])]
        if name in _RUNNING and plain and theirs[:1] == [True]:
            text = ast.Call(_method("to_run"), [ast.Constant(name), node.args[0]], [])
            node.args[0] = ast.copy_location(text, node.args[0])
        if self._asserts and _is_assert_call(node):
            return ast.copy_location(ast.Call(_method("ran"), [node], []), node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        known = node.id in _RUNNING - self._shadowed and isinstance(node.ctx, ast.Load)
        return self._runner(node.id, node) if known else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        of_builtins = isinstance(node.value, ast.Name) and node.value.id in ("builtins", "__builtins__")
        known = of_builtins and node.attr in _RUNNING and isinstance(node.ctx, ast.Load)
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


def _method(name: str) -> ast.expr:
    return ast.Attribute(ast.Name(RECORD, ast.Load()), name, ast.Load())


def _call(name: str, flags: ast.expr, node: ast.Call) -> ast.Call:
    return ast.Call(_method(name), [flags, *node.args], node.keywords)


def _own_names(node: ast.AST) -> set[str]:
    return (
        {node.id} if isinstance(node, ast.Name) else {node.attr} if isinstance(node, ast.Attribute) else set()
    )


def _names(node: ast.AST) -> set[str]:
    """The names that it is made from."""
    parts = [part for part in ast.iter_child_nodes(node) if _gives(node, part)]
    return _own_names(node).union(*map(_names, parts))


def _gives(node: ast.AST, part: ast.AST) -> bool:
    """What an index finds is as much the test's as what it looks in, whoever gave the index."""
    return not isinstance(node, ast.Subscript) or part is not node.slice


def _always_runs(node: ast.AST, part: ast.AST) -> bool:
    """Not only by what something raises."""
    return not isinstance(part, ast.ExceptHandler) and not (isinstance(node, ast.Try) and part in node.orelse)


def _holding(
    tree: ast.AST, asked: Callable[[ast.AST], bool], through: Callable[[ast.AST, ast.AST], bool]
) -> set[ast.AST]:
    """The nodes that are, or hold, one of those asked for, by those of their parts that count."""
    found = set()

    def look(node: ast.AST) -> bool:
        holds = asked(node)
        for part in ast.iter_child_nodes(node):
            holds |= look(part) and through(node, part)
        if holds:
            found.add(node)
        return holds

    look(tree)
    return found


def _reached(names: set[str], leads: dict[str, set[str]]) -> set[str]:
    """`names`, and all that they lead to."""
    left = list(names)
    while left:
        more = leads.get(left.pop(), set()) - names
        names |= more
        left += more
    return names


def _uses(tree: ast.Module) -> dict[str, set[str]]:
    """By name, those that are bound to something made from it."""
    uses: dict[str, set[str]] = {}
    for target, value in _bindings(tree):
        for name in _names(value):
            uses.setdefault(name, set()).update(_targets(target))
    return uses


def _calls(tree: ast.Module) -> dict[str, set[str]]:
    """By name, the functions that call it."""
    calls: dict[str, set[str]] = {}
    for function in ast.walk(tree):
        for node in ast.walk(function) if isinstance(function, _FUNCTIONS) else ():
            for name in _own_names(node.func) if isinstance(node, ast.Call) else ():
                calls.setdefault(name, set()).add(function.name)  # type: ignore[attr-defined]
    return calls


def _bindings(tree: ast.Module) -> Iterable[tuple[ast.AST, ast.AST]]:
    held = bound.held(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Assign():
                for target in node.targets:
                    yield from bound.each(target, node.value)
            case (
                ast.AnnAssign(value=ast.expr() as value)
                | ast.AugAssign(value=value)
                | ast.NamedExpr(value=value)
            ):
                yield node.target, value
            case ast.For() | ast.AsyncFor() | ast.comprehension():
                yield from bound.items(node.target, node.iter, held)
            case ast.withitem(optional_vars=ast.expr() as target):
                yield target, node.context_expr
            case ast.Call(func=ast.Attribute(attr=name) as method) if name in _GROWING:
                yield from ((method.value, argument) for argument in node.args)
            case ast.FunctionDef() | ast.AsyncFunctionDef() if not node.name.startswith("test"):
                yield ast.Name(node.name, ast.Store()), ast.Module(node.body, [])


def _targets(node: ast.AST) -> set[str]:
    """What is bound; of `a.b` and `a[0]`, `b` and `a`."""
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, ast.Attribute):
        return {node.attr}
    if isinstance(node, (ast.Subscript, ast.Starred)):
        return _targets(node.value)
    return {name for part in ast.iter_child_nodes(node) for name in _targets(part)}


def _is_assert_call(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, (ast.Name, ast.Attribute)):
        return False
    name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
    return name.startswith("assert") or name in ("raises", "warns")


def _is_site(node: ast.AST) -> bool:
    """An assertion that a right program may carry out: not the `assert False` that it never reaches."""
    if isinstance(node, ast.Assert):
        return not isinstance(node.test, ast.Constant) or bool(node.test.value)
    return _is_assert_call(node)
