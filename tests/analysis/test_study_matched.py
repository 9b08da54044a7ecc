"""Which evaluations are held against each other at equal pass@1, on curves worked out by hand."""

from __future__ import annotations

import pytest

from analysis.measures.tally import TaskTally
from analysis.study.data import Policy, Study, class_shares, passing, repeating
from analysis.study.matched import difference, pair


def policy(name: str, passed_by_step: dict[int, int], errors: int = 1) -> Policy:
    """One task of ten samples, `passed_by_step` of them right and the rest spread over `errors` errors."""
    onway = {}
    for step, passed in passed_by_step.items():
        tally = TaskTally("easy", samples=10, passed=passed)
        for failure in range(10 - passed):
            tally.by_l2[str(failure % errors)] += 1
        onway[step] = {"task": tally}
    return Policy(name, onway=onway)


def test_the_lower_one_is_taken_at_its_end_and_the_other_where_it_was_as_far() -> None:
    fast = policy("fast", {0: 5, 10: 4, 20: 7, 30: 9})
    slow = policy("slow", {0: 2, 10: 3, 20: 4, 30: 5})
    # Step 0 is the warm model and no arm's: fast was at 0.5 there, but at step 10 is nearest among the trained.
    assert pair(fast, slow)[2:] == (10, 30)
    assert pair(slow, fast)[2:] == (30, 10)
    assert pair(slow, slow)[2:] == (30, 30)


def test_the_difference_at_equal_pass_at_1_leaves_progress_out() -> None:
    policies = {
        "grpo-seed0": policy("grpo-seed0", {0: 2, 10: 4, 20: 8}),
        "grpo_n-seed0": policy("grpo_n-seed0", {0: 2, 10: 3, 20: 4}, errors=6),
    }
    study = Study(None, {"arms": {"grpo": [], "grpo_n": []}, "once": [], "seeds": [0]}, policies)  # type: ignore[arg-type]
    assert difference(study, "grpo", "grpo_n", passing(1)).value == 0
    # Six failures each: 6 * 5 equal pairs of 10 * 9 against none.
    assert difference(study, "grpo", "grpo_n", repeating).value == pytest.approx(-30 / 90)


def test_shares_are_of_one_level() -> None:
    shortcut, control = TaskTally("shortcut", samples=4), TaskTally("shortcut-control", samples=4)
    shortcut.by_class.update(popular=3, rare=1)
    control.by_class.update(wrong=4)
    tasks = {"a": shortcut, "b": control, "c": TaskTally("easy", samples=4)}
    assert class_shares(tasks, "shortcut") == {"popular": 0.75, "rare": 0.25, "wrong": 0.0}
    assert class_shares(tasks, "shortcut-control") == {"popular": 0.0, "rare": 0.0, "wrong": 1.0}
    assert class_shares(tasks, "hard") == {}
