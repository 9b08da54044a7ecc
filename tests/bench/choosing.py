"""Tasks chosen by the posterior of their pass rate against shuffled epochs (`data.choice`), at equal samples.

    python -m tests.bench.choosing LEVEL [folder]      LEVEL: mix or hard

Three seeds each, from one warm model, in turn; run again, it goes on where it stopped. Held-out pass@k is of 128 tasks; an
interval is Student's t over the differences of seeds.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench import warm_model

SEEDS = (0, 1, 2)
CHOICES = ("uniform", "posterior")
T_OF_THREE = 4.303  # Student's 97.5% point, two degrees of freedom
STEPS = 30
WARM = {"mix": [], "hard": ["warmup.level=builtin:hard", "warmup.steps=500", "warmup.wrong_rate=0.3"]}
SHARED = [
    "objective.name=grpo_n",
    "learner.learning_rate=1e-4",
    "learner.schedule=kl:3e-4",
    "data.train_count=128",
    "data.evaluation_count=128",
    f"train.steps={STEPS}",
    "train.prompts_per_step=16",
    "train.show_samples_every=0",
    "train.stop_on_collapse=false",
    "eval.every=0",
    "sampler.max_tokens=96",
    "sampler.share_prefixes=true",
]


def main(level: str, folder: Path) -> None:
    warm = folder / "warm"
    if not warm.exists():
        warm_model.make(folder, *WARM[level])
    found: dict[str, list[dict[str, float]]] = {choice: [] for choice in CHOICES}
    for seed in SEEDS:
        for choice in CHOICES:
            run = folder / f"{choice}-{seed}"
            if not _is_finished(run):
                _train(run, level, warm, seed, choice)
            found[choice].append(_measured(run))
    print("| | uniform | posterior | posterior - uniform |\n|---|---|---|---|")
    for name in found["uniform"][0]:
        columns = [[each[name] for each in found[choice]] for choice in CHOICES]
        gaps = [after - before for before, after in zip(*columns, strict=True)]
        half = T_OF_THREE * statistics.stdev(gaps) / len(gaps) ** 0.5
        cells = [", ".join(f"{value:.3f}" for value in column) for column in columns]
        print(f"| {name} | {cells[0]} | {cells[1]} | {statistics.fmean(gaps):+.3f} ± {half:.3f} |")
    expected, seen = zip(*(_known(folder / f"posterior-{seed}") for seed in SEEDS), strict=True)
    print("tasks sampled before: pass rate expected", *(f"{rate:.3f}" for rate in expected), end="; ")
    print("seen", *(f"{rate:.3f}" for rate in seen))
    print(json.dumps({"bench": "choosing", "level": level, "found": found}))


def _train(run: Path, level: str, warm: Path, seed: int, choice: str) -> None:
    overrides = [
        *SHARED,
        f'data.train="builtin:{level}"',
        f'data.evaluation="builtin:{level}"',
        f'model.path="{warm.resolve()}"',
        f'runs="{run.parent}"',
        f'name="{run.name}"',
        f"seed={seed}",
        f"data.choice={choice}",
    ]
    arguments = ["--resume", str(run)] if (run / "config.toml").exists() else overrides
    subprocess.run([sys.executable, "-m", "coderl", "train", *arguments], check=True)


def _is_finished(run: Path) -> bool:
    return any(line["kind"] == "eval" and line["step"] == STEPS for line in _lines(run))


def _lines(run: Path) -> list[dict[str, Any]]:
    log = run / "steps.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def _measured(run: Path) -> dict[str, float]:
    lines = _lines(run)
    steps = sorted((line for line in lines if line["kind"] == "step"), key=lambda line: line["step"])
    (last,) = (line for line in lines if line["kind"] == "eval" and line["step"] == STEPS)
    signal = [line["signal_rate"] for line in steps]
    return {
        "groups with signal": statistics.fmean(signal),
        "the same, last ten steps": statistics.fmean(signal[-10:]),
        "pass rate in training": statistics.fmean(line["pass_rate"] for line in steps),
        "held-out pass@1": last["pass_at_k"]["1"],
        "held-out pass@16": last["pass_at_k"]["16"],
    }


def _known(run: Path) -> tuple[float, float]:
    """The mean pass rate of tasks sampled before: what the posterior expected, and what was seen."""
    steps = [line for line in _lines(run) if line["kind"] == "step" and line["known_tasks"]]
    keys = ("known_pass_rate_expected", "known_pass_rate")
    expected, seen = (statistics.fmean(step[key] for step in steps) for key in keys)
    return expected, seen


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2] if len(sys.argv) > 2 else f"runs/choosing-{sys.argv[1]}"))
