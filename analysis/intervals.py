"""Intervals and tests that every measure shares: bootstrap over tasks, paired permutation, McNemar.

Tasks, not completions, are the unit that is drawn: the samples of one task are alike, and an
interval over completions would be far too narrow. Everything is seeded, so a report repeats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

RESAMPLES = 2000
PERMUTATIONS = 10_000
TAILS = [0.025, 0.975]  # of a 95% interval
LARGEST_DRAW = 1_000_000  # numbers drawn at once, to bound memory

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95% interval; `tasks` is the number of tasks it rests on."""

    value: float
    low: float
    high: float
    tasks: int


def bootstrap_mean(
    values: Sequence[float],
    weights: Sequence[float] | None = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """(Weighted) mean over tasks with a percentile bootstrap interval (Efron and Tibshirani 1993).

    `values` and `weights` have one entry a task. A resample in which every weight is 0 is left out.
    No tasks give NaN.
    """
    data = np.asarray(values, dtype=np.float64)
    load = np.ones_like(data) if weights is None else np.asarray(weights, dtype=np.float64)
    if data.size == 0 or load.sum() == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    rng = np.random.default_rng(seed)
    chunk = max(1, LARGEST_DRAW // data.size)
    means = np.concatenate(
        [_resampled(data, load, min(chunk, resamples - done), rng) for done in range(0, resamples, chunk)]
    )
    low, high = np.quantile(means, TAILS)
    return Estimate(float(np.average(data, weights=load)), float(low), float(high), int(data.size))


def _resampled(data: Floats, load: Floats, times: int, rng: np.random.Generator) -> Floats:
    drawn = rng.integers(0, data.size, size=(times, data.size))
    totals = load[drawn].sum(axis=1)
    sums = (data * load)[drawn].sum(axis=1)
    means: Floats = sums[totals > 0] / totals[totals > 0]
    return means


def bootstrap_runs(runs: Sequence[Sequence[float]], *, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """Mean over runs and tasks, one row of `runs` a training seed, its entries the same tasks in each.

    Runs and tasks are crossed, so each resample draws runs and, for all of them alike, tasks (the pigeonhole
    bootstrap, Owen 2007). With one run its interval is `bootstrap_mean`'s. With few runs it is too narrow:
    two of them are the same one in half of the resamples.
    """
    data = np.asarray(runs, dtype=np.float64)
    if data.size == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    means = _resampled_runs(data, seed, 1, resamples)
    low, high = np.quantile(means, TAILS)
    return Estimate(float(data.mean()), float(low), float(high), data.shape[1])


def difference_of_runs(base: Sequence[Sequence[float]], candidate: Sequence[Sequence[float]]) -> Estimate:
    """Mean of candidate - base: runs are drawn for each side by itself, tasks for both alike."""
    before, after = (np.asarray(runs, dtype=np.float64) for runs in (base, candidate))
    if before.size == 0 or after.size == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    differences = _resampled_runs(after, 0, 1, RESAMPLES) - _resampled_runs(before, 0, 2, RESAMPLES)
    low, high = np.quantile(differences, TAILS)
    return Estimate(float(after.mean() - before.mean()), float(low), float(high), before.shape[1])


def _resampled_runs(data: Floats, seed: int, side: int, resamples: int) -> Floats:
    """Means of resamples: `seed` alone decides which tasks are drawn, `side` too which runs."""
    runs, tasks = data.shape
    task_rng, run_rng = np.random.default_rng([seed, 0]), np.random.default_rng([seed, side])
    means = np.empty(resamples)
    for i in range(resamples):
        drawn = task_rng.integers(0, tasks, size=tasks)
        means[i] = data[run_rng.integers(0, runs, size=runs)][:, drawn].mean()
    return means


def paired_difference(base: Sequence[float], candidate: Sequence[float], *, seed: int = 0) -> Estimate:
    """Mean of candidate - base over paired tasks, with its bootstrap interval."""
    return bootstrap_mean([b - a for a, b in zip(base, candidate, strict=True)], seed=seed)


def paired_permutation(
    base: Sequence[float], candidate: Sequence[float], *, seed: int = 0, permutations: int = PERMUTATIONS
) -> float:
    """Two-sided p-value that a mean difference over paired tasks is chance.

    Under the null the two runs of a task may be swapped, which flips the sign of its difference. All
    2^n sign patterns are enumerated where there are at most `permutations` of them, else that many
    are drawn, and the observed one is counted among them so that p is never 0 (Phipson and Smyth 2010).
    """
    differences = np.asarray(candidate, dtype=np.float64) - np.asarray(base, dtype=np.float64)
    differences = differences[differences != 0]
    if differences.size == 0:
        return 1.0
    observed = abs(float(differences.sum()))
    slack = 1e-9 * float(np.abs(differences).sum())  # float noise must not break ties
    if 2**differences.size <= permutations:
        patterns = np.arange(2**differences.size)[:, None] >> np.arange(differences.size) & 1
        sums = (1 - 2 * patterns) @ differences
        return float(np.mean(np.abs(sums) >= observed - slack))
    rng = np.random.default_rng(seed)
    chunk, extreme = max(1, LARGEST_DRAW // differences.size), 0
    for done in range(0, permutations, chunk):
        signs = rng.integers(0, 2, size=(min(chunk, permutations - done), differences.size)) * 2 - 1
        extreme += int(np.count_nonzero(np.abs(signs @ differences) >= observed - slack))
    return (extreme + 1) / (permutations + 1)


def mcnemar(gained: int, lost: int) -> float:
    """Exact two-sided McNemar p-value for `gained` and `lost` tasks (discordant pairs)."""
    if gained + lost == 0:
        return 1.0
    return float(binomtest(gained, gained + lost, 0.5).pvalue)
