"""A study's report from a made-up study whose truth is known: GRPO sharpens, GRPO-N does not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from analysis import study
from analysis.errors import RunError
from tests.analysis.conftest import make_run, passing, write_parquet, wrong

TASKS, SAMPLES, SEEDS = 24, 16, [0, 1, 2]
SAMPLED = ("samples", "best_samples", "train_samples")
# Of each task's 16 samples so many are right, and its failures are so many different errors; the last eight
# tasks are the hard ones, which only a policy that keeps its spread still solves at times.
POLICIES = {
    "warm": {"easy": 6, "hard": 1, "errors": 5, "entropy": 0.5},
    "control": {"easy": 6, "hard": 1, "errors": 5, "entropy": 0.5},
    "grpo": {"easy": 14, "hard": 0, "errors": 1, "entropy": 0.1},
    "grpo_n": {"easy": 14, "hard": 1, "errors": 5, "entropy": 0.4},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "study"
    description = {
        "schema": 1,
        "name": "study",
        "seeds": SEEDS,
        "once": [],
        "arms": {"grpo": [], "grpo_n": []},
    }
    root.mkdir()
    (root / "study.json").write_text(
        json.dumps(description | {"final": {"tasks": TASKS} | dict.fromkeys(SAMPLED, SAMPLES)})
    )
    for arm, truth in POLICIES.items():
        for name in [arm] if arm in ("warm", "control") else [f"{arm}-seed{seed}" for seed in SEEDS]:
            _evaluated(root / "evals" / name, truth)
            if name != arm:
                make_run(root / "arms" / name, steps=4, tasks=4, samples=4)
    return root


def _evaluated(folder: Path, truth: dict[str, Any]) -> None:
    rows = []
    for number in range(TASKS):
        task, right = f"task/{number:02}", truth["hard" if number >= 16 else "easy"]
        rows += [passing(task, sample) for sample in range(right)]
        rows += [
            wrong(task, sample, output=str(sample % truth["errors"])) for sample in range(right, SAMPLES)
        ]
    write_parquet(folder / "evals" / "held-out-step-000000.parquet", rows)
    line = {"kind": "eval", "name": "held-out", "step": 0, "tasks": TASKS, "samples": SAMPLES}
    line |= {"pass_at_k": {"1": 0.5}, "entropy": truth["entropy"], "compile_rate": 1.0, "class_mass": {}}
    (folder / "steps.jsonl").write_text(json.dumps(line) + "\n")
    (folder / "run.json").write_text(json.dumps({"schema": 1, "name": folder.name, "versions": {}}))
    (folder / "config.toml").write_text("")
    (folder / "done.json").write_text(json.dumps({"seconds": 1.0, "best_temperature": 1.0}))


def test_known_truths_are_found(folder: Path) -> None:
    report = study.write(folder).read_text()
    verdicts = {row["claim"]: row for row in json.loads((folder / "study-report.json").read_text())}
    for claim, expected in {
        "grpo raises pass@1": "holds",
        "grpo shrinks the boundary: pass@8 falls": "holds",
        "grpo sharpens: entropy falls": "holds",
        "grpo_n keeps more pass@8 than grpo": "holds",
        "grpo_n keeps more entropy than grpo": "holds",
        "grpo_n repeats an error less (recurrence, L2)": "holds",
        "control: continued warm-up leaves pass@1": "holds",
    }.items():
        assert verdicts[claim]["verdict"] == expected, verdicts[claim]
    # 16 easy tasks gain 8 of 16 samples, 8 hard ones lose 1 of 16: (16 * 0.5 - 8 / 16) / 24.
    assert verdicts["grpo raises pass@1"]["value"] == pytest.approx(7.5 / 24)
    # pass@8 of 1 right of 16 is 1/2; of 6 right it is 1 - C(10,8)/C(16,8) = 1 - 45/12870; of 14 right 1.
    assert verdicts["grpo shrinks the boundary: pass@8 falls"]["value"] == pytest.approx(
        (16 * 45 / 12870 - 8 / 2) / 24
    )
    assert "## Transcripts" in report and "### task/" in report
    assert "### task/00: from 38% to 88% of the samples" in report
    assert (folder / "boundary.svg").stat().st_size < 100_000


def test_a_named_models_study_has_its_base_and_further_data_sets(folder: Path) -> None:
    _evaluated(folder / "evals" / "base", {"easy": 1, "hard": 0, "errors": 5, "entropy": 0.9})
    for policy in (folder / "evals").iterdir():
        source = policy / "evals" / "held-out-step-000000.parquet"
        shutil.copy(source, source.with_name("other-step-000000.parquet"))
    file = folder / "study.json"
    description = json.loads(file.read_text()) | {"controls": ["warm", "control", "base"]}
    description["final"] |= {"temperatures": [], "temperature": 0.6, "others": {"other": "spec"}}
    file.write_text(json.dumps(description))
    report = study.write(folder).read_text()
    verdicts = {
        row["claim"]: row["verdict"] for row in json.loads((folder / "study-report.json").read_text())
    }
    assert verdicts["the supervised start raises pass@1"] == "holds"
    assert verdicts["... beyond the control"] == verdicts["... on other"] == "holds"
    assert "pass@8, other" in report and "| base |" in report and "temperature 0.6" in report
    assert "best temperature" not in report


def test_an_unfinished_study_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "study.json").unlink()
    with pytest.raises(RunError, match="not a finished study"):
        study.write(folder)


def test_a_missing_policy_is_named(folder: Path) -> None:
    shutil.rmtree(folder / "evals" / "grpo-seed1")
    with pytest.raises(RunError, match="grpo-seed1"):
        study.write(folder)
