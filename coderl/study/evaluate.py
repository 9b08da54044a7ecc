"""The final evaluations of one policy: held-out tasks, also at its own best temperature, and training tasks."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from coderl.config.settings import RunConfig
from coderl.model.policy import load_policy
from coderl.rollouts.collect import Collector
from coderl.rollouts.lengths import with_lengths
from coderl.rollouts.opening import open_collector, open_sandbox
from coderl.runfolder.layout import BEST, HELD_OUT, TRAINING_TASKS
from coderl.runfolder.write import RunFolder, identity
from coderl.sampling.types import Drawing
from coderl.study.config import StudyConfig
from coderl.training.display import Display
from coderl.training.evaluate import Evaluation, evaluate, summarise
from tasks.datasets import load
from tasks.grading.grader import Grader
from tasks.grading.modes import checked
from tasks.types import Task


def evaluate_model(config: StudyConfig, name: str, model: Path, *, step: int) -> dict[str, Any]:
    """Evaluate a transformers folder; evaluations that are in `evals/NAME` already are not repeated.

    Returns what the study's record says: the chosen temperature, and pass@k at each one tried.
    """
    folder = RunFolder(config.folder / "evals" / name)
    (folder.path / "evals").mkdir(parents=True, exist_ok=True)
    shared = config.shared()
    folder.write_text("config.toml", shared.model_copy(update={"name": name}).to_toml())
    folder.write_text("run.json", json.dumps(identity(shared.model_copy(update={"name": name}), [])) + "\n")
    display, final, usual = Display(), config.final, config.final.temperature
    policy = load_policy(model, shared.model)
    held_out, calibration = _held_out(config)
    training = [
        task for name in shared.data.weights for task in load(name, split="train", limit=final.train_tasks)
    ]
    others = {name: load(spec, split="held-out", limit=final.tasks) for name, spec in final.others.items()}
    shared = with_lengths(shared, model, training)
    with open_sandbox(shared, [*held_out, *calibration, *training, *chain(*others.values())]) as runner:
        grader = Grader(runner)
        collector = open_collector(shared, model, policy, grader)

        def passable(tasks: list[Task]) -> list[Task]:
            return checked(tasks, grader, shared.grading.in_process, display.checking).tasks

        held_out, calibration, training = map(passable, (held_out, calibration, training))
        curves = {
            temperature: _calibrate(collector, calibration, final.calibration_samples, temperature)
            for temperature in final.temperatures
        }
        best = max(curves, key=lambda t: (curves[t], -abs(t - usual)), default=usual)
        wanted = [
            (HELD_OUT, held_out, final.samples, usual),
            *((name, passable(tasks), final.samples, usual) for name, tasks in others.items()),
            (BEST, held_out, final.best_samples, best),
            (TRAINING_TASKS, training, final.train_samples, usual),
        ]
        done = {line["name"] for line in folder.read_log() if line["kind"] == "eval"}
        for kind, tasks, samples, temperature in wanted:
            if kind in done or (kind == BEST and temperature == usual):
                continue  # the best is the first one
            result = evaluate(
                collector,
                tasks,
                samples,
                name=kind,
                step=step,
                drawing=_at(temperature, shared),
                folder=folder,
            )
            display.evaluation(result)
    return {"best_temperature": best, "calibration": {str(t): value for t, value in curves.items()}}


def _at(temperature: float, config: RunConfig) -> Drawing:
    return replace(Drawing.training(config.sampler), temperature=temperature)


def _held_out(config: StudyConfig) -> tuple[list[Task], list[Task]]:
    """The tasks of the final evaluation, and those that temperatures are chosen on."""
    final = config.final
    tasks = load(
        config.shared().data.evaluation, split="held-out", limit=final.tasks + final.calibration_tasks
    )
    return tasks[: final.tasks], tasks[final.tasks :]


def _calibrate(collector: Collector, tasks: list[Task], samples: int, temperature: float) -> float:
    """pass@k at the largest k that is stable, half of the samples: what sharpening could hide."""
    batch = collector.collect(
        tasks,
        samples,
        step=0,
        stream=f"calibration/{temperature}",
        drawing=_at(temperature, collector.config),
    )
    result: Evaluation = summarise(batch, "calibration", samples)
    k = 1 << ((samples // 2).bit_length() - 1)
    return result.pass_at_k.get(k, 0.0)
