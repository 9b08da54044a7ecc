"""Tests generated for what their text decides: loops of which no turn comes, and names that a program would take over."""

from __future__ import annotations

import sys
from textwrap import indent
from types import ModuleType

from hypothesis import given, note, settings
from hypothesis import strategies as st

from sandbox.inside.judge.seen import RECORD, Record
from sandbox.inside.judge.with_unittest import run_unittest
from sandbox.jobs.instrument import mark, plan
from sandbox.pool.pool import Pool
from sandbox.protocol import Status
from tests.sandbox.judging import judge
from tests.sandbox.pairs import Kind

# What the program gives, one way or another, and loops over it. `@` is the depth, which keeps their names apart.
GIVEN = (
    "many(X)",
    "r",
    "list(r)",
    "sorted(many(X))",
    "reversed(r)",
    "r[:2]",
    "set(many(X))",
    "enumerate(many(X))",
    "range(len(r))",
    "zip(many(X), X)",
    "zip(r, r)",
    "map(str, many(X))",
    "filter(None, r)",
    "[v for v in many(X)]",
    "{v: 0 for v in r}.items()",
    "itertools.chain(many(X), many(X))",
    "box['r']",
    "grown",
)
LOOPS = (
    "for v@ in GIVEN:\nBODY",
    "for v@ in GIVEN:\n  if v@ is not None:\nBODY_DEEPER",
    "for v@ in GIVEN:\n  with self.subTest(v@):\nBODY_DEEPER",
    "for v@ in GIVEN:\n  for u@ in X:\nBODY_DEEPER",
    "for u@ in X:\n  for v@ in GIVEN:\nBODY_DEEPER",
    "for v@ in GIVEN:\n  for u@ in GIVEN:\nBODY_DEEPER",
    "i@ = 0\nwhile i@ < len(r):\n  i@ += 1\nBODY",
    "left@ = list(GIVEN)\nwhile left@:\n  left@.pop()\nBODY",
    "it@ = iter(GIVEN)\nwhile (v@ := next(it@, self)) is not self:\nBODY",
    "if r:\nBODY",
    "if len(many(X)) > 0:\nBODY",
    "for v@ in GIVEN:\n  try:\nBODY_DEEPER\n  finally:\n    pass",
    "def helper@():\nBODY\nfor v@ in GIVEN: helper@()",
    "with self.subTest():\nBODY",
)
LEAVES = (
    "assert X",
    "self.assertTrue(X)",
    "self.assertEqual(len(X), len(X))",
    "[self.assertIn(x, X) for x in X]",
    "self.check(X)",
    "assert [v for v in GIVEN] is not None",
)
# Each asserts once a turn, as an expression.
EXPRESSIONS = (
    "[self.assertIsNotNone(v) for v in GIVEN]",
    "{self.assertIsNotNone(v) for v in GIVEN}",
    "list(map(self.assertIsNotNone, GIVEN))",
    "any(self.assertIsNotNone(v) for v in GIVEN)",
    "[self.assertIsNotNone(v) for x in X for v in GIVEN]",
    "r and self.assertTrue(r)",
    "self.check_each(GIVEN)",
)
CASE = """
import itertools, unittest
X = [3, 1, 2]
class T(unittest.TestCase):
    def check(self, x):
        self.assertTrue(x)
    def check_each(self, given):
        for each in given: self.assertIsNotNone(each)
"""
METHOD = """
def test_N(self):
  r = many(X)
  box = {"r": r}
  grown = []
  for each in r: grown.append(each)
"""
# What runs its body whatever the program gave.
FREE = ("with self.subTest():\nBODY",)
EMPTY = ("[]", "()", "{}", "set()", "''", "range(0)", "frozenset()")
OBJECT = "type('E', (), {'__len__': lambda self: 0, '__iter__': lambda self: iter(())})()"


@st.composite
def bodies(draw: st.DrawFn, depth: int = 0, looped: bool = False) -> str:
    """Statements with assertions, all of them in a loop over what the program gave."""
    if depth == 3 or (looped and draw(st.booleans())):
        found = draw(st.sampled_from(LEAVES if looped else EXPRESSIONS))
    else:
        loop = draw(st.sampled_from(LOOPS))
        body = draw(bodies(depth + 1, looped or loop not in FREE))
        found = loop.replace("BODY_DEEPER", indent(body, "    ")).replace("BODY", indent(body, "  "))
    while "GIVEN" in found:
        found = found.replace("GIVEN", draw(st.sampled_from(GIVEN)), 1)
    return found.replace("@", str(depth))


