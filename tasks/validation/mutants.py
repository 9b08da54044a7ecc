"""Mutants: a reference with one thing changed, to see whether a task's tests notice.

One operator, comparison, constant, condition or statement is changed; the rest is the reference, `ast.unparse`d.
Deterministic: the same program and seed give the same mutants in the same order.

Equivalent mutants (no input can show the change) cannot be told from weak tests in general. Those known before are not
made: docstrings, annotations, texts of f-strings, and changes that leave the bytecode the same. The rest
count as survivors, and are listed for a person to judge.
"""

from __future__ import annotations

import ast
import copy
import random
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType

from sandbox.parsing import parse

_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """`program` differs from its reference by `change`, made in line `line` (1-based) of the reference."""

    program: str
    change: str
    line: int


@dataclass(frozen=True, slots=True)
class _Site:
    node: ast.AST
    change: str
    apply: Callable[[ast.AST], ast.AST]


def make_mutants(
    program: str, entry_point: str | None = None, *, seed: int = 0, limit: int | None = None
) -> list[Mutant]:
    """Up to `limit` mutants of `program`, in an order shuffled by `seed`; [] where it does not parse.

    With an entry point only what it can reach by name is changed.
    """
    try:
        tree = _parse(program)
    except (SyntaxError, ValueError, RecursionError):
        return []
    sites = [site for part in _reached(tree, entry_point) for site in _sites(part)]
    random.Random(f"{seed}:{program}").shuffle(sites)
    original = _bytecode(tree)
    found: dict[str, Mutant] = {}
    for site in sites:
        if limit is not None and len(found) >= limit:
            break
        mutated = _replaced(tree, site)
        if _bytecode(mutated) not in (None, original):
            text = ast.unparse(mutated) + "\n"
            found.setdefault(text, Mutant(text, site.change, getattr(site.node, "lineno", 0)))
    return list(found.values())


def _parse(program: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return parse(program)


def _reached(tree: ast.Module, entry_point: str | None) -> list[ast.stmt]:
    """Top-level statements that a call of `entry_point` can involve; all of them without one."""
    definitions = {
        node.name: node
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    }
    if entry_point not in definitions:
        return tree.body
    waiting, reached = [entry_point], set[str]()
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            names = {node.id for node in ast.walk(definitions[name]) if isinstance(node, ast.Name)}
            waiting += sorted(names & definitions.keys())
    return [node for node in tree.body if getattr(node, "name", None) in reached]


def _sites(root: ast.stmt) -> Iterator[_Site]:
    skipped = {id(node) for node in _inert(root)}
    for node in ast.walk(root):
        if id(node) not in skipped:
            yield from _changes(node)


def _inert(root: ast.stmt) -> Iterator[ast.AST]:
    """Docstrings and annotations, with all inside them."""
    for node in ast.walk(root):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            parts = [node, node.value]
        elif isinstance(node, (ast.arg, ast.AnnAssign)):
            parts = [node.annotation]
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            parts = [node.returns]
        elif isinstance(node, ast.JoinedStr):
            parts = list(node.values)
        for part in parts:
            if part is not None:
                yield from ast.walk(part)


def _changes(node: ast.AST) -> Iterator[_Site]:
    match node:
        case ast.BinOp() | ast.AugAssign() | ast.BoolOp() if type(node.op) in _SWAPS:
            yield _Site(node, _swap_text(node.op), _with_operator)
        case ast.Compare() if type(node.ops[0]) in _SWAPS:
            yield _Site(node, _swap_text(node.ops[0]), _with_comparison)
        case ast.Constant(value=bool() | int() | float() | str()):
            yield _Site(node, f"constant {node.value!r:.40}", _with_constant)
        case ast.If() | ast.While() | ast.IfExp():
            yield _Site(node, "condition negated", _with_negation)
        case ast.Return(value=ast.expr()):
            yield _Site(node, "returns None", lambda _: ast.Return(value=ast.Constant(value=None)))
    if isinstance(node, (ast.Assign, ast.AugAssign, ast.Expr, ast.Break, ast.Continue)):
        yield _Site(node, f"{type(node).__name__} left out", lambda _: ast.Pass())


def _swap_text(op: ast.AST) -> str:
    return f"{type(op).__name__} to {_SWAPS[type(op)].__name__}"


def _with_operator(node: ast.AST) -> ast.AST:
    assert isinstance(node, (ast.BinOp, ast.AugAssign, ast.BoolOp))
    node.op = _SWAPS[type(node.op)]()  # type: ignore[assignment]
    return node


def _with_comparison(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.Compare)
    node.ops[0] = _SWAPS[type(node.ops[0])]()  # type: ignore[call-overload]
    return node


def _with_constant(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.Constant)
    value = node.value
    if isinstance(value, bool):
        return ast.Constant(value=not value)
    if isinstance(value, str):
        return ast.Constant(value=value + "x" if value else "x")
    assert isinstance(value, (int, float))
    return ast.Constant(value=value + 1)


def _with_negation(node: ast.AST) -> ast.AST:
    assert isinstance(node, (ast.If, ast.While, ast.IfExp))
    node.test = ast.UnaryOp(op=ast.Not(), operand=node.test)
    return node


class _Replacer(ast.NodeTransformer):
    def __init__(self, target: ast.AST, new: ast.AST) -> None:
        self._target, self._new = target, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._target else self.generic_visit(node)


def _replaced(tree: ast.Module, site: _Site) -> ast.Module:
    """A copy of `tree` with the change of `site` made."""
    memo: dict[int, object] = {}
    mutated = copy.deepcopy(tree, memo)
    node = memo[id(site.node)]
    assert isinstance(node, ast.AST)
    new = site.apply(node)
    if new is not node:
        _Replacer(node, new).visit(mutated)
    return ast.fix_missing_locations(mutated)


def _bytecode(tree: ast.Module) -> tuple[object, ...] | None:
    """What `tree` compiles to, positions aside; None where it does not (for instance `break` outside a loop)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _shape(compile(tree, "<mutant>", "exec", dont_inherit=True))
    except (SyntaxError, ValueError, RecursionError):
        return None


def _shape(code: CodeType) -> tuple[object, ...]:
    constants = tuple(_shape(c) if isinstance(c, CodeType) else (type(c), repr(c)) for c in code.co_consts)
    return code.co_code, constants, code.co_names, code.co_varnames
