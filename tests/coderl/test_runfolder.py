"""Run folders and checkpoints: whole or absent, rewindable, readable by any Parquet reader."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from coderl.config.load import load
from coderl.config.settings import RunConfig, WarmupConfig
from coderl.errors import RunFolderError
from coderl.model.policy import Policy
from coderl.model.toy import build_policy
from coderl.rollouts.batch import Batch, Group, Rollout
from coderl.runfolder import checkpoint
from coderl.runfolder.write import RunFolder
from sandbox.protocol import ErrorInfo, Frame, Status
from tasks.extraction.answers import Answer
from tasks.types import CallTest, Task, TestResult, Verdict


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return RunConfig(name="r", runs=str(tmp_path))


@pytest.fixture(scope="module")
def policy() -> Policy:
    return build_policy(WarmupConfig(vocabulary=300, layers=1, hidden_size=32), ["x"], 0)


def batch(step: int) -> Batch:
    task = Task(id="a", prompt="p", tests=(CallTest(function="f", expected=1),), level="easy")
    frame = Frame(3, "f", "    return 1 / 0")
    error = ErrorInfo(type="ZeroDivisionError", message="division by zero", phase="call", frames=(frame,))
    failed = Verdict(
        task_id="a",
        passed=False,
        score=0.5,
        status=Status.EXCEPTION,
        phase="call",
        error=error,
        tests=(TestResult(name="t", passed=False, status=Status.EXCEPTION, expected="1"),),
    )
    infra = Verdict(task_id="a", passed=None, score=None, status=Status.INFRA, phase="infra")
    rollouts = [
        Rollout(task, 0, [1], [5, 6], [-1.0, -0.5], "text", False, step, Answer("prog"), [failed], 0.5, -1.0),
        Rollout(
            task, 1, [1], [5], [-1.0], "text", True, step, Answer("prog", ("one", "prog")), [infra, failed]
        ),
    ]
    return Batch(step, [Group(task, rollouts)])


def test_rollouts_round_trip_and_infra_is_null_not_zero(config: RunConfig) -> None:
    folder = RunFolder.create(config, ["coderl"])
    folder.write_rollouts(batch(7))
    first, second = pq.read_table(folder.path / "rollouts" / "step-000007.parquet").to_pylist()
    assert (first["reward"], first["advantage"], first["passed"], first["score"]) == (0.5, -1.0, False, 0.5)
    assert (first["error_type"], first["error_line"], first["error_source"]) == (
        "ZeroDivisionError",
        3,
        "    return 1 / 0",
    )
    assert first["logprob_sum"] == -1.5 and first["tokens"] == [5, 6]
    assert (second["reward"], second["score"], second["passed"], second["status"]) == (
        None,
        None,
        None,
        "infra",
    )
    assert second["blocks"] == [{"code": "one", "passed": False}, {"code": "prog", "passed": None}]


def test_the_resolved_config_loads_back(config: RunConfig) -> None:
    folder = RunFolder.create(config, ["coderl"])
    assert load(folder.path / "config.toml") == config
    assert json.loads((folder.path / "run.json").read_text())["schema"] == 1


def test_an_existing_or_unwritable_folder_is_refused(config: RunConfig, tmp_path: Path) -> None:
    RunFolder.create(config, [])
    with pytest.raises(RunFolderError, match="exists already; resume it with --resume"):
        RunFolder.create(config, [])
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="cannot be written"):
        RunFolder.create(RunConfig(name="x", runs=str(tmp_path / "file")), [])


def test_a_file_in_the_run_folder_s_place_is_named(config: RunConfig, tmp_path: Path) -> None:
    config.folder.write_text("")
    with pytest.raises(RunFolderError, match=f"run folder {config.folder} is no folder; choose another name"):
        RunFolder.create(config, [])


@pytest.mark.parametrize("damaged", ['{"kind": "st\x00', "7", '{"kind": "step"}', "\ufffd"])
def test_a_damaged_line_is_named_with_its_number(config: RunConfig, damaged: str) -> None:
    folder = RunFolder.create(config, [])
    folder.log("step", 1)
    with (folder.path / "steps.jsonl").open("a") as file:
        file.write(f"{damaged}\n")
    folder.log("step", 2)
    with pytest.raises(RunFolderError, match=r"steps\.jsonl, line 2: damaged.*remove that line"):
        folder.rewind(1)


def test_rewind_forgets_later_steps_half_lines_and_temporary_files(config: RunConfig) -> None:
    folder = RunFolder.create(config, [])
    for step in (1, 2, 3):
        folder.log("step", step, loss=float("nan"), reward_mean=step / 4)
        folder.write_rollouts(batch(step))
    folder.write_evaluation("held-out", batch(3))
    with (folder.path / "steps.jsonl").open("a") as file:
        file.write('{"kind": "step", "st')
    (folder.path / "rollouts" / ".tmp-step-000004.parquet").write_text("half")
    folder.rewind(2)
    assert [(line["step"], line["loss"], line["reward_mean"]) for line in folder.read_log()] == [
        (1, None, 0.25),
        (2, None, 0.5),
    ]
    assert sorted(p.name for p in folder.path.glob("*s/*")) == ["step-000001.parquet", "step-000002.parquet"]


def test_checkpoints_are_whole_and_restore_the_optimizer(policy: Policy, tmp_path: Path) -> None:
    optimizer = torch.optim.AdamW(policy.model.parameters(), lr=1e-3)
    policy.model(input_ids=torch.tensor([[1, 2]])).logits.sum().backward()
    optimizer.step()
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, step, policy, {"optimizer": optimizer.state_dict()})
    newest = checkpoint.latest(tmp_path)
    assert newest is not None and newest.name == "step-000003"
    state = checkpoint.load_state(newest)
    again = torch.optim.AdamW(policy.model.parameters(), lr=1.0)
    again.load_state_dict(state["optimizer"])
    name = next(iter(optimizer.state))
    assert torch.equal(again.state[name]["exp_avg"], optimizer.state[name]["exp_avg"])
    checkpoint.prune(tmp_path, keep=1, protect=tmp_path / "step-000001")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000001", "step-000003"]


@pytest.mark.parametrize(
    ("kept", "says"), [(None, "is missing"), (0, "is damaged"), (40, "is damaged"), (500, "is damaged")]
)
def test_a_state_that_cannot_be_read_is_named(
    policy: Policy, tmp_path: Path, kept: int | None, says: str
) -> None:
    saved = checkpoint.save(tmp_path, 1, policy, {"weights": torch.ones(100)})
    file = saved / "state.pt"
    whole = file.read_bytes()
    file.unlink()
    if kept is not None:
        file.write_bytes(whole[:kept])
    with pytest.raises(RunFolderError, match=f"state.pt {says}.*remove the folder {saved}"):
        checkpoint.load_state(saved)


def test_a_failed_write_keeps_the_previous_checkpoint(
    policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path, 1, policy, {})

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RunFolderError, match="No space left on device.*previous one is intact"):
        checkpoint.save(tmp_path, 2, policy, {})
    assert [p.name for p in tmp_path.iterdir()] == ["step-000001"]
