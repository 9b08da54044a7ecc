"""What honest programs and their tests may rely on in a judge, on every backend."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from textwrap import dedent
from typing import Any

import pytest

from sandbox.jobs import judge_job
from sandbox.pool.pool import Pool
from sandbox.protocol import Job, Judge, Outcome, Runner, Status
from tests.sandbox.judging import LIMITS, judge

CLASSES = '''
class Money(ValueError):
    def __init__(self, amount):
        super().__init__(f"not {amount}")
        self.amount = amount

class Broke(Money): pass

class Account:
    """An account."""
    rate = 3
    def __init__(self, start=0): self.balance = start; self.log = []
    def add(self, amount):
        if amount < 0: raise Broke(amount)
        self.balance += amount
        self.log.append(amount)
        return self
    def __len__(self): return len(self.log)
    def __contains__(self, amount): return amount in self.log
    def __iter__(self): return iter(self.log)
    def __getitem__(self, index): return self.log[index]
    def __setitem__(self, index, value): self.log[index] = value
    def __eq__(self, other): return isinstance(other, Account) and self.balance == other.balance
    def __hash__(self): return hash(self.balance)
    def __lt__(self, other): return self.balance < other.balance
    def __add__(self, other): return Account(self.balance + other.balance)
    def __bool__(self): return self.balance > 0
    def __str__(self): return f"Account({self.balance})"
    def __enter__(self): return self
    def __exit__(self, *error): self.balance = -1
    @property
    def double(self): return self.balance * 2
    @classmethod
    def rich(cls): return cls(1000)
    @staticmethod
    def name(): return "acc"

class Savings(Account): pass
'''

# name: (program, test); each passes, with all its asserts.
PASSING: dict[str, tuple[str, str]] = {
    "plain values": ("def f(*args): return args", "assert f(1, 'a', None) == (1, 'a', None)"),
    "keywords": ("def f(a, *, b=2): return [a, b]", "assert f(1, b=3) == [1, 3]\nassert f(a=0) == [0, 2]"),
    "in-place changes": (
        "def f(a, d, s): a.append(d); d['k'] = a; s.add(3); a[0] = 9",
        """
        a, d, s = [1], {}, {2}
        f(a, d, s)
        assert a[0] == 9 and a[1] is d
        assert d["k"] is a
        assert s == {2, 3}
        """,
    ),
    "a result that is the argument": (
        "def f(x): x.sort(); return x",
        "a = [2, 1]\nassert f(a) is a\nassert a == [1, 2]",
    ),
    "an argument that is not the judge's own afterwards": (
        "kept = []\ndef keep(x): kept.append(x)\ndef change(): kept[0].append(1)",
        "a = []\nkeep(a)\nchange()\nassert a == []",
    ),
    "a change before an exception": (
        "def f(x): x.append(1); raise ValueError('late')",
        "a = []\ntry:\n  f(a)\nexcept ValueError as error:\n  assert str(error) == 'late'\nassert a == [1]",
    ),
    "a class": (
        CLASSES,
        """
        a = Account(5)
        assert a.balance == 5 and a.add(2) is a and a.log == [2] and a.double == 14
        a.balance = 8
        assert a.balance == 8
        assert len(a) == 1 and 2 in a and 3 not in a and list(a) == [2] and a[0] == 2
        a[0] = 4
        assert a[0] == 4
        assert a == Account(8) and a != Account(9) and a < Account(9) and not (a > Account(9))
        assert (a + Account(1)).balance == 9
        assert bool(a) and not Account()
        assert str(a) == "Account(8)" and f"{a}" == "Account(8)"
        assert {a: 1}[Account(8)] == 1
        assert sorted([Account(3), Account(1)])[0].balance == 1
        assert Account.rate == 3 and Account.rich().balance == 1000 and Account.name() == "acc"
        assert type(a) is Account and isinstance(a, Account) and not isinstance(a, Savings)
        assert isinstance(Savings(), Account) and issubclass(Savings, Account)
        assert Account.__name__ == "Account" and type(a).__name__ == "Account"
        assert hasattr(a, "add") and not hasattr(a, "nothing") and vars(a) == {"balance": 8, "log": [4]}
        with a as entered:
            assert entered is a
        assert a.balance == -1 and a is not None and a != None
        assert callable(a.add) and not callable(a)
        """,
    ),
    "exceptions": (
        CLASSES + "def f(x): return {}[x]\ndef g(): raise OSError(2, 'gone')\n"
        "def h(): import json; json.loads('{')\ndef make(): return ValueError(1)",
        """
        import json
        try:
            Account().add(-1)
            assert False
        except Broke as error:
            assert str(error) == "not -1" and error.amount == -1 and error.args == ("not -1",)
            assert isinstance(error, Money) and isinstance(error, ValueError)
        try:
            f("k")
        except KeyError as error:
            assert error.args == ("k",) and type(error) is KeyError
        try:
            g()
        except FileNotFoundError as error:
            assert error.errno == 2
        try:
            h()
        except json.JSONDecodeError as error:
            assert "Expecting" in str(error)
        made = make()
        assert isinstance(made, ValueError) and made.args == (1,)
        """,
    ),
    "callbacks": (
        "def f(g, xs): return [g(x) for x in xs]\ndef twice(g): return lambda x: g(g(x))\ndef same(g): return g",
        """
        seen = []
        def double(x):
            seen.append(x)
            return 2 * x
        assert f(double, [1, 2]) == [2, 4] and seen == [1, 2]
        assert twice(double)(3) == 12
        assert same(double) is double
        assert f(len, ["ab", []]) == [2, 0] and f(str, [1]) == ["1"]
        assert f(lambda x: f(double, [x]), [5]) == [[10]]
        """,
    ),
    "a callback's exception": (
        "def f(g):\n  try: g()\n  except LookupError: return 'caught'\ndef through(g): return g()",
        """
        class Mine(KeyError): pass
        def g(): raise Mine("mine")
        assert f(g) == "caught"
        try:
            through(g)
            assert False
        except Mine as error:
            assert error.args == ("mine",)
        """,
    ),
    "changes made by a callback": (
        "def f(g):\n  x = [1]\n  y = g(x)\n  return x, y is x",
        "def g(x):\n  x.append(2)\n  return x\nassert f(g) == ([1, 2], True)",
    ),
    "generators and iterators": (
        "def f(n):\n  for i in range(n): got = yield i\ndef m(x): return map(str, x)\ndef endless():\n  while True: yield 1",
        """
        from itertools import islice
        assert list(f(3)) == [0, 1, 2] and sum(f(4)) == 6
        g = f(2)
        assert next(g) == 0 and next(g) == 1 and next(g, None) is None and iter(g) is g
        assert list(m([1, 2])) == ["1", "2"]
        assert list(islice(endless(), 3)) == [1, 1, 1]
        assert list(m(i for i in range(2))) == ["0", "1"]
        """,
    ),
    "closures": (
        "def make(n): return lambda x: x + n",
        "add = make(2)\nassert add(3) == 5\nassert make(1)(1) == 2",
    ),
    "constants": ("LIMIT = 7\ndef f(): return LIMIT", "assert f() == LIMIT == 7"),
    "subclasses of plain types": (
        "import collections\nP = collections.namedtuple('P', 'x y')\ndef f(): return collections.Counter('aab'), P(1, 2)",
        "assert f() == ({'a': 2, 'b': 1}, (1, 2))",
    ),
    "numbers": (
        "def f(x): return x",
        "import math\nassert f(10 ** 6000) == 10 ** 6000 and math.isnan(f(math.nan)) and f(1j) == 1j",
    ),
    "an assert that the test survives": (
        "def f(x): return x",
        "try:\n  assert f(1) == 2\nexcept AssertionError:\n  pass\nassert f(1) == 1",
    ),
    "a program's own module name": ("def f(): return __name__", "assert f() != '__main__'"),
    "printed text": (
        "def f(x):\n  print('got', x)\n  return x\ndef g(h):\n  print('a')\n  h()\n  print('c')",
        """
        import contextlib, io
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            f(3)
            g(lambda: print("b"))
        assert out.getvalue() == "got 3\\na\\nb\\nc\\n"
        """,
    ),
    "`in` on what is not plain": (
        "import collections\ndef f(): return collections.deque([1, 2])\ndef g(): yield 3",
        "assert 2 in f() and 3 not in f()\nassert 3 in g()\nassert len(f()) == 2 and f()[0] == 1",
    ),
    "numpy's asserts": (
        "def f(x): return [x, x / 3]",
        "import numpy as np\nnp.testing.assert_allclose(f(1.0), [1, 1 / 3])",
    ),
    "imports that the test leaves to the program": (
        "import math\nfrom collections import Counter\ndef f(x): return [x, x]",
        "assert math.isclose(f(1.5)[0], 1.5)\nassert Counter(f(2)) == Counter([2, 2])",
    ),
    "modules' names for something else": (
        "def copy(x): return [*x]\nclass string:\n  def shout(x): return x.upper()",
        "assert copy([1]) == [1]\nassert string.shout('a') == 'A'",
    ),
    "a generator that is resumed to its end": (
        "def f():\n  x = yield 1\n  return x",
        "g = f()\nassert next(g) == 1\nassert list(f()) == [1]\n"
        "try:\n  g.send(5)\nexcept StopIteration:\n  assert True\nelse:\n  assert False",
    ),
    "imports of the program": (
        "def f(): return 1\nN = 4",
        "from solution import f\nimport solution\nassert f() == 1\nassert solution.N == 4",
    ),
}


def summary(outcome: Outcome) -> Any:
    return (
        [(test.name, test.error) for test in outcome.tests if not test.passed],
        outcome.error,
        outcome.detail,
    )


@pytest.mark.parametrize(("program", "test"), PASSING.values(), ids=PASSING)
def test_an_honest_program_passes(pool: Runner, program: str, test: str) -> None:
    outcome = judge(pool, program, test)
    assert outcome.passed and outcome.status is Status.OK, summary(outcome)
    assert outcome.tests and all(unit.passed for unit in outcome.tests)
    assert outcome.error is None


def test_later_asserts_count_after_a_failed_one(pool: Runner) -> None:
    outcome = judge(
        pool,
        "def f(x):\n    if x == 3: raise LookupError(x)\n    return x * x",
        "assert f(2) == 5\nfor x in (1, 3):\n    assert f(x) == x * x\nassert f(4) == 16",
    )
    assert outcome.passed is False
    assert [test.passed for test in outcome.tests] == [False, False, True]
    wrong, raised, _ = outcome.tests
    assert wrong.value == 4 and wrong.error and wrong.error.phase == "wrong"
    assert raised.value is None and raised.error and raised.error.type == "LookupError"
    assert raised.error.phase == "call"
    (frame,) = raised.error.frames
    assert (frame.line, frame.function, frame.source) == (2, "f", "if x == 3: raise LookupError(x)")


def test_a_librarys_assert_is_a_unit(pool: Runner) -> None:
    test = (
        "import numpy as np\nnp.testing.assert_allclose(f(1.0), 1)\nnp.testing.assert_allclose(f(2.0), 4)\n"
    )
    outcome = judge(pool, "def f(x): return 1.0", test + "assert f(3) == 1")
    assert outcome.passed is False
    assert [unit.passed for unit in outcome.tests] == [True, False, True]
    assert outcome.tests[1].error and outcome.tests[1].error.phase == "wrong"


def test_no_assert_counts_where_the_end_is_not_reached(pool: Runner) -> None:
    outcome = judge(pool, "def f(x): return [][x]", "assert True\ny = f(3)\nassert True")
    assert outcome.passed is False and outcome.status is Status.EXCEPTION
    assert [test.passed for test in outcome.tests] == [False, False]
    assert outcome.error and outcome.error.type == "IndexError"


def test_a_check_gets_the_entry_point(pool: Runner) -> None:
    test = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(3) == 9, 'text'\n"
    assert judge(pool, "def sq(x): return x * x", test, kind="check", entry_point="sq").passed
    outcome = judge(pool, "def sq(x): return x + x", test, kind="check", entry_point="sq")
    assert [unit.passed for unit in outcome.tests] == [True, False]


def test_unittest_methods_are_the_units(pool: Runner) -> None:
    test = """
        import unittest
        class TestCases(unittest.TestCase):
            def setUp(self):
                self.values = [1, 2]
            def test_sum(self):
                self.assertEqual(task_func(self.values), 3)
            def test_error(self):
                with self.assertRaises(TypeError):
                    task_func(None)
            def test_wrong(self):
                for value in (1, 2):
                    with self.subTest(value=value):
                        self.assertEqual(task_func([value]), 1)
        """
    outcome = judge(pool, "def task_func(x): return sum(x)", test, kind="unittest", entry_point="task_func")
    assert outcome.passed is False
    assert {unit.name: unit.passed for unit in outcome.tests} == {
        "TestCases.test_sum": True,
        "TestCases.test_error": True,
        "TestCases.test_wrong": False,
    }
    assert judge(pool, "def task_func(x): return sum(x) if x != [2] else 1", test, kind="unittest").passed


def test_pytest_functions_are_the_units(pool: Runner) -> None:
    test = """
        import pytest
        from solution import add

        @pytest.fixture
        def three():
            return 3

        @pytest.mark.parametrize("x", [1, 2])
        def test_add(x, three):
            assert add(x, three) == x + 3

        class TestErrors:
            def test_type(self):
                with pytest.raises(TypeError, match="unsupported"):
                    add(1, "a")

        def test_approximately():
            assert add(0.1, 0.2) == pytest.approx(0.3)
        """
    outcome = judge(pool, "def add(a, b): return a + b", test, kind="pytest", entry_point="add")
    assert outcome.passed, summary(outcome)
    assert [unit.name for unit in outcome.tests] == [
        "test_add",
        "TestErrors::test_type",
        "test_approximately",
    ]
    outcome = judge(pool, "def add(a, b): return a + b if a != 2 else 0", test, kind="pytest")
    assert outcome.passed is False and [unit.passed for unit in outcome.tests] == [False, True, True]


def test_a_pytest_file_that_cannot_be_collected_is_a_failed_unit_that_says_why(pool: Runner) -> None:
    test = "from solution import absent\n\n\ndef test_it():\n    assert absent() == 1\n"
    outcome = judge(pool, "def f(x): return x", test, kind="pytest")
    assert outcome.passed is False and outcome.status is not Status.INFRA
    (unit,) = outcome.tests
    assert unit.name == "collection" and unit.error is not None
    assert unit.error.phase == "entry" and "absent" in unit.error.message


@pytest.mark.parametrize("mark", ["skip", "xfail"])
def test_what_a_test_leaves_out_itself_counts_neither_way(pool: Runner, mark: str) -> None:
    test = f"""
        import pytest
        from solution import f
        @pytest.mark.{mark}
        def test_two():
            assert f(1) == 2
        """
    alone = judge(pool, "def f(x): return x", test, kind="pytest")
    assert alone.passed is False and alone.detail == "the test holds no assert and no test function"
    passing = f"{dedent(test)}def test_one():\n    assert f(1) == 1\n"
    outcome = judge(pool, "def f(x): return x", passing, kind="pytest")
    assert outcome.passed and [unit.name for unit in outcome.tests] == ["test_one"]


@pytest.mark.parametrize(
    ("program", "type_name", "phase", "status"),
    [
        ("def f(:", "SyntaxError", "compile", Status.COMPILE_ERROR),
        ("x = 1 / 0", "ZeroDivisionError", "import", Status.EXCEPTION),
        ("def g(): pass", "NameError", "entry", Status.EXCEPTION),
        ("def f(x): return [][x]", "IndexError", "call", Status.EXCEPTION),
        ("def f(x): return 0", "AssertionError", "wrong", Status.OK),
        ("def f(x): raise SystemExit(3)", "SystemExit", "call", Status.EXCEPTION),
        ("import os\ndef f(x): os._exit(3)", "BrokenProtocol", "call", Status.KILLED),
    ],
)
def test_a_failure_says_where_it_arose(
    pool: Runner, program: str, type_name: str, phase: str, status: Status
) -> None:
    outcome = judge(pool, program, "assert f(1) == 1", entry_point="f")
    assert outcome.passed is False and outcome.error is not None
    assert (outcome.error.type, outcome.error.phase, outcome.status) == (type_name, phase, status)


@pytest.mark.parametrize(
    ("test", "complaint"),
    [
        ("assert f(type('Made', (), {})())", "Made, which cannot cross"),
        ("import threading\nassert f(threading.Lock())", "lock, which cannot cross"),
        ("import no_such_module\nassert f(1)", "'no_such_module', which judges lack"),
        ("assert 1 == 1", "never used the program"),
        ("f(1)", "holds no assert"),
        ("assert f(1) ==", "not Python: SyntaxError"),
        ("assert f(1)\n" * 100_000, "judged up to 1,048,576 characters"),
    ],
)
def test_a_test_that_a_judge_cannot_run_is_told(pool: Runner, test: str, complaint: str) -> None:
    outcome = judge(pool, "def f(x): return x", test, entry_point="f")
    assert outcome.passed is False and outcome.error is not None
    assert complaint in outcome.detail
    assert (outcome.error.type, outcome.error.phase) == ("UnsupportedTest", "import")


def test_a_time_limit_is_the_programs_failure(pool: Runner) -> None:
    outcome = judge(
        pool,
        "def f(x):\n    while True: pass",
        "assert f(1)",
        limits=replace(LIMITS, cpu_seconds=0.5, total_cpu_seconds=1.0),
    )
    assert outcome.passed is False and outcome.status is Status.CPU_TIMEOUT


def test_a_test_is_compiled_by_its_first_judge_only(pool: Pool) -> None:
    """Before its program has a say, and for the same interpreter only."""
    work = Judge(kind="script", test=f"BACKEND = {pool.backend!r}\nassert f(1) == 2\n", entry_point="f")
    prepared = judge_job._prepared(work)
    without = prepared.payload
    for program, passed in (("import os\nos._exit(0)\n", False), ("def f(x): return 2 * x\n", True)):
        assert pool.run(Job(id="j", program=program, work=work, limits=LIMITS)).passed is passed
        assert prepared.has_code
    (_, code), *_ = json.loads(prepared.payload).values()
    assert b"BACKEND" in base64.b64decode(code)
    prepared.payload = b'{"code":["another interpreter","AAAA"],%b' % without[1:]
    assert pool.run(Job(id="j", program="def f(x): return 2 * x\n", work=work, limits=LIMITS)).passed


def test_what_only_the_compiler_refuses_fails_the_test_each_time(pool: Pool) -> None:
    for _ in range(2):
        outcome = judge(
            pool, "def f(x): return x", f"assert f(1)\nreturn {pool.backend!r}\n", entry_point="f"
        )
        assert outcome.passed is False
        assert outcome.error is not None
        assert "SyntaxError" in outcome.error.message


@pytest.mark.parametrize("kind", ["script", "unittest", "pytest"])
def test_a_package_that_the_test_imports_and_judges_lack_is_no_fault_of_the_program(
    pool: Pool, kind: Any
) -> None:
    body = "import coderl_no_such_package\nassert f() == 1\n"
    test = {
        "script": body,
        "pytest": f"def test_it():\n    {body.replace(chr(10), chr(10) + '    ')}",
        "unittest": f"import unittest\nclass T(unittest.TestCase):\n    def test_it(self):\n        self.assertEqual(f(), 1)\n{body}",
    }[kind]
    raising = "def f(): raise ModuleNotFoundError(\"No module named 'coderl_no_such_package'\")\n"
    for program in ("def f(): return 1\n", raising):
        outcome = pool.run(Job(id="t", program=program, work=Judge(kind=kind, test=test), limits=LIMITS))
        assert outcome.status is Status.INFRA and not outcome.passed, outcome
        assert "'coderl_no_such_package'" in outcome.detail and "--requirement" in outcome.detail
    guarded = "try:\n    import coderl_no_such_package\nexcept ImportError:\n    pass\nassert f() == 1\n"
    for program, passed in (("def f(): return 1\n", True), (raising, False)):
        work = Judge(kind="script", test=guarded)
        outcome = pool.run(Job(id="t", program=program, work=work, limits=LIMITS))
        assert outcome.passed is passed and outcome.status is not Status.INFRA, outcome
