"""`coderl reproduce`: its configuration, and a whole study on real parts, small."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from coderl.errors import ConfigError
from coderl.study.config import load
from coderl.study.jobs import plan
from coderl.study.run import reproduce
from sandbox.errors import NoBackendError
from tests.coderl.test_train import ROOT, coderl

TINY = """
name = "study"
seeds = [0]
jobs = 2

[arms]
grpo_n = ["objective.name=grpo_n"]

[final]
tasks = 6
samples = 4
train_tasks = 2
train_samples = 2
calibration_tasks = 2
calibration_samples = 2
temperatures = [1.0]

[base.warmup]
level = "builtin:tiny"
steps = 60
batch_size = 16
hidden_size = 64
layers = 2
learning_rate = 6e-3

[base.data]
train = "builtin:tiny"
evaluation = "builtin:tiny"
train_count = 16
evaluation_count = 4

[base.sampler]
max_tokens = 40

[base.eval]
every = 1
samples = 2
final_samples = 2

[base.train]
steps = 2
prompts_per_step = 4
samples_per_prompt = 4
stop_on_collapse = false
"""


@pytest.mark.parametrize("quick", [False, True])
def test_the_shipped_study_is_valid(quick: bool) -> None:
    config = load(ROOT / "configs" / "studies" / "paper.toml", quick=quick)
    (models,), controls, arms = plan(config)
    assert models.name == "warm" and {shard.name for shard in controls} == {"warm", "control"}
    trained = {(a, s) for a in config.arms for s in config.seeds if a != "shuffled" or s == config.seeds[0]}
    assert {(shard.arm, shard.seed) for shard in arms} == trained
    assert config.arm("shuffled", 0).objective.shuffle_advantages
    assert quick or (config.final.tasks >= 200 and config.final.samples >= 256 and len(config.seeds) >= 3)


def test_a_study_of_a_named_model_evaluates_it_as_it_was_too() -> None:
    overrides = ["seeds=[3, 4]", "base.data.train=mbpp=here.jsonl"]
    config = load(ROOT / "configs" / "studies" / "real.toml", quick=False, overrides=overrides)
    _, controls, arms = plan(config)
    assert [shard.name for shard in controls] == ["warm", "control", "base"]
    assert [shard.name for shard in arms] == ["grpo-seed3", "grpo_n-seed3", "grpo-seed4", "grpo_n-seed4"]
    arm = config.arm("grpo_n", 3)
    assert arm.model.path == str(config.folder / "warm") and arm.data.train == "mbpp=here.jsonl"
    assert arm.learner.schedule == "constant" and config.arm("grpo", 3).objective.name == "grpo"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("objective.name=grpo_n", "objective.nme=grpo_n", "objective.name"),
        ("grpo_n = [", "warm = [", "warm"),
        ("seeds", "seds", "seeds"),
        ("steps = 2", "steps = 0", "train.steps"),
        ("seeds", 'once = ["nsr"]\nseeds', "once names 'nsr'"),
    ],
)
def test_what_is_wrong_with_a_study_is_said(tmp_path: Path, old: str, new: str, says: str) -> None:
    file = tmp_path / "study.toml"
    file.write_text(TINY.replace(old, new))
    with pytest.raises(ConfigError, match=re.escape(says)):
        load(file, quick=False)


def test_a_missing_study_is_said_with_the_option_that_names_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.toml cannot be read .*give one with --config"):
        load(tmp_path / "missing.toml", quick=False)


def test_a_missing_sandbox_is_found_before_the_warm_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(TINY + '[base.sandbox]\nbackend = "bubblewrap"\n')
    config = load(file, quick=False, runs=str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoBackendError, match="bubblewrap: "):
        reproduce(config)
    assert [path.name for path in config.folder.iterdir()] == ["study.toml"]


def test_a_study_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(TINY)
    with pytest.raises(
        ConfigError, match=f"the study's folder {file}/study cannot be written .*name another"
    ):
        reproduce(load(file, quick=False, runs=str(file)))


@pytest.mark.timeout(900)
def test_a_study_from_warm_model_to_report_and_again(tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(TINY)
    ran = coderl("reproduce", "--config", str(file), cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    folder = tmp_path / "runs" / "study"
    report = (folder / "study-report.md").read_text()
    rows = json.loads((folder / "study-report.json").read_text())
    assert "grpo_n raises pass@1" in report and "control: continued warm-up" in report
    # One seed decides nothing, whatever it shows.
    assert {row["verdict"] for row in rows} == {"undecided"}
    finished = {path: path.stat().st_mtime_ns for path in folder.glob("evals/*/done.json")}
    assert {path.parent.name for path in finished} == {"warm", "control", "grpo_n-seed0"}
    # What is finished is not done again; what is missing is.
    (folder / "evals" / "grpo_n-seed0" / "done.json").unlink()
    again = coderl("reproduce", "--config", str(file), cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    hours = re.compile(r"[\d.]+ hours of work")  # of the tries that finished
    assert hours.sub("", (folder / "study-report.md").read_text()) == hours.sub("", report) != report
    del finished[folder / "evals" / "grpo_n-seed0" / "done.json"]
    assert all(path.stat().st_mtime_ns == when for path, when in finished.items())
    # A folder of another study is not touched.
    file.write_text(TINY.replace("steps = 60", "steps = 61"))
    other = coderl("reproduce", "--config", str(file), cwd=tmp_path)
    assert other.returncode == 2 and "another configuration" in other.stderr
