"""Comparison on the host: right by the rules, bounded and silent on hostile values."""

from __future__ import annotations

import copy
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.inside.values.codec import Opaque
from tasks.grading.compare import evalplus_compare, is_plain, matches, reference_value
from tasks.grading.shorten import short
from tasks.types import Compare

EQUAL = Compare()
OPAQUE = Opaque("program.E", "<E object>")
NAN = float("nan")

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=8),
    st.complex_numbers(),
)
hashables = st.recursive(scalars, lambda inner: st.tuples(inner, inner), max_leaves=4)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(hashables, inner, max_size=3),
        st.frozensets(hashables, max_size=3),
    ),
    max_leaves=12,
)
kinds = st.sampled_from(
    [
        EQUAL,
        Compare(kind="close", atol=1e-6),
        Compare(kind="close", rtol=1e-6),
        Compare(kind="json"),
        Compare(kind="livecodebench"),
        Compare(kind="apps"),
        Compare(kind="apps", note="wrapped"),
        Compare(kind="truth"),
        Compare(kind="is"),
        *(
            Compare(kind="evalplus", atol=atol, note=note)
            for note in ("", "root", "any", "or_zero", "surface", "digits", "set", "not_none")
            for atol in (0.0, 1e-6)
        ),
    ]
)


@given(values, values, kinds, st.lists(values, max_size=2))
def test_no_pair_of_plain_values_makes_a_comparison_raise(actual, expected, compare, args):
    assert matches(actual, expected, compare, args) in (True, False)


@given(values, values)
def test_equal_is_pythons_equality(actual, expected):
    assert matches(actual, expected, EQUAL) == (actual == expected)
    again = copy.deepcopy(expected)
    assert matches(again, expected, EQUAL) == (again == expected)


def _holding(value):
    return [value, [1, value], (1, (value,)), {"k": value}, {"k": [value]}]


@pytest.mark.parametrize("actual", _holding(OPAQUE))
@pytest.mark.parametrize(
    "compare",
    [
        EQUAL,
        Compare(kind="json"),
        Compare(kind="livecodebench"),
        Compare(kind="apps", note="wrapped"),
        Compare(kind="truth"),
        Compare(kind="close", atol=9),
        evalplus_compare("mbpp", "are_equivalent", 0),
    ],
)
def test_an_opaque_value_anywhere_is_wrong(actual, compare):
    assert not matches(actual, actual, compare)
    assert not matches(actual, True, compare)


@pytest.mark.parametrize(
    ("actual", "expected", "right"),
    [
        (1, True, True),
        (True, 1, True),
        (1.0, 1, True),
        ((1, 2), [1, 2], False),
        (NAN, NAN, False),
        ("3", 3, False),
    ],
)
def test_equal_follows_python_between_types(actual, expected, right):
    assert matches(actual, expected, EQUAL) is right


@pytest.mark.parametrize(
    ("actual", "expected", "right"),
    [
        (1.0005, 1.0, True),
        (1.002, 1.0, False),
        ([1.0005, {"a": (2.0005,)}], [1.0, {"a": (2.0,)}], True),
        ([1.0005], [1.0, 1.0], False),
        ([1.0], (1.0,), False),
        (math.inf, math.inf, True),
        (math.inf, 1.0, False),
        (1.0, math.inf, False),
        (-math.inf, math.inf, False),
        (1j, complex(0.0, math.inf), False),
        ([1.0, 2.0], [1.0, -math.inf], False),
        (NAN, 1.0, False),
        (1.0, NAN, False),
        ("1.0", 1.0, False),
        (10**400, 1.0, False),
        (True, 1.0, True),
        ({"a": 1.0005, "b": 1.0}, {"a": 1.0}, False),
    ],
)
def test_close_within_an_absolute_tolerance(actual, expected, right):
    assert matches(actual, expected, Compare(kind="close", atol=1e-3)) is right


def test_relative_tolerance_scales_with_the_expected_value():
    compare = Compare(kind="close", rtol=0.1)
    assert matches(110.0, 100.0, compare)
    assert not matches(100.0, 90.0, compare)


@pytest.mark.parametrize("compare", [Compare(kind="close", atol=5.0), Compare(kind="close", rtol=0.1)])
def test_integers_are_exact_under_a_tolerance(compare):
    assert matches(10**15, 10**15, compare) and matches([101.0], [100], compare)
    assert not matches(10**15 + 1, 10**15, compare) and not matches([101], [100], compare)


@given(st.floats() | st.complex_numbers(), st.sampled_from([math.inf, -math.inf, complex(0, math.inf)]))
def test_an_infinity_is_near_to_itself_only(actual, expected):
    for compare in (Compare(kind="close", atol=1e300, rtol=0.5), Compare(kind="evalplus", atol=1e-3)):
        assert matches(actual, expected, compare) is (actual == expected)


