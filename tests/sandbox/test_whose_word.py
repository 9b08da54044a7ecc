"""A program's object is not asked what decides an assert, and numpy's comparison of nothing is none.

Where the test is about a class of the program's, that class's word counts; what else its functions return is held to
what values say of themselves.
"""

from __future__ import annotations

import pytest

from sandbox.protocol import Runner, Status
from tests.sandbox.judging import judge

STACK = """
class Stack:
    def __init__(s): s.items = []
    def push(s, x): s.items.append(x)
    def is_empty(s): return not s.items
    def __contains__(s, x): return x in s.items
"""
LIES = "".join(
    f"    def __{name}__(s, *a): return True\n" for name in "contains eq and rand or ror xor add".split()
)
LIAR = f"""
class L:
{LIES}
    def __iter__(s): return iter(())
    def __getattr__(s, name):
        if name[:2] == '__': raise AttributeError(name)
        return lambda *a, **k: s if name == 'eq' else True
    __hash__ = object.__hash__
"""
USES_STACK = "s = Stack()\nassert s.is_empty()\ns.push(3)\nassert 3 in s and 4 not in s\n"
ANSWERS = """
3 in f(1)
f(1) in [3]
f(1) in {3: 4}
f(1) & {3}
f(1) | {3}
f(1) ^ 3
{3} & f(1)
f(1) + 3
f(1).equals(3)
f(1).issubset({1, 2})
f(1).startswith('x')
f(1).eq(3).all()
not f(1).difference({3})
""".split("\n")[1:-1]


@pytest.mark.parametrize("assertion", ANSWERS)
@pytest.mark.parametrize("about", ["a class", "no class"])
def test_an_object_of_a_class_that_the_test_does_not_name_decides_nothing(
    quick_pool: Runner, about: str, assertion: str
) -> None:
    program = STACK + LIAR + "def f(x): return L()"
    outcome = judge(quick_pool, program, f"{USES_STACK * (about == 'a class')}assert {assertion}\n")
    assert not outcome.passed and outcome.status is not Status.INFRA, outcome


@pytest.mark.parametrize("base", ["int", "str", "list", "set"])
@pytest.mark.parametrize("assertion", ["3 in f(1)", "f(1) & {3}", "f(1) & 3"])
def test_nor_does_one_that_extends_a_builtin_type(quick_pool: Runner, base: str, assertion: str) -> None:
    program = f"{STACK}\nclass L({base}):\n{LIES}    __hash__ = {base}.__hash__\ndef f(x): return L()"
    outcome = judge(quick_pool, program, f"{USES_STACK}assert {assertion}\n")
    assert not outcome.passed and outcome.status is not Status.INFRA, outcome


def test_a_class_in_the_place_of_a_function_is_none_that_the_test_is_about(quick_pool: Runner) -> None:
    program = LIAR.replace("class L:", "class f:\n    def __init__(s, x): pass") + "L = f"
    assert not judge(quick_pool, program, "assert f(1).equals(3)").passed


