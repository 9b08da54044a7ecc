"""Reads from a test's text what is made from what: what each name is bound to, in any scope."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence

from sandbox.jobs import bound

_GROWING = frozenset({"append", "appendleft", "add", "extend", "insert", "update"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def name_of(node: ast.Name) -> str:
    return getattr(node, "apart", node.id)


def tell_apart(nodes: Sequence[ast.AST]) -> None:
    """Gives the names that a comprehension binds, which are its own, names of their own."""
    for number, node in enumerate(nodes):
        if isinstance(node, _COMPREHENSIONS):
            own = {name for each in node.generators for name in targets(each.target)}
            outside = set(ast.walk(node.generators[0].iter))
            for part in ast.walk(node):
                if isinstance(part, ast.Name) and part.id in own and part not in outside:
                    vars(part)["apart"] = f"{part.id} {number}"


def own_names(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Name):
        return {name_of(node)}
    return {node.attr} if isinstance(node, ast.Attribute) else set()


def _names(node: ast.AST) -> set[str]:
    """The names that it is made from."""
    parts = [part for part in ast.iter_child_nodes(node) if gives(node, part)]
    return own_names(node).union(*map(_names, parts))


def gives(node: ast.AST, part: ast.AST) -> bool:
    """What an index finds is as much the test's as what it looks in, also if the program gave the index."""
    return not isinstance(node, ast.Subscript) or part is not node.slice


def always_runs(node: ast.AST, part: ast.AST) -> bool:
    """Not only by what something raises."""
    return not isinstance(part, ast.ExceptHandler) and not (isinstance(node, ast.Try) and part in node.orelse)


def holding(
    tree: ast.AST, asked: Callable[[ast.AST], bool], through: Callable[[ast.AST, ast.AST], bool]
) -> set[ast.AST]:
    """The nodes that are `asked` for, or hold such a node in a part that `through` lets count."""
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


def reached(names: set[str], leads: dict[str, set[str]]) -> set[str]:
    """`names`, and all that they lead to."""
    left = list(names)
    while left:
        more = leads.get(left.pop(), set()) - names
        names |= more
        left += more
    return names


def leads(bindings: bound.Bindings) -> dict[str, set[str]]:
    """By name, those that are bound to something made from it."""
    uses: dict[str, set[str]] = {}
    for target, value in bindings:
        for name in _names(value):
            uses.setdefault(name, set()).update(targets(target))
    return uses


def callers(functions: Iterable[ast.FunctionDef | ast.AsyncFunctionDef]) -> dict[str, set[str]]:
    """By name, those of `functions` that call it."""
    calls: dict[str, set[str]] = {}
    for function in functions:
        for node in ast.walk(function):
            for name in own_names(node.func) if isinstance(node, ast.Call) else ():
                calls.setdefault(name, set()).add(function.name)
    return calls


def bindings(nodes: Sequence[ast.AST]) -> bound.Bindings:
    held = bound.held(nodes)
    functions = dict(filter(None, map(_named_function, nodes)))
    for node in nodes:
        if isinstance(node, ast.Call) and (function := functions.get(last_name(node.func))) is not None:
            yield from _passed(function, node)
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


def _named_function(node: ast.AST) -> tuple[str, _Function] | None:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return node.name, node
        case ast.Assign(targets=[ast.Name(name)], value=ast.Lambda() as function):
            return name, function
    return None


def _passed(function: _Function, call: ast.Call) -> bound.Bindings:
    """What the test's own function is handed, by the names of its parameters."""
    names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    if isinstance(call.func, ast.Attribute) and names[:1] in (["self"], ["cls"]):
        del names[0]
    handed = [*zip(names, call.args, strict=False), *((each.arg, each.value) for each in call.keywords)]
    yield from ((ast.Name(name, ast.Store()), value) for name, value in handed if name is not None)
    if function.args.vararg is not None:
        rest = ast.Tuple(call.args[len(names) :], ast.Load())
        yield ast.Name(function.args.vararg.arg, ast.Store()), rest


def targets(node: ast.AST) -> set[str]:
    """What is bound; of `a.b` and `a[0]`, `b` and `a`."""
    if isinstance(node, (ast.Name, ast.Attribute)):
        return own_names(node)
    if isinstance(node, (ast.Subscript, ast.Starred)):
        return targets(node.value)
    return {name for part in ast.iter_child_nodes(node) for name in targets(part)}


def last_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
