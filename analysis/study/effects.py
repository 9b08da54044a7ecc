"""Differences between policies with intervals over seeds and tasks, and what they say of a claim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import t as student

from analysis.study.data import Floats, Measure, Study

RESAMPLES = 2000
MARGIN = 0.02  # differences within it count as none, where a claim says "the same"

Verdict = Literal["holds", "does not hold", "undecided"]
Expected = Literal["up", "down", "same"]


@dataclass(frozen=True, slots=True)
class Effect:
    """Mean difference with its 95% interval, and each seed's own mean difference."""

    value: float
    low: float
    high: float
    by_seed: tuple[float, ...]
    tasks: int


def difference(study: Study, base: str, arm: str, evaluation: str, measure: Measure) -> Effect:
    """`arm` minus `base` on shared tasks; seeds are paired by their order, as many as both have."""
    base_tasks, before = study.matrix(base, evaluation, measure)
    arm_tasks, after = study.matrix(arm, evaluation, measure)
    shared = [task for task in base_tasks if task in set(arm_tasks)]
    columns = [base_tasks.index(task) for task in shared], [arm_tasks.index(task) for task in shared]
    seeds = min(len(before), len(after))
    return over_seeds_and_tasks(after[:seeds, columns[1]] - before[:seeds, columns[0]])


def over_seeds_and_tasks(differences_ST: Floats, *, seed: int = 0) -> Effect:
    """Hierarchical percentile bootstrap: seeds are drawn, then tasks, both with replacement.

    `differences_ST`: (seeds, tasks); NaN where a task has no value. Tasks are drawn once for all seeds, since they
    are the same tasks. Without any value all is NaN.
    """
    if not np.isfinite(differences_ST).any():
        return Effect(np.nan, np.nan, np.nan, (), 0)
    known_ST = np.isfinite(differences_ST)
    seeds, tasks = differences_ST.shape
    rng = np.random.default_rng(seed)
    # How often each seed and each task is drawn; a resample's mean is then a ratio of bilinear forms.
    seed_counts = rng.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES)
    task_counts = rng.multinomial(tasks, np.full(tasks, 1 / tasks), RESAMPLES)
    sums = ((seed_counts @ np.where(known_ST, differences_ST, 0.0)) * task_counts).sum(axis=1)
    counts = ((seed_counts @ known_ST) * task_counts).sum(axis=1)
    low, high = np.quantile(sums[counts > 0] / counts[counts > 0], [0.025, 0.975])
    by_seed = tuple(float(np.nanmean(row)) for row in differences_ST if np.isfinite(row).any())
    used = int(known_ST.any(axis=0).sum())
    return Effect(float(np.nanmean(differences_ST)), float(low), float(high), by_seed, used)


def over_seeds(differences: list[float]) -> Effect:
    """For numbers that are one a seed: mean and Student's t interval (infinite with a single seed)."""
    values = np.array([value for value in differences if np.isfinite(value)])
    if values.size == 0:
        return Effect(np.nan, np.nan, np.nan, (), 0)
    half = np.inf
    if values.size > 1:
        half = student.ppf(0.975, values.size - 1) * values.std(ddof=1) / np.sqrt(values.size)
    mean = float(values.mean())
    return Effect(mean, float(mean - half), float(mean + half), tuple(map(float, values)), 0)


def verdict(effect: Effect, expected: Expected) -> Verdict:
    """`undecided` unless there are three seeds or more that all agree, and the interval excludes zero.

    For `same` the interval has to lie within, or outside of, the margin.
    """
    if len(effect.by_seed) < 3:
        return "undecided"
    if expected == "same":
        if effect.low > -MARGIN and effect.high < MARGIN:
            return "holds"
        return "does not hold" if effect.low > MARGIN or effect.high < -MARGIN else "undecided"
    sign = 1 if expected == "up" else -1
    low, high = sorted((sign * effect.low, sign * effect.high))
    if low > 0 and all(sign * value > 0 for value in effect.by_seed):
        return "holds"
    if high < 0 and all(sign * value < 0 for value in effect.by_seed):
        return "does not hold"
    return "undecided"


def smallest_detectable(values_T: Floats) -> float:
    """The mean difference over these tasks that a two-sided 5% test finds with 80% power, from the spread of
    a measure's differences between two halves of one policy's samples. Noise of sampling alone: seeds add to it."""
    used = values_T[np.isfinite(values_T)]
    return float((1.960 + 0.842) * used.std(ddof=1) / np.sqrt(used.size)) if used.size > 1 else float("nan")
