"""What a resumed run may do otherwise, and what it is told of the rest."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import pytest
from typer.testing import CliRunner

from coderl.cli import app
from coderl.config.load import load
from coderl.config.resuming import FREE, changes, resumed
from coderl.config.settings import RunConfig
from coderl.errors import ConfigError
from coderl.training.stages import ObjectiveSchedule


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Ten steps of forty."""
    folder = tmp_path / "runs" / "mine"
    (folder / "checkpoints" / "step-000000").mkdir(parents=True)
    (folder / "checkpoints" / "step-000010").mkdir()
    (folder / "config.toml").write_text(load(None, ["name=mine", "objective.name=grpo"]).to_toml())
    return folder


@pytest.mark.parametrize(
    "override",
    ["train.steps=80", "train.checkpoint_every=5", "sandbox.slots=1", "sampler.processes=2", "eval.every=5"],
)
def test_more_steps_and_another_way_to_do_the_work_are_free(run: Path, override: str) -> None:
    config = resumed(run, [override], allow_changes=False)
    assert [change.key for change in changes(load(run / "config.toml"), config)] == [override.split("=")[0]]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("objective.name=nsr", "objective.name: grpo -> nsr"),
        ("learner.learning_rate=1e-3", "learner.learning_rate: 0.0001 -> 0.001"),
        ("data.train=mbpp", "data.train: builtin:mix -> mbpp"),
        ("seed=1", "seed: 0 -> 1"),
        ("lora.rank=4", "lora.rank: none -> 4"),
        ("eval.temperature=0", "eval.temperature: none -> 0.0"),
    ],
)
def test_what_spoils_comparison_is_refused_unless_it_is_allowed(run: Path, override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"{said}.*--allow-changes"):
        resumed(run, [override], allow_changes=False)
    config = resumed(run, [override], allow_changes=True)
    assert said in map(str, changes(load(run / "config.toml"), config))


def test_steps_that_are_done_cannot_be_left_out(run: Path) -> None:
    assert resumed(run, ["train.steps=10"], allow_changes=False).train.steps == 10
    with pytest.raises(ConfigError, match=r"train.steps = 9: .* done 10 steps already.*coderl eval --model"):
        resumed(run, ["train.steps=9"], allow_changes=True)


def test_a_rate_that_falls_to_the_last_step_depends_on_their_number(run: Path) -> None:
    (run / "config.toml").write_text(load(None, ["learner.schedule=cosine"]).to_toml())
    with pytest.raises(ConfigError, match="train.steps: 40 -> 80"):
        resumed(run, ["train.steps=80"], allow_changes=False)


def test_before_the_first_checkpoint_nothing_can_be_spoilt(run: Path) -> None:
    for step in run.glob("checkpoints/*"):
        step.rmdir()
    assert resumed(run, ["objective.name=nsr"], allow_changes=False).objective.name == "nsr"


def test_the_free_keys_exist() -> None:
    sections = {key.partition(".")[0] for key in FREE}
    known = [f"{name}.{key}" for name in sections for key in type(getattr(RunConfig(), name)).model_fields]
    assert [key for key in FREE if not fnmatch.filter(known, key)] == []


def test_a_changed_objective_is_trained_though_the_checkpoint_names_the_old_one() -> None:
    old, new = (load(None, [f"objective.name={name}"]) for name in ("grpo", "nsr"))
    schedule = ObjectiveSchedule(new.objective, new.stages)
    schedule.load_state(ObjectiveSchedule(old.objective, old.stages).state())
    assert schedule.current == new.objective


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--resume", "runs/mine", "--config", "x.toml"], "give overrides, not --config"),
        (["--allow-changes"], "--allow-changes goes with --resume"),
    ],
)
def test_options_that_do_not_go_together(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["train", *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 2 and said in result.output
