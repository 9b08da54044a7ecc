"""The toy example with a study's settings."""

from __future__ import annotations

import math

import pytest

from coderl.dynamics.simulate import simulate
from coderl.study.config import load
from coderl.study.simulate import UNSEEN, _options
from tests.coderl.test_train import ROOT


def test_the_first_step_moves_as_far_as_a_training_step_may() -> None:
    config = load(ROOT / "configs" / "studies" / "paper.toml", quick=False)
    run = config.arm("grpo", 0)
    options = _options(run, {"popular": 0.4, "rare": 0.02, "wrong": 0.58}, tokens=24.0)
    assert (options.group_size, options.prompts, options.steps) == (16, 16, run.train.steps)
    before, after = simulate(options.model_copy(update={"steps": 1}))
    classes = ("popular", "rare", "wrong")
    moved = sum(getattr(after, c) * math.log(getattr(after, c) / getattr(before, c)) for c in classes)
    assert moved == pytest.approx(run.learner.kl_target * 24, rel=0.1)


def test_a_solution_that_was_never_sampled_starts_near_nothing() -> None:
    config = load(ROOT / "configs" / "studies" / "paper.toml", quick=False)
    options = _options(config.arm("grpo_n", 0), {"popular": 0.4, "rare": 0.0, "wrong": 0.6}, tokens=24.0)
    assert options.rare == UNSEEN and options.objective.name == "grpo_n"
