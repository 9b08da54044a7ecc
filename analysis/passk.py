"""Unbiased pass@k and its interval.

pass@k is the probability that at least one of k samples drawn without replacement from a task's
n samples, c of them right, is right (Chen et al. 2021, arXiv 2107.03374, section 2.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from analysis.intervals import Estimate, bootstrap_mean

Counts = Sequence[tuple[int, int]]
"""One (n samples, c right) pair a task."""


def pass_at_k(n: int, c: int, k: int) -> float:
    """1 - C(n-c, k) / C(n, k), as the product form that neither overflows nor cancels.

    Raises ValueError unless 0 <= c <= n and 1 <= k <= n: with fewer than k samples there is no
    unbiased estimate.
    """
    if not 0 <= c <= n:
        raise ValueError(f"pass@k needs 0 <= c <= n, got n={n}, c={c}")
    if not 1 <= k <= n:
        raise ValueError(f"pass@k needs 1 <= k <= n, got n={n}, k={k}")
    if n - c < k:
        return 1.0
    all_wrong = 1.0
    for i in range(k):
        all_wrong *= (n - c - i) / (n - i)
    return 1.0 - all_wrong


def powers_of_two(limit: int) -> list[int]:
    """1, 2, 4, ... up to `limit`."""
    return [1 << i for i in range(max(limit, 0).bit_length())]


def mean_pass_at_k(counts: Counts, ks: Iterable[int]) -> dict[int, float]:
    """Mean of pass@k over tasks, for each k that every task has samples for; other k are left out."""
    usable = _usable(counts, ks)
    return {k: sum(pass_at_k(n, c, k) for n, c in counts) / len(counts) for k in usable}


def pass_at_k_intervals(counts: Counts, ks: Iterable[int] | None = None) -> dict[int, Estimate]:
    """As `mean_pass_at_k`, with 95% bootstrap intervals over tasks; by default at `stable_ks`."""
    chosen = _usable(counts, stable_ks([n for n, _ in counts]) if ks is None else ks)
    return {k: bootstrap_mean([pass_at_k(n, c, k) for n, c in counts]) for k in chosen}


def stable_ks(samples: Sequence[int]) -> list[int]:
    """1 and the powers of two up to half of the usual number of samples a task (their median).

    Beyond n/2 the estimate rests on few, strongly overlapping subsets. The median, so that a few tasks
    that lost samples to faults of ours do not decide.
    """
    return powers_of_two(max(int(median(samples)) // 2, 1)) if samples else []


def _usable(counts: Counts, ks: Iterable[int]) -> list[int]:
    if not counts:
        return []
    smallest = min(n for n, _ in counts)
    return sorted({k for k in ks if 1 <= k <= smallest})
