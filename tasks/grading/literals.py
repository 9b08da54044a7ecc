"""Evaluates literal Python expressions on the host: displays, bounded arithmetic, a few pure builtins.

Only what gives Python's value in any process: no names but those bound to literals, nothing whose order or text
depends on hashing, nothing that takes long (budget.py). All else is `NotLiteral`.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tasks.grading.budget import MAX_BITS, UNITS, Budget, NotLiteral

_MAX_DIGITS = 4300  # decimal ones, which take time that grows with their square

_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Invert: operator.invert,
    ast.Not: operator.not_,
}
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_BUILTINS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        list,
        tuple,
        set,
        frozenset,
        dict,
        float,
        int,
        str,
        bool,
        complex,
        range,
        abs,
        len,
    )
} | {
    "zip": lambda *a: list(zip(*a, strict=False)),
    "enumerate": lambda *a: list(enumerate(*a)),
}
_HASHING = {"set", "frozenset", "dict"}
_COPYING = {"list", "tuple", "zip", "enumerate", *_HASHING}
_ORDER_OBSERVED = {"list", "tuple", "dict", "zip", "enumerate"}
_NUMBERS = (int, float, complex)
_ORDERED = (str, bytes, list, tuple, range, dict)


def evaluate(node: ast.expr, names: Mapping[str, object], hidden: frozenset[str], budget: Budget) -> Any:
    """The value of `node`, containers freshly built. Raises `NotLiteral`.

    `names` are bound to values; builtins in `hidden` are rebound by the test, hence unknown.
    """
    try:
        return _Evaluator(names, hidden, budget).value(node)
    except (
        TypeError,
        ValueError,
        ArithmeticError,
        AttributeError,
        RecursionError,
        MemoryError,
    ) as error:
        raise NotLiteral(str(error)) from None


def iterate(value: object) -> Collection[Any]:
    """What a `for` over `value` goes through, where the order is certain and the end near."""
    if not isinstance(value, _ORDERED):
        raise NotLiteral(f"order of a {type(value).__name__}")
    if len(value) > UNITS:
        raise NotLiteral("long")
    return value


class _Evaluator:
    def __init__(self, names: Mapping[str, object], hidden: frozenset[str], budget: Budget) -> None:
        self._names = names
        self._hidden = hidden
        self._budget = budget

    def value(self, node: ast.expr) -> Any:
        self._budget.spend(1)
        match node:
            case ast.Constant():
                return node.value
            case ast.Name() if node.id in self._names:
                return self._names[node.id]
            case ast.List():
                return self._budget.made(self._items(node.elts))
            case ast.Tuple():
                return self._budget.made(tuple(self._items(node.elts)))
            case ast.Set():
                items = self._items(node.elts)
                self._budget.check_keys(items)
                return self._budget.made(set(items))
            case ast.Dict():
                return self._budget.made(self._dict(node))
            case ast.UnaryOp():
                return self._budget.made(_UNARY[type(node.op)](self.value(node.operand)))
            case ast.BinOp():
                return self._binary(node)
            case ast.Call(func=ast.Name(id=name)):
                return self._call(node, name)
        raise NotLiteral(type(node).__name__)

    def _items(self, nodes: list[ast.expr]) -> list[Any]:
        items: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                more = iterate(self.value(node.value))
                self._budget.spend(len(more))
                items.extend(more)
            else:
                items.append(self.value(node))
        return items

    def _dict(self, node: ast.Dict) -> dict[Any, Any]:
        keys: list[Any] = []
        values: list[Any] = []
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                raise NotLiteral("** in a dict")
            keys.append(self.value(key))
            values.append(self.value(value))
        self._budget.check_keys(keys)
        return dict(zip(keys, values, strict=True))

    def _binary(self, node: ast.BinOp) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        if type(node.op) not in _BINARY:
            raise NotLiteral("operator")
        if isinstance(left, _NUMBERS) and isinstance(right, _NUMBERS):
            _check_power(node.op, left, right)
        else:
            _check_sequences(node.op, left, right)
        self._budget.spend(self._budget.size(left) + self._budget.size(right))
        return self._budget.made(_BINARY[type(node.op)](left, right))

    def _call(self, node: ast.Call, name: str) -> Any:
        if name not in _BUILTINS or name in self._hidden or name in self._names or node.keywords:
            raise NotLiteral(f"call of {name}")
        args = self._items(node.args)
        if name in _ORDER_OBSERVED and not all(isinstance(arg, (*_ORDERED, int)) for arg in args):
            raise NotLiteral("order of a set")
        if name == "str" and not all(isinstance(arg, (str, int, float)) for arg in args):
            raise NotLiteral("text of a container")
        self._check_arguments(name, args)
        return self._budget.made(_BUILTINS[name](*args))

    def _check_arguments(self, name: str, args: list[Any]) -> None:
        for arg in args:
            self._budget.spend(self._budget.size(arg) if isinstance(arg, (int, str, bytes)) else 0)
            if name == "int" and isinstance(arg, str) and len(arg) > _MAX_DIGITS:
                raise NotLiteral("many digits")
            if name == "str" and isinstance(arg, int) and arg.bit_length() > 3 * _MAX_DIGITS:
                raise NotLiteral("many digits")
            if name in _COPYING and isinstance(arg, (*_ORDERED, set, frozenset)):
                self._budget.spend(len(arg))
        if name in _HASHING and args:
            pairs = name == "dict" and not isinstance(args[0], dict)
            self._budget.check_keys([key for key, _ in args[0]] if pairs else list(args[0]))


def _check_power(op: ast.operator, base: Any, exponent: Any) -> None:
    whole = isinstance(op, ast.Pow) and isinstance(base, int) and isinstance(exponent, int)
    if whole and abs(exponent) * base.bit_length() > MAX_BITS:
        raise NotLiteral("large power")


def _check_sequences(op: ast.operator, left: Any, right: Any) -> None:
    """Lets pass `sequence + sequence` and `sequence * int`."""
    sequences = (str, bytes, list, tuple)
    added = isinstance(op, ast.Add) and type(left) is type(right) and isinstance(left, sequences)
    repeated = isinstance(op, ast.Mult) and isinstance(left, sequences) and isinstance(right, int)
    if not added and not (repeated and len(left) * right <= UNITS):
        raise NotLiteral("operands")
