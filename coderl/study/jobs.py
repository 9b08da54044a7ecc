"""The units of a study's work. Each runs in a process of its own, writes into the study's folder only, and is
done once its `done.json` is there; one that was cut off is taken up where it stopped.

    warm/                         the model that all arms start from
    control/                      its warm-up, continued for as many optimizer steps as an arm takes
    arms/ARM-seedN/               a run folder of `coderl train`
    evals/POLICY/                 final evaluations of ARM-seedN and each control, read like a run folder
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coderl.runfolder.layout import CONTROL, WARM
from coderl.study.config import StudyConfig, policy_name
from tasks.files import write_text


@dataclass(frozen=True, slots=True)
class Shard:
    """`kind` is warm, evaluate (a control's model) or arm (train, then evaluate)."""

    name: str
    kind: str
    arm: str = ""
    seed: int = 0

    def done(self, folder: Path) -> bool:
        return self.record(folder).exists()

    def record(self, folder: Path) -> Path:
        return (folder if self.kind == WARM else folder / "evals") / self.name / "done.json"


def plan(config: StudyConfig) -> list[list[Shard]]:
    """Phases, each of which needs the one before: the models, the controls' evaluations, and the arms, every
    arm's first seed before any arm's second."""
    arms = [
        Shard(policy_name(arm, seed), "arm", arm, seed)
        for seed in config.seeds
        for arm in config.arms
        if seed == config.seeds[0] or arm not in config.once
    ]
    return [[Shard(WARM, WARM)], [Shard(name, "evaluate") for name in config.controls], arms]


def cost(config: StudyConfig, shard: Shard) -> int:
    """Roughly how much work a shard is: completions that are sampled or learned from."""
    shared, final = config.shared(), config.final
    train, evaluation = shared.train, shared.eval
    if shard.kind == WARM:
        return (shared.warmup.steps + train.steps * shared.learner.minibatches) * shared.warmup.batch_size
    work = final.tasks * final.samples * (1 + len(final.others)) + final.train_tasks * final.train_samples
    work += final.tasks * final.best_samples * bool(final.temperatures)
    work += final.calibration_tasks * final.calibration_samples * len(final.temperatures)
    if shard.kind == "arm":
        work += train.steps * train.prompts_per_step * train.samples_per_prompt * 2
        if evaluation.every:
            evaluations = train.steps // evaluation.every
            work += evaluations * (shared.data.evaluation_count or 0) * evaluation.samples
    return work


def work(config: StudyConfig, shard: Shard, threads: int) -> float:
    """Do a shard, or what is left of it; returns its seconds. Raises what training raises, with its log named."""
    log = config.folder / "logs" / f"{shard.kind}-{shard.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with _output_to(log):
        import torch

        torch.set_num_threads(threads)
        outcome = {WARM: _warm, "evaluate": _evaluate, "arm": _train}[shard.kind](config, shard)
    seconds = time.monotonic() - started
    record = shard.record(config.folder)
    record.parent.mkdir(parents=True, exist_ok=True)
    write_text(record, json.dumps({"seconds": round(seconds, 1), **outcome}) + "\n")
    return seconds


def _warm(config: StudyConfig, shard: Shard) -> dict[str, Any]:
    from coderl.training.display import Display
    from coderl.training.supervised import fine_tune
    from coderl.training.warm import warm_up

    shared, display = config.shared(), Display()
    warm, control = config.folder / WARM, config.folder / CONTROL
    if shared.model.path is None:
        warm_up(shared, display, warm, control)
        return {}
    if not warm.exists():
        fine_tune(shared, warm, display)
    steps = shared.train.steps * shared.learner.minibatches
    fine_tune(shared.with_model(warm), control, display, steps=steps)
    return {}


def _evaluate(config: StudyConfig, shard: Shard) -> dict[str, Any]:
    from coderl.study.evaluate import evaluate_model

    return evaluate_model(config, shard.name, config.model(shard.name), step=0)


def _train(config: StudyConfig, shard: Shard) -> dict[str, Any]:
    """A collapse is an outcome of the study like any other: the last checkpoint before it is evaluated."""
    from coderl.errors import CollapseError, WeakStartError
    from coderl.study.evaluate import evaluate_model
    from coderl.training.display import Display
    from coderl.training.loop import train
    from coderl.training.opening import open_run

    run_config, collapsed = config.arm(shard.arm, shard.seed), None
    with open_run(run_config, resume=run_config.folder.exists(), display=Display()) as run:
        try:
            train(run)
        except (CollapseError, WeakStartError) as error:
            collapsed = str(error)
        step = run.step
    from coderl.runfolder import checkpoint

    last = checkpoint.latest(run_config.folder / "checkpoints")
    assert last is not None, "training writes a checkpoint before its first step"
    outcome = evaluate_model(config, shard.name, last, step=int(last.name.rpartition("-")[2]))
    return {**outcome, "collapsed": collapsed, "stopped_at": step}


@contextlib.contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Everything that this process and vLLM print goes into `log`."""
    with log.open("a") as file:
        kept = [os.dup(1), os.dup(2)]
        try:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, old in enumerate(kept, start=1):
                os.dup2(old, number)
                os.close(old)
