"""Whether a text that the program returned is only a value, so that a test may evaluate it in the judge.

Anything else would be program code in the process that decides: an object equal to everything, for instance.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from sandbox.inside.judge.proxies import is_opaque

_SYNTAX = (
    *(ast.Expression, ast.Constant, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare, ast.IfExp),
    *(ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Subscript, ast.Slice, ast.Starred, ast.keyword),
    *(ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
)
_FUNCTIONS = tuple(
    [bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset, range]
    + [abs, min, max, sum, round, pow, divmod, len, sorted]
)
_MODULES = frozenset("math cmath datetime decimal fractions collections pathlib uuid numpy".split())


def is_value(text: str, names: Mapping[str, Any]) -> bool:
    """`names`: what the text's names mean. A text that is not Python evaluates to nothing."""
    try:
        tree = ast.parse(text.strip(" \t"), mode="eval")
    except SyntaxError:
        return True
    except (ValueError, RecursionError, MemoryError):
        return False
    return _is_harmless(tree, names)


def _is_harmless(node: ast.AST, names: Mapping[str, Any]) -> bool:
    if isinstance(node, ast.Call):
        parts = [*node.args, *node.keywords]
        return _may_call(_meant(node.func, names), names) and all(_is_harmless(each, names) for each in parts)
    if isinstance(node, (ast.Name, ast.Attribute)):
        # A longer name could be that of the expected value.
        short = isinstance(node, ast.Attribute) or len(node.id) == 1
        return short and type(_meant(node, names)) in (int, float, complex)
    return isinstance(node, _SYNTAX) and all(_is_harmless(part, names) for part in ast.iter_child_nodes(node))


def _meant(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """What a name, or one of a usual module's, stands for; None for all else."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and not node.attr.startswith("_"):
        module = names.get(node.value.id)
        if isinstance(module, ModuleType) and (
            module.__name__ in _MODULES or "_coderl_judge" in vars(module)
        ):
            return getattr(module, node.attr, None)
    return None


def _may_call(function: Any, names: Mapping[str, Any]) -> bool:
    if is_opaque(function) or any(function is each for each in _FUNCTIONS):
        return True
    module = getattr(function, "__module__", None)
    if isinstance(function, type):
        return module in _MODULES or module in (names.get("__name__"), "test_solution")
    return module in ("math", "cmath") or (module == "numpy" and function.__name__ == "array")