def test_truth_and_identity():
    assert matches([0], True, Compare(kind="truth")) and not matches([], True, Compare(kind="truth"))
    assert matches(0, False, Compare(kind="truth"))
    assert matches(None, None, Compare(kind="is")) and not matches(1, True, Compare(kind="is"))


class TestEvalplus:
    def test_floats_get_a_tolerance_without_being_asked(self):
        compare = evalplus_compare("humaneval", "f", 0)
        assert matches(1.0000005, 1.0, compare)
        assert matches([1.0000005, 2.0], [1.0, 2.0], compare)
        assert not matches(1.00001, 1.0, compare)

    def test_a_tolerance_needs_the_same_type(self):
        compare = evalplus_compare("humaneval", "f", 0)
        assert matches(1, 1.0, compare)  # equal
        assert not matches((1.0000005,), [1.0], compare)
        assert not matches([1.0000005], [1.0, 1.0], compare)

    def test_other_values_must_be_equal(self):
        compare = evalplus_compare("humaneval", "f", 0)
        assert not matches([1, 1.0000005], [1, 1.0], compare)  # not all floats
        assert not matches("a", "b", compare)

    def test_the_tasks_own_tolerance_holds_for_every_value(self):
        compare = evalplus_compare("humaneval", "f", 1e-3)
        assert matches([1, 1.0005], [1, 1.0], compare)
        assert not matches("a", "b", compare)

    def test_find_zero_takes_any_root(self):
        compare = evalplus_compare("humaneval", "find_zero", 1e-4)
        args = ([2.0, -3.0, 1.0],)  # (x - 1)(x - 2)
        assert matches(1.0, 2.0, compare, args) and matches(2.0, 2.0, compare, args)
        assert not matches(1.5, 2.0, compare, args)
        assert matches(1.5, 1.5, compare, args)  # as the reference
        assert not matches("1", 2.0, compare, args) and not matches(10**400, 2.0, compare, args)

    @pytest.mark.parametrize(
        ("actual", "right"),
        [([3, 1, 1], True), ((1, 3), True), ([1], False), ([1, 3, 4], False), (7, False), ([[1]], False)],
    )
    def test_set_tasks_ignore_order_and_repeats(self, actual, right):
        assert matches(actual, [1, 3], evalplus_compare("mbpp", "Diff", 0)) is right

    def test_not_none_tasks_keep_only_whether_there_is_an_answer(self):
        compare = evalplus_compare("mbpp", "check_str", 0)
        assert reference_value(OPAQUE, compare) is True and reference_value(None, compare) is False
        assert matches(OPAQUE, True, compare) and matches(True, True, compare)
        assert not matches(False, True, compare) and not matches(None, True, compare)
        assert matches(None, False, compare)

    def test_or_zero_surface_and_digits(self):
        assert matches(0, 7, evalplus_compare("mbpp", "sum_div", 0))
        assert not matches(1, 7, evalplus_compare("mbpp", "sum_div", 0))
        # base 3, perpendicular height 4: 9 + 2 * 3 * sqrt(1.5**2 + 16) = 34.63
        assert matches(35, 33, evalplus_compare("mbpp", "surface_Area", 0), (3, 4))
        assert not matches(34, 33, evalplus_compare("mbpp", "surface_Area", 0), (3, 4))
        # |1-0| + |2-0| + |3-9|
        assert matches(9, 8, evalplus_compare("mbpp", "digit_distance_nums", 0), (123, 9))
        assert not matches(7, 8, evalplus_compare("mbpp", "digit_distance_nums", 0), (123, 9))

    def test_notes_belong_to_one_dataset(self):
        assert evalplus_compare("humaneval", "sum_div", 0).note == ""


COLLIDING = [i * (2**61 - 1) for i in range(300_000)]  # all hash to 0


@pytest.mark.parametrize(
    "actual",
    [10 ** (10**6), COLLIDING, range(10**18), "x" * 10**7, [[]] * 10**6, [NAN] * 10**6],
    ids=lambda v: str(type(v)),
)
@pytest.mark.parametrize(
    "compare",
    [
        EQUAL,
        Compare(kind="close", atol=1.0),
        Compare(kind="apps", note="wrapped"),
        Compare(kind="livecodebench"),
        evalplus_compare("mbpp", "Diff", 0),
    ],
)
def test_hostile_values_are_refused_quickly(actual, compare):
    started = time.process_time()
    assert not matches(actual, [1, 2], compare)
    assert not matches(actual, 1.5, compare)
    assert len(short(actual)) <= 400
    assert time.process_time() - started < 2


@given(values)
def test_short_is_bounded_and_plain_values_are_plain(value):
    assert is_plain(value)
    assert 0 < len(short(value, limit=50)) <= 50


def test_short_shows_small_values_whole():
    assert short([1, (2.5, "a"), {"k": None}]) == "[1, (2.5, 'a'), {'k': None}]"
    assert short(10**5000).startswith("<int of")
