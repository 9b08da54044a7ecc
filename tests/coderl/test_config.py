"""Configuration: typed, round-trips, and its errors name the remedy."""

from __future__ import annotations

import re
from operator import attrgetter
from pathlib import Path

import pytest

from coderl.config.effects import DEPENDENT, single, without_effect
from coderl.config.load import MOVED, load
from coderl.config.objective import ObjectiveConfig
from coderl.config.settings import RunConfig
from coderl.errors import ConfigError

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.name)
def test_every_shipped_config_parses_and_round_trips(path: Path, tmp_path: Path) -> None:
    config = load(path)
    copy = tmp_path / "config.toml"
    copy.write_text(config.to_toml())
    assert load(copy) == config
    assert list(without_effect(config, on_gpu=False)) == []


def test_configs_are_shipped() -> None:
    assert [p.name for p in CONFIGS] == ["demo.toml", "hard.toml", "tiny.toml"]


def test_overrides_are_typed_and_bare_words_are_strings() -> None:
    config = load(
        None, ["learner.learning_rate=3e-5", "data.train=humaneval", "train.control=true", "name=x1"]
    )
    assert config.learner.learning_rate == 3e-5
    assert (config.data.train, config.train.control, config.name) == ("humaneval", True, "x1")
    assert config.model_copy(update={"name": "run"}).train.steps == RunConfig().train.steps


