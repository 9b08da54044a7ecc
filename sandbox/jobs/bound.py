"""What a test's assignments and loops bind to what, as far as its text tells: of pairs, each half to its own.

Where it tells no more, everything is bound to the whole.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence

Bindings = Iterable[tuple[ast.AST, ast.AST]]  # of target and value
_MAX_HELD = 100  # each loop over the name looks at all
Held = Mapping[str, Sequence[ast.AST]]


def each(target: ast.AST, value: ast.AST) -> Bindings:
    """Of `a, b = f(), g()`."""
    match target, value:
        case (ast.Tuple() | ast.List(), ast.Tuple() | ast.List()) if _matches(target.elts, value.elts):
            for one, other in zip(target.elts, value.elts, strict=True):
                yield from each(one, other)
        case _:
            yield target, value


def held(nodes: Iterable[ast.AST]) -> Held:
    """By name, the iterables whose items it holds: what is assigned to it, or appended; unless that is a lot."""
    found: dict[str, list[ast.AST]] = {}
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Name(name)], value=value):
                found.setdefault(name, []).append(value)
            case ast.Call(func=ast.Attribute(value=ast.Name(name), attr="append"), args=[item]):
                found.setdefault(name, []).append(ast.List([item], ast.Load()))
    return {name: values for name, values in found.items() if len(values) <= _MAX_HELD}


def items(target: ast.AST, iterable: ast.AST, held: Held) -> Bindings:
    """Of `for n, (a, b) in enumerate(zip(x, y))`, where `n` is bound to nothing."""
    match target, iterable:
        case ast.Tuple(elts=[_, item]), ast.Call(func=ast.Name("enumerate"), args=[of, *_]):
            yield from items(item, of, held)
        case ast.Tuple(), ast.Call(func=ast.Name("zip")) if _matches(target.elts, iterable.args):
            for one, other in zip(target.elts, iterable.args, strict=True):
                yield from items(one, other, held)
        case ast.Tuple(), ast.List(elts=parts) | ast.Tuple(elts=parts):
            for part in parts:
                yield from each(target, part)
        case ast.Tuple(), ast.ListComp(elt=part) | ast.GeneratorExp(elt=part):
            yield from each(target, part)
        case ast.Tuple(), ast.Call(func=ast.Name("list" | "tuple" | "reversed"), args=[of]):
            yield from items(target, of, held)
        case ast.Tuple(), ast.Name(name) if name in held:
            for value in held[name]:  # and no further: it may be made from itself, or by way of many
                yield from items(target, value, {})
        case _:
            yield target, iterable


def _matches(targets: list[ast.expr], values: list[ast.expr]) -> bool:
    return len(targets) == len(values) and not any(isinstance(each, ast.Starred) for each in targets + values)
