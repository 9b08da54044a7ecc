"""The expected update of the logits: Theorem 1 of arXiv 2510.04028, exactly at finite G, and in the limit.

Theorem 1 takes one fixed advantage for each action:

    E[dz_v] = lr pi(v) [ (1 - pi(v)) A(v) - sum_{u != v} pi(u) A(u) ]

With advantages relative to a group of G, an action's advantage depends on its company, and the theorem
holds only as G grows: there A(v) = (r_v - E r) / (std r + 1e-4). One on-policy step, without KL.

Shape suffix: V actions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from coderl.dynamics.simulate import Options, group_advantages
from coderl.learning import credit

Vector = npt.NDArray[np.float64]


def theorem_1(p_V: Vector, advantage_V: Vector) -> Vector:
    """E[dz] for a learning rate of 1 and fixed advantages, as the paper writes it."""
    others_V = p_V @ advantage_V - p_V * advantage_V
    return np.asarray(p_V * ((1 - p_V) * advantage_V - others_V))


def limit_advantages(options: Options, p_V: Vector) -> Vector:
    """Each action's advantage in an infinite group, for the objectives with a group baseline."""
    if not options.objective.form.is_relative:
        raise ValueError(f"{options.objective.name} has no group baseline: its advantages are not relative")
    reward_V = np.array(options.rewards)
    advantage_V = reward_V - p_V @ reward_V
    if options.objective.scale_by_std:
        advantage_V = advantage_V / (math.sqrt(p_V @ advantage_V**2) + credit.STD_FLOOR)
    if options.objective.form.negative_only:
        advantage_V = np.minimum(advantage_V, 0)
    return np.asarray(advantage_V)


def exact_update(options: Options, p_V: Vector, group_size: int) -> Vector:
    """E[dz] for a learning rate of 1: every group of `group_size`, weighed by its multinomial probability.

    A batch is one group. The gradient of completion i of action a is w_i A_i (e_a - pi).
    """
    total_V = np.zeros_like(p_V)
    for counts in compositions(group_size, len(p_V)):
        log_p = math.lgamma(group_size + 1)
        for n, p in zip(counts, p_V, strict=True):
            if n:
                log_p += n * math.log(p) - math.lgamma(n + 1)
        actions = [v for v, n in enumerate(counts) for _ in range(n)]
        advantage = group_advantages(options, actions)
        weight = credit.row_weights(
            options.objective, advantage, [1] * group_size, n_sampled=group_size, max_tokens=1
        )
        push_V = np.bincount(actions, weights=np.multiply(weight, advantage), minlength=len(p_V))
        total_V += math.exp(log_p) * (push_V - push_V.sum() * p_V)
    return total_V


def compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """All ways to write `total` as an ordered sum of `parts` counts."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in compositions(total - first, parts - 1):
            yield (first, *rest)


@dataclass(frozen=True, slots=True)
class Convergence:
    """The exact update at one group size against the limit; the error is relative to the largest entry."""

    group_size: int
    update: list[float]
    limit: list[float]
    relative_error: float


def convergence(options: Options, group_sizes: Sequence[int]) -> list[Convergence]:
    """How the exact update at the initial policy approaches Theorem 1 with the limit's advantages."""
    p_V = np.array(options.probabilities)
    limit_V = theorem_1(p_V, limit_advantages(options, p_V))
    rows = []
    for size in group_sizes:
        exact_V = exact_update(options, p_V, size)
        error = float(np.abs(exact_V - limit_V).max() / np.abs(limit_V).max())
        rows.append(Convergence(size, exact_V.tolist(), limit_V.tolist(), error))
    return rows
