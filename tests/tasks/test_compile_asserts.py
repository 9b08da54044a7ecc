"""Compiled asserts mean what Python means by them, or are left to the judge."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.grading.compare import matches
from tasks.grading.compile_asserts import compile_asserts
from tasks.types import CallTest, Compare, JudgeTest


def script(source: str, entry_point: str | None = "f", prompt: str = "") -> tuple[CallTest, ...] | None:
    return compile_asserts(JudgeTest(kind="script", source=source), entry_point, prompt)


def check(source: str, entry_point: str | None = "f", prompt: str = "") -> tuple[CallTest, ...] | None:
    return compile_asserts(JudgeTest(kind="check", source=source), entry_point, prompt)


def only(source: str) -> CallTest:
    calls = script(source)
    assert calls is not None and len(calls) == 1
    return calls[0]


@pytest.mark.parametrize(
    ("source", "args", "expected"),
    [
        ("assert f(1, -2) == 3", (1, -2), 3),
        ("assert 3 == f(1)", (1,), 3),
        ("assert (f([1, (2,), {'a': None}])) == {1, 2}, 'message'", ([1, (2,), {"a": None}],), {1, 2}),
        ("assert f(*[1, 2]) == 1", (1, 2), 1),
        ("assert f() == set([1, 2])", (), {1, 2}),
        ("assert f() == tuple([1, 2])", (), (1, 2)),
        ("assert f(10 ** 9 + 7) == 1 / 2", (1000000007,), 0.5),
        ("assert f(float('inf')) == [0] * 3", (float("inf"),), [0, 0, 0]),
        ("assert f('a' 'b') == 'x' + 'y', f'{f(1)} is wrong'", ("ab",), "xy"),
        ("xs = [1, 2]\nassert f(xs) == 3", ([1, 2],), 3),
        ("print\nassert f(1) == 3", (1,), 3),
    ],
)
def test_a_literal_assert_is_one_call(source: str, args: tuple[object, ...], expected: object) -> None:
    call = only(source)
    assert (call.function, call.args, call.expected, call.compare) == ("f", args, expected, Compare())


@pytest.mark.parametrize(
    ("source", "expected", "compare"),
    [
        ("assert f(1)", True, Compare(kind="truth")),
        ("assert not f(1)", False, Compare(kind="truth")),
        ("assert f(1) is None", None, Compare(kind="is")),
        ("assert f(1) is True", True, Compare(kind="is")),
        ("assert abs(f(1) - 1.5) <= 0.25", 1.5, Compare(kind="close", atol=0.25)),
        ("assert abs(f(1) - 2) < 0.25", 2, Compare(kind="close", atol=0.24999999999999997)),
    ],
)
def test_other_claims_have_a_comparison_of_their_own(source: str, expected: object, compare: Compare) -> None:
    call = only(source)
    assert (call.expected, call.compare) == (expected, compare)


def test_keyword_arguments() -> None:
    assert only("assert f(1, b=[2]) == 3").kwargs == {"b": [2]}


def test_check_calls_its_parameter_in_order() -> None:
    calls = check(
        "METADATA = {'author': 'x'}\n\ndef check(candidate):\n    'docs'\n"
        "    assert candidate(1) == 1\n    assert True, 'reached'\n    assert candidate(2) == 2\n"
    )
    assert calls is not None
    assert [(c.function, c.args, c.name) for c in calls] == [
        ("f", (1,), "line 5: candidate(1) == 1"),
        ("f", (2,), "line 7: candidate(2) == 2"),
    ]


def test_a_script_may_call_check_itself() -> None:
    source = "def check(g):\n    assert g(1) == 1\n\ncheck(f)"
    once, twice = script(source), check(source)
    assert once is not None and len(once) == 1
    assert twice is not None and len(twice) == 2  # `check` calls it once more
    assert script("def check(g):\n    assert g(1) == 1\n") is None  # never called: nothing was tested


def test_loops_over_literals_make_one_unit_of_many_calls() -> None:
    calls = check(
        "def check(candidate):\n    inputs = [[1, 2], [3, 4]]\n    results = [3, 7]\n"
        "    for i, (inp, exp) in enumerate(zip(inputs, results)):\n        assert candidate(*inp) == exp\n"
        "    for x in range(2, 4):\n        assert candidate(x, x + 1) == str(x)\n"
    )
    assert calls is not None
    assert [(c.args, c.expected, c.name) for c in calls] == [
        ((1, 2), 3, "line 5: candidate(*inp) == exp"),
        ((3, 4), 7, "line 5: candidate(*inp) == exp"),
        ((2, 3), "2", "line 7: candidate(x, x + 1) == str(x)"),
        ((3, 4), "3", "line 7: candidate(x, x + 1) == str(x)"),
    ]


@pytest.mark.parametrize(
    "source",
    [
        "",
        "x = 1",
        "assert True",
        "assert False",
        "assert f",
        "assert f(1) == f(2)",
        "assert f(f(1)) == 2",
        "assert f(1) == 2 and f(2) == 3",
        "f\nassert f(1) == 2",
        "g\nassert f(1) == 2",
        "print = f\nprint\nassert f(1) == 2",
        "assert f(1) != 2",
        "assert f(1) in [1, 2]",
        "assert f(1) == x",
        "assert len(f(1)) == 2",
        "assert set(f(1)) == {1}",
        "assert f(1).x == 2",
        "assert f(1)[0] == 2",
        "assert f.g(1) == 2",
        "assert f(lambda: 1) == 2",
        "assert f(**{'a': 1}) == 2",
        "assert f(open('x')) == 2",
        "assert f(range(10 ** 12)) == [*range(10 ** 12)]",
        "assert f(9 ** 9 ** 9) == 2",
        "assert f('x' * 10 ** 9) == 2",
        "assert f(1 // 0) == 2",
        "assert abs(f(1) - float('inf')) < 1",
        "assert abs(f(1) - 1) < float('nan')",
        "assert f(1) is 1",
        "assert f(1) == 1; f = None",
        "assert f(1) == 1\nprint(1)",
        "import numpy as np\nassert f(1) == 1",
        "from math import *\nassert f(1) == 1",
        "def set(x): return 1\nassert f(1) == set([1])",
        "from collections import OrderedDict as set\nassert f(1) == set([1])",
        "for x in {1, 2}:\n    assert f(x) == 1",
        "assert f(list({1, 2})) == 1",
        "assert f(str({1, 2})) == 1",
        "while True:\n    assert f(1) == 1",
        "for x in [1]:\n    assert f(x) == 1\nelse:\n    pass",
        "try:\n    assert f(1) == 1\nexcept Exception:\n    pass",
        "if f(1):\n    assert f(1) == 1",
        "def check(c):\n    assert c(1) == 1\ncheck(g)",
        "assert f(1) == 1 +",
        "assert f(1\0) == 1",
        "assert f(" + "-" * 100_000 + "1) == 1",
    ],
)
def test_everything_else_is_left_to_the_judge(source: str) -> None:
    assert script(source) is None


@pytest.mark.parametrize(
    "source",
    [
        "xs = [1]\nassert f(xs) == 1\nassert f(xs) == 1",
        "xs = [1]\nassert f(xs) == xs",
        "xs = [[1]] * 2\nassert f(xs) == 1",
        "x = [1]\nxs = [x, x]\nassert f(xs) == 1",
        "for x in [[1], [2]]:\n    assert f(x) == 1\n    assert f(x) == 2",
    ],
)
def test_an_argument_that_may_have_been_changed_is_left_to_the_judge(source: str) -> None:
    assert script(source) is None


def test_only_the_programs_own_functions_are_called() -> None:
    assert script("assert g(1) == 1", entry_point=None) is not None
    assert script("assert g(1) == 1", prompt="def g(x):\n    return x\n") is None  # the prompt's helper
    assert script("assert abs(1) == 1", entry_point=None) is None
    assert script("assert abs(1) == 1", entry_point="abs") is not None
    assert script("def g(x): return 1\nassert g(1) == 1", entry_point=None) is None
    assert check("def check(candidate):\n    assert candidate(1) == 1", entry_point=None) is None


def test_unittest_and_pytest_are_left_to_the_judge() -> None:
    assert compile_asserts(JudgeTest(kind="pytest", source="assert f(1) == 1"), "f") is None


# Differential: a compiled test must give the verdict that Python gives, for programs of every temper.


class _Counter:
    """Answers by how often it was called: order and number of calls show."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *args: Any) -> int:
        self.calls += 1
        return self.calls