def test_a_named_model_has_its_own_defaults_which_what_is_given_replaces(tmp_path: Path) -> None:
    built_in, named = load(None).learner, load(None, ["model.path=x"])
    assert (built_in.schedule, built_in.learning_rate) == ("kl:3e-4", 1e-4)
    assert (named.learner.schedule, named.learner.learning_rate) == ("constant", 2e-5)
    told = load(None, ["model.path=x", "learner.schedule=kl:1e-3"]).learner
    assert (told.schedule, told.learning_rate) == ("kl:1e-3", 2e-5)
    copy = tmp_path / "config.toml"
    copy.write_text(load(None).with_model(tmp_path).to_toml())
    assert load(copy).learner == built_in  # as a study's arms are saved


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (
            ["sampler.temperature=0"],
            r"above 0, as training learns from what differs \(eval.temperature may be 0",
        ),
        (['sampler.stop=["a"]', "sampler.share_prefixes=true"], "share_prefixes knows no stop strings"),
        (['sampler.stop=[""]'], "stop holds an empty string"),
    ],
)
def test_sampling_that_training_cannot_have_is_refused(overrides: list[str], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        load(None, overrides)


SERVERS = 'sampler.urls=["http://localhost:1"]'


@pytest.mark.parametrize(
    ("overrides", "on_gpu", "named", "reason"),
    [
        (["warmup.steps=10", "train.control=true", "sampler.processes=2"], False, [], ""),
        (["model.path=x"], True, [], ""),
        (["model.path=x", "warmup.steps=10"], False, ["warmup.steps"], "model.path names a model"),
        (["model.path=x", "train.control=true"], False, ["train.control"], "not warmed up"),
        (["sampler.processes=2"], True, ["sampler.processes"], "here is a GPU"),
        (["sampler.share_prefixes=true"], True, ["sampler.share_prefixes"], "here is a GPU"),
        (["sampler.gpu_memory_fraction=0.5"], True, [], ""),
        (["sampler.gpu_memory_fraction=0.5"], False, ["sampler.gpu_memory_fraction"], "here is none"),
        ([SERVERS, "sampler.processes=2"], False, ["sampler.processes"], "sampler.urls names servers"),
        ([SERVERS, "sampler.share_prefixes=true"], True, ["sampler.share_prefixes"], "names servers"),
        ([SERVERS, "sampler.transfer=nccl"], True, [], ""),
        (["sampler.transfer=/tmp"], False, ["sampler.transfer"], "in this process"),
        (["sampler.transfer=/tmp", "sampler.processes=2"], False, [], ""),
        (['sandbox.urls=["http://x"]', "sandbox.slots=9"], False, ["sandbox.slots"], "names daemons"),
        (["stages.patience=3"], False, ["stages.patience"], "no stage has an objective"),
        (["stages.patience=3", "stages.exploration=grpo"], False, [], ""),
        (["objective.name=grpo", "objective.kl_kind=k1"], False, ["objective.kl_kind"], "kl_coef is 0"),
        (["objective.kl_coef=0"], False, [], ""),
        (["objective.sampler_correction_cap=3"], False, ["objective.sampler_correction_cap"], "is none"),
        (["objective.sampler_correction_cap=3", "train.lag=1"], False, [], ""),
        (["objective.positive_weight=0.2"], False, ["objective.positive_weight"], "only w_reinforce"),
        (["objective.positive_weight=0.2", "stages.exploration=w_reinforce"], False, [], ""),
        (
            ["objective.name=nsr", "objective.scale_by_std=true"],
            False,
            ["objective.scale_by_std"],
            "verdicts",
        ),
        (["objective.eps_low=0.02"], False, ["objective.eps_low"], "nothing can clip"),
        (["objective.eps_low=0.02", "learner.minibatches=4"], False, [], ""),
        (
            ["objective.name=cispo", "objective.dual_clip=9", "learner.minibatches=4"],
            False,
            ["objective.dual_clip"],
            "clips weights",
        ),
    ],
)
def test_a_setting_without_effect_is_named_with_the_reason(
    overrides: list[str], on_gpu: bool, named: list[str], reason: str
) -> None:
    found = list(without_effect(load(None, overrides), on_gpu=on_gpu))
    assert [line.split(" ")[0] for line in found] == named
    assert all(reason in line for line in found)


def test_every_setting_that_may_be_without_effect_exists() -> None:
    assert len([key for row in DEPENDENT for key in single(row.keys)]) > 25
    for row in DEPENDENT:
        for key in single(row.keys):
            attrgetter(key)(RunConfig())


@pytest.mark.parametrize("name", ["grpo_n", "gspo_n"])
def test_training_holds_negative_only_objectives_to_the_warm_model_unless_told_otherwise(name: str) -> None:
    for override in (f"objective.name={name}", f"stages.exploration={name}"):
        held = load(None, ["objective.name=grpo", override])
        assert all((o.kl_coef, o.kl_kind) == (0.1, "full") for o in objectives(held))
        told = load(None, ["objective.name=grpo", override, "objective.kl_coef=0", "train.lag=1"])
        assert all((o.kl_coef, o.sampler_correction) == (0, "token") for o in objectives(told))
    assert load(None, ["objective.name=grpo"]).objective.kl_coef == 0
    assert RunConfig().objective == load(None, ["objective.name=grpo_n"]).objective


def objectives(config: RunConfig) -> list[ObjectiveConfig]:
    return [config.objective, *config.stages.objectives(config.objective).values()]


def test_a_stage_s_objective_has_its_own_defaults_and_the_options_of_the_run_s(tmp_path: Path) -> None:
    stages = ["stages.exploration=gspo_n", "objective.entropy_coef=0.01", "objective.aggregation=token_mean"]
    config = load(None, ["objective.name=grpo", *stages])
    (staged,) = config.stages.objectives(config.objective).values()
    assert (config.objective.eps_low, staged.eps_low) == (0.2, 3e-4)
    assert (staged.entropy_coef, staged.aggregation) == (0.01, "token_mean")
    copy = tmp_path / "config.toml"
    copy.write_text(config.to_toml())
    again = load(copy)
    assert again == config and objectives(again) == objectives(config)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["objective.eps_low=0.02", "stages.exploration=gspo_n"], "eps_low = 0.02 .* does not fit gspo_n"),
        (
            ["objective.name=grpo", "objective.dual_clip=1.25", "stages.exploration=dapo"],
            r"dapo, which \[stages\] names: dual_clip must be above 1 \+ eps_high = 1.28",
        ),
        (["stages.exploration=best"], "stages.exploration = 'best'"),
    ],
)
def test_what_does_not_fit_a_stage_s_objective_is_an_error(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^the command line: .*{message}"):
        load(None, overrides)


@pytest.mark.parametrize(
    ("override", "message"),
    [(f"{key}=1", f"{key} {became}") for key, became in MOVED.items()]
    + [
        ("stages.exploration.name=grpo_n", "a stage names an objective, such as grpo_n"),
        ("sampler.transfer=folder", "nccl, or a folder's absolute path"),
    ],
)
def test_a_key_of_an_older_configuration_is_told_its_new_place(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        load(None, [override])


def test_the_new_places_of_moved_keys_exist() -> None:
    sections = "|".join(RunConfig.model_fields)
    named = re.findall(rf"\b(?:{sections})\.[a-z_]+", " ".join(MOVED.values()))
    assert len(named) >= 6
    for key in named:
        attrgetter(key)(RunConfig())


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("learner.lerning_rate=1", "did you mean learner.learning_rate?"),
        (
            "learning_rate=1",
            "did you mean warmup.learning_rate or supervised.learning_rate or learner.learning_rate?",
        ),
        ("learner.learning_rate=-1", "greater than 0"),
        ("train.steps=many", "train.steps"),
        ("train.steps", "section.key=value"),
        ("name.x=1", "name"),
        ("name=../escape", "name"),
        (
            "model.colour=x",
            "keys of model are: model.answer_opening, model.dtype, model.path, model.prompt_style, "
            "model.prompt_template, model.system_prompt",
        ),
        ("nowhere=1", "sections and keys are: data, eval, grading"),
        ("learner.schedule=kl:0", "kl:TARGET, such as kl:3e-4"),
        ("learner.schedule=step", "constant, linear, cosine or kl:TARGET"),
        ("learner.betas=[0.9,1]", "learner.betas.1 = 1: input should be less than 1"),
        ("sampler.transfer=nccl", "sampler: transfer = nccl is for vLLM servers"),
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
