"""A program that gives too little leaves no assert out: loops, `zip`, lengths, and test functions without an assert."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.inside.judge.loops import mapped, paired
from sandbox.jobs.instrument import plan
from sandbox.protocol import Runner, Status
from tests.sandbox.conftest import INTERPRETERS
from tests.sandbox.judging import judge

ON = INTERPRETERS

HEAD = {"pytest": "from solution import f\n", "unittest": "import unittest\nfrom solution import f\n"}
EMPTY = "def f(*a): return []\n"
FIRST = "def f(x): return sorted(x)[:1]\n"
LIAR = """
class L:
    def __init__(s, n): s.n = n
    def __len__(s): return s.n
    def __iter__(s): return iter(())
    def items(s): return []
    keys = values = items
    def __getitem__(s, k): raise IndexError
def f(xs): return L(len(xs))
"""
SHRINKING = "class L:\n  n = 4\n  def __len__(s):\n    s.n -= 1\n    return s.n\n  def __getitem__(s, k): raise IndexError\ndef f(xs): return L()\n"
STOPS = "class P:\n" + "".join(
    f"  def {name}(s, *a): raise StopIteration\n"
    for name in "__len__ __getitem__ __iter__ __bool__ __int__ __str__ __hash__ __index__ __float__ __getattr__".split()
)

# What a right program passes, and those that it is not enough for.
CASES: dict[str, tuple[str, str, dict[str, str]]] = {
    "zip": (
        "def f(x): return sorted(x)",
        "for g, w in zip(f([3, 1, 2]), [1, 2, 3]): assert g == w",
        {"empty": EMPTY, "first": FIRST, "liar": LIAR},
    ),
    "zip of a sorted result": (
        "def f(x): return sorted(x)",
        "r = f([3, 1, 2])\nwanted = [1, 2, 3]\nfor g, w in zip(sorted(r), wanted): assert g == w",
        {"empty": EMPTY, "first": FIRST},
    ),
    "rows of rows": (
        "def f(x): return [sorted(x), sorted(x)]",
        "assert all(g == w for row, ws in zip(f([3, 1, 2]), [[1, 2, 3], [1, 2, 3]]) for g, w in zip(row, ws))",
        {
            "empty": EMPTY,
            "empty rows": "def f(x): return [[], []]",
            "one row": "def f(x): return [[1, 2, 3], []]",
        },
    ),
    "rows by their number": (
        "def f(x): return [sorted(x), sorted(x)]",
        "W = [[1, 2, 3], [1, 2, 3]]\nr = f([3, 1, 2])\nassert len(r) == 2\n"
        "for i, row in enumerate(r):\n  for g, w in zip(row, W[i]): assert g == w\n"
        "for i in range(len(r)):\n  for g, w in zip(r[i], W[i]): assert g == w",
        {"empty rows": "def f(x): return [[], []]", "one row": "def f(x): return [[1, 2, 3], []]"},
    ),
    "two at once": (
        "def f(x): return sorted(x)",
        "r, w = f([3, 1, 2]), [1, 2, 3]\nassert all(a == b for a, b in zip(r, w))",
        {"empty": EMPTY, "first": FIRST},
    ),
    "zip of a list": (
        "def f(x): return sorted(x)",
        "for g, w in zip(*[f([3, 1, 2]), [1, 2, 3]]): assert g == w",
        {"empty": EMPTY, "first": FIRST},
    ),
    "zip of a pair": (
        "def f(x): return sorted(x)",
        "pair = f([3, 1, 2]), [1, 2, 3]\nfor g, w in zip(*pair): assert g == w",
        {"empty": EMPTY, "first": FIRST},
    ),
    "zip of generators": (
        "def f(x): return sorted(x)",
        "got = f([3, 1, 2])\nwant = [1, 2, 3]\nfor g, w in zip((g for g in got), (w for w in want)): assert g == w",
        {"empty": EMPTY, "first": FIRST},
    ),
    "zip of adaptors": (
        "def f(x): return sorted(x)",
        "got = f([3, 1, 2])\nfor g, (i, w) in zip(map(str, got), enumerate(map(str, [1, 2, 3]))): assert g == w",
        {"empty": EMPTY, "first": FIRST},
    ),
    "zip of builtins": (
        "def f(x): return sorted(x)",
        "import builtins\nfor g, w in builtins.zip(f([3, 1, 2]), [1, 2, 3]): assert g == w",
        {"empty": EMPTY, "first": FIRST},
    ),
    "zip in a helper": (
        "def f(x): return sorted(x)",
        "def agree(got, want):\n  for g, w in zip(got, want): assert g == w\nagree(f([3, 1, 2]), want=[1, 2, 3])\nassert f([]) == []",
        {"empty": EMPTY, "first": FIRST},
    ),
    "zip in a lambda": (
        "def f(x): return sorted(x)",
        "same = lambda a, b: all(x == y for x, y in zip(a, b))\nassert same(f([3, 1, 2]), [1, 2, 3])",
        {"empty": EMPTY, "first": FIRST, "liar": LIAR},
    ),
    "zip of all that a helper is handed": (
        "def f(x): return sorted(x)",
        "def same(*pair): return all(x == y for x, y in zip(*pair))\nassert same(f([3, 1, 2]), [1, 2, 3])",
        {"empty": EMPTY, "first": FIRST},
    ),
    "all of zip": (
        "def f(x): return sorted(x)",
        "assert all(g == w for g, w in zip(f([3, 1, 2]), [1, 2, 3]))",
        {"empty": EMPTY, "first": FIRST},
    ),
    "map of two": (
        "def f(x): return sorted(x)",
        "import operator\nassert all(map(operator.eq, f([3, 1, 2]), [1, 2, 3]))",
        {"empty": EMPTY, "first": FIRST},
    ),
    "collected before": (
        "def f(x): return x * 2",
        "got = []\nfor n in (1, 2): got.append(f(n))\nfor g, w in zip(got, [2, 4]): assert g == w",
        {"wrong": "def f(x): return x"},
    ),
    "len and enumerate": (
        "def f(x): return [n * n for n in x]",
        "r = f([1, 2, 3])\nexp = [1, 4, 9]\nassert len(r) == len(exp)\nfor i, v in enumerate(r): assert v == exp[i]",
        {"liar": LIAR, "empty": EMPTY},
    ),
    "len and items": (
        "def f(x): return {'a': 1, 'b': 2}",
        "d = f(['a', 'b'])\nassert len(d) == 2\nfor k, v in d.items(): assert {'a': 1, 'b': 2}[k] == v",
        {"liar": LIAR},
    ),
    "len and keys": (
        "def f(x): return {'a': 1, 'b': 2}",
        "d = f(['a', 'b'])\nassert len(d) == 2\nassert all(k in 'ab' for k in d.keys())",
        {"liar": LIAR},
    ),
    "len and a set": (
        "def f(x): return [1, 4]",
        "r = f([1, 2])\nassert len(r) == 2 and not set(r) - {1, 4}\nassert not [v for v in r if v not in (1, 4)]",
        {"liar": LIAR},
    ),
    "a set and len": (
        "def f(x): return [1, 4]",
        "r = f([1, 2])\nassert {*r} <= {1, 4} and len(r) == 2",
        {"liar": LIAR},
    ),
    "len and a set of keys": (
        "def f(x): return {'a': 1, 'b': 2}",
        "r = f(['a', 'b'])\nassert len(r) == 2 and set(r.keys()) <= {'a', 'b'}",
        {"liar": LIAR},
    ),
    "a length that changes": (
        "def f(x): return [1, 4, 9]",
        "r = f([1, 2, 3])\nassert len(r) == 3\nfor i in range(len(r)): assert r[i] == [1, 4, 9][i]",
        {"shrinking": SHRINKING},
    ),
    "map of a length": (
        "def f(n): return [(i, n - i) for i in range(n)]",
        "r = f(5)\nassert len(r) == 5\nassert all(map(lambda p: p[0] + p[1] == 5, r))\nassert not any(map(lambda p: len(p) != 2, r))",
        {"stops": STOPS + "def f(n): return [P() for _ in range(n)]"},
    ),
    "map of ints": (
        "def f(n): return 0",
        "assert not any(map(int, [f(x) for x in (4, 6)]))\nassert sum(map(float, [f(1)])) == 0",
        {"stops": STOPS + "def f(n): return P()"},
    ),
    "filter": (
        "def f(n): return n",
        "assert list(filter(lambda p: p > 3, map(f, [1, 2]))) == []\nassert f(3) == 3",
        {"stops": STOPS + "def f(n):\n  if n < 3: raise StopIteration\n  return n"},
    ),
    "an asynchronous end": (
        "def f(n): return n",
        "assert f(1) == 1\nassert sorted(map(f, [2, 1])) == [1, 2]",
        {"stops": "def f(n): raise StopAsyncIteration"},
    ),
}


@pytest.mark.parametrize("kind", ["script", "check", "pytest", "unittest"])
@pytest.mark.parametrize("name", CASES)
def test_what_gives_too_little_fails(pool: Runner, kind: Any, name: str) -> None:
    right, body, wrong = CASES[name]
    lines = body.splitlines()
    test = {
        "script": body,
        "check": "def check(f):\n" + "\n".join(f"  {line}" for line in lines),
        "pytest": HEAD["pytest"] + "def test_it():\n" + "\n".join(f"  {line}" for line in lines),
        "unittest": HEAD["unittest"]
        + "class T(unittest.TestCase):\n def test_it(self):\n"
        + "\n".join(f"  {line}" for line in lines),
    }[kind]
    assert judge(pool, right, test, kind=kind, entry_point="f").passed
    for label, program in wrong.items():
        outcome = judge(pool, program, test, kind=kind, entry_point="f")
        assert not outcome.passed and outcome.status is not Status.INFRA, (label, outcome)


HONEST = {
    "no assert is needed": ("def f(x): return x", "def test_it():\n  f(1)\n"),
    "an error that is expected": (
        "def f(x): raise ValueError",
        "def test_it():\n  try:\n    f(1)\n    assert False, 'should raise'\n  except ValueError:\n    pass\n",
    ),
    "raises": (
        "def f(x): raise ValueError",
        "import pytest\ndef test_it():\n  with pytest.raises(ValueError):\n    f(1)\n",
    ),
    "an error or nothing": (
        "def f(x): raise ValueError",
        "def test_it():\n  try:\n    r = f(1)\n  except ValueError:\n    pass\n  else:\n    assert r is None\n",
    ),
    "in a helper": (
        "def f(x): return x",
        "def agrees(x, y):\n  assert f(x) == y\ndef test_it():\n  agrees(1, 1)\n",
    ),
    "one case is empty": (
        "def f(x): return sorted(x)",
        "import pytest\n@pytest.mark.parametrize('x', [[], [2, 1]])\ndef test_it(x):\n  for a in f(x): assert a in x\n",
    ),
    "a shorter expectation": (
        "import itertools\ndef f(): return itertools.count()",
        "def test_it():\n  for g, w in zip(f(), [0, 1, 2]): assert g == w\n",
    ),
    "an endless expectation": (
        "def f(): return [0, 1, 4]",
        "import itertools\ndef squares():\n  for n in itertools.count(): yield n * n\ndef test_it():\n"
        "  for g, w in zip(f(), squares()): assert g == w\n  for g, w in zip(f(), (n * n for n in itertools.count())): assert g == w\n",
    ),
    "a filtered expectation": (
        "def f(): return [2, 3]",
        "def test_it():\n  for g, w in zip(f(), (w for w in [1, 2, 3] if w > 1)): assert g == w\n"
        "  for g, w in zip(f(), filter(None, [0, 2, 3])): assert g == w\n",
    ),
    "rows": (
        "def f(): return [[1, 2], [3]]",
        "def test_it():\n  assert list(zip(*f())) == [(1, 3)]\n  assert [list(c) for c in zip(*f(), [5])] == [[1, 3, 5]]\n",
    ),
    "neighbours": (
        "def f(x): return sorted(x)",
        "def test_it():\n  r = f([2, 1])\n  assert all(a <= b for a, b in zip(r, r[1:]))\n",
    ),
    "a bag": (
        "class B:\n  def __len__(s): return 5\n  def __iter__(s): return iter('ab')\ndef f(): return B()",
        "def test_it():\n  b = f()\n  assert len(b) == 5\n  assert sorted(b) == ['a', 'b']\n  assert set(b) == {'a', 'b'}\n",
    ),
    "a stack that is emptied": (
        "class S(list):\n  pass\nclass Q:\n  def __init__(s): s.x = [1, 2]\n  def __len__(s): return len(s.x)\n  def pop(s): return s.x.pop()\ndef f(): return Q()",
        "def test_it():\n  q = f()\n  n = len(q)\n  while len(q):\n    q.pop()\n    n -= 1\n    assert len(q) == n\n",
    ),
    "a generator that is sent to": (
        "def f():\n  got = yield 1\n  yield got",
        "import pytest\ndef test_it():\n  g = f()\n  assert next(g) == 1\n  assert g.send(7) == 7\n  with pytest.raises(StopIteration):\n    g.send(1)\n",
    ),
    "its own zip": (
        "def f(x): return x",
        "def zip(a, b): return [(1, 1)]\ndef test_it():\n  for g, w in zip(f([]), [1]): assert g == w\n",
    ),
    "isclose": (
        "def f(x): return x ** 0.5",
        "def test_it():\n  assert isclose(f(2), sqrt(2))\n  assert f(4) == approx(2)\n",
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_programs_still_pass(pool: Runner, name: str) -> None:
    program, test = HONEST[name]
    outcome = judge(pool, program, HEAD["pytest"] + test, kind="pytest", entry_point="f")
    assert outcome.passed, outcome


def test_usual_names_are_not_the_programs(pool: Runner) -> None:
    program = "def isclose(*a, **k): return True\nsqrt = lambda x: 0.0\napprox = raises = isclose\nclass pytest: approx = isclose\ndef f(x): return 0.0"
    for line in (
        "isclose(f(2), 1.4142, rel_tol=1e-3)",
        "f(2) == approx(1.4142)",
        "f(2) == pytest.approx(1.4142)",
        "f(2) == sqrt(2)",
    ):
        outcome = judge(pool, program, f"assert {line}", entry_point="f")
        assert not outcome.passed and outcome.status is not Status.INFRA, (line, outcome)


@given(st.lists(st.integers(), max_size=6), st.lists(st.integers(), max_size=6), st.integers(0, 2))
def test_paired_is_zip_unless_the_programs_is_shorter(ours: list[int], wanted: list[int], how: int) -> None:
    given = (ours, iter(ours), (each for each in ours))[how]
    if len(ours) < len(wanted):
        with pytest.raises(AssertionError):
            list(paired((True, False), (given, wanted)))
    else:
        assert list(paired((True, False), (given, wanted))) == list(zip(ours, wanted, strict=False))
    assert list(mapped(lambda a, b: a + b, (False, True), (ours, ours))) == [2 * each for each in ours]


@pytest.mark.parametrize("kind", ["script", "pytest", "unittest"])
def test_a_test_without_such_places_is_left_as_it_is(kind: Any) -> None:
    source = "from solution import f\nx = list(zip([1], [2]))\nfor a in [1, 2]:\n    print(a)\n"
    assert ast.dump(ast.parse(plan(kind, source, "f", "").test)) == ast.dump(ast.parse(source))
