"""The learning rate that meets a KL a step: on the law it assumes, and on a model that really learns."""

from __future__ import annotations

import math
import random
import statistics
from pathlib import Path

import pytest
import torch

from coderl.config.settings import LearnerConfig
from coderl.learning.rate import LEAST, MOST, RateController, learning_rate
from coderl.learning.rows import rows_of
from tests.coderl.batches import go_on, run_config, sampled_batch, tiny_learner


@pytest.mark.parametrize("wrong_by", [0.15, 1.0, 100.0])
def test_meets_the_target_where_kl_grows_with_the_square_of_the_rate(wrong_by: float) -> None:
    noise = random.Random(0)
    controller = RateController(target=1e-3)
    measured = []
    for _ in range(60):
        measured.append(1e-3 * (wrong_by * controller.factor) ** 2 * math.exp(noise.gauss(0, 0.5)))
        controller.measured(measured[-1])
    assert 0.7e-3 < statistics.median(measured[20:]) < 1.4e-3
    assert max(measured[20:]) < 1e-2


def test_falls_faster_than_it_rises_and_keeps_its_bounds() -> None:
    controller = RateController(target=1e-3)
    controller.measured(1.0)
    assert controller.factor == 0.25
    controller.measured(1e-12)
    assert controller.factor == pytest.approx(0.25 * 1.25)
    for _ in range(100):
        controller.measured(1e-12)
    assert controller.factor == MOST
    for _ in range(100):
        controller.measured(1.0)
    assert controller.factor == LEAST


@pytest.mark.parametrize("kl", [0.0, -1e-9, math.nan, math.inf])
def test_what_measures_nothing_changes_nothing(kl: float) -> None:
    controller = RateController(target=1e-3, factor=0.5)
    controller.measured(kl)
    assert controller.factor == 0.5


@pytest.mark.parametrize(
    ("schedule", "warmup", "rates"),
    [
        ("constant", 0, [8, 8, 8, 8, 8]),
        ("constant", 3, [2, 4, 6, 8, 8]),
        ("linear", 0, [8, 6, 4, 2, 0]),
        ("linear", 1, [4, 6, 4, 2, 0]),
        ("cosine", 0, [8, 4 + 2 * math.sqrt(2), 4, 4 - 2 * math.sqrt(2), 0]),
        ("kl:1e-3", 3, [2, 4, 6, 8, 8]),
        ("cosine", 3, [2, (4 + 2 * math.sqrt(2)) / 2, 3, 4 - 2 * math.sqrt(2), 0]),
    ],
)
def test_the_rate_ramps_up_and_follows_its_schedule(schedule: str, warmup: int, rates: list[float]) -> None:
    config = LearnerConfig.model_validate({"learning_rate": 8, "schedule": schedule, "warmup_steps": warmup})
    assert [learning_rate(config, batch, 4) for batch in range(5)] == pytest.approx(rates)
    assert learning_rate(config, 9, 4) == pytest.approx(rates[-1])  # a run that goes on past its end


@pytest.mark.parametrize("rate", [5e-4, 3e-2])
def test_a_model_s_steps_come_to_meet_the_target(rate: float) -> None:
    config = run_config(
        learner__learning_rate=rate, learner__schedule="kl:1e-3", learner__probe_rows=64, train__steps=30
    )
    learner = tiny_learner(config)
    measured = []
    for step in range(1, 31):
        batch = sampled_batch(learner, step, groups=4)
        measured.append(learner.probe(rows_of(batch), seed=step).kl_step)
        learner.update(rows_of(batch))
    assert measured[0] == 0
    late = [kl for kl in measured[20:] if kl is not None]
    assert 0.5e-3 < statistics.median(late) < 2e-3


def test_the_controller_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    config = run_config(learner__learning_rate=1e-3, learner__schedule="kl:1e-3")
    whole = tiny_learner(config)
    for step in (1, 2):
        batch = sampled_batch(whole, step)
        whole.probe(rows_of(batch), seed=step)
        whole.update(rows_of(batch))
    resumed = tiny_learner(config)
    resumed.model.load_state_dict(whole.model.state_dict())
    go_on(resumed, whole, tmp_path)
    batch = sampled_batch(whole, 3)
    assert whole.probe(rows_of(batch), seed=3) == resumed.probe(rows_of(batch), seed=3)
    assert whole.update(rows_of(batch)).learning_rate == resumed.update(rows_of(batch)).learning_rate != 1e-3
    for a, b in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