HONEST = {
    "the class itself": (STACK, USES_STACK),
    "a hidden class": (
        "class T:\n    def __init__(s, w): s.w = set(w)\n    def search(s, x): return x in s.w\n"
        "    def __iter__(s): return iter(s.w)\ndef build(w): return T(w)",
        "t = build(['a'])\nassert t.search('a')\nassert not t.search('b')\nassert 'a' in t and 'b' not in t",
    ),
    "a hidden subclass": (
        "class Shape:\n    def __contains__(s, p): return p < 3\nclass Circle(Shape): pass\ndef make(): return Circle()",
        "s = make()\nassert isinstance(s, Shape)\nassert 2 in s and 5 not in s",
    ),
    "flags": (
        "import enum\nclass P(enum.Flag):\n    R = 1\n    W = 2\ndef f(): return P.R | P.W",
        "assert f() & P.R\nassert P.R in f()\nassert not P.R & P.W",
    ),
    "operators with a number": (
        "class Bits:\n    def __init__(s, v): s.v = v\n    def __and__(s, o): return s.v & o\n"
        "    def __mul__(s, k): return Bits(s.v * k)\n    __rmul__ = __mul__",
        "assert Bits(3) & 1\nassert Bits(3) & 6 == 2\nassert (2 * Bits(3)).v == 6",
    ),
    "a hidden part": (
        "class Row:\n    def __init__(s, v): s.v = v\n    def __mul__(s, k): return Row([x * k for x in s.v])\n"
        "    def __getitem__(s, i): return s.v[i]\nclass Matrix:\n    def __init__(s, v): s.v = v\n    def row(s, i): return Row(s.v[i])",
        "assert (Matrix([[1, 2]]).row(0) * 2)[1] == 4",
    ),
    "objects are true": (
        "class P: pass\nclass Q:\n    def __len__(s): return 0\ndef hidden():\n    class H: pass\n    return H()",
        "assert P() and not Q() and hidden()\nassert [x for x in (P(), Q(), None) if x]",
    ),
    "a set of its own": (
        "class Own(set):\n    pass\nclass Tags:\n    def all(s): return Own('ab')",
        "t = Tags().all()\nassert t.issubset({'a', 'b', 'c'})\nassert t & {'a'} == {'a'}\nassert 'a' in t",
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_what_a_class_says_of_itself_counts_where_the_test_is_about_it(quick_pool: Runner, name: str) -> None:
    program, test = HONEST[name]
    outcome = judge(quick_pool, program, test)
    assert outcome.passed, outcome


# Assertion; what a right program returns; what one that solves nothing does.
ARRAYS = [
    ("np.allclose(f(1), [1.5])", "[1.5]", "[]"),
    ("np.allclose(f(1), 1.5)", "1.5", "np.array([])"),
    ("np.allclose([2.0, 2.0], f(1))", "[2, 2]", "2.0"),
    ("np.allclose(f(1), [])", "[]", "[1]"),
    ("np.isclose(f(1), np.ones((2, 2))).all()", "np.ones((2, 2))", "np.ones((0, 2))"),
    ("(f(1) == np.array([2])).all()", "np.array([2])", "np.array([])"),
    ("np.all(f(1) == np.array([2, 2]))", "np.array([2, 2])", "np.array([2])"),
    ("all(np.array([2, 2]) == f(1))", "np.array([2, 2])", "np.array([2])"),
    ("(np.abs(f(1) - np.ones((2, 2))) < 0.1).all()", "np.ones((2, 2))", "np.ones((0, 2))"),
    ("not (f(1) != np.ones((2, 2))).any()", "np.ones((2, 2))", "np.ones((0, 2))"),
    ("np.testing.assert_allclose(f(1), [2.0, 2.0]) is None", "[2, 2]", "[2.0]"),
    ("np.testing.assert_array_equal(actual=f(1), desired=[2, 2]) is None", "[2, 2]", "[2]"),
    ("np.testing.assert_equal(f(1), 2.0) is None", "2.0", "np.array([])"),
    ("np.equal(f(1), np.ones((2, 2))).all()", "np.ones((2, 2))", "np.ones((0, 2))"),
    ("np.linalg.norm(f(1) - np.array([2.0])) < 1e-6", "np.array([2.0])", "np.array([])"),
    ("f(1) == pytest.approx(2.5)", "2.5", "np.array([])"),
    ("np.isclose(f(1), [2.5]).all()", "[2.5]", "[]"),
    ("not np.not_equal(f(1), [2.5]).any()", "[2.5]", "[]"),
    ("np.abs(np.subtract(f(1), [2.5])).max(initial=0) < 1e-6", "[2.5]", "[]"),
    ("np.testing.assert_array_less(f(1), [2.5]) is None", "[2]", "[]"),
]
# An object that numpy reads as an array, each time as the next of these.
READ = """
class S:
    def __init__(s): s.reads = iter(READS)
    def __len__(s): return LENGTH
    def __getitem__(s, k): raise IndexError
    def __iter__(s):
        found = next(s.reads, ())
        if found is None: raise TypeError
        return iter(found)
def f(x): return S()
class Other: pass
"""


@pytest.mark.parametrize(("assertion", "right", "wrong"), ARRAYS)
def test_numpy_compares_as_many_values_as_are_expected(
    quick_pool: Runner, assertion: str, right: str, wrong: str
) -> None:
    test = f"import numpy as np\nimport pytest\nassert {assertion}\n"
    assert judge(quick_pool, f"import numpy as np\ndef f(x): return {right}", test).passed
    outcome = judge(quick_pool, f"import numpy as np\ndef f(x): return {wrong}", test)
    assert not outcome.passed and outcome.status is not Status.INFRA, outcome


@pytest.mark.parametrize("about", ["", "Other()\n"])
@pytest.mark.parametrize(
    "assertion",
    [
        "np.allclose(f(1), [1.5])",
        "np.isclose([1.5], f(1)).all()",
        "(np.array([1.5]) == f(1)).all()",
        "np.testing.assert_array_equal(f(1), [1.5]) is None",
    ],
)
def test_numpy_reads_an_object_of_the_programs_once(quick_pool: Runner, assertion: str, about: str) -> None:
    test = f"import numpy as np\n{about}assert {assertion}\n"
    right = READ.replace("READS", "[[1.5]] * 9").replace("LENGTH", "1")
    if "np.array" not in assertion:  # which asks what it compares with whether it is an array
        assert judge(quick_pool, right, test).passed
    for reads, length in (("[]", 0), ("[[]]", 1), ("[None]", 1), ("[[0.0], [1.5]]", 1), ("[None, [1.5]]", 1)):
        outcome = judge(quick_pool, READ.replace("READS", reads).replace("LENGTH", str(length)), test)
        assert not outcome.passed and outcome.status is not Status.INFRA, (reads, outcome)


FOUND = """
class S(str):
    def count(s, *a): return 2
    find = index = count
class L(list):
    count = index = S.count
class Parser:
    def text(s): return S("x")
    def items(s): return L("x")
class Tree:
    def count(s, x): return 2
    find = index = count
def tree(): return Tree()
"""


@pytest.mark.parametrize(
    "what", ["text().count", "text().find", "text().index", "items().count", "items().index"]
)
def test_a_value_does_not_say_itself_what_it_holds(quick_pool: Runner, what: str) -> None:
    outcome = judge(quick_pool, FOUND, f"assert Parser().{what}('<b>') == 2\n")
    assert not outcome.passed and outcome.status is not Status.INFRA, outcome
    honest = judge(quick_pool, FOUND, f"Parser()\nassert tree().{what.rpartition('.')[2]}('<b>') == 2\n")
    assert honest.passed, honest


def test_a_method_is_not_taken_for_numpys(quick_pool: Runner) -> None:
    program = "class V(list):\n    def subtract(s, a, b): return (type(a).__name__, b)"
    assert judge(
        quick_pool, program, "import numpy\nv = V()\nassert v.subtract(V([1]), [1, 2]) == ('V', [1, 2])"
    ).passed


@pytest.mark.parametrize(
    ("returns", "assertion"),
    [
        ("x.max()", "(f(a) >= a).all()"),
        ("x.max()", "(a == f(a)).any()"),
        ("x[x > 5]", "(f(a) > 5).all()"),
        ("x - x", "np.allclose(f(a), 0)"),
        ("x[None, :]", "np.allclose(f(a), [1, 2, 3])"),
        ("np.stack([x, x])", "(f(a) <= np.array([1, 2, 3])).all()"),
        ("np.stack([x, x])", "np.allclose(f(a) - a, 0)"),
    ],
)
def test_arrays_of_different_shapes_are_compared_where_nothing_is_left_out(
    quick_pool: Runner, returns: str, assertion: str
) -> None:
    test = f"import numpy as np\na = np.array([1, 2, 3])\nassert {assertion}\n"
    outcome = judge(quick_pool, f"import numpy as np\ndef f(x): return {returns}", test)
    assert outcome.passed, outcome
