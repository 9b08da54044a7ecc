"""Every measure against values computed by hand or published."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from analysis.measures.correction import (
    Revisions,
    excess_correction,
    harm_rate,
    self_correction_rate,
    talks_of_correction,
)
from analysis.measures.diversity import error_entropy, rarefied, rarefied_distinct
from analysis.measures.recurrence import recurrence, repeat_error_rate
from analysis.measures.transitions import error_change, fisher, solved_change
from analysis.mistakes.programs import form


def test_recurrence_is_the_share_of_equal_pairs_of_failures() -> None:
    # 3 of a and 1 of b: of 4 * 3 ordered pairs 3 * 2 are alike.
    assert recurrence(Counter(a=3, b=1)) == pytest.approx(0.5)
    assert recurrence(Counter(a=4)) == 1.0
    assert recurrence(Counter(a=1, b=1)) == 0.0
    assert recurrence(Counter(a=1)) is None


def test_repeat_error_rate_is_over_all_pairs_of_samples() -> None:
    assert repeat_error_rate(Counter(a=3, b=1), samples=8) == pytest.approx(6 / 56)
    assert repeat_error_rate(Counter(), samples=8) == 0.0
    assert repeat_error_rate(Counter(), samples=1) is None


def test_error_entropy_adds_the_correction_of_miller_and_madow() -> None:
    # Two equally frequent errors among four: ln 2 + (2 - 1) / (2 * 4).
    assert error_entropy(Counter(a=2, b=2)) == pytest.approx(math.log(2) + 0.125)
    assert error_entropy(Counter(a=5)) == pytest.approx(0.0)
    assert error_entropy(Counter()) is None


def test_the_correction_lessens_the_bias_of_small_samples() -> None:
    import random

    draw = random.Random(0)
    trials = [Counter(draw.choices(range(6), k=20)) for _ in range(2000)]
    plug_in = [-sum(k / 20 * math.log(k / 20) for k in t.values()) for t in trials]
    corrected = [error_entropy(Counter({str(k): v for k, v in t.items()})) or 0.0 for t in trials]
    truth = math.log(6)
    assert abs(sum(corrected) / 2000 - truth) < 0.2 * abs(sum(plug_in) / 2000 - truth)


def test_rarefaction_is_hurlberts() -> None:
    # Of {a, a, b} two are drawn: {a, a} 1/3, {a, b} 2/3, so 1 + 2/3 kinds are expected.
    assert rarefied_distinct(Counter(a=2, b=1), 2) == pytest.approx(5 / 3)
    assert rarefied_distinct(Counter(a=2, b=1), 3) == pytest.approx(2)
    assert rarefied_distinct(Counter(a=2, b=1), 4) is None
    # Three samples, one of which fails and is of no kind: {a, a}, {a, fail}, {a, fail}.
    assert rarefied(Counter(a=2), 3, 2) == pytest.approx(1)
    assert rarefied(Counter(a=1), 3, 2) == pytest.approx(2 / 3)


def test_programs_are_the_same_whatever_their_layout() -> None:
    assert form("def f(x):\n    return 'a'  # one\n") == form('def f(x):\n\n  return "a"\n')
    assert form("def f(x):\n    return 1\n") != form("def f(y):\n    return 1\n")
    assert form("def f(:") != form("def f(: ")
    assert form("'\\d'") == form('"\\d"')  # warns when compiled
    deep = "-" * 3000 + "1"
    assert form(deep) == form(deep) and form("x = 1\n" * 100_000)


def test_self_correction_and_harm_are_conditional_on_the_first_attempt() -> None:
    tasks = [Revisions(3, 1, 0, 4, 8, 4), Revisions(0, 2, 1, 1, 4, 2)]
    assert self_correction_rate(tasks).value == pytest.approx(3 / 6)
    assert harm_rate(tasks).value == pytest.approx(1 / 6)


def test_a_policy_that_only_draws_again_has_no_excess_correction() -> None:
    # A fresh attempt passes half the time, and so does the second attempt after a failure.
    redraw = Revisions(5, 5, 5, 5, fresh_samples=20, fresh_passed=10)
    assert excess_correction([redraw] * 4).value == pytest.approx(0.0)
    # Two tasks, weighted 4 and 1: (4 * (1/2 - 1/4) + 1 * (1 - 1/2)) / 5.
    mixed = [Revisions(2, 2, 0, 0, 8, 2), Revisions(0, 1, 0, 1, 2, 1)]
    assert excess_correction(mixed).value == pytest.approx(0.3)
    assert excess_correction([Revisions(0, 0, 1, 1, 2, 2)]).tasks == 0


@pytest.mark.parametrize(
    ("completion", "talks"),
    [
        ("```python\nx = 1\n```\nWait, this fails on an empty list.", True),
        ("```python\nx = 1  # oops\n```\nDone.", False),
        ("def f(x):\n    # wait, that is wrong\n    return x\n", False),
        ("```python\nx = 1\n", False),
        ("Let me check again.\n```python\nx = 1", True),
    ],
)
def test_talk_of_correction_is_looked_for_outside_of_code(completion: str, talks: bool) -> None:
    assert talks_of_correction(completion) is talks


def test_errors_are_fixed_introduced_or_persistent_by_task() -> None:
    before = {"t": (Counter(a=1, b=2), 4), "u": (Counter(a=4), 4), "only-before": (Counter(z=1), 4)}
    after = {"t": (Counter(b=1, c=3), 4), "u": (Counter[str](), 4)}
    change = error_change(before, after)
    assert (change.fixed, change.introduced, change.persistent) == (2, 1, 1)


def test_a_side_that_draws_more_samples_introduces_no_errors_by_that() -> None:
    """Once in 4 samples against never in 2: two of the four show it with probability 1/2."""
    change = error_change({"t": (Counter[str](), 2)}, {"t": (Counter(a=1), 4)})
    assert (change.fixed, change.introduced, change.persistent) == pytest.approx((0, 0.5, 0))
    both = error_change({"t": (Counter(a=2), 2)}, {"t": (Counter(a=1), 4)})
    assert (both.fixed, both.persistent) == pytest.approx((0.5, 0.5))


def test_tasks_gained_and_lost() -> None:
    before = {"a": (8, 8), "b": (8, 1), "c": (8, 0), "d": (8, 0), "e": (8, 0), "x": (8, 1)}
    after = {"a": (8, 1), "b": (8, 0), "c": (8, 1), "d": (8, 0), "e": (8, 8)}
    change = solved_change(before, after)
    assert (change.gained, change.lost, change.kept, change.unsolved) == (("c", "e"), ("b",), 1, 1)
    assert (change.clearly_gained, change.clearly_lost) == (("e",), ())
    assert change.p_value == 1.0
    # One pass in 64 samples is hardly seen in 8 of them: with as few as the other side has, no gain.
    assert solved_change({"a": (8, 0)}, {"a": (64, 1)}).gained == ()
    assert solved_change({"a": (8, 0)}, {"a": (64, 32)}).gained == ("a",)


def test_fishers_exact_test_by_hand_and_published() -> None:
    # None of 4 against 4 of 4: one of the C(8, 4) = 70 ways.
    assert fisher((4, 0), (4, 4)) == pytest.approx(1 / 70)
    # Fisher's lady tasting tea (The Design of Experiments, 1935): 3 of 4 cups right, p = 17/70.
    assert fisher((4, 1), (4, 3)) == pytest.approx(17 / 70)
    assert fisher((4, 2), (4, 0)) == 1.0
