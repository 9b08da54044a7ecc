"""A value that is wrong only by what JSON cannot say, or by rounding: the verdict names the remedy."""

from __future__ import annotations

import pytest

from sandbox.protocol import Outcome, Status, TestOutcome
from tasks.grading.hints import MOST, hint
from tasks.grading.judge_outcomes import call_verdict, why
from tasks.types import CallTest


@pytest.mark.parametrize(
    ("actual", "expected", "says"),
    [
        ((1, [2]), [1, [2]], 'a tuple, expected a list: {"t": [...]}, or "compare": {"kind": "json"}'),
        ([[(1,)]], [[[1]]], "a tuple, expected a list"),
        ([1], (1,), 'a list, expected a tuple: "compare": {"kind": "json"}'),
        ({1, 2}, [1, 2], 'a set, expected a list: {"set": [...]}'),
        (frozenset("a"), ["a"], '{"frozenset": [...]}'),
        ({1: "a"}, {"1": "a"}, '{"d": [1, "one", 2, "two"]}'),
        ({1: (2,)}, {"1": [2]}, "keys that are no strings"),
        (0.1 + 0.2, 0.3, 'off by 6e-17: "compare": {"kind": "close", "rtol": 1e-6}'),
        ([0.30000001], [0.3], "off by 1e-08"),
        ([1, (2,)], [7, [2]], ""),
        ((1, 2), [1], ""),
        ({1, 2}, [1, 3], ""),
        ({1: "a"}, {"2": "a"}, ""),
        (0.4, 0.3, ""),
        (1, "1", ""),
        (None, [], ""),
    ],
)
def test_what_is_hinted_at(actual: object, expected: object, says: str) -> None:
    found = hint(actual, expected)
    assert says in found and bool(found) == bool(says)


def test_a_hint_looks_at_so_many_values_only() -> None:
    assert hint(tuple(range(MOST - 1)), list(range(MOST - 1)))
    assert not hint(tuple(range(MOST + 1)), list(range(MOST + 1)))


def test_the_verdict_and_its_line_say_it() -> None:
    outcome = Outcome(job_id="t", status=Status.OK, tests=(TestOutcome(status=Status.OK, value=(1,)),))
    verdict = call_verdict("t", [CallTest(function="f", expected=[1])], outcome)
    assert not verdict.passed and verdict.detail.startswith("a tuple, expected a list")
    assert why(verdict).startswith("call 1: (1,) instead of [1] (a tuple, expected a list: ")
    right = call_verdict("t", [CallTest(function="f", expected=(1,))], outcome)
    assert right.passed and right.detail == ""
