"""What changed between two checkpoints on the same tasks?

Both sides are held to the same number of samples m a task, the smaller of the two: who draws more often
sees more errors, and solves more tasks, by that alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import comb

from analysis.intervals import mcnemar
from analysis.passk import pass_at_k

CHANCE = 0.01


@dataclass(frozen=True, slots=True)
class ErrorChange:
    """Numbers of errors (task, fingerprint): seen only before, only after, both times.

    Whole numbers where both sides have the same samples a task, else expectations.
    """

    fixed: float
    introduced: float
    persistent: float


Failures = tuple[Counter[str], int]
"""One task's failures by fingerprint, and its number of samples."""


def error_change(before: Mapping[str, Failures], after: Mapping[str, Failures]) -> ErrorChange:
    """Compare the errors seen on each task (task -> `Failures`), tasks in both only.

    An error that k of n samples made is seen in m of them with probability 1 - C(n-k, m) / C(n, m).
    """
    fixed = introduced = persistent = 0.0
    for task in before.keys() & after.keys():
        (old, n_old), (new, n_new) = before[task], after[task]
        m = min(n_old, n_new)
        if m == 0:
            continue
        for mark in old.keys() | new.keys():
            p_old, p_new = pass_at_k(n_old, old[mark], m), pass_at_k(n_new, new[mark], m)
            fixed += p_old * (1 - p_new)
            introduced += p_new * (1 - p_old)
            persistent += p_old * p_new
    return ErrorChange(fixed, introduced, persistent)


@dataclass(frozen=True, slots=True)
class SolvedChange:
    """Tasks solved in m samples, before against after; `p_value` is exact McNemar's.

    A task that passes once in many samples is solved on one side and not on the other by luck alone.
    `clearly_gained` and `clearly_lost` are those tasks whose change is none (p < 0.01, Fisher's exact test,
    one-sided, each task by itself).
    """

    gained: tuple[str, ...]
    lost: tuple[str, ...]
    clearly_gained: tuple[str, ...]
    clearly_lost: tuple[str, ...]
    kept: int
    unsolved: int
    p_value: float


Passes = tuple[int, int]
"""One task's samples, and how many of them pass."""


def solved_change(before: Mapping[str, Passes], after: Mapping[str, Passes]) -> SolvedChange:
    """Compare passes on each task (task -> `Passes`), tasks in both only.

    Solved: more likely than not, one of m samples passes; with m samples on both sides, one of them does.
    """
    shared = sorted(task for task in before.keys() & after.keys() if before[task][0] and after[task][0])
    size = {task: min(before[task][0], after[task][0]) for task in shared}
    was = {task: pass_at_k(*before[task], size[task]) >= 0.5 for task in shared}
    now = {task: pass_at_k(*after[task], size[task]) >= 0.5 for task in shared}
    gained = tuple(task for task in shared if now[task] and not was[task])
    lost = tuple(task for task in shared if was[task] and not now[task])
    kept = sum(was[task] and now[task] for task in shared)
    return SolvedChange(
        gained,
        lost,
        tuple(task for task in gained if fisher(before[task], after[task]) < CHANCE),
        tuple(task for task in lost if fisher(after[task], before[task]) < CHANCE),
        kept,
        len(shared) - len(gained) - len(lost) - kept,
        mcnemar(len(gained), len(lost)),
    )


def fisher(low: Passes, high: Passes) -> float:
    """Fisher's exact test, one-sided: P(`high` has at least as many of all passes, were both sides alike)."""
    (n_low, c_low), (n_high, c_high) = low, high
    passes = c_low + c_high
    ways = sum(comb(n_high, c) * comb(n_low, passes - c) for c in range(c_high, min(n_high, passes) + 1))
    return ways / comb(n_low + n_high, passes)
