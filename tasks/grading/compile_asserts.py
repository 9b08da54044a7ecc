"""Compiles tests that hold only literal asserts to call tests: as strict as a judge, and twice as fast.

`assert f(1, 2) == 3`, `assert 3 == f(1, 2)`, `assert f(x) is None`, `assert [not] f(x)`,
`assert abs(f(x) - 1.5) < 1e-6`; straight, in loops over literals, at the top of a script or in `check(candidate)`.
The calls are those that Python would make, in its order, with fresh arguments. Where anything else occurs (a helper,
a method, an argument that is used twice, whose change could be seen) the whole test is left to the judge.
"""

from __future__ import annotations

import ast
import builtins
import math
import re
import warnings
from functools import lru_cache
from typing import Any

from sandbox.parsing import parse
from tasks.grading.budget import MAX_SOURCE, Budget, NotLiteral
from tasks.grading.literals import evaluate, iterate
from tasks.types import CallTest, Compare, JudgeTest

MAX_CALLS = 10_000
_NAME_LENGTH = 200
_MODULES = {
    *("bisect", "collections", "copy", "datetime", "functools", "heapq", "itertools"),
    *("json", "math", "operator", "random", "re", "string", "sys", "typing"),
}


@lru_cache(maxsize=8192)
def compile_asserts(
    test: JudgeTest, entry_point: str | None = None, prompt: str = ""
) -> tuple[CallTest, ...] | None:
    """The calls that `test` makes, in order; None where a judge must run it.

    Calls that belong to the same static assert share a name, the one that a judge would give it.
    `prompt` is the code of the task's prompt: what it names, other than the entry point, is not the program's.
    """
    if test.kind not in ("script", "check") or len(test.source) > MAX_SOURCE:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a test is no concern of ours
            module = parse(test.source)
        calls = _Compiler(module, entry_point, prompt).run(test.kind == "check")
    except Exception:  # noqa: BLE001 - a judge can still run the test
        return None
    return tuple(calls) or None


