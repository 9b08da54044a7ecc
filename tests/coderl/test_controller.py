"""The learning rate that meets a KL a step: on the law it assumes, and on a model that really learns."""

from __future__ import annotations

import copy
import math
import random
import statistics
from pathlib import Path

import pytest
import torch

from coderl.config.learner import LearnerConfig
from coderl.errors import RateError
from coderl.learning.rate import LEAST, MOST, RateController, learning_rate
from coderl.learning.rows import rows_of
from tests.coderl.batches import go_on, run_config, sampled_batch, tiny_learner


@pytest.mark.parametrize("wrong_by", [0.15, 1.0, 100.0])
def test_meets_the_target_where_kl_grows_with_the_square_of_the_rate(wrong_by: float) -> None:
    noise = random.Random(0)
    controller = RateController(target=1e-3)
    measured = []
    for _ in range(60):
        controller.moved = True
        measured.append(1e-3 * (wrong_by * controller.factor) ** 2 * math.exp(noise.gauss(0, 0.5)))
        controller.measured(measured[-1])
    assert 0.7e-3 < statistics.median(measured[20:]) < 1.4e-3
    assert max(measured[20:]) < 1e-2


def test_falls_faster_than_it_rises() -> None:
    controller = RateController(target=1e-3)
    measure(controller, 1.0)
    assert controller.factor == 0.25
    measure(controller, 1e-12)
    assert controller.factor == pytest.approx(0.25 * 1.25)


@pytest.mark.parametrize(
    ("kl", "bound", "said"), [(1.0, LEAST, "further than"), (1e-12, MOST, "hardly move")]
)
def test_a_rate_that_stays_at_its_bound_is_an_error(kl: float, bound: float, said: str) -> None:
    controller = RateController(target=1e-3, factor=bound)
    for _ in range(20):
        controller.measured(kl)  # no step was taken
        measure(controller, 0.0)  # nor did one do anything
    measure(controller, kl, times=4)
    assert controller.factor == bound and controller.at_bound == 4
    measure(controller, 1e-3)  # on target: it is where it should be
    assert controller.factor == bound and controller.at_bound == 0
    with pytest.raises(RateError, match=f"5 measured steps.*{said}.*learner.schedule=constant"):
        measure(controller, kl, times=5)


def measure(controller: RateController, kl: float, times: int = 1) -> None:
    for _ in range(times):
        controller.moved = True
        controller.measured(kl)


@pytest.mark.parametrize("kl", [0.0, -1e-9, math.nan, math.inf])
def test_what_measures_nothing_changes_nothing(kl: float) -> None:
    controller = RateController(target=1e-3, factor=0.5)
    measure(controller, kl)
    assert controller.factor == 0.5


def test_the_floor_is_measured_once_and_leaves_the_weights_as_they_were() -> None:
    floors = {}
    for dtype in (torch.float32, torch.bfloat16):
        learner = tiny_learner(run_config(learner__schedule="kl:1e-3"))
        learner.model.to(dtype)  # type: ignore[arg-type]
        learner.references.previous.to(dtype)  # type: ignore[arg-type]
        before = copy.deepcopy(learner.model.state_dict())
        batch = rows_of(sampled_batch(learner, 1))
        floors[dtype] = learner._kl_floor(batch)
        for name, tensor in learner.model.state_dict().items():
            assert torch.equal(tensor, before[name])
    assert floors[torch.float32] < 1e-8 and floors[torch.bfloat16] > 1e-7


def test_a_target_below_the_floor_is_refused_before_the_first_step() -> None:
    learner = tiny_learner(run_config(learner__schedule="kl:1e-3"))
    batch = rows_of(sampled_batch(learner, 1))
    learner._kl_floor = lambda rows: 4e-4  # type: ignore[method-assign]
    before = copy.deepcopy(learner.model.state_dict())
    with pytest.raises(RateError, match=r"measures 0.0004 .* can be seen is 0.001.*constant.*float32"):
        learner.update(batch)
    assert learner.batches == 0
    assert all(torch.equal(t, before[name]) for name, t in learner.model.state_dict().items())
    learner.controller = RateController(target=2e-3)
    assert learner.update(batch).kl_floor == 4e-4


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
