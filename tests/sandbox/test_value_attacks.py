"""Programs that solve nothing and lie by what they return: dates, arrays, classes that extend builtins. None passes."""

from __future__ import annotations

import pytest

from sandbox.protocol import Limits, Runner, Status
from tests.sandbox.conftest import INTERPRETERS
from tests.sandbox.judging import judge
from tests.sandbox.pairs import NODES, Kind
from tests.sandbox.test_judge_attacks import FORGER

ON = INTERPRETERS

LIMITS = Limits(cpu_seconds=3.0, total_cpu_seconds=6.0, wall_seconds=20.0, scratch_bytes=16 << 20)
CONTEXT = NODES.replace(
    "class TreeNode", "    def same(self, other): return self.val == other.val\nclass TreeNode"
)
LIAR = """
class Lies:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __eq__
    def __hash__(self): return 0
    def __sub__(self, other): return type(self)()
    __rsub__ = __mod__ = __xor__ = __truediv__ = __floordiv__ = __sub__
    def __abs__(self): return 0.0
    def __round__(self, *a): return 0
    def __float__(self): return 0.0
    def __bool__(self): return True
"""


def _sends(node: str) -> str:
    """A program that answers the first call by a node of its own."""
    return (
        FORGER
        + f"""
number = take()["id"]
send({{"re": number, "value": {{"t": [None, {{"d": ["f", {{"foreign": {{"h": 0, "of": {{"class": 1, "name": "F", "bases": [], "has": ["__call__"]}}}}}}]}}]}}}})
while True:
    send({{"re": take()["id"], "value": {node}}})
"""
    )


