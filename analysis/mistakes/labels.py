"""What kind of mistake a failure is, by rules.

naming     a name that does not exist: NameError, AttributeError, imports, a missing entry point
mapping    a value of the wrong type or shape, or an access outside of it: TypeError, IndexError, ...
resource   memory, recursion, numeric range, output without end
timeout    out of time
truncated  the completion was cut off by the token limit and does not compile
format     no code, or code that does not compile, although the completion ended by itself
logic      runs, and answers wrongly; `logic_label` says how it differs from a passing sibling

The first four are the classes of CodeHalu (arXiv 2405.00253), logic's kinds those of HumanEvalPack
(arXiv 2308.07124), on whose labelled bugs they are scored (analysis/README.md).
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher

from analysis.mistakes.programs import parse
from analysis.reading.rows import Row

NAMING = {"NameError", "UnboundLocalError", "AttributeError", "ImportError", "ModuleNotFoundError"}
RESOURCE = {"MemoryError", "RecursionError", "OverflowError"}
LOGIC = "logic"
LEAST_ALIKE = 0.5
MOST_SIBLINGS = 8
MOST_TOKENS = 2000

TRANSPARENT = (ast.Expr, ast.Module, ast.BinOp, ast.BoolOp, ast.Compare, ast.UnaryOp)

Token = tuple[str, str]
"""A kind ("name", "value", "operator", "function" or "structure") and a text."""


def label(row: Row) -> str:
    """One of the labels above; "" where the row passed or the fault was ours."""
    if row.phase in ("passed", "infra"):
        return ""
    if row.phase in ("no_code", "compile"):
        return "truncated" if row.truncated else "format"
    if row.phase == "timeout":
        return "timeout"
    if row.phase == "memory" or row.status == "output_limit" or row.error_type in RESOURCE:
        return "resource"
    if row.phase == "entry" or row.error_type in NAMING:
        return "naming"
    return LOGIC if row.phase == "wrong" else "mapping"


def logic_label(failing: str, passing: Iterable[str]) -> str:
    """How `failing` differs from the most alike of at most 8 passing programs of its task.

    "missing logic", "excess logic", "value misuse", "operator misuse", "variable misuse" or "function
    misuse"; "other approach" where no passing program is alike, "" where nothing can be compared.
    """
    tokens = _tokens(failing)
    best: Sequence[Token] | None = None
    best_ratio = -1.0
    for program in list(dict.fromkeys(passing))[:MOST_SIBLINGS]:
        other = _tokens(program)
        matcher = SequenceMatcher(None, other, tokens, autojunk=False)
        if other and tokens and matcher.quick_ratio() > best_ratio and matcher.ratio() > best_ratio:
            best, best_ratio = other, matcher.ratio()
    if best is None or tokens == best:
        return ""
    return "other approach" if best_ratio < LEAST_ALIKE else _difference(tokens, best)


def _difference(failing: Sequence[Token], passing: Sequence[Token]) -> str:
    missing: Counter[Token] = Counter()
    excess: Counter[Token] = Counter()
    for kind, a, b, c, d in SequenceMatcher(None, passing, failing, autojunk=False).get_opcodes():
        if kind != "equal":
            missing.update(passing[a:b])
            excess.update(failing[c:d])
    gone, new = missing - excess, excess - missing
    if not gone and not new:  # the same parts in another order
        return "variable misuse" if any(kind == "name" for kind, _ in missing) else _misuse(missing)
    parts = gone + new
    if all(_is_offset(part) for part in parts) and any(kind == "value" for kind, _ in parts):
        return "value misuse"
    if gone.total() - new.total() >= 2:
        return "missing logic"
    if new.total() - gone.total() >= 2:
        return "excess logic"
    return _misuse(parts)


def _misuse(parts: Counter[Token]) -> str:
    kinds = {kind for kind, _ in parts}
    for kind in ("operator", "value", "function"):
        if kind in kinds:
            return f"{kind} misuse"
    return "variable misuse"


def _is_offset(part: Token) -> bool:
    """Part of adding or subtracting a number: off by one is a wrong value, not missing logic."""
    kind, text = part
    return part in {("operator", "Add"), ("operator", "Sub")} or (kind == "value" and text.isdigit())


def _tokens(program: str) -> list[Token]:
    """The program's syntax tree in source order, docstrings left out; empty if it does not parse."""
    tree = parse(program)
    try:
        return [] if tree is None else list(_walk(tree))[:MOST_TOKENS]
    except RecursionError:
        return []


def _walk(node: ast.AST) -> Iterator[Token]:
    match node:
        case ast.Expr(value=ast.Constant(value=str())) | ast.arguments() | ast.Load() | ast.Store():
            return
        case ast.Name(id=name):
            yield "name", name
        case ast.Constant(value=value):
            yield "value", repr(value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=value)):
            yield "value", f"-{value!r}"
        case ast.Slice():  # which bound is given is the point of a slice
            for name, bound in ast.iter_fields(node):
                if bound is not None:
                    yield "structure", name
                    yield from _walk(bound)
        case ast.operator() | ast.unaryop() | ast.cmpop() | ast.boolop():
            yield "operator", type(node).__name__
        case ast.Call(func=ast.Name(id=name)):
            yield "function", name
            for part in [*node.args, *node.keywords]:
                yield from _walk(part)
        case ast.Call(func=ast.Attribute(value=owner, attr=name)):
            yield from _walk(owner)
            yield "function", name
            for part in [*node.args, *node.keywords]:
                yield from _walk(part)
        case _:
            if not isinstance(node, TRANSPARENT):
                yield "structure", type(node).__name__
            for part in ast.iter_child_nodes(node):
                yield from _walk(part)
