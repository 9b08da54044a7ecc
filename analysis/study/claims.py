"""The paper's claims (arXiv 2510.04028), each as a difference that a study can show, and our controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from analysis.study import data, matched, power
from analysis.study.data import SHORTCUT, SHORTCUT_CONTROL, Measure, Policy, Study
from analysis.study.effects import Effect, Expected, Verdict, difference, over_seeds, verdict
from coderl.runfolder.layout import BASE, BEST, CONTROL, HELD_OUT, TRAINING_TASKS, WARM


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
    if BASE in study.controls:
        found.append(_claim("the supervised start raises pass@1", "up", BASE, WARM, data.passing(1)))
    for arm in study.arms:
        if arm == "shuffled":
            continue
        found += _raises(study, arm)
    if "grpo" in study.arms:
        found += _shrinkage(study, "grpo")
    for arm in ("grpo_n", "gspo_n", "nsr"):
        parent = "gspo" if arm == "gspo_n" else "grpo"
        if arm in study.arms and parent in study.arms:
            found += _negative_only(study, arm, parent)
    return found + _controls(study, k)


def _raises(study: Study, arm: str) -> list[Claim]:
    found = [_claim(f"{arm} raises pass@1", "up", WARM, arm, data.passing(1))]
    if BASE in study.controls:
        found.append(_claim("... beyond the control", "up", CONTROL, arm, data.passing(1)))
    return found + [_claim(f"... on {name}", "up", WARM, arm, data.passing(1), name) for name in study.others]


def largest_k(study: Study, evaluation: str = HELD_OUT) -> int:
    """The largest power of two within half of an evaluation's samples."""
    key = {BEST: "best_samples", TRAINING_TASKS: "train_samples"}.get(evaluation, "samples")
    return power.largest_k(int(study.description["final"][key]))


def _shrinkage(study: Study, arm: str) -> list[Claim]:
    k, best, training = (largest_k(study, each) for each in (HELD_OUT, BEST, TRAINING_TASKS))
    at_best = _claim(
        f"... at the best temperature: pass@{best} falls", "down", WARM, arm, data.passing(best), BEST
    )
    return [
        _claim(f"{arm} shrinks the boundary: pass@{k} falls", "down", WARM, arm, data.passing(k)),
        *([at_best] if study.tempered else []),
        _claim(
            f"... on training tasks: pass@{training} falls",
            "down",
            WARM,
            arm,
            data.passing(training),
            TRAINING_TASKS,
        ),
        Claim(f"{arm} sharpens: entropy falls", "down", lambda s: _summary(s, WARM, arm, "entropy")),
        Claim(f"{arm} moves mass to the popular solution", "up", lambda s: _mass(s, arm, "popular")),
        Claim(
            f"{arm} takes up the rare, better solution (exploration)", "up", lambda s: _mass(s, arm, "rare")
        ),
    ]


def _negative_only(study: Study, arm: str, parent: str) -> list[Claim]:
    k, best = (largest_k(study, each) for each in (HELD_OUT, BEST))
    at_best = _claim(
        f"... pass@{best} at each one's best temperature", "up", parent, arm, data.passing(best), BEST
    )
    return [
        _claim(f"{arm} matches {parent}'s pass@1", "same", parent, arm, data.passing(1)),
        _claim(f"{arm} keeps more pass@{k} than {parent}", "up", parent, arm, data.passing(k)),
        *([at_best] if study.tempered else []),
        *(_claim(f"... on {name}", "up", parent, arm, data.passing(k), name) for name in study.others),
        Claim("... at equal pass@1, on the way", "up", lambda s: matched.on_the_way(s, parent, arm)),
        Claim(f"{arm} keeps more entropy than {parent}", "up", lambda s: _summary(s, parent, arm, "entropy")),
        _claim(f"{arm} repeats an error less (recurrence, L2)", "down", parent, arm, data.recurring),
        _claim("... repeat-error rate", "down", parent, arm, data.repeating),
        _claim("... more distinct errors", "up", parent, arm, data.distinct),
        _claim(f"{arm} corrects itself more within a response", "up", parent, arm, data.correcting),
        _claim("... beyond a fresh attempt (excess correction)", "up", parent, arm, data.excess),
        _claim("... with no more harm (right first, wrong last)", "same", parent, arm, data.harming),
        *_at_equal_pass_at_1(arm, parent),
    ]


def _at_equal_pass_at_1(arm: str, parent: str) -> list[Claim]:
    cases: list[tuple[str, Expected, Measure]] = [
        ("repeats an error less (recurrence, L2)", "down", data.recurring),
        ("repeat-error rate is lower", "down", data.repeating),
        ("makes more distinct errors", "up", data.distinct),
        ("corrects itself more", "up", data.correcting),
        ("corrects itself more than a fresh attempt would", "up", data.excess),
        ("does no more harm", "same", data.harming),
    ]
    return [
        Claim(
            f"at equal pass@1, {arm} {text}",
            expected,
            partial(matched.difference, base=parent, arm=arm, measure=measure),
        )
        for text, expected, measure in cases
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
    found += [
        Claim(
            f"control: {arm} does not find a rare solution that no demonstration shows",
            "same",
            partial(_mass, arm=arm, solution_class="rare", level=SHORTCUT_CONTROL),
        )
        for arm in study.arms
        if arm != "shuffled"
    ]
    return [Claim(c.text, c.expected, c.effect, control=True) for c in found]


def _claim(
    text: str, expected: Expected, base: str, arm: str, measure: Measure, evaluation: str = HELD_OUT
) -> Claim:
    return Claim(text, expected, lambda study: difference(study, base, arm, evaluation, measure))


def _summary(study: Study, base: str, arm: str, key: str) -> Effect:
    """Difference of a number that an evaluation has one of."""
    pairs = zip(study.of(base), study.of(arm), strict=True)
    return over_seeds(
        [float(b.summaries[HELD_OUT][key]) - float(a.summaries[HELD_OUT][key]) for a, b in pairs]
    )


def _mass(study: Study, arm: str, solution_class: str, level: str = SHORTCUT) -> Effect:
    """Change of a solution class's share of the final completions of the level's held-out tasks."""

    def mass(policy: Policy) -> float:
        return data.class_shares(policy.evaluations[HELD_OUT], level).get(solution_class, np.nan)

    return over_seeds([mass(b) - mass(a) for a, b in zip(study.of(WARM), study.of(arm), strict=True)])