WORK = "assert f(2) == 4\nassert f(3) == 9"
CLASS_WORK = "c = C(2)\nassert abs(c.get() - 3.5) < 1e-6\nassert C(3).get() == 4.5"
# name: (program, test)
ATTACKS: dict[str, tuple[str, str]] = {
    "a named tuple equal to all": (
        "from collections import namedtuple\nclass P(namedtuple('P', 'x')):\n  def __eq__(s, o): return True\ndef f(x): return P(0)",
        "assert f(1) == (2,)",
    ),
    "a named tuple equal to all, of a class test": (
        "from collections import namedtuple\nclass P(namedtuple('P', 'x')):\n  def __eq__(s, o): return True\n  __hash__ = None",
        "assert P(0) == (2,)",
    ),
    "an int that answers comparisons": (
        LIAR + "class N(Lies, int): pass\ndef f(x): return N(0)",
        "assert f(2) == 4\nassert f(3) > 1",
    ),
    "an int of a class test": (
        LIAR + "class C(Lies, int):\n  def get(self): return self",
        "assert C(1) == 2",
    ),
    "an int whose difference is none": (
        LIAR + "class N(Lies, int): pass\nclass C:\n  def __init__(s, x): pass\n  def get(s): return N(0)",
        CLASS_WORK,
    ),
    "an object whose difference is none": (
        LIAR + "class N(Lies): pass\nclass C:\n  def __init__(s, x): pass\n  def get(s): return N()",
        CLASS_WORK,
    ),
    "a difference that is a plain value": (
        "class N:\n  def __sub__(s, o): return 0.0\nclass C:\n  def __init__(s, x): pass\n  def get(s): return N()",
        CLASS_WORK,
    ),
    "a difference that is an int": (
        "class Z(int): pass\nclass N:\n  def __sub__(s, o): return Z(0)\nclass C:\n  def __init__(s, x): pass\n  def get(s): return N()",
        CLASS_WORK,
    ),
    "a ratio": (
        "class N:\n  def __truediv__(s, o): return 1.0\nclass C:\n  def __init__(s, x): pass\n  def get(s): return N()",
        "assert abs(C(2).get() / 3.5 - 1) < 1e-6",
    ),
    "a difference times one": (
        LIAR
        + "  def __mul__(s, o): return 0.0\nclass C:\n  def __init__(s, x): pass\n  def get(s): return Lies()",
        "assert abs((C(2).get() - 3.5) * 1) < 1e-6",
    ),
    "a difference in place": (
        "class N:\n  def __isub__(s, o): return 0.0\nclass C:\n  def __init__(s, x): pass\n  def get(s): return N()",
        "d = C(2).get()\nd -= 3.5\nassert abs(d) < 1e-6",
    ),
    "almost equal": (
        LIAR + "class C(Lies):\n  def __init__(s, *x): pass\n  def get(s): return s",
        "import unittest\nunittest.TestCase().assertAlmostEqual(C(2).get(), 3.5)",
    ),
    "a failed operator that is swallowed": (
        LIAR + "class C(Lies):\n  def __init__(s, *x): pass",
        "def same(a, b):\n  try:\n    return a < b\n  except BaseException:\n    return True\nassert same(C(1), 3)",
    ),
    "an enum equal to all": (
        "import enum\nclass C(enum.Enum):\n  A = 1\n  def __eq__(s, o): return True\n  __hash__ = None",
        "assert C.A == 2",
    ),
    "an int enum equal to all": (
        "import enum\nclass C(enum.IntEnum):\n  A = 1\n  def __eq__(s, o): return True\n  __hash__ = None",
        "assert C.A == 2",
    ),
    "a counter of keys equal to all": (
        "from collections import Counter\n" + LIAR + "def f(x): return Counter([Lies(), Lies()])",
        "from collections import Counter\nassert f(1) == Counter('ab')",
    ),
    "a deque of objects equal to all": (
        "from collections import deque\n" + LIAR + "def f(x): return deque([Lies()])",
        "from collections import deque\nassert f(1) == deque([4])",
    ),
    "an array of objects equal to all": (
        "import numpy\n" + LIAR + "def f(x): return numpy.array([Lies(), Lies()], dtype=object)",
        "import numpy as np\nassert np.array_equal(f(1), np.array([1, 2]))",
    ),
    "an array equal to all": (
        "import numpy\nclass A(numpy.ndarray):\n  def __eq__(s, o): return True\ndef f(x): return numpy.zeros(2).view(A)",
        "import numpy as np\nassert np.array_equal(f(1), np.array([1, 2]))",
    ),
    "a frame equal to all": (
        "import pandas\nclass D(pandas.DataFrame):\n  def equals(s, o): return True\n  def __eq__(s, o): return True\ndef f(x): return D()",
        "import pandas as pd\npd.testing.assert_frame_equal(f(1), pd.DataFrame({'a': [1]}))",
    ),
    "a date equal to all": (
        "import datetime\nclass D(datetime.date):\n  def __eq__(s, o): return True\ndef f(x): return D(2000, 1, 1)",
        "import datetime\nassert f(1) == datetime.date(2024, 1, 1)",
    ),
    "a node whose method is an attribute": (
        "class ListNode: pass\ndef f(x):\n  n = ListNode()\n  n.same = lambda o: True\n  return n",
        "assert f(1).same(list_node([1]))",
    ),
    "a node of values equal to all": (
        NODES + LIAR + "def f(x): return ListNode(Lies(), None)",
        "assert is_same_list(f(1), list_node([1]))",
    ),
    "annotations that are code": (
        "def f(x): return 0\nf.__annotations__ = {'x': '__import__(\"os\")._exit(0)'}",
        "import typing\nassert f(1) == 0\ntyping.get_type_hints(f)\nassert f(2) == 0",
    ),
    "a list that says how long it is": (
        "class C(list):\n  def __len__(s): return 3\n  def __eq__(s, o): return True\n  __hash__ = None",
        "assert C() == [1, 2, 3]",
    ),
    "a list that changes when it is compared": (
        "class C(list):\n  def fill(s): s.extend([1, 2])",
        "c = C()\nc.fill()\nassert c == [1, 2, 3]",
    ),
}
# Nodes that no honest encoder sends.
FORGED = {
    "a decimal of a billion digits": '{"Decimal": "1E+1000000000"}',
    "a decimal of many digits": '{"Decimal": "9" * 1000000}',
    "a fraction of nothing": '{"Fraction": [1, 0]}',
    "a fraction that takes long": '{"Fraction": [{"int": "0x" + "f" * 100000}, {"int": "0x" + "e" * 100000}]}',
    "an array of a shape only": '{"ndarray": ["<f8", [1000000000, 1000], ""]}',
    "an array of endless rows": '{"ndarray": ["<f8", [1000000000, 0], ""]}',
    "an array of code": '{"ndarray": ["O8,i4", [1], "AAAA"]}',
    "text that is none": '{"ndarray": ["<U1", [1], "/////w=="]}',
    "a frame of a billion rows": '{"DataFrame": [["range", None, 0, 1000000000, 1], ["range", None, 0, 0, 1], []]}',
    "an index of a billion": '{"Index": ["range", None, 0, 1000000000, 1]}',
    "a time zone that is a file": '{"ZoneInfo": "../../../etc/passwd"}',
    "a stream far away": '{"StringIO": ["", 1000000000000]}',
    "an unknown class": '{"foreign": {"instance": "Judge"}}',
    "a member of nothing": '{"foreign": {"member": ["x", "y"]}}',
    "a tuple of nothing": '{"foreign": {"tuple": ["x", []]}}',
    "a tuple of a handle that is none": '{"foreign": {"made": [0, []]}}',
    "a class that extends what cannot be": (
        '{"foreign": {"h": 5, "of": {"class": 5, "name": "x", "bases": [], "has": [], "base": "type", "own": []}}}'
    ),
    "a fixed value without its value": (
        '{"foreign": {"h": 5, "of": {"class": 5, "name": "x", "bases": [], "has": [], "base": "int", "own": []}}}'
    ),
    "an int that is a text": (
        '{"foreign": {"h": 5, "of": {"class": 5, "name": "x", "bases": [], "has": [], "base": "int", "own": []}, "is": "a"}}'
    ),
    "a class that is like a type": (
        '{"foreign": {"h": 5, "of": {"class": 5, "name": "x", "bases": [], "has": [], "like": "int"}}}'
    ),
}