def _greedy(*args: Any) -> Any:
    """Changes what it is given."""
    for arg in args:
        if isinstance(arg, list):
            arg.append(0)
    return args[0] if args else None


def _refuse(*args: Any) -> Any:
    raise KeyError(args)


PROGRAMS: list[Callable[[], Callable[..., Any]]] = [
    lambda: lambda *args: args[0] if args else None,
    lambda: lambda *args: len(args),
    lambda: lambda *args: list(args),
    lambda: lambda *args: None,
    lambda: lambda *args: 1.0000001,
    lambda: lambda *args: 1 + 1e-7j,
    lambda: lambda *args: 10**400,
    lambda: lambda *args: float("nan"),
    lambda: lambda *args: float("inf"),
    lambda: lambda *args: "",
    lambda: lambda *args: True,
    lambda: lambda *args: {1, 2},
    lambda: _refuse,
    lambda: _greedy,
    _Counter,
]

atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([1.0, 0.5, -2.5]),
    st.sampled_from(["", "a", "ab"]),
)
literals = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.tuples(inner), st.dictionaries(st.integers(0, 2), inner, max_size=2)
    ),
    max_leaves=4,
).map(repr)
numbers = st.sampled_from(["1", "1.0", "2", "0.5", "-1", "1e300"])
tolerances = st.sampled_from(["1e-6", "1e-7", "1", "2.0", "0.5", "1e5"])