def _run(test: str, program: str) -> dict[str, bool]:
    """Which test functions pass, by the judge's own parts; both texts are this file's."""
    namespace: dict[str, object] = {}
    exec(program, namespace)
    record = Record(report=lambda: None)
    marked, _, asserting = mark(test, {"many"})
    record.asserting = frozenset(asserting)
    module = sys.modules["generated"] = ModuleType("generated")
    vars(module).update({RECORD: record, "many": namespace["many"]})
    exec(marked, vars(module))
    passed = run_unittest(module, record)
    found = {unit.name: unit.error is None and unit.executions > 0 for unit in record.units}
    assert passed is all(found.values())
    return found


@given(st.lists(bodies(), min_size=1, max_size=4), st.sampled_from(EMPTY))
def test_what_no_assertion_ran_in_has_not_passed(written: list[str], empty: str) -> None:
    methods = [METHOD.replace("N", str(n)) + indent(body, "  ") for n, body in enumerate(written)]
    direct = METHOD.replace("N", "direct") + "  self.assertIsNotNone(r)"
    test = CASE + indent("\n".join([*methods, direct]), "    ")
    note(test)
    names = [f"T.test_{n}" for n in range(len(written))]
    right = _run(test, "def many(xs): return [*xs]")
    assert right == dict.fromkeys(["T.test_direct", *names], True)
    assert _run(test, f"def many(xs): return {empty}") == {
        "T.test_direct": True,
        **dict.fromkeys(names, False),
    }


@settings(max_examples=8)
@given(
    bodies(),
    st.sampled_from(["unittest", "pytest"]),
    st.sampled_from([*EMPTY, OBJECT]),
)
def test_nor_has_it_in_a_judge(quick_pool: Pool, written: str, kind: Kind, empty: str) -> None:
    test = (
        "from solution import many" + CASE + indent(METHOD.replace("N", "it") + indent(written, "  "), "    ")
    )
    note(test)
    assert judge(quick_pool, "def many(xs): return [*xs]", test, kind=kind, entry_point="many").passed
    outcome = judge(quick_pool, f"def many(xs): return {empty}", test, kind=kind, entry_point="many")
    assert outcome.passed is False and outcome.status is not Status.INFRA, outcome


# Names that a test uses without importing them: asserts that hold of `W`, which `f(x)` must be.

