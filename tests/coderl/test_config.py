"""Configuration: typed, round-trips, and its errors name the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from coderl.config.settings import RunConfig, load
from coderl.errors import ConfigError

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.name)
def test_every_shipped_config_parses_and_round_trips(path: Path, tmp_path: Path) -> None:
    config = load(path)
    copy = tmp_path / "config.toml"
    copy.write_text(config.to_toml())
    assert load(copy) == config


def test_configs_are_shipped() -> None:
    assert [p.name for p in CONFIGS] == ["demo.toml", "hard.toml", "tiny.toml"]


def test_overrides_are_typed_and_bare_words_are_strings() -> None:
    config = load(
        None, ["learner.learning_rate=3e-5", "data.train=humaneval", "train.control=true", "name=x1"]
    )
    assert config.learner.learning_rate == 3e-5
    assert (config.data.train, config.train.control, config.name) == ("humaneval", True, "x1")
    assert config.model_copy(update={"name": "run"}).train.steps == RunConfig().train.steps


def test_a_setting_without_effect_is_named_with_the_reason() -> None:
    built_in = load(None, ["warmup.steps=10", "train.control=true", "sampler.processes=2"])
    assert built_in.without_effect(on_gpu=False) == []
    assert built_in.without_effect(on_gpu=True) == ["sampler.processes has no effect on a GPU"]
    own = load(None, ["model.path=x", "warmup.steps=10", "train.control=true", "sampler.share_prefixes=true"])
    assert [line.split(" ")[0] for line in own.without_effect(on_gpu=True)] == [
        "warmup.steps",
        "train.control",
        "sampler.share_prefixes",
    ]
    assert "model.path names a model" in own.without_effect(on_gpu=False)[0]
    assert load(None, ["model.path=x"]).without_effect(on_gpu=True) == []


@pytest.mark.parametrize("name", ["grpo_n", "gspo_n"])
def test_training_holds_negative_only_objectives_to_the_warm_model_unless_told_otherwise(name: str) -> None:
    stage = f"stages.exploration.name={name}"
    config = load(None, [f"objective.name={name}", stage])
    for objective in (config.objective, config.stages.exploration):
        assert objective is not None and (objective.kl_coef, objective.kl_kind) == (0.1, "full")
    given = load(None, [f"objective.name={name}", "objective.kl_coef=0", stage, "train.lag=1"])
    assert (given.objective.kl_coef, given.objective.sampler_correction) == (0, "token")
    assert load(None, ["objective.name=grpo", stage]).objective.kl_coef == 0
    assert RunConfig().objective == load(None, ["objective.name=grpo_n"]).objective


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("learner.lerning_rate=1", "did you mean learner.learning_rate?"),
        ("learning_rate=1", "did you mean warmup.learning_rate or learner.learning_rate?"),
        ("learner.learning_rate=-1", "greater than 0"),
        ("train.steps=many", "train.steps"),
        ("train.steps", "section.key=value"),
        ("name.x=1", "name"),
        ("name=../escape", "name"),
    ],
)
def test_wrong_overrides_are_explained(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        load(None, [override])


def test_missing_and_malformed_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothere\.toml does not exist"):
        load(tmp_path / "nothere.toml")
    (tmp_path / "bad.toml").write_text("steps = = 1")
    with pytest.raises(ConfigError, match=r"bad\.toml is not valid TOML"):
        load(tmp_path / "bad.toml")