@st.composite
def asserts(draw: st.DrawFn, argument: str | None = None) -> str:
    call = f"f({argument or ', '.join(draw(st.lists(literals, max_size=2)))})"
    return draw(
        st.one_of(
            literals.map(lambda v: f"assert {call} == {v}"),
            literals.map(lambda v: f"assert {v} == {call}, {v}"),
            st.sampled_from([f"assert {call}", f"assert not {call}", "assert True"]),
            st.sampled_from(["None", "True", "False"]).map(lambda v: f"assert {call} is {v}"),
            st.tuples(numbers, numbers, st.sampled_from(["<", "<="]), tolerances).map(
                lambda t: f"assert abs(f({argument or t[0]}) - {t[1]}) {t[2]} {t[3]}"
            ),
        )
    )


@st.composite
def scripts(draw: st.DrawFn) -> str:
    lines = draw(st.lists(asserts(), min_size=1, max_size=3))
    if draw(st.booleans()):
        lines.append(
            f"for x in {draw(st.lists(literals, max_size=3).map(', '.join))},:".replace(" ,:", " ():")
        )
        lines.append(f"    {draw(asserts(argument='x'))}")
    return "\n".join(lines)


def _python_says(source: str, function: Callable[..., Any]) -> bool:
    try:
        exec(compile(source, "<test>", "exec"), {"f": function})  # our own text
    except Exception:  # noqa: BLE001  # whatever it is, the test fails
        return False
    return True


def _calls_say(calls: tuple[CallTest, ...], function: Callable[..., Any]) -> bool:
    for call in calls:
        try:
            value = function(*copy.deepcopy(call.args))
        except Exception:  # noqa: BLE001  # whatever it is, the test fails
            return False
        if not matches(value, call.expected, call.compare, call.args):
            return False
    return True


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@settings(max_examples=200)
@given(scripts(), st.sampled_from(PROGRAMS))
def test_compiled_tests_agree_with_python(source: str, program: Callable[[], Callable[..., Any]]) -> None:
    calls = script(source)
    if calls is not None:
        assert _calls_say(calls, program()) == _python_says(source, program())


