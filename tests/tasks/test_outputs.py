"""Printed output against the expected one, by each data set's rule."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.grading.compare import same_output

RULES = ["lines", "stripped", "livecodebench", "apps", "code_contests", "primeintellect"]


class TestLines:
    @pytest.mark.parametrize("actual", ["1 2\n3\n", "1 2\n3", "1 2  \n3\t\n\n\n", "1 2\r\n3\r\n"])
    def test_trailing_space_is_ignored(self, actual):
        assert same_output(actual, "1 2\n3\n")

    @pytest.mark.parametrize(
        "actual",
        ["", "1 2\n", "1 2\n3\n4\n", "1  2\n3\n", " 1 2\n3\n", "\n1 2\n3\n", "1 2 3\n", "1 2\n\n3\n"],
    )
    def test_anything_else_is_not(self, actual):
        assert not same_output(actual, "1 2\n3\n")

    def test_a_tolerance_holds_for_written_fractions_only(self):
        assert same_output("0.3333333\n", "0.3333334\n", 1e-6)
        assert not same_output("0.3333333\n", "0.3333334\n")
        assert not same_output("0.33\n", "0.34\n", 1e-6)
        assert same_output("x 1e3 y\n", "x 1000.0005 y\n", 1e-6)
        assert not same_output("1000000000000000001\n", "1000000000000000000\n", 1e-6)
        assert not same_output("nan\n", "1.0\n", 1e-6) and not same_output("inf\n", "1e400\n", 1e-6)
        assert not same_output("0.5\n0.5\n", "0.5\n", 1e-6) and not same_output("0.5 0.5\n", "0.5\n", 1e-6)


# What each rule says of (actual, expected). The letters: S stripped, L livecodebench, A apps, C code_contests,
# P primeintellect; those named accept, the others refuse.
CASES = [
    ("1 2\n3", "1 2\n3\n", "SLACP"),
    ("  1 2 \n3  \n\n", "1 2\n3\n", "SLACP"),
    ("\n1\n", "1", "SLACP"),
    ("1\n2\n3", " 1\n 2\n 3", "SLACP"),
    ("1 \n2  ", "1\n2", "SLACP"),
    ("1\r\n2\r\n", "1\n2\n", "SLACP"),
    ("1  2", "1 2", "ACP"),
    ("1\t2 3", "1 2 3", "ACP"),
    ("1.0 2", "1 2.00", "LACP"),
    ("a  b", "a b", "ACP"),
    ("a\tb", "a b", "ACP"),
    ("1\n\n2", "1\n2", "ACP"),
    ("a\nb", "a b", "C"),
    ("1\n2\n3", "1 2 3", "CP"),
    ("1 2 3", "1\n2\n3", "CP"),
    ("3.0", "3", "LACP"),
    ("3", "3.0", "LACP"),
    ("2.50", "2.5", "LACP"),
    ("2.5e0", "2.5", "LACP"),
    ("03", "3", "LCP"),
    ("+3", "3", "LCP"),
    ("-0", "0", "LCP"),
    ("-3", "3", ""),
    ("2.500000001", "2.5", "ACP"),
    ("0.333333", "0.333333333333", "ACP"),
    ("0.3333", "0.33333", "AP"),
    ("0.333", "0.3337", "P"),
    ("0.33", "0.34", ""),
    ("3.0000001 2.9999999 0.9999998\n1.0000000 0", "3 3 1\n1 0\n", "ACP"),
    ("x 0.3333333", "x 0.33333333", "AC"),
    ("YES 3.0", "YES 3", "AC"),
    ("123456789.5", "123456789.6", "A"),  # relative; the others are absolute
    ("Yes", "YES", "C"),
    ("ÄB", "äb", ""),  # ASCII letters only
    ("yes no", "yes", ""),
    ("yes", "yes no", ""),
    ("yes", "", ""),
    ("", "yes", ""),
    ("", "\n", "SLACP"),
    ("2 1", "1 2", ""),  # no set: order counts
    ("1 1 2", "1 2", ""),
    ("2\n1", "1\n2", ""),
    ("21 32 43", "12 23 34", ""),
    ("1000000000000000001", "1000000000000000000", ""),
    ("1000000000000000000.0", "1000000000000000000", "LACP"),
    ("9" * 5000, "9" * 5000, "SLACP"),
    ("0" + "9" * 5000, "9" * 5000, "LCP"),
    ("9" * 4999 + "8", "9" * 5000, ""),
    ("1\0", "1", ""),
    ("nan", "1.0", ""),
    ("inf", "1.0", ""),
    ("1.0", "inf", ""),
    ("1e400", "inf", ""),
    ("nan", "nan", "SLACP"),
    ("1_0.0", "10.0", "L"),  # Decimal's own notation, as LiveCodeBench has it
    ("0x10", "16", ""),
    ("\xe9", "e", ""),
    ("é 日本", "é 日本\n", "SLACP"),
    ("日本 é", "é 日本", ""),
    ("1,2", "1 2", ""),
    ("[1, 2]", "1 2", ""),
    ("True", "true", "C"),
    ("3\nextra", "3", ""),
    ("3 extra", "3", ""),
    ("the answer is 3", "3", ""),
]


@pytest.mark.parametrize("rule", RULES[1:])
@pytest.mark.parametrize(("actual", "expected", "accepted"), CASES)
def test_each_rule_accepts_what_its_grader_accepts(actual, expected, accepted, rule):
    assert same_output(actual, expected, rule=rule) is (rule[0].upper() in accepted)


@given(st.text(max_size=30), st.text(max_size=30), st.sampled_from(RULES), st.sampled_from([None, 1e-6]))
def test_output_is_its_own_equal_and_nothing_raises(actual, expected, rule, tolerance):
    assert same_output(expected, expected, tolerance, rule)
    assert same_output(actual, expected, tolerance, rule) in (True, False)


TOKENS = st.text("0123456789+-.eE_ \n\t\r\x0b\x0c\x1c", max_size=20) | st.sampled_from(
    ["nan", "inf", "-Infinity", "sNaN", "1e999999999", "1e-999999999", "9" * 5000, "1e" + "9" * 30]
)


@given(TOKENS, TOKENS, st.sampled_from(RULES))
def test_no_number_makes_a_rule_raise_and_both_ways_agree_on_integers(actual, expected, rule):
    verdict = same_output(actual, expected, 1e-6, rule)
    got, want = actual.strip(), expected.strip()
    if got.isdigit() and want.isdigit() and max(len(got), len(want)) < 300 and int(got) != int(want):
        assert not verdict


HOSTILE = [
    "0" * 10**6 + "x",
    "9" * 10**6,
    "1 " * 500_000,
    "\n" * 10**6 + "1",
    "1e" + "0" * 10**6,
    "+" * 10**6,
]


@pytest.mark.parametrize("actual", HOSTILE, ids=lambda text: f"{text[:4]!r}")
@pytest.mark.parametrize("rule", RULES)
def test_hostile_output_is_refused_quickly(actual, rule):
    started = time.process_time()
    assert not same_output(actual, "1.5 2\n3\n", 1e-6, rule)
    assert not same_output(actual, "2.5", 1e-6, rule)
    assert time.process_time() - started < 2
