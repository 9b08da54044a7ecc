"""The paper's claims (arXiv 2510.04028), each as a difference that a study can show, and our controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis.study import data, power
from analysis.study.data import BEST, CONTROL, HELD_OUT, TRAINING, WARM, Measure, Policy, Study
from analysis.study.effects import Effect, Expected, Verdict, difference, over_seeds, verdict


@dataclass(frozen=True, slots=True)
class Claim:
    """`found` is `expected` of the difference that `effect` gives; control claims test the design itself."""

    text: str
    expected: Expected
    effect: Callable[[Study], Effect]
    control: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    claim: Claim
    effect: Effect
    verdict: Verdict


def judge(study: Study) -> list[Finding]:
    """Every claim that the study's arms and measures allow."""
    findings = []
    for claim in claims(study):
        effect = claim.effect(study)
        if effect.by_seed:
            findings.append(Finding(claim, effect, verdict(effect, claim.expected)))
    return findings


def claims(study: Study) -> list[Claim]:
    k = largest_k(study)
    found: list[Claim] = []
    for arm in study.arms:
        if arm == "shuffled":
            continue
        found.append(_claim(f"{arm} raises pass@1", "up", WARM, arm, data.passing(1)))
    if "grpo" in study.arms:
        found += _shrinkage("grpo", k)
    for arm in ("grpo_n", "gspo_n", "nsr"):
        parent = "gspo" if arm == "gspo_n" else "grpo"
        if arm in study.arms and parent in study.arms:
            found += _negative_only(arm, parent, k)
    return found + _controls(study, k)


def largest_k(study: Study) -> int:
    """The largest power of two within half of the final evaluation's samples."""
    return power.largest_k(int(study.description["final"]["samples"]))


def _shrinkage(arm: str, k: int) -> list[Claim]:
    large = data.passing(k)
    return [
        _claim(f"{arm} shrinks the boundary: pass@{k} falls", "down", WARM, arm, large),
        _claim(f"... at its best temperature, too: pass@{k} falls", "down", WARM, arm, large, BEST),
        _claim(
            f"... on training tasks, too: pass@{_training_k(k)} falls",
            "down",
            WARM,
            arm,
            data.passing(_training_k(k)),
            TRAINING,
        ),
        Claim(f"{arm} sharpens: entropy falls", "down", lambda s: _summary(s, WARM, arm, "entropy")),
        Claim(f"{arm} moves mass to the popular solution", "up", lambda s: _mass(s, arm, "popular")),
        Claim(
            f"{arm} takes up the rare, better solution (exploration)", "up", lambda s: _mass(s, arm, "rare")
        ),
    ]


def _negative_only(arm: str, parent: str, k: int) -> list[Claim]:
    large = data.passing(k)
    return [
        _claim(f"{arm} matches {parent}'s pass@1", "same", parent, arm, data.passing(1)),
        _claim(f"{arm} keeps more pass@{k} than {parent}", "up", parent, arm, large),
        _claim("... at each one's best temperature", "up", parent, arm, large, BEST),
        Claim("... at equal pass@1, on the way", "up", lambda s: _at_equal_pass_at_1(s, parent, arm)),
        Claim(f"{arm} keeps more entropy than {parent}", "up", lambda s: _summary(s, parent, arm, "entropy")),
        _claim(f"{arm} repeats an error less (recurrence, L2)", "down", parent, arm, data.recurring),
        _claim("... repeat-error rate", "down", parent, arm, data.repeating),
        _claim(f"{arm} corrects itself more within a response", "up", parent, arm, data.correcting),
        _claim("... beyond a fresh attempt (excess correction)", "up", parent, arm, data.excess),
        _claim("... with no more harm (right first, wrong last)", "same", parent, arm, data.harming),
    ]


def _controls(study: Study, k: int) -> list[Claim]:
    found = [
        _claim("control: continued warm-up leaves pass@1", "same", WARM, CONTROL, data.passing(1)),
        _claim(f"control: continued warm-up leaves pass@{k}", "same", WARM, CONTROL, data.passing(k)),
    ]
    if "shuffled" in study.arms:
        found += [
            _claim("control: shuffled advantages leave pass@1", "same", WARM, "shuffled", data.passing(1)),
            _claim(f"control: shuffled advantages leave pass@{k}", "same", WARM, "shuffled", data.passing(k)),
        ]
    return [Claim(c.text, c.expected, c.effect, control=True) for c in found]


def _claim(
    text: str, expected: Expected, base: str, arm: str, measure: Measure, evaluation: str = HELD_OUT
) -> Claim:
    return Claim(text, expected, lambda study: difference(study, base, arm, evaluation, measure))


def _training_k(k: int) -> int:
    return min(k, 32)


def _summary(study: Study, base: str, arm: str, key: str) -> Effect:
    """Difference of a number that an evaluation has one of."""
    pairs = zip(study.of(base), study.of(arm), strict=True)
    return over_seeds(
        [float(b.summaries[HELD_OUT][key]) - float(a.summaries[HELD_OUT][key]) for a, b in pairs]
    )


def _mass(study: Study, arm: str, solution_class: str) -> Effect:
    """Change of a solution class's probability mass on held-out shortcut tasks."""

    def mass(policy: Policy) -> float:
        masses = policy.summaries[HELD_OUT].get("class_mass") or {}
        return float(masses.get(solution_class, 0.0)) if masses else np.nan

    return over_seeds([mass(b) - mass(a) for a, b in zip(study.of(WARM), study.of(arm), strict=True)])


def _at_equal_pass_at_1(study: Study, base: str, arm: str) -> Effect:
    """Mean difference of pass@k (the largest k of the evaluations on the way) over the pass@1 that both reach.

    Each run's (pass@1, pass@k) points are joined in order of pass@1; 20 points of the shared range.
    """

    def curve(policy: Policy) -> tuple[np.ndarray, np.ndarray]:
        points = [{int(k): float(v) for k, v in line["pass_at_k"].items()} for line in policy.evals]
        k = max(points[0])
        ordered = sorted((point[1], point[k]) for point in points if k in point)
        return np.array([p for p, _ in ordered]), np.array([q for _, q in ordered])

    values = []
    for one, other in zip(study.of(base), study.of(arm), strict=True):
        (x, y), (u, v) = curve(one), curve(other)
        low, high = max(x[0], u[0]), min(x[-1], u[-1])
        if low < high:
            grid = np.linspace(low, high, 20)
            values.append(float(np.mean(np.interp(grid, u, v) - np.interp(grid, x, y))))
    return over_seeds(values)