@pytest.mark.parametrize("op", ["<", "<="])
@pytest.mark.parametrize("tolerance", ["1", "1.0", "2.0", "1e-6", "0.1", "1.0000000000000002"])
@pytest.mark.parametrize("argument", ["3", "3.0", "1", "2", "2.1", "1.9", "2.000001", "2 ** 70", "True", "4"])
def test_the_edge_of_a_tolerance_is_pythons(argument: str, op: str, tolerance: str) -> None:
    source = f"assert abs(f({argument}) - 2) {op} {tolerance}"
    calls = script(source)
    assert calls is not None
    assert _calls_say(calls, lambda x: x) == _python_says(source, lambda x: x)


_DOUBLED = "".join(f"x{n + 1} = (x{n}, x{n})\n" for n in range(60))


@pytest.mark.parametrize(
    "source",
    [
        "for i in range(99999):\n for j in range(99999):\n  x = 1\nassert f(1) == 1",
        "x = (0,) * 50000\ny = (x,) * 50000\nassert f(y) == 1",
        f"x0 = (1,)\n{_DOUBLED}assert f(1) == {{x60: 1}}",
        f"x0 = (1,)\n{_DOUBLED}assert f(x60) == 1",
        f"x0 = (1,)\n{_DOUBLED}assert f(1) == x60",
        f"x0 = 'a' * 40000\n{''.join(f'x{n + 1} = x{n} + x{n}' + chr(10) for n in range(40))}assert f(1) == x40",
        "assert f(1) == {" + ",".join(f"{n}*(2**61-1)" for n in range(3000)) + "}",
        "assert f(1) == dict(zip(" + repr([n * (2**61 - 1) for n in range(3000)]) + ", range(3000)))",
        "x = (0,) * 40000\nfor i in range(9000):\n  assert f(x) == i",
        "x = 3**60000\nfor i in range(9000):\n  y = x * x",
        "x = 3**60000\ny = 3**30000\nfor i in range(9000):\n  z = x // y\nassert f(1) == 1",
        "x = list(range(2000))\nfor i in range(9000):\n  y = list(zip(x, x, x, x))\nassert f(1) == 1",
        "x = (1,) * 20000\nfor i in range(9000):\n  y = x + x\nassert f(1) == 1",
        "x = [*range(10**12)]\nassert f(1) == 1",
        "assert f(*range(10**12)) == 1",
        "a, b = range(10**30)\nassert f(1) == 1",
        "assert f(1) == " + "-" * 4000 + "1",
        "assert f(" + repr(list(range(10**6))) + ") == 1",
    ],
)
def test_a_test_that_takes_long_to_read_is_left_to_the_judge(source: str) -> None:
    began = time.process_time()
    assert script(source) is None
    assert time.process_time() - began < 1.0  # a tenth of that, on an idle machine


@settings(max_examples=50)
@given(
    st.recursive(
        st.sampled_from(["x", "y", "3", "'ab'"]),
        lambda part: st.one_of(
            st.lists(part, max_size=4).map(lambda parts: f"[{', '.join(parts)}]"),
            st.tuples(part, st.sampled_from("+*"), part).map(lambda three: f"({' '.join(three)})"),
            st.tuples(st.sampled_from(["list", "set", "tuple", "str"]), part).map(
                lambda two: f"{two[0]}({two[1]})"
            ),
        ),
        max_leaves=12,
    ),
    st.integers(1, 40),
)
def test_what_is_evaluated_is_bounded_whatever_the_expression(expression: str, times: int) -> None:
    began = time.process_time()
    lines = "".join(f"x = {expression}\ny = {expression}\n" for _ in range(times))
    script(f"x, y = 2, [1, 2]\n{lines}assert f(x) == y")
    assert time.process_time() - began < 2.0
