"""Failures that are hard to report, generated: credit is for what is right, and nothing that is told breaks the judge."""

from __future__ import annotations

from contextlib import suppress
from textwrap import indent
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from sandbox.inside.bridge.environment import JudgeSide
from sandbox.inside.values.plain import CodecError
from sandbox.pool.pool import Pool
from sandbox.protocol import Status
from tests.sandbox.judging import judge
from tests.sandbox.pairs import Kind

RAISER = """
class H:
    def __repr__(self): raise ValueError
    __str__ = __hash__ = __repr__
    def __eq__(self, other): return True
class Meta(type):
META
class E(BASE, metaclass=Meta):
    def __init__(self, *a): pass
METHODS
def f(n):
    if n % 2 == 0: return n * 7919
    error = E(ARGS)
    SET
    raise error
"""
BASES = "Exception ValueError KeyError NameError AttributeError ImportError OSError SyntaxError UserWarning LookupError"
LOOKED_AT = "name obj args msg filename lineno text offset errno strerror __notes__ __cause__ __context__ __traceback__"
ODD_METHODS = (
    "__str__ __repr__ __hash__ __eq__ __getattribute__ __getattr__ __dir__ __reduce__ __reduce_ex__ __bool__"
)
ODD = (
    "raise ValueError",
    "raise StopIteration",
    "raise KeyError(self)",
    "return H()",
    "return None",
    "return 7",
)
ARGS = ("", "1", "H()", "'\\ud800'", "10 ** 5000", "'a' * 100_000", "[[]] * 999", "b'\\xff', H, 1.5", "E()")
SETS = ("args", "name", "obj", "__notes__", "msg", "lineno", "filename", "__dict__", "text", "x")
GIVEN = ("H()", "H", "7", "[H()]", "['\\ud800']", "{'x': H()}", "(1, H())", "-10 ** 400")


@st.composite
def raisers(draw: st.DrawFn) -> str:
    odd = st.sampled_from(ODD)
    looked_at = draw(st.dictionaries(st.sampled_from(LOOKED_AT.split()), odd, max_size=3))
    called = draw(st.dictionaries(st.sampled_from(ODD_METHODS.split()), odd, max_size=3))
    of_class = draw(
        st.dictionaries(st.sampled_from(["__repr__", "__instancecheck__", "__eq__"]), odd, max_size=1)
    )
    methods = [f"@property\n    def {name}(self): {act}" for name, act in looked_at.items()]
    methods += [f"def {name}(self, *a): {act}" for name, act in called.items()]
    given = f"{draw(st.sampled_from(SETS))} = {draw(st.sampled_from(GIVEN))}"
    source = RAISER.replace("BASE", draw(st.sampled_from(BASES.split())))
    source = source.replace("METHODS", "".join(f"    {each}\n" for each in methods))
    source = source.replace(
        "META\n", "".join(f"    def {n}(self, *a): {a}\n" for n, a in of_class.items()) + "    x = 1\n"
    )
    source = source.replace("ARGS", draw(st.sampled_from(ARGS)))
    return source.replace(
        "SET", draw(st.sampled_from(["pass", f"try: error.{given}\n    except Exception: pass"]))
    )


def _units(numbers: list[int]) -> dict[Kind, str]:
    """A test of each kind, with a unit for each of `numbers`."""
    asserts = [f"assert f({n}) == {n * 7919}" for n in numbers]
    functions = [f"def test_{place}(*self): {line}" for place, line in enumerate(asserts)]
    methods = "".join(f"  {line}\n" for line in functions)
    return {
        "script": "\n".join(asserts),
        "check": "def check(f):\n" + indent("\n".join(asserts), "  "),
        "unittest": f"import unittest\nfrom solution import f\nclass T(unittest.TestCase):\n{methods}",
        "pytest": "from solution import f\n" + "\n".join(functions).replace("*self", ""),
    }


def _assert_right_units_alone(pool: Pool, kind: Kind, program: str, numbers: list[int]) -> None:
    outcome = judge(pool, program, _units(numbers)[kind], kind=kind, entry_point="f")
    note(program)
    told = (outcome.status, outcome.error, outcome.detail, [unit.passed for unit in outcome.tests])
    assert outcome.passed is all(n % 2 == 0 for n in numbers) and outcome.status is not Status.INFRA, told
    # One that breaks its own side in telling of its failure has no credit at all.
    right = [n % 2 == 0 and outcome.status is not Status.KILLED for n in numbers]
    assert [unit.passed for unit in outcome.tests] == right, told


NUMBERS = st.lists(st.integers(0, 20), min_size=2, max_size=5, unique=True)


@settings(max_examples=60)
@given(st.sampled_from(["script", "check", "unittest"]), raisers(), NUMBERS)
def test_credit_is_for_what_is_right_however_the_rest_fails(
    quick_pool: Pool, kind: Kind, program: str, numbers: list[int]
) -> None:
    _assert_right_units_alone(quick_pool, kind, program, numbers)


@settings(max_examples=10)
@given(raisers(), NUMBERS)
def test_credit_is_for_what_is_right_under_pytest(quick_pool: Pool, program: str, numbers: list[int]) -> None:
    _assert_right_units_alone(quick_pool, "pytest", program, numbers)


# What a program reports beside its results: log records and warnings.

ODD_PARTS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**5000, -1, 1 << 31, float("nan"), "a", "\ud800", "%s %d", b"x", [], {}, ()]),
    st.text(max_size=5),
)
RECORDS = st.tuples(st.just("a"), st.integers(0, 60), st.text(), st.just("f"), st.integers(0, 9), st.none())
WARNED = st.builds(
    lambda kind, *args: kind(*args),
    st.sampled_from([UserWarning, DeprecationWarning, BytesWarning]),
    ODD_PARTS,
)


def _spoiled(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A message of such rows in which something may be anything."""
    rows = good.map(list).flatmap(
        lambda row: st.tuples(*[st.one_of(st.just(part), st.just(part), ODD_PARTS) for part in row]).map(list)
    )
    return st.lists(rows | ODD_PARTS, max_size=4) | ODD_PARTS


@pytest.mark.filterwarnings("ignore")
@given(_spoiled(RECORDS), _spoiled(st.tuples(WARNED, st.integers(0, 9))))
def test_reports_are_taken_in_or_malformed(records: Any, warned: Any) -> None:
    for told in ({"logging": records}, {"warnings": warned}):
        with suppress(CodecError):
            JudgeSide([*told], "", frozenset()).apply(told)
