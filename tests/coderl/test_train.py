"""The whole system on real parts, small: vLLM samples, the sandbox grades, torch learns.

Every run is a process of its own, as a user's is.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from coderl.cli import main
from tasks import native
from tasks.types import CallTest, StdioTest, Task
from tests.coderl.test_own import examples
from tests.coderl.tiny import save_tiny_qwen2

pytestmark = pytest.mark.timeout(900)  # whole runs, two of them in one test

ROOT = Path(__file__).parents[2]
SMALL = [
    "data.train=builtin:tiny",
    "data.evaluation=builtin:tiny",
    "data.train_count=24",
    "data.evaluation_count=8",
    "data.choice=posterior",
    "warmup.level=builtin:tiny",
    "warmup.steps=250",
    "warmup.batch_size=32",
    "warmup.hidden_size=64",
    "warmup.layers=2",
    "warmup.learning_rate=6e-3",
    "train.steps=4",
    "train.prompts_per_step=6",
    "train.samples_per_prompt=4",
    "train.checkpoint_every=1",
    "train.show_samples_every=2",
    "train.stop_on_collapse=false",
    "eval.every=2",
    "eval.samples=2",
    "eval.final_samples=2",
    "learner.learning_rate=1e-3",
    "sampler.max_tokens=40",
    "grading.hold_back=0.5",
]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from coderl.cli import main; main()", *arguments]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def coderl(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=cwd, env=environment(), capture_output=True, text=True, timeout=600
    )


def metrics(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    return [
        {k: v for k, v in line.items() if not k.startswith("seconds")}
        for line in lines
        if line["kind"] != "event"
    ]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run under GRPO-N, left alone."""
    folder = tmp_path_factory.mktemp("train")
    done = coderl("train", *SMALL, "name=whole", "train.control=true", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "trained" in done.stdout and "control: warm-up continued" in done.stdout
    assert ", reward " in done.stderr  # samples are shown
    return folder / "runs" / "whole"


def test_a_run_leaves_the_documented_folder(finished: Path) -> None:
    lines = metrics(finished)
    assert [line["step"] for line in lines if line["kind"] == "step"] == [1, 2, 3, 4]
    evaluations = [(line["name"], line["step"]) for line in lines if line["kind"] == "eval"]
    assert evaluations == [("control", 0), ("held-out", 0), ("held-out", 2), ("held-out", 4)]
    assert (finished / "report.html").stat().st_size > 10_000
    assert (finished / "checkpoints" / "step-000004" / "model.safetensors").exists()
    evidence = json.loads((finished / "posterior" / "step-000004.json").read_text())
    assert len(evidence) == 24 and 6 <= sum(sum(each) > 0 for each in evidence.values()) <= 24


def test_every_step_says_where_its_time_went_and_its_stage(finished: Path) -> None:
    lines = [json.loads(line) for line in (finished / "steps.jsonl").read_text().splitlines()]
    for line in (line for line in lines if line["kind"] == "step"):
        phases = [line[f"seconds_{phase}"] for phase in ("sample", "grade", "learn", "publish")]
        assert min(phases) >= 0 and line["seconds_learn"] > 0
        assert 0.7 * line["seconds_total"] < sum(phases) <= line["seconds_total"]
        assert line["stage"] == "saturated/unknown"  # of so few steps


def test_every_completion_was_executed_in_an_isolated_sandbox(finished: Path) -> None:
    for file in [*finished.glob("rollouts/*.parquet"), *finished.glob("evals/*.parquet")]:
        for row in pq.read_table(file).to_pylist():
            assert row["status"] != "infra"
            assert row["trust"] == "isolated"
            assert row["phase"] == "no_code" or row["backend"] in ("docker", "bubblewrap", "confined")


def test_tests_held_back_are_not_rewarded_and_passing_completions_meet_them(finished: Path) -> None:
    graded_again, rewarded = 0, set[int]()
    for line in metrics(finished):
        if line["kind"] == "step":
            rows = pq.read_table(finished / "rollouts" / f"step-{line['step']:06d}.parquet").to_pylist()
            again = [row["held_back_passed"] for row in rows if row["held_back_passed"] is not None]
            assert len(again) == line["held_back_count"] == sum(row["passed"] for row in rows)
            assert line["overfit_rate"] == (pytest.approx(1 - sum(again) / len(again)) if again else None)
            graded_again += len(again)
            rewarded |= {len(row["tests"]) for row in rows if row["passed"]}
    assert graded_again > 0
    evaluated = pq.read_table(finished / "evals" / "held-out-step-000004.parquet").to_pylist()
    assert {row["held_back_passed"] for row in evaluated} == {None}
    assert max(rewarded) < max(len(row["tests"]) for row in evaluated)


def test_sampler_and_learner_agree_at_every_step(finished: Path) -> None:
    differences = [line["logprob_diff_max"] for line in metrics(finished) if line["kind"] == "step"]
    assert len(differences) == 4 and max(differences) < 1e-3


def test_negative_only_runs_leave_positive_completions_out_of_the_learner(finished: Path) -> None:
    for line in metrics(finished):
        if line["kind"] == "step":
            table = pq.read_table(finished / "rollouts" / f"step-{line['step']:06d}.parquet").to_pylist()
            assert all(row["advantage"] <= 0 for row in table)
            assert 0 < line["learner_rows"] == sum(row["advantage"] < 0 for row in table) < line["rows"]
            assert line["grad_norm"] > 0  # so that resuming exactly is not resuming nothing


def test_a_killed_and_resumed_run_ends_as_if_it_had_not_been_killed(finished: Path, tmp_path: Path) -> None:
    arguments = ("train", *SMALL, "name=whole", "train.control=true")
    process = subprocess.Popen(
        command(*arguments),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    run = tmp_path / "runs" / "whole"
    deadline = time.monotonic() + 500
    while not (run / "checkpoints" / "step-000001").exists():  # let it train, then kill it anywhere
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(random.uniform(0, 3))
    process.send_signal(signal.SIGKILL)
    process.wait()
    refused = coderl("train", "--resume", str(run), "objective.name=grpo", cwd=tmp_path)
    assert refused.returncode == 2 and "objective.name: grpo_n -> grpo" in refused.stderr
    resumed = coderl("train", "--resume", str(run), "train.show_samples_every=0", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert "train.show_samples_every: 2 -> 0" in resumed.stderr
    assert metrics(run) == metrics(finished)
    logged = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    changed = [line["detail"] for line in logged if line.get("event") == "changed"]
    assert changed == ["train.show_samples_every: 2 -> 0"]
    assert "show_samples_every = 0" in (run / "config.toml").read_text()


def test_a_dry_run_measures_a_step_and_leaves_nothing(tmp_path: Path) -> None:
    done = coderl("train", *SMALL, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(
        r"a step: at most [0-9.]+ s \(sample [0-9.]+, grade \+[0-9.]+, learn [0-9.]+", done.stdout
    )
    assert re.search(r"memory: [0-9.]+ GiB", done.stdout) and "0.1 M parameters" in done.stdout
    assert not list(tmp_path.iterdir())


def test_interrupting_leaves_a_resumable_run(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("train", *SMALL, "train.steps=50", "eval.every=0"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    run = tmp_path / "runs" / "run"
    deadline = time.monotonic() + 500
    while not (run / "checkpoints" / "step-000001").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "--resume" in errors
    events = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    assert events[-1]["event"] == "interrupted"
    assert (run / "checkpoints" / f"step-{events[-1]['step']:06d}").exists()


def test_someone_elses_model_and_tasks(tmp_path: Path) -> None:
    """A Qwen2 with a chat template, native tasks with call and stdin tests, and reward, metric and objective of
    docs/own.md."""
    model = save_tiny_qwen2(tmp_path / "qwen2")
    calls = (CallTest(function="f", args=(1,), expected=1), CallTest(function="f", args=(2,), expected=2))
    tasks = [
        Task(id=f"t{i}", prompt=f"Write f{i}.", tests=calls if i % 2 else (StdioTest(stdin="1", stdout="1"),))
        for i in range(4)
    ]
    native.dump(tasks, tmp_path / "mine.jsonl")
    (tmp_path / "mine.py").write_text(examples())
    done = coderl(
        "train",
        "--model",
        str(model),
        "--dataset",
        str(tmp_path / "mine.jsonl"),
        *("name=mine", "train.steps=2", "train.prompts_per_step=4", "train.samples_per_prompt=4"),
        *(
            "eval.final_samples=2",
            "sampler.max_tokens=16",
            "train.stop_on_collapse=false",
            "objective.name=mine:Median",
            'reward.kind={fraction = 1, "mine:fenced" = 0.2}',
            'metrics.own=["mine:fenced"]',
        ),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    lines = metrics(tmp_path / "runs" / "mine")
    assert [line["kind"] for line in lines] == ["eval", "step", "step", "eval"]
    assert all(0 <= line["metric_fenced"] <= 1 for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "humanevl"], "Did you mean 'humaneval'"),
        (["--dataset", "missing.jsonl"], "missing.jsonl"),
        (["--dataset", "broken.jsonl"], "broken.jsonl"),
        (["--model", "nowhere"], "no model at nowhere"),
        (["learner.lerning_rate=1"], "did you mean learner.learning_rate?"),
        (["runs=/proc/none"], "cannot be written"),
        (["name=taken"], "exists already; resume it with --resume"),
        (["--resume", "nothing"], "is not a run folder"),
        (
            ["sandbox.backend=vm"],
            "sandbox.backend = 'vm': input should be 'auto', 'docker', 'bubblewrap' or 'confined'",
        ),
    ],
)
def test_bad_input_is_one_clear_error_and_leaves_nothing(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In this process: loading what a run needs takes longer than saying what is wrong."""
    (tmp_path / "broken.jsonl").write_text('{"id": "a", "prompt": 3}\n')
    (tmp_path / "runs" / "taken").mkdir(parents=True)
    (tmp_path / "runs" / "taken" / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["coderl", "train", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert message in said and "Traceback" not in said
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["taken"]