def _assert_refused(pool: Runner, program: str, test: str, prompt: str = "") -> None:
    outcome = judge(pool, program, test, prompt=prompt, limits=LIMITS)
    assert outcome.passed is False
    assert outcome.status is not Status.INFRA and not outcome.detail.startswith("the test"), outcome


@pytest.mark.parametrize(("program", "test"), ATTACKS.values(), ids=ATTACKS)
def test_a_value_that_lies_does_not_pass(pool: Runner, program: str, test: str) -> None:
    _assert_refused(pool, program, test, CONTEXT if "list_node" in test else "")


@pytest.mark.parametrize("node", FORGED.values(), ids=FORGED)
def test_a_forged_node_is_the_programs_failure(pool: Runner, node: str) -> None:
    _assert_refused(pool, _sends(node), "import numpy, pandas\n" + WORK)


def test_an_odd_operator_fails_its_unit_only(pool: Runner) -> None:
    program = "class Money:\n  def __init__(self, coins): self.coins = coins"
    test = "assert Money(1).coins == 1\nassert Money(1) < 3\nassert Money(2).coins == 2"
    outcome = judge(pool, program, test)
    assert outcome.passed is False and [unit.passed for unit in outcome.tests] == [True, False, True]
    methods = "".join(
        f"  def test_{n}(self): self.assert{a}\n"
        for n, a in enumerate(["Equal(Money(1).coins, 1)", "Less(Money(1), 3)", "Equal(Money(2).coins, 2)"])
    )
    outcome = judge(
        pool, program, f"import unittest\nclass T(unittest.TestCase):\n{methods}", kind="unittest"
    )
    assert outcome.passed is False and [unit.passed for unit in outcome.tests] == [True, False, True]
    functions = f"from solution import Money\n{test}".replace("assert ", "def test_N():\n  assert ")
    for number in range(3):
        functions = functions.replace("test_N", f"test_{number}", 1)
    outcome = judge(pool, program, functions, kind="pytest")
    assert outcome.passed is False and [unit.passed for unit in outcome.tests] == [True, False, True]


def test_a_method_is_the_entry_point_of_every_kind(pool: Runner) -> None:
    right = "class Solution:\n  def __init__(self): self.n = 0\n  def f(self, x):\n    self.n += x\n    return self.n"
    tests: dict[Kind, str] = {
        "script": "xs = [1]\nassert f(*xs) == 1\nassert f(2) == 2 == Solution().f(2)",
        "check": "def check(candidate):\n  for x in (1, 2):\n    assert candidate(x) == x",
        "unittest": "import unittest\nclass T(unittest.TestCase):\n  def test(self):\n    self.assertEqual(f(1), f(x=1))",
        "pytest": "from solution import f, Solution\ndef test():\n  assert f(1) == f(1) == Solution().f(1) == 1",
    }
    stale = "class Solution:\n  n = 0\n  def f(self, x):\n    Solution.n += 1\n    return Solution.n * 7"
    for kind, test in tests.items():
        assert judge(pool, right, test, kind=kind, entry_point="Solution.f").passed, kind
        assert judge(pool, stale, test, kind=kind, entry_point="Solution.f").passed is False, kind
        outcome = judge(pool, "def f(x): return x", test, kind=kind, entry_point="Solution.f")
        assert outcome.error is not None and outcome.error.phase == "entry"
