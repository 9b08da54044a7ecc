"""Supervised training of a named model on solutions: references, its own passing samples, or both."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError

from coderl.config.settings import RunConfig
from coderl.errors import ConfigError, RunFolderError
from coderl.learning.supervised import Trainer
from coderl.model.named import model_folder
from coderl.model.packing import TokenRow, packs, pass_tokens
from coderl.model.policy import Policy, load_policy
from coderl.model.scoring import check_scoring
from coderl.rollouts.lengths import with_lengths
from coderl.rollouts.opening import open_collector, open_sandbox
from coderl.rollouts.prompts import fitting, load_data
from coderl.rollouts.solutions import Solutions, passing, references, within
from coderl.sampling.opening import require_sampler
from coderl.training.display import Display
from tasks.files import replacing
from tasks.grading.grader import Grader
from tasks.grading.modes import checked
from tasks.types import Task

LOG = "warmup.jsonl"
HELD_OUT = 0.1  # share of the tasks whose solutions are not learned

Source = Literal["references", "samples", "both"]


@dataclass(frozen=True, slots=True)
class Loss:
    """A line of LOG. `training`: mean over the epoch, while it changed; None before the first. Nats a token."""

    epoch: int
    step: int
    training: float | None
    held_out: float


def fine_tune(
    config: RunConfig,
    out: Path,
    display: Display,
    source: Source = "references",
    samples: int = 0,
    steps: int | None = None,
) -> None:
    """Train the model `config.model.path` on solutions of `config.data.train`; `out` appears at the end or not at all.

    The weights that are kept are the last ones; LOG has the held-out loss beside them. `samples`: of a task, where
    `source` has some. `steps`: of the optimizer, in place of whole epochs.

    Raises:
        CoderlError, TaskError, SandboxError: nothing to train on, or what sampling runs into.
    """
    if source != "references":
        require_sampler(config.sampler)
    data = load_data(config)
    folder = model_folder(str(config.model.path))
    config = with_lengths(config, folder, [*data.train, *data.evaluation])
    policy = load_policy(folder, config.model)
    check_scoring(policy.model)
    display.data(config, data)
    solutions: Solutions = {}
    if source != "samples":
        solutions = _references(policy, data.train, config, display)
    if source != "references":
        fit = fitting(data, lambda task: len(policy.prompt(task).tokens), config.sampler.max_prompt_tokens)
        found = _samples(config, folder, policy, fit.train, samples, display)
        if not (solutions or found):
            raise ConfigError(
                "no sample of the model passes on --dataset; take more --samples, or --from references"
            )
        solutions = {name: solutions.get(name, []) + found.get(name, []) for name in solutions | found}
    train, held_out = _split(_short(solutions, config.supervised.max_tokens, display), config.seed)
    display.note(f"{len(train)} solutions to learn, {len(held_out)} of other tasks held out")
    losses = []
    for loss in _train(policy, config, train, held_out, display, steps):
        display.loss(loss.epoch, loss.training, loss.held_out)
        losses.append(loss)
    _save(policy, losses, out)


def _references(policy: Policy, tasks: Sequence[Task], config: RunConfig, display: Display) -> Solutions:
    found = references(policy, tasks)
    if missing := len(tasks) - len(found):
        display.note(f"{missing} tasks have no reference that the model could write as it is asked")
    if not found:
        raise ConfigError(
            "no task of --dataset has a reference that the model could write as it is asked; take --from "
            "samples, or another model.prompt_style"
        )
    return found


def _samples(
    config: RunConfig, folder: Path, policy: Policy, tasks: Sequence[Task], samples: int, display: Display
) -> Solutions:
    with open_sandbox(config, tasks) as runner:
        grader = Grader(runner)
        collector = open_collector(config, folder, policy, grader, display.note)
        passable = checked(tasks, grader, config.grading.in_process, display.checking).tasks
        batch = collector.collect(passable, samples, step=0, stream="warmup", on_progress=display.sampling)
    found = passing(batch)
    display.note(f"{len(found)} of {len(passable)} tasks have a passing sample among {samples}")
    return found


def _short(solutions: Solutions, limit: int, display: Display) -> Solutions:
    found = within(solutions, limit)
    if lost := sum(map(len, solutions.values())) - sum(map(len, found.values())):
        display.note(f"{lost} solutions left out: over {limit} tokens with their prompts")
    if len(found) < 2:
        raise ConfigError(
            f"{len(found)} tasks have a solution of at most {limit} tokens, and one is to be held out: raise "
            "supervised.max_tokens, or take more tasks"
        )
    return found


def _split(solutions: Solutions, seed: int) -> tuple[list[TokenRow], list[TokenRow]]:
    """Rows to learn, and rows of other tasks to measure on."""
    names = list(solutions)
    random.Random(seed).shuffle(names)
    count = math.ceil(HELD_OUT * len(names))
    held_out, learned = (
        [row for name in part for row in solutions[name]] for part in (names[:count], names[count:])
    )
    return learned, held_out


def _train(
    policy: Policy,
    config: RunConfig,
    rows: list[TokenRow],
    held_out: list[TokenRow],
    display: Display,
    steps: int | None,
) -> Iterator[Loss]:
    """The loss before the first epoch and after each; the last may be cut."""
    options = config.supervised
    size = pass_tokens(policy.device)
    an_epoch = math.ceil(len(rows) / options.batch_size)
    total = steps or an_epoch * options.epochs
    trainer = Trainer(
        policy.model,
        learning_rate=options.learning_rate,
        steps=total,
        ramp=math.ceil(total / 10),
    )

    def passes(rows: Sequence[TokenRow]) -> list[list[TokenRow]]:
        return [[rows[i] for i in pack] for pack in packs(rows, size)]

    measured = passes(held_out)
    yield Loss(0, 0, None, trainer.loss(measured))
    with display.warming(total, "supervised") as on_step:
        for epoch in range(math.ceil(total / an_epoch)):
            random.Random(f"{config.seed}/{epoch}").shuffle(rows)
            losses = []
            for first in range(0, len(rows), options.batch_size)[: total - trainer.steps]:
                losses.append(trainer.step(passes(rows[first : first + options.batch_size])))
                on_step(trainer.steps, losses[-1])
            yield Loss(epoch + 1, trainer.steps, sum(losses) / len(losses), trainer.loss(measured))


def _save(policy: Policy, losses: Sequence[Loss], out: Path) -> None:
    try:
        with replacing(out) as unfinished:
            policy.save(unfinished)
            (unfinished / LOG).write_text("".join(json.dumps(asdict(loss)) + "\n" for loss in losses))
    except (OSError, RuntimeError, SafetensorError) as error:  # torch reports a failed write as RuntimeError
        raise RunFolderError(f"--out {out} cannot be written: {error}; free disk space there") from error
