"""Which prompts a step trains on; keeping evaluation tasks out of training."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from coderl.config.settings import RunConfig
from coderl.errors import ConfigError
from tasks.datasets import load
from tasks.grading.modes import Found, InProcess, gradable, summary
from tasks.types import Task
from tasks.validation.audits import read_audits, require_known, without_weak

SHINGLE_WORDS = 13  # the run of words that GPT-3's contamination study calls an overlap


@dataclass(frozen=True, slots=True)
class Data:
    train: list[Task]
    evaluation: list[Task]
    overlapping: list[str]  # training tasks that also occur in evaluation
    too_long: list[str]  # tasks whose prompt exceeds sampler.max_prompt_tokens
    weak: list[str] = field(default_factory=list)  # tasks that `data.audit` left out
    left_out: dict[str, str] = field(default_factory=dict)  # tasks that no program could pass: why, by id

    def batch(self, step: int, size: int, seed: int) -> list[Task]:
        """The tasks of a step (from 1): a fresh shuffle each epoch, a function of its arguments only."""
        first, last = (step - 1) * size, step * size - 1
        epochs = range(first // len(self.train), last // len(self.train) + 1)
        tasks = [task for epoch in epochs for task in self._shuffled(f"{seed}/{epoch}")]
        start = first % len(self.train)
        return tasks[start : start + size]

    def _shuffled(self, seed: str) -> list[Task]:
        tasks = list(self.train)
        random.Random(seed).shuffle(tasks)
        return tasks

    def others(self, count: int, used: set[str], seed: str) -> list[Task]:
        """Up to `count` training tasks whose ids are not in `used`; a function of the arguments only."""
        unused = [task for task in self.train if task.id not in used]
        return random.Random(seed).sample(unused, min(count, len(unused)))


def load_data(config: RunConfig) -> Data:
    """Load both sets and drop overlaps, unless allowed.

    Raises:
        TaskError: a data set is unknown, missing or malformed.
        ConfigError: nothing is left to train on.
    """
    data = config.data
    train = load(data.train, split="train", limit=data.train_count, several=data.several)
    evaluation = load(data.evaluation, split="held-out", limit=data.evaluation_count, several=data.several)
    audits = read_audits(data.audit)
    require_known([*train, *evaluation], audits, data.audit)
    weak = sorted({task.id for task in [*train, *evaluation] if audits.is_weak(task)})
    train, evaluation = without_weak(train, audits), without_weak(evaluation, audits)
    _require(train, "data.train", "the tests of all are weak, says data.audit")
    _require(
        evaluation, "data.evaluation", "it holds no task with tests, or data.audit says that all are weak"
    )
    overlap = overlapping(train, evaluation)
    if not data.allow_overlap:
        train = [task for task in train if task.id not in overlap]
    _require(
        train, "data.train", f"{len(overlap)} tasks also occur in evaluation; set data.allow_overlap=true"
    )
    return Data(train, evaluation, sorted(overlap), [], weak)


def fitting(data: Data, prompt_length: Callable[[Task], int], limit: int) -> Data:
    """`data` without the tasks whose prompt is over `limit` tokens.

    Raises:
        ConfigError: nothing is left.
    """
    too_long = {t.id for t in [*data.train, *data.evaluation] if prompt_length(t) > limit}
    train = [task for task in data.train if task.id not in too_long]
    evaluation = [task for task in data.evaluation if task.id not in too_long]
    why = f"every prompt is over {limit} tokens; raise sampler.max_prompt_tokens"
    _require(train, "data.train", why)
    _require(evaluation, "data.evaluation", why)
    return replace(data, train=train, evaluation=evaluation, too_long=sorted(too_long))


def passable(data: Data, found: Mapping[str, Found], allowed: InProcess) -> Data:
    """`data` as the references of its tasks, which showed what was `found`, want them to be run.

    Raises:
        ConfigError: nothing is left.
    """
    train, evaluation = (gradable(tasks, found, allowed) for tasks in (data.train, data.evaluation))
    for key, kept in (("data.train", train), ("data.evaluation", evaluation)):
        _require(kept.tasks, key, f"{len(kept.left_out)} are left out: {summary(kept.left_out)}")
    left_out = train.left_out | evaluation.left_out
    return replace(data, train=train.tasks, evaluation=evaluation.tasks, left_out=left_out)


def within(data: Data, rates: Mapping[str, float], low: float, high: float) -> Data:
    """`data` with only those training tasks whose measured pass rate is above `low` and below `high`.

    Raises:
        ConfigError: nothing is left.
    """
    train = [task for task in data.train if low < rates[task.id] < high]
    _require(
        train,
        "data.train",
        f"no measured pass rate lies between {low:g} and {high:g}; widen data.prefilter_between",
    )
    return replace(data, train=train)


def _require(tasks: list[Task], key: str, why: str) -> None:
    if not tasks:
        raise ConfigError(f"{key}: no task is left: {why}")


def overlapping(train: Sequence[Task], evaluation: Sequence[Task]) -> set[str]:
    """Ids of training tasks whose prompt occurs in evaluation: the same words, or a shared run of 13."""
    seen: set[str] = set()
    for task in evaluation:
        seen |= _shingles(task.prompt)
    return {task.id for task in train if _shingles(task.prompt) & seen}


def _shingles(text: str) -> set[str]:
    words = re.findall(r"\w+", text.casefold())
    if len(words) <= SHINGLE_WORDS:
        return {" ".join(words)}
    return {" ".join(words[i : i + SHINGLE_WORDS]) for i in range(len(words) - SHINGLE_WORDS + 1)}
