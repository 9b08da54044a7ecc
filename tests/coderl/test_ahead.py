"""Sampling a step ahead, and a LoRA adapter, in one real run: vLLM, sandbox and learner, small."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coderl.config import load as configuration
from coderl.errors import MismatchError
from coderl.training import loop
from coderl.training.display import Display
from coderl.training.opening import open_run
from coderl.training.run import Run
from tests.coderl.batches import run_config

pytestmark = pytest.mark.timeout(900)  # whole runs

STEPS = 5
OPTIONS: dict[str, Any] = {
    "train__lag": 1,
    "lora__rank": 4,
    "learner__learning_rate": 1e-2,
    "objective__name": "grpo",
    "objective__entropy_coef": 0.01,  # whatever is sampled, there is something to learn
    "warmup__level": '"builtin:tiny"',
    "warmup__steps": 40,
    "warmup__batch_size": 16,
    "warmup__hidden_size": 32,
    "warmup__layers": 1,
    "warmup__learning_rate": 6e-3,
    "data__train": '"builtin:tiny"',
    "data__evaluation": '"builtin:tiny"',
    "data__train_count": 8,
    "data__evaluation_count": 2,
    "data__choice": "posterior",
    "train__steps": STEPS,
    "train__prompts_per_step": 2,
    "train__samples_per_prompt": 4,
    "train__checkpoint_every": 2,
    "train__keep_checkpoints": 9,
    "train__stop_on_collapse": False,
    "eval__every": 0,
    "eval__final_samples": 2,
    "sampler__max_tokens": 24,
    "sandbox__slots": 1,
}


def lines(run: Run) -> list[dict[str, Any]]:
    records = [line for line in run.folder.read_log() if line["kind"] != "event"]
    return [{k: v for k, v in line.items() if not k.startswith("seconds")} for line in records]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    config = run_config(runs=f'"{tmp_path_factory.mktemp("runs")}"', name='"whole"', **OPTIONS)
    with open_run(config, resume=False, display=Display(quiet=True)) as opened:
        loop.train(opened)
        yield opened


def test_batches_are_sampled_by_the_policy_before_the_last_update(run: Run) -> None:
    steps = [line for line in lines(run) if line["kind"] == "step"]
    # Not ahead of the checkpoints after steps 2 and 4.
    assert [line["policy_version"] for line in steps] == [0, 0, 2, 2, 4]
    assert all(line["grad_norm"] > 0 for line in steps)


def test_an_older_policy_is_corrected_for_and_is_no_mismatch(run: Run) -> None:
    steps = [line for line in lines(run) if line["kind"] == "step"]
    assert max(line["logprob_diff_max"] for line in steps) < 1e-3
    on_policy = [abs(line["sampler_weight_mean"] - 1) < 1e-4 for line in steps]
    assert on_policy == [True, False, True, False, True]
    assert steps[1]["kl_step"] > 1e-6


def test_a_stale_publish_is_caught_although_the_learner_has_moved_on(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    longer = run.config.train.model_copy(update={"steps": 20, "checkpoint_every": 20})
    monkeypatch.setattr(run, "config", run.config.model_copy(update={"train": longer}))

    def lie(weights: Any, version: int) -> None:
        run.sampler.policy_version = version

    loop.train_step(run)  # step 6, and 7 is sampled ahead
    with monkeypatch.context() as patch:
        patch.setattr(run.sampler, "publish", lie)
        loop.train_step(run)  # step 7; 8 is sampled ahead by weights that are not those of step 6
    with pytest.raises(MismatchError, match="step 8: .* the sampler holds other weights"):
        loop.train_step(run)


def test_a_checkpoint_holds_the_adapter_and_goes_on_exactly(run: Run, tmp_path: Path) -> None:
    """The last test that samples with `run`: vLLM can have one engine in a process."""
    copied = shutil.copytree(run.folder.path, tmp_path / "again")
    assert (copied / "checkpoints" / "step-000002" / "adapter" / "adapter_config.json").exists()
    for later in (4, 5):
        shutil.rmtree(copied / "checkpoints" / f"step-{later:06d}")
    config = run.config.model_copy(update={"runs": str(tmp_path), "name": "again"})
    with open_run(config, resume=True, display=Display(quiet=True)) as resumed:
        assert resumed.step == 2
        loop.train(resumed)
        assert lines(resumed) == lines(run)[: STEPS + 2]  # and two evaluations


def test_lagging_asks_for_the_correction_unless_told_otherwise() -> None:
    assert run_config().objective.sampler_correction == "none"
    lagging = run_config(train__lag=1, stages__exploration="nsr")
    assert lagging.objective.sampler_correction == "token"
    in_stages = lagging.stages.objectives(lagging.objective)
    assert in_stages["exploration"].sampler_correction == "token"
    told = run_config(train__lag=1, objective__sampler_correction="none")
    assert told.objective.sampler_correction == "none"


def test_the_resolved_configuration_keeps_what_was_told(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        run_config(train__lag=1, objective__sampler_correction="none").to_toml()
    )
    again = configuration.load(tmp_path / "config.toml")
    assert again.objective.sampler_correction == "none" and again.train.lag == 1
