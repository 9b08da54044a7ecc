"""The two-stage dynamics on a policy small enough to know the truth about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from coderl.dynamics import plot
from coderl.dynamics.expected import convergence
from coderl.dynamics.simulate import Options, Step, simulate, true_stages
from coderl.runfolder.files import make_folder
from coderl.training.stages import StageMonitor

__all__ = ["Options", "run"]

EVALUATE_EVERY = 10  # steps between the monitor's evaluations, as in a training run


def run(options: Options, out: Path, *, group_sizes: Sequence[int] = (2, 4, 8, 16, 32, 64)) -> Path:
    """Simulate, and write `dynamics.jsonl` and `dynamics.svg` into the folder `out`.

    Lines: {"kind": "options", ...}, then {"kind": "step", ..., "true_stage", "stage"} for each step, then
    {"kind": "convergence", ...} for each of `group_sizes` (with three actions and a group baseline only:
    the enumeration grows as G^(V-1)).

    Returns the path of `dynamics.jsonl`.
    """
    make_folder(out, "--out")
    steps = list(simulate(options))
    truth = true_stages(steps)
    judged = judge(steps)
    enumerable = len(options.rewards) == 3 and options.objective.form.is_relative
    rows = convergence(options, group_sizes) if enumerable else []
    lines: list[dict[str, object]] = [{"kind": "options", **options.model_dump(exclude_none=True)}]
    for step, true, said in zip(steps, truth, judged, strict=True):
        lines.append({"kind": "step", **asdict(step), "true_stage": true, "stage": said})
    lines += [{"kind": "convergence", **asdict(row)} for row in rows]
    path = out / "dynamics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    plot.write(out / "dynamics.svg", options, steps, truth, rows)
    return path


def judge(steps: Sequence[Step]) -> list[str]:
    """What the stage monitor says at each step, fed with what a training run would see."""
    monitor = StageMonitor()
    said: list[str] = []
    for step in steps:
        if step.step % EVALUATE_EVERY == 0:
            monitor.evaluation(step.pass_at_k, warm=step.step == steps[0].step)
        said.append(
            monitor.step(
                entropy=step.entropy,
                top_share=step.top_share,
                distinct_passing=step.distinct_passing,
                first_solved=step.first_solved,
            )
        )
    return said
