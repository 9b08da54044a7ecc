"""Does the policy make the same error again on the same task?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from analysis.intervals import Estimate, bootstrap_mean


def recurrence(failures: Counter[str]) -> float | None:
    """R = sum_f k_f (k_f - 1) / (m (m - 1)): the chance that two failures of a task are the same error.

    None where a task has fewer than two failures.
    """
    total = failures.total()
    return None if total < 2 else _equal_pairs(failures.values()) / (total * (total - 1))


def repeat_error_rate(failures: Counter[str], samples: int) -> float | None:
    """sum_f k_f (k_f - 1) / (n (n - 1)): the chance that two samples of a task are the same error.

    It falls with the number of failures as well as with their sameness. None below two samples.
    """
    return None if samples < 2 else _equal_pairs(failures.values()) / (samples * (samples - 1))


def mean_recurrence(tasks: Sequence[Counter[str]], *, seed: int = 0) -> Estimate:
    """Mean of R over the tasks with at least two failures."""
    values = [value for task in tasks if (value := recurrence(task)) is not None]
    return bootstrap_mean(values, seed=seed)


def mean_repeat_error_rate(tasks: Sequence[tuple[Counter[str], int]], *, seed: int = 0) -> Estimate:
    """Mean repeat-error rate over tasks, given as (failures, samples)."""
    values = [value for task, n in tasks if (value := repeat_error_rate(task, n)) is not None]
    return bootstrap_mean(values, seed=seed)


def _equal_pairs(counts: Collection[int]) -> int:
    return sum(k * (k - 1) for k in counts)
