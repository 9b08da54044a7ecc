"""Whoever reports a failure asks the program nothing, and what goes wrong in reporting gives no credit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.protocol import Runner, Status
from tests.sandbox.conftest import INTERPRETERS
from tests.sandbox.judging import LIMITS, judge

ON = INTERPRETERS

RAISED = {
    "name raises": "class E(Exception):\n  @property\n  def name(s): raise ValueError('x')\n",
    "name stops": "class E(Exception):\n  @property\n  def name(s): raise StopIteration\n",
    "name never ends": "class E(Exception):\n  @property\n  def name(s):\n    while 1: pass\n",
    "getattr raises": "class E(NameError):\n  def __getattr__(s, n): raise KeyError(n)\n",
    "name cannot be hashed": "class U:\n  __hash__ = None\nclass E(AttributeError):\n  name = property(lambda s: U())\n",
    "str never ends": "class E(Exception):\n  def __str__(s):\n    while 1: pass\n",
    "text is an object": "class H:\n  def __repr__(s):\n    while 1: pass\n  __str__ = __repr__\ndef E(x): return KeyError(H())\n",
    "hash of the name raises": "class H:\n  def __hash__(s): raise ValueError\ndef E(x):\n  e = AttributeError(x)\n  e.name = H()\n  return e\n",
    "object to suggest from": "class H:\n  def __dir__(s):\n    while 1: pass\ndef E(x): return AttributeError(x, name='nam', obj=H())\n",
    "cause never ends": "class C(Exception):\n  def __str__(s):\n    while 1: pass\ndef E(x):\n  e = ValueError(x)\n  e.__cause__ = C()\n  return e\n",
    "notes": "def E(x):\n  e = ValueError(x)\n  e.__notes__ = 7\n  return e\n",
    "group": "def E(x): return ExceptionGroup('g', [ValueError(1), ExceptionGroup('h', [KeyError(2)])])\n",
}
RETURNED = {
    "repr raises": "class R:\n  def __repr__(s): raise SystemExit\n  def __eq__(s, o): return False\n",
    "repr never ends": "class R:\n  def __repr__(s):\n    while 1: pass\n",
    "class lies": "class R(int):\n  __class__ = property(lambda s: 1 / 0)\n  def __repr__(s): raise KeyboardInterrupt\n",
}
TESTS = {
    "pytest": "from solution import f\ndef test_a():\n  assert f(1) == 77\ndef test_b():\n  assert f(2) == 78\n",
    "unittest": "import unittest\nfrom solution import f\nclass T(unittest.TestCase):\n def test_a(self):\n"
    "  self.assertEqual(f(1), 77)\n def test_b(self):\n  with self.subTest('b'): self.assertEqual(f(2), 78)\n",
    "script": "assert f(1) == 77\nr = f(2)\nassert r == 78\n",
    "check": "def check(c):\n  assert c(1) == 77\n  for i in (1, 2):\n    r = c(i)\n    assert r == 78\n",
}
PROGRAMS = {name: source + "def f(x): raise E('boom')\n" for name, source in RAISED.items()} | {
    name: source + "def f(x): return R()\n" for name, source in RETURNED.items()
}


@pytest.mark.parametrize("kind", TESTS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_failure_that_is_hard_to_report_gets_no_credit(pool: Runner, kind: str, name: str) -> None:
    limits = replace(LIMITS, cpu_seconds=0.5, total_cpu_seconds=1.0)  # some never end
    outcome = judge(pool, PROGRAMS[name], TESTS[kind], kind=kind, entry_point="f", limits=limits)  # type: ignore[arg-type]
    assert not outcome.passed and not any(test.passed for test in outcome.tests), outcome
    assert outcome.status is not Status.INFRA
    if name.startswith("name"):  # described without asking for it, so that it cost no time
        assert outcome.status is Status.EXCEPTION, outcome


def test_an_internal_error_of_pytest_gives_no_credit(pool: Runner) -> None:
    test = (
        "from solution import f\ndef test_a():\n  assert f(1) == 1\n"
        "def test_b(request):\n  request.config.hook = None\n  assert f(1) == 1\n"
    )
    outcome = judge(pool, "def f(x): return x\n", test, kind="pytest", entry_point="f")
    assert not outcome.passed and not any(unit.passed for unit in outcome.tests), outcome
