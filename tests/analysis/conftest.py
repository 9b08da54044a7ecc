"""Run folders as a training run would leave them: real Parquet, made from a few knobs."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

TEST = pa.struct(
    [
        ("name", pa.string()),
        ("passed", pa.bool_()),
        ("status", pa.string()),
        ("actual", pa.string()),
        ("expected", pa.string()),
    ]
)
SCHEMA = pa.schema(
    [
        *((name, pa.int32()) for name in ("step", "policy_version", "sample")),
        *((name, pa.string()) for name in ("task_id", "level", "prompt", "completion", "program")),
        ("tokens", pa.list_(pa.int32())),
        ("token_count", pa.int32()),
        ("logprob_sum", pa.float32()),
        ("truncated", pa.bool_()),
        *((name, pa.float32()) for name in ("reward", "advantage", "score")),
        ("passed", pa.bool_()),
        *((name, pa.string()) for name in ("status", "phase", "trust", "backend")),
        *((name, pa.string()) for name in ("error_type", "error_message", "error_source")),
        ("error_line", pa.int32()),
        ("tests", pa.list_(TEST)),
        ("blocks", pa.list_(pa.struct([("code", pa.string()), ("passed", pa.bool_())]))),
        ("solution_class", pa.string()),
        ("held_back_passed", pa.bool_()),
        ("held_back_failed", pa.list_(TEST)),
    ]
)

Rows = list[dict[str, Any]]


def passing(task: str, sample: int, step: int = 0, **changes: Any) -> dict[str, Any]:
    program = "def f(x):\n    return x + 1\n"
    row = {
        "step": step,
        "policy_version": step,
        "sample": sample,
        "task_id": task,
        "level": "easy",
        "prompt": f"Write f for {task}.",
        "completion": program,
        "program": program,
        "tokens": [1, 2, 3],
        "token_count": 3,
        "logprob_sum": -1.5,
        "truncated": False,
        "reward": 1.0,
        "advantage": 0.0,
        "score": 1.0,
        "passed": True,
        "status": "ok",
        "phase": "passed",
        "trust": "isolated",
        "backend": "docker",
        "tests": [{"name": "f(1)", "passed": True, "status": "ok", "actual": "2", "expected": "2"}],
        "blocks": [],
    }
    return row | changes


def wrong(task: str, sample: int, step: int = 0, output: str = "3", **changes: Any) -> dict[str, Any]:
    tests = [{"name": "f(1)", "passed": False, "status": "ok", "actual": output, "expected": "2"}]
    program = f"def f(x):\n    return {output}\n"
    failed = {
        "reward": 0.0,
        "score": 0.0,
        "passed": False,
        "phase": "wrong",
        "tests": tests,
        "program": program,
    }
    return passing(task, sample, step, **(failed | changes))


def raising(task: str, sample: int, step: int = 0, **changes: Any) -> dict[str, Any]:
    error: dict[str, Any] = {
        "status": "exception",
        "phase": "call",
        "error_type": "TypeError",
        "error_message": 'can only concatenate str (not "int") to str',
        "error_source": "return str(x) + 1",
        "error_line": 2,
        "program": "def f(x):\n    return str(x) + 1\n",
    }
    return wrong(task, sample, step, **(error | changes))


def infra(task: str, sample: int, step: int = 0) -> dict[str, Any]:
    nothing: dict[str, Any] = {"reward": None, "advantage": None, "score": None, "passed": None, "tests": []}
    return passing(task, sample, step, status="infra", phase="infra", **nothing)


def revised(task: str, sample: int, step: int, first: bool, last: bool) -> dict[str, Any]:
    """A response with two attempts and a remark between them."""
    codes = [f"def f(x):\n    return {'x + 1' if right else 'x'}\n" for right in (first, last)]
    completion = f"```python\n{codes[0]}```\nWait, that is off by one.\n```python\n{codes[1]}```\n"
    blocks = [{"code": code, "passed": right} for code, right in zip(codes, (first, last), strict=True)]
    maker = passing if last else wrong
    return maker(task, sample, step, completion=completion, program=codes[1], blocks=blocks)


def write_parquet(path: Path, rows: Rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)


def sampled(step: int, tasks: int, samples: int, pass_rate: float, seed: int) -> Rows:
    """A mixture of right, wrong, raising, revised and ungraded completions."""
    draw = random.Random(seed)
    rows = []
    for task in range(tasks):
        for sample in range(samples):
            name, luck = f"task/{task:03}", draw.random()
            if luck < pass_rate:
                rows.append(passing(name, sample, step))
            elif luck < pass_rate + 0.02:
                rows.append(infra(name, sample, step))
            elif luck < pass_rate + 0.12:
                rows.append(revised(name, sample, step, draw.random() < 0.3, draw.random() < 0.6))
            elif draw.random() < 0.3:
                rows.append(raising(name, sample, step))
            else:
                rows.append(wrong(name, sample, step, output=str(draw.choice([1, 1, 1, 3, 4]))))
    return rows


def make_run(folder: Path, *, steps: int = 12, tasks: int = 20, samples: int = 8, gain: float = 0.3) -> Path:
    """A run of `steps` training steps with evaluations at both ends and a control; returns `folder`."""
    folder.mkdir(parents=True)
    info: dict[str, Any] = {"schema": 1, "name": folder.name, "started": "2026-01-01T00:00:00Z", "seed": 0}
    info |= {"versions": {"torch": "2.13"}, "command": "coderl train"}
    (folder / "run.json").write_text(json.dumps(info))
    (folder / "config.toml").write_text('[train]\nobjective = "grpo-n"\n')
    lines: Rows = []
    for step in range(1, steps + 1):
        rate = 0.4 + gain * step / steps
        write_parquet(folder / "rollouts" / f"step-{step:06}.parquet", sampled(step, 8, 8, rate, seed=step))
        line: dict[str, Any] = {"kind": "step", "step": step, "compile_rate": 0.9, "top_program_share": 0.3}
        line |= {"reward_mean": rate, "pass_rate": rate, "entropy": 0.5 - 0.02 * step, "kl_warm": 0.01 * step}
        line |= {"seconds_sample": 0.8, "seconds_grade": 0.3, "seconds_learn": 0.9, "seconds_publish": 0.02}
        lines.append(line)
    for name, step, rate in [("held-out", 0, 0.4), ("held-out", steps, 0.4 + gain), ("control", steps, 0.42)]:
        rows = sampled(step, tasks, samples, rate, seed=1000 + step)
        write_parquet(folder / "evals" / f"{name}-step-{step:06}.parquet", rows)
        line = {"kind": "eval", "name": name, "step": step, "tasks": tasks, "samples": samples}
        line |= {"pass_at_k": {"1": rate, "8": min(1.0, rate + 0.3)}, "compile_rate": 0.9, "entropy": 0.4}
        line |= {"class_mass": {"popular": 0.6 - 0.01 * step, "rare": 0.01 + 0.02 * step}, "infra_count": 1}
        lines.append(line)
    (folder / "steps.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    return make_run(tmp_path / "demo")


@pytest.fixture
def run_maker() -> Callable[..., Path]:
    return make_run
