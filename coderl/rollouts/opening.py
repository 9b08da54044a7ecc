"""What completions are collected with, as a configuration wants it: a sandbox, and a model's sampler."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from coderl.config.settings import RunConfig
from coderl.model.policy import Policy
from coderl.rollouts.collect import Collector
from coderl.rollouts.prompts import Data
from coderl.sampling.opening import open_sampler
from tasks.grading.grader import Grader
from tasks.grading.rewards import load_metrics, load_reward, rehearse
from tasks.runner import OpenRunner, open_runner
from tasks.types import Task


def open_sandbox(
    config: RunConfig,
    tasks: Iterable[Task],
    *,
    slots: int | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> OpenRunner:
    """Where programs run, with the languages of `tasks`; use it in a `with` statement. Raises as `open_runner` does."""
    place = config.sandbox
    return open_runner(
        urls=place.urls,
        slots=slots or place.slots,
        backend=place.backend,
        languages={name for task in tasks for name in task.languages},
        requirements=config.grading.requirements,
        report=report,
    )


def open_collector(
    config: RunConfig,
    model: Path,
    policy: Policy,
    grader: Grader,
    note: Callable[[str], None] = lambda text: None,
) -> Collector:
    """A collector of what `policy`, loaded from the folder `model`, samples.

    Raises:
        ModelError, PublishError: as `open_sampler`.
        TaskError: `reward.kind` or one of `metrics.own` leads nowhere.
    """
    reward, metrics = load_reward(config.reward.kind), load_metrics(config.metrics.own)
    sampler = open_sampler(model, policy, config.sampler, config.seed)
    return Collector(config, policy, sampler, grader, reward, note, metrics)


def rehearse_measures(config: RunConfig, data: Data) -> None:
    """Call reward and metrics on made-up completions of a task of each training set.

    Raises:
        TaskError: one leads nowhere, fails, or returns no number.
    """
    measures = [load_reward(config.reward.kind), *load_metrics(config.metrics.own).values()]
    for tasks in data.sets():
        rehearse(measures, tasks[0])
