"""Which solution a program for a shortcut task is, by the tests that it passed."""

from __future__ import annotations

from typing import Literal

from tasks.types import Task, Verdict


def is_shortcut(task: Task) -> bool:
    """Whether programs for `task` have a class."""
    return "popular" in task.metadata


def solution_class(task: Task, verdict: Verdict) -> Literal["popular", "rare", "wrong"] | None:
    """`rare`: passes every test; `popular`: exactly those that the popular solution passes; else `wrong`.

    None where `task` is no shortcut task, or where grading failed for a fault of ours.
    """
    popular = task.metadata.get("popular")
    if popular is None or verdict.passed is None:
        return None
    if verdict.passed:
        return "rare"
    passed = "".join("1" if test.passed else "0" for test in verdict.tests)
    return "popular" if passed == popular else "wrong"
