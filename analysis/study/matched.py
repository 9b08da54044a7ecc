"""Two arms at equal pass@1: what differs when it is not how far each has come."""

from __future__ import annotations

import numpy as np

from analysis.study.data import Measure, Policy, Study, Tasks, matrix
from analysis.study.effects import Effect, over_seeds, over_seeds_and_tasks

RULE = (
    "At equal pass@1: of each seed's pair, the arm that ended lower at its last evaluation, and the other at the "
    "evaluation on the way whose pass@1 is nearest to that."
)


def difference(study: Study, base: str, arm: str, measure: Measure) -> Effect:
    """`arm` minus `base` at the evaluations that `pair` chooses, over the tasks of the evaluations on the way."""
    pairs = [pair(one, other) for one, other in zip(study.of(base), study.of(arm), strict=True)]
    tallies = [one.onway[at] for one, _, at, _ in pairs] + [other.onway[at] for _, other, _, at in pairs]
    _, values = matrix(tallies, measure)
    return over_seeds_and_tasks(values[len(pairs) :] - values[: len(pairs)])


def pair(one: Policy, other: Policy) -> tuple[Policy, Policy, int, int]:
    """Both, and the step of each, by `RULE`."""
    curve, others = _pass_at_1(one.onway), _pass_at_1(other.onway)
    last, others_last = max(curve), max(others)
    if curve[last] <= others[others_last]:
        return one, other, last, _nearest(others, curve[last])
    return one, other, _nearest(curve, others[others_last]), others_last


def on_the_way(study: Study, base: str, arm: str) -> Effect:
    """Mean difference of pass@k (the largest k of the evaluations on the way) over the pass@1 that both reach.

    Each run's (pass@1, pass@k) points are joined in order of pass@1; 20 points of the shared range.
    """
    values = []
    for one, other in zip(study.of(base), study.of(arm), strict=True):
        (x, y), (u, v) = _boundary(one), _boundary(other)
        low, high = max(x[0], u[0]), min(x[-1], u[-1])
        if low < high:
            grid = np.linspace(low, high, 20)
            values.append(float(np.mean(np.interp(grid, u, v) - np.interp(grid, x, y))))
    return over_seeds(values)


def _boundary(policy: Policy) -> tuple[list[float], list[float]]:
    points = [{int(k): float(v) for k, v in line["pass_at_k"].items()} for line in policy.evals]
    k = max(points[0])
    ordered = sorted((point[1], point[k]) for point in points if k in point)
    return [p for p, _ in ordered], [q for _, q in ordered]


def _pass_at_1(onway: dict[int, Tasks]) -> dict[int, float]:
    return {
        step: float(np.mean([task.passed / task.samples for task in tasks.values() if task.samples]))
        for step, tasks in onway.items()
        if step > 0
    }


def _nearest(curve: dict[int, float], value: float) -> int:
    return min(curve, key=lambda step: (abs(curve[step] - value), step))