class _Compiler:
    """Walks a test as Python would, keeping the calls instead of making them."""

    def __init__(self, module: ast.Module, entry_point: str | None, prompt: str) -> None:
        self._module = module
        self._entry_point = entry_point
        self._called = (entry_point or "").rpartition(".")[2]  # by the test: of `Solution.f` it is `f`
        self._prompt_names = set(re.findall(r"\w+", prompt))
        self._hidden = frozenset(_bound_names(module))
        self._names: dict[str, object] = {}
        self._candidate: str | None = None  # the parameter of `check`, while in its body
        self._check: ast.FunctionDef | None = None
        self._calls: list[CallTest] = []
        self._budget = Budget()
        self._unit_names: dict[ast.Assert, str] = {}
        self._passed: dict[int, object] = {}  # mutable values that were handed out, kept alive by id

    def run(self, call_check: bool) -> list[CallTest]:
        self._block(self._module.body, top=True)
        if call_check:
            self._run_check()
        return self._calls

    def _block(self, body: list[ast.stmt], top: bool = False) -> None:
        for statement in body:
            self._statement(statement, top)

    def _statement(self, node: ast.stmt, top: bool) -> None:
        self._budget.spend(1)
        match node:
            case ast.Assert():
                self._assert(node)
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                pass
            case ast.Expr(value=ast.Name(id=name)) if self._is_builtin(name):
                pass  # HumanEval/129 has a lone `print`
            case ast.Assign(targets=[target]):
                self._bind(target, self._literal(node.value))
            case ast.For(orelse=[]):
                for item in iterate(self._literal(node.iter)):
                    self._budget.spend(1)
                    self._bind(node.target, item)
                    self._block(node.body)
            case ast.Import() | ast.ImportFrom():
                _check_import(node)
            case ast.FunctionDef(name="check") if top and self._check is None:
                self._check = node
            case ast.Expr(
                value=ast.Call(func=ast.Name(id="check"), args=[ast.Name(id=name)], keywords=[])
            ) if top and name == self._called:
                self._run_check()
            case _:
                raise NotLiteral(type(node).__name__)

    def _run_check(self) -> None:
        check, entry_point = self._check, self._entry_point
        if check is None or entry_point is None or check.decorator_list:
            raise NotLiteral("no plain check")
        arguments = check.args
        if len(arguments.args) != 1 or arguments.defaults or arguments.vararg or arguments.kwarg:
            raise NotLiteral("parameters of check")
        if arguments.posonlyargs or arguments.kwonlyargs:
            raise NotLiteral("parameters of check")
        outer = dict(self._names)
        self._candidate = arguments.args[0].arg
        if self._candidate in outer:
            raise NotLiteral("parameter of check hides a name")
        self._block(check.body)
        self._candidate, self._names = None, outer

    def _bind(self, target: ast.expr, value: object) -> None:
        match target:
            case ast.Name():
                if target.id in (self._candidate, self._called):
                    raise NotLiteral("candidate is rebound")
                self._names[target.id] = value
            case ast.Tuple() | ast.List():
                items = iterate(value)
                if len(items) != len(target.elts):
                    raise NotLiteral("unpacking")
                for part, item in zip(target.elts, items, strict=True):
                    self._bind(part, item)
            case _:
                raise NotLiteral("target")

    def _assert(self, node: ast.Assert) -> None:
        # The message may call anything: Python evaluates it only once the test has failed.
        try:
            constant = self._literal(node.test)
        except NotLiteral:
            self._add(node, *self._claim(node.test))
            return
        if not constant:  # an `assert True` stands for nothing, an `assert False` is not ours to judge
            raise NotLiteral("assert of a falsehood")

    def _claim(self, test: ast.expr) -> tuple[ast.expr, object, Compare]:
        """The call that an assert makes, what is expected of it, and how that is compared."""
        match test:
            case ast.Call():
                return test, True, Compare(kind="truth")
            case ast.UnaryOp(op=ast.Not(), operand=call):
                return call, False, Compare(kind="truth")
            case ast.Compare(
                left=call,
                ops=[ast.Is()],
                comparators=[ast.Constant(value=None | bool() as value)],
            ):
                return call, value, Compare(kind="is")
            case ast.Compare(
                left=ast.Call(
                    func=ast.Name(id="abs"),
                    args=[ast.BinOp(left=call, op=ast.Sub(), right=value)],
                ) as bound,
                ops=[ast.Lt() | ast.LtE() as op],
                comparators=[tolerance],
            ) if not bound.keywords and "abs" not in self._hidden:
                return call, *self._close(value, op, tolerance)
            case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
                call, value = (
                    (left, right) if isinstance(left, ast.Call) and self._is_ours(left) else (right, left)
                )
                return call, self._literal(value), Compare()
        raise NotLiteral("assert")

    def _close(self, value: ast.expr, op: ast.cmpop, tolerance: ast.expr) -> tuple[object, Compare]:
        expected, atol = self._literal(value), self._literal(tolerance)
        if type(expected) not in (int, float) or not abs(expected) < 1e15:
            raise NotLiteral("centre of a tolerance")
        if type(atol) not in (int, float) or not 0 < atol < 1e6:
            raise NotLiteral("tolerance")
        # d < t is d <= the float below t
        most = math.nextafter(atol, 0) if isinstance(op, ast.Lt) else float(atol)
        # `close` takes integers for exact, this test does not.
        return float(expected) if most >= 1 else expected, Compare(kind="close", atol=most)

    def _is_builtin(self, name: str) -> bool:
        named = name in self._names or name in self._hidden or name in (self._candidate, self._called)
        return hasattr(builtins, name) and not named

    def _is_ours(self, call: ast.Call) -> bool:
        """Whether `call` goes to the program rather than to something that the test or its prompt owns."""
        if not isinstance(call.func, ast.Name):
            return False
        name = call.func.id
        if name == self._candidate:
            return True
        if name in self._names or name in self._hidden:
            return False
        if name == self._called:
            return True
        return not hasattr(builtins, name) and name not in self._prompt_names

    def _add(self, node: ast.Assert, call: ast.expr, expected: object, compare: Compare) -> None:
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or not self._is_ours(call):
            raise NotLiteral("not a call of the program")
        name = call.func.id
        function = self._entry_point if name in (self._candidate, self._called) else name
        args = tuple(self._literal(ast.List(elts=call.args)))
        kwargs = {str(keyword.arg): self._literal(keyword.value) for keyword in call.keywords if keyword.arg}
        if function is None or len(kwargs) != len(call.keywords) or len(self._calls) >= MAX_CALLS:
            raise NotLiteral("call")
        self._budget.spend(sum(map(self._budget.size, (args, kwargs, expected))))
        self._hand_out((args, kwargs, expected))
        self._calls.append(
            CallTest(
                function=function,
                args=args,
                kwargs=kwargs,
                expected=expected,
                compare=compare,
                name=self._name_of(node),
            )
        )

    def _name_of(self, node: ast.Assert) -> str:
        """The one that a judge would give it, made once: it may be in a loop, and long."""
        if node not in self._unit_names:
            self._unit_names[node] = f"line {node.lineno}: {ast.unparse(node.test)}"[:_NAME_LENGTH]
        return self._unit_names[node]

    def _hand_out(self, value: object) -> None:
        """Refuses a mutable value that was handed out before: the program may have changed it by now."""
        if isinstance(value, (list, dict, set)):
            if id(value) in self._passed:
                raise NotLiteral("argument used twice")
            self._passed[id(value)] = value
        if isinstance(value, dict):
            value = (*value.keys(), *value.values())
        if isinstance(value, (list, tuple)):
            for item in value:
                self._hand_out(item)

    def _literal(self, node: ast.expr) -> Any:
        return evaluate(node, self._names, self._hidden, self._budget)


def _bound_names(module: ast.Module) -> set[str]:
    """Every name that the test binds by import or definition: not builtins, and not the program's."""
    names: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
    return names


def _check_import(node: ast.Import | ast.ImportFrom) -> None:
    """Lets pass only imports that cannot fail, act or bind unknown names."""
    modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    if any(module not in _MODULES for module in modules) or any(alias.name == "*" for alias in node.names):
        raise NotLiteral("import")
