"""A run with reward, metric and objective of a user's own, and its resumption with more steps and another reward."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coderl.config.load import load
from coderl.config.resuming import resumed
from coderl.config.settings import RunConfig
from coderl.training import loop
from coderl.training.display import Display
from coderl.training.opening import open_run
from tasks import native
from tests.coderl.test_own import own
from tests.coderl.tiny import save_tiny_qwen2
from tests.coderl.vllm_stub import Stub, broken_programs, serving

MINE = """
from coderl.config.objective import Form

def half(rewards):
    return (min(rewards) + max(rewards)) / 2

def words(completion, task):
    return len(completion.split()) + len(task.id)

def cut(truncated):
    return -1.0 if truncated else 1.0

Own = Form(advantages=lambda config, rewards, passed: [reward - half(rewards) for reward in rewards])
"""


def trained(config: RunConfig, *, resume: bool) -> list[dict]:
    with open_run(config, resume=resume, display=Display(quiet=True)) as run:
        loop.train(run)
        return run.folder.read_log()


@pytest.mark.timeout(900)
def test_a_run_with_all_three_and_its_resumption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = own(tmp_path, monkeypatch, MINE)
    model = save_tiny_qwen2(tmp_path / "qwen2")
    native.dump(broken_programs(2), tmp_path / "tasks.jsonl")
    with serving(Stub(model)) as url:
        config = load(
            None,
            [
                *(f"runs={tmp_path}/runs", f"model.path={model}", f"data.train={tmp_path}/tasks.jsonl"),
                *(f"data.evaluation={tmp_path}/tasks.jsonl", "data.allow_overlap=true"),
                *(f'sampler.urls=["{url}"]', f"sampler.transfer={tmp_path}", "sampler.max_tokens=8"),
                *("train.steps=1", "train.prompts_per_step=2", "train.samples_per_prompt=3"),
                *("train.checkpoint_every=1", "train.stop_on_collapse=false", "eval.final_samples=2"),
                *("sandbox.slots=1", f"objective.name={mine}:Own", f'metrics.own=["{mine}:cut"]'),
                f'reward.kind={{fraction = 1, "{mine}:words" = -0.5}}',
            ],
        )
        first = trained(config, resume=False)
        changed = ["train.steps=2", f"reward.kind={mine}:cut"]
        second = trained(resumed(config.folder, changed, allow_changes=True), resume=True)
    steps = [line for line in second if line["kind"] == "step"]
    assert first[1] == steps[0] and steps[0]["objective"] == f"{mine}:Own"
    assert steps[0]["reward_mean"] < -1 <= steps[1]["reward_mean"] == steps[1]["metric_cut"]
    assert all(-1 <= line["metric_cut"] <= 1 for line in second if line["kind"] in ("step", "eval"))
    events = [line["detail"] for line in second if line.get("event") == "changed"]
    assert sorted(event.partition(":")[0] for event in events) == ["reward.kind", "train.steps"]
    assert "train.steps: 1 -> 2" in events
    assert load(config.folder / "config.toml").reward.kind == f"{mine}:cut"
    assert json.loads((config.folder / "run.json").read_text())["name"] == "run"
