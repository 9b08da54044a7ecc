"""How many different errors does the policy make?"""

from __future__ import annotations

import math
from collections import Counter

from analysis.passk import pass_at_k


def error_entropy(failures: Counter[str]) -> float | None:
    """Entropy of a task's errors in nats, with Miller and Madow's correction (Miller 1955).

    H = - sum_f p_f ln p_f + (F - 1) / (2 m), with p_f = k_f / m and F the number of distinct errors:
    the plug-in value is too low by about the second term. None where nothing failed.
    """
    total = failures.total()
    if total == 0:
        return None
    plug_in = -sum(k / total * math.log(k / total) for k in failures.values() if k)
    distinct = sum(k > 0 for k in failures.values())
    return plug_in + (distinct - 1) / (2 * total)


def rarefied_distinct(failures: Counter[str], draws: int) -> float | None:
    """Expected number of distinct errors among `draws` of a task's failures.

    So that a task that failed often can be compared with one that failed seldom. None where the task has
    fewer failures than that.
    """
    return rarefied(failures, failures.total(), draws)


def rarefied(kinds: Counter[str], total: int, draws: int) -> float | None:
    """Expected number of distinct kinds among `draws` of `total` things drawn without replacement.

    sum_f [1 - C(total - k_f, draws) / C(total, draws)] (Hurlbert 1971); things of no kind may be among
    them. For passing programs and samples this is the coverage of distinct right programs. None where
    there are fewer things than draws.
    """
    if draws < 1 or total < draws:
        return None
    return sum(pass_at_k(total, k, draws) for k in kinds.values())
