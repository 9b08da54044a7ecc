"""Does the policy make the same error again on the same task?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection


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


def _equal_pairs(counts: Collection[int]) -> int:
    return sum(k * (k - 1) for k in counts)
