"""What a test has a library do with the program's values: no code of the program's runs, and no verdict is its own."""

from __future__ import annotations

import pytest

from sandbox.protocol import Runner
from tests.sandbox.conftest import INTERPRETERS
from tests.sandbox.judging import judge
from tests.sandbox.pairs import Kind

ON = INTERPRETERS

SETS = """
import unittest
class T(unittest.TestCase):
    def test(self):
        self.assertSetEqual(f(3), {0, 1, 2})
"""
SETS_AFTER = SETS.replace("f(3), {0, 1, 2}", "{0, 1, 2}, f(3)")
AGREEING = """
class L:
    def difference(self, other):
        L.told = list(other)
        return set()
    def __iter__(self): return iter(getattr(L, "told", ()))
    def __len__(self): return 3
def f(x): return L()
"""
PICKLED = "import pickle\nassert pickle.loads(f([1, 2])) == [1, 2]"
FILTERS = "import warnings\nwarnings.simplefilter('error')\n"
ZIP = """
import numpy as np
from collections import deque
from solution import f
def test():
    got = f(3)
    assert isinstance(got, list)
    for g, w in zip(got, WANTED):
        assert g == w
"""
# Test, a right program, one that solves nothing.
CASES: dict[str, tuple[Kind, str, str, str]] = {
    "assertSetEqual": ("unittest", SETS, "def f(x): return set(range(x))", AGREEING),
    "assertSetEqual, the other way": ("unittest", SETS_AFTER, "def f(x): return set(range(x))", AGREEING),
    "assertSetEqual of a set's class": (
        "unittest",
        SETS + "        self.assertEqual(S().n, 1)\n",
        "class S(set): n = 1\ndef f(x): return S(range(x))",
        "class S(set):\n  n = 1\n  def difference(self, other):\n    self.update(other)\n    return set()\ndef f(x): return S()",
    ),
    "pandas, not imported": (
        "pytest",
        "from solution import f\ndef test():\n  pd.testing.assert_frame_equal(f(3), pd.DataFrame({'a': [0, 1, 2]}))",
        "import pandas as pd\ndef f(x): return pd.DataFrame({'a': list(range(x))})",
        "class pd:\n  class testing: assert_frame_equal = staticmethod(lambda *a: None)\n  DataFrame = staticmethod(lambda *a: None)\ndef f(x): return None",
    ),
    "numpy's assertion, not imported": (
        "script",
        "assert_allclose(f(3), 9.0)",
        "from numpy.testing import assert_allclose\ndef f(x): return x * 3.0",
        "def assert_allclose(*a): pass\ndef f(x): return None",
    ),
    "a class of dates, not imported": (
        "script",
        "assert f(2020) == datetime(2020, 1, 1) + timedelta(days=0)",
        "from datetime import datetime, timedelta\ndef f(x): return datetime(x, 1, 1)",
        "def datetime(*a): return 0\ndef timedelta(**k): return 0\ndef f(x): return 0",
    ),
    "a module of dates, not imported": (
        "script",
        "assert f(2020) == datetime.date(2020, 1, 1)",
        "import datetime\ndef f(x): return datetime.date(x, 1, 1)",
        "class datetime: date = staticmethod(lambda *a: 0)\ndef f(x): return 0",
    ),
    "a stream, not imported": (
        "script",
        "out = StringIO()\nwith redirect_stdout(out):\n  f(3)\nassert out.getvalue() == '3\\n'",
        "from io import StringIO\nfrom contextlib import redirect_stdout\ndef f(x): print(x)",
        "class StringIO:\n  def getvalue(s): return '3\\n'\nclass redirect_stdout:\n  def __init__(s, o): pass\n"
        "  def __enter__(s): pass\n  def __exit__(s, *a): pass\ndef f(x): return 1",
    ),
    "pickle": (
        "script",
        PICKLED,
        "import pickle\ndef f(x): return pickle.dumps(x)",
        'import pickle\nclass R:\n  def __reduce__(s): return eval, (\'type("A", (), {"__eq__": lambda s, o: True})()\',)\n'
        "def f(x): return pickle.dumps(R())",
    ),
    "a warning that no test may excuse": (
        "pytest",
        "import pytest\nfrom solution import f\n"
        + FILTERS
        + "def test():\n  "
        + FILTERS.replace("\n", "\n  ")
        + "with pytest.raises((UserWarning, AssertionError)):\n    f(1)",
        "import warnings\ndef f(x): warnings.warn('x')",
        "import warnings\nclass W(UserWarning, AssertionError): pass\ndef f(x): warnings.warn(W('x'))",
    ),
    "a warning that ends an iteration": (
        "script",
        FILTERS + "assert list(filter(f, [1, 2])) == []",
        "def f(x): return False",
        "import warnings\nclass W(UserWarning, StopIteration): pass\ndef f(x): warnings.warn(W('x'))",
    ),
    **{
        f"zip with {wanted}": (
            "pytest",
            ZIP.replace("WANTED", wanted),
            "def f(x): return list(range(x))",
            "def f(x): return []",
        )
        for wanted in (
            "np.array([0, 1, 2])",
            "deque([0, 1, 2])",
            "{0: 1, 1: 2, 2: 3}.keys()",
            "{1: 0, 2: 1, 3: 2}.values()",
            "reversed([2, 1, 0])",
            "iter((0, 1, 2))",
        )
    },
}


@pytest.mark.parametrize("name", CASES)
def test_a_right_program_passes_and_one_that_solves_nothing_does_not(pool: Runner, name: str) -> None:
    kind, test, right, wrong = CASES[name]
    outcome = judge(pool, right, test, kind=kind)
    assert outcome.passed, outcome
    assert judge(pool, wrong, test, kind=kind).passed is False
