"""How many different errors does the policy make?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from analysis.intervals import Estimate, bootstrap_mean


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
    """Expected number of distinct errors among `draws` failures drawn without replacement.

    sum_f [1 - C(m - k_f, draws) / C(m, draws)] (Hurlbert 1971), so that a task that failed often can
    be held against one that failed seldom. None where the task has fewer failures than that.
    """
    total = failures.total()
    if draws < 1 or total < draws:
        return None
    below = math.comb(total, draws)
    return sum(1 - math.comb(total - k, draws) / below for k in failures.values() if k)


def mean_error_entropy(tasks: Sequence[Counter[str]], *, seed: int = 0) -> Estimate:
    """Mean error entropy over the tasks with at least one failure."""
    values = [value for task in tasks if (value := error_entropy(task)) is not None]
    return bootstrap_mean(values, seed=seed)


def mean_rarefied_distinct(tasks: Sequence[Counter[str]], draws: int, *, seed: int = 0) -> Estimate:
    """Mean rarefied distinct errors over the tasks with at least `draws` failures."""
    values = [value for task in tasks if (value := rarefied_distinct(task, draws)) is not None]
    return bootstrap_mean(values, seed=seed)
