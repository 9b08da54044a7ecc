"""A test that evaluates what the program returned gets a value, and never runs its code beside the verdict."""

from __future__ import annotations

import pytest

from sandbox.protocol import Runner
from tests.sandbox.conftest import INTERPRETERS
from tests.sandbox.judging import judge
from tests.sandbox.pairs import Kind

ON = INTERPRETERS

FORGED = "type('A', (), {'__eq__': lambda s, o: True})()"
POINT = """
class P:
    def __init__(self, x, y): self.x, self.y = x, y
    def __repr__(self): return f'P({self.x}, y={self.y})'
    def __eq__(self, other): return (self.x, self.y) == (other.x, other.y)
"""
# A right program and its test.
VALUES: dict[str, tuple[str, Kind, str]] = {
    "sum": ("def f(x): return f'{x} + 2 * (-1 if True else 0)'", "script", "assert eval(f(10)) == 8"),
    "repr": (POINT, "script", "p = P(1, 2)\nassert eval(repr(p)) == p\nassert eval(repr(p)).x == 1"),
    "repr, pytest": (
        POINT,
        "pytest",
        "import solution\nfrom solution import P\ndef test():\n  assert eval(repr(P(1, 2))).y == 2\n  assert eval('solution.' + repr(P(3, 2))).x == 3",
    ),
    "a formula of x": (
        "def f(n): return f'{n} * x ** {n - 1} + math.sin(0)'",
        "script",
        "import math\nfor x in (1, 2, 3):\n  assert eval(f(2)) == 2 * x",
    ),
    "a date": (
        "import datetime\ndef f(y): return repr(datetime.date(y, 1, 2))",
        "unittest",
        "import datetime, unittest\nclass T(unittest.TestCase):\n  def test(self):\n    self.assertEqual(eval(f(2024)), datetime.date(2024, 1, 2))",
    ),
    "no Python": (
        "def f(x): return 'a b'",
        "pytest",
        "import pytest\nfrom solution import f\ndef test():\n  with pytest.raises(SyntaxError):\n    eval(f(1))",
    ),
    "the test's own text": (
        "def f(x): return x",
        "script",
        "assert f(1) == 1\nassert eval('f(3)') == 3\nexec('assert f(4) == 4')",
    ),
}
CODE: dict[str, tuple[str, Kind, str]] = {
    "a class": (f"def f(x): return {FORGED!r}", "script", "assert eval(f(10)) == 10"),
    "a name of the test's": ("def f(x): return 'want'", "script", "want = 10\nassert eval(f(10)) == want"),
    "the record": (
        "def f(x): return '[setattr(u, \"executions\", 1) for u in __coderl_record__.units]'",
        "script",
        "assert eval(f(10)) == 10\nassert f(3) == 3",
    ),
    "exec": (
        f"def f(x): return {'x = ' + FORGED!r}",
        "unittest",
        "import unittest\nclass T(unittest.TestCase):\n  def test(self):\n    found = {}\n    exec(f(10), found)\n    self.assertEqual(found['x'], 10)",
    ),
    "compile": (
        f"def f(x): return {FORGED!r}",
        "pytest",
        "from solution import f\ndef test():\n  code = compile(f(10), 'x', 'eval')\n  assert eval(code) == 10",
    ),
    "mapped": (
        f"def f(x): return {FORGED!r}",
        "script",
        "got = list(map(eval, [f(10)]))\nassert got == [10]",
    ),
    "of builtins": (
        f"def f(x): return {FORGED!r}",
        "script",
        "import builtins\nassert builtins.eval(f(10)) == 10",
    ),
    "by another name": (
        f"def f(x): return {FORGED!r}",
        "script",
        "ev = eval\nassert ev(f(10)) == 10",
    ),
    "a function of a value": (
        "def f(x): return '().__class__.__base__'",
        "script",
        "assert eval(f(1)) is object",
    ),
    "a text with more to it": (
        f"class S(str): pass\nclass E(Exception): pass\ndef f(x): return S({FORGED!r})",
        "script",
        "assert issubclass(E, Exception)\nassert eval(f(10)) == 10",
    ),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_evaluated(pool: Runner, name: str) -> None:
    program, kind, test = VALUES[name]
    outcome = judge(pool, program, test, kind=kind)
    assert outcome.passed, outcome


@pytest.mark.parametrize("name", CODE)
def test_code_of_the_programs_is_not_run(pool: Runner, name: str) -> None:
    program, kind, test = CODE[name]
    outcome = judge(pool, program, test, kind=kind)
    assert outcome.passed is False and "run in the judge what the program gave" in outcome.detail
    assert not any(unit.passed for unit in outcome.tests)