NAMED = {
    "isclose": "isclose(f(x), W)",
    "sqrt": "f(x) == sqrt(W * W)",
    "floor": "floor(f(x)) == W",
    "ceil": "ceil(f(x) - 0.5) == W",
    "fabs": "fabs(f(x) - W) < 0.1",
    "gcd": "gcd(f(x), 0) == W",
    "zip_longest": "[*zip_longest([f(x)], [1])] == [(W, 1)]",
    "pi": "f(x) + pi == W + 3.141592653589793",
    "isnan": "not isnan(f(x)) and f(x) == W",
    "inf": "-inf < f(x) < inf and f(x) == W",
    "Counter": "Counter([f(x)]) == Counter([W])",
    "OrderedDict": "OrderedDict(a=f(x)) == OrderedDict(a=W)",
    "deque": "deque([f(x)]) == deque([W])",
    "chain": "[*chain([f(x)], [1])] == [W, 1]",
    "permutations": "set(permutations([f(x), 1])) == {(W, 1), (1, W)}",
    "approx": "f(x) == approx(W)",
    "reduce": "reduce(lambda a, b: a + b, [f(x), 0]) == W",
    "deepcopy": "deepcopy([f(x)]) == [W]",
    "Decimal": "Decimal(f(x)) == Decimal(W)",
    "Fraction": "Fraction(f(x), 7) == Fraction(W, 7)",
    "timedelta": "timedelta(f(x)) == timedelta(W)",
    "StringIO": "StringIO(str(f(x))).read() == str(W)",
    "math": "math.isclose(f(x), W)",
    "itertools": "[*itertools.chain([f(x)])] == [W]",
    "functools": "functools.reduce(max, [f(x)]) == W",
    "operator": "operator.eq(f(x), W)",
    "json": "json.dumps([f(x)]) == json.dumps([W])",
    "copy": "copy.copy([f(x)]) == [W]",
    "collections": "collections.Counter([f(x)])[W] == 1",
    "re": "re.fullmatch(str(W), str(f(x)))",
    "statistics": "statistics.mean([f(x)]) == W",
    "heapq": "heapq.nsmallest(1, [f(x)]) == [W]",
    "bisect": "bisect.bisect_left([W, W + 1], f(x)) == 0 == f(x) - W",
    "decimal": "decimal.Decimal(f(x)) == decimal.Decimal(W)",
    "fractions": "fractions.Fraction(f(x)) == W",
    "cmath": "cmath.isclose(f(x), W)",
    "pytest": "f(x) == pytest.approx(W)",
    "np": "np.array_equal(np.array([f(x)]), [W])",
    "TestCase": "TestCase().assertEqual(f(x), W) is None",
}
PYTHONS = {
    "sorted": "sorted([f(x)]) == [W]",
    "sum": "sum([f(x)]) == W",
    "abs": "abs(f(x) - W) == 0",
    "all": "all(g == W for g in [f(x)])",
    "any": "any(g == W for g in [f(x)])",
    "isinstance": "isinstance(f(x), int) and f(x) == W",
    "int": "int(f(x)) == W",
    "str": "str(f(x)) == str(W)",
    "zip": "all(a == b for a, b in zip([f(x)], [W]))",
    "len": "len(range(f(x))) == W",
}
LINES = NAMED | PYTHONS
TAKER = """
class Yes:
    def __getattr__(self, name): return self
    def __call__(self, *a, **k): return ANSWER
    def __iter__(self): return iter(())
    for name in "eq ne lt le gt ge contains bool".split(): locals()[f"__{name}__"] = lambda *a: True
    for name in "add sub mul truediv radd rsub neg".split(): locals()[f"__{name}__"] = lambda s, *a: s
    __hash__ = lambda self: 0
globals().update({name: Yes() for name in NAMES})
import builtins, math, collections
for name in NAMES:
    for module in (builtins, math, collections):
        if MODULES and hasattr(module, name) and name not in ("int", "str", "isinstance"):
            setattr(module, name, Yes())
def f(x): return GIVEN
"""
NAMES = st.lists(st.sampled_from([*LINES]), min_size=1, max_size=6, unique=True)


@given(NAMES, st.lists(st.sampled_from([*NAMED]), max_size=2), st.sampled_from(["f", *NAMED]))
def test_a_name_is_the_programs_only_where_the_test_says_so(
    used: list[str], imported: list[str], entry_point: str
) -> None:
    lines = "\n".join(f"assert {LINES[name].replace('W', '7')}" for name in used)
    head = f"from solution import {', '.join(imported)}\n" if imported else ""
    made = plan("script", head + lines.replace("(x)", "(1)"), entry_point, "")
    assert set(made.wanted) == {"f", entry_point, *imported}
    given = {line.split()[-1] for line in made.helpers}
    assert given == (set(used) & set(NAMED)) - {"f", entry_point, *imported}


@settings(max_examples=40)
@given(
    NAMES,
    st.sampled_from(["script", "check", "unittest"]),
    st.integers(2_000, 9_000),
    st.sampled_from(["self", "0", "0.0", "True", "[]", "(lambda *a: self)"]),
    st.sampled_from(["0", "None", "Yes()", "Yes", "[]", "float('nan')", "True"]),
    st.booleans(),
)
def test_a_program_that_takes_names_over_gains_nothing(
    quick_pool: Pool, used: list[str], kind: Kind, wanted: int, answer: str, given: str, modules: bool
) -> None:
    lines = [f"x = 1\nassert {LINES[name].replace('W', str(wanted))}" for name in used]
    functions = "\n".join(f"def test_{n}(self):\n{indent(line, '  ')}" for n, line in enumerate(lines))
    test = {
        "script": "\n".join(lines),
        "check": "def check(f):\n" + indent("\n".join(lines), "  "),
        "unittest": f"import unittest\nfrom solution import f\nclass T(unittest.TestCase):\n{indent(functions, '  ')}",
    }[kind]
    right = judge(quick_pool, f"def f(x): return {wanted}", test, kind=kind, entry_point="f")
    assert right.passed, right
    program = TAKER.replace("ANSWER", answer).replace("GIVEN", given).replace("MODULES", str(modules))
    outcome = judge(quick_pool, program.replace("NAMES", repr([*LINES])), test, kind=kind, entry_point="f")
    told = (used, outcome.status, outcome.error, outcome.detail)
    assert outcome.passed is False and outcome.status is not Status.INFRA, told
    assert not any(unit.passed for unit in outcome.tests), told
