"""Which prompts a step trains on; keeping evaluation tasks out of training."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from coderl.config.settings import RunConfig
from coderl.errors import ConfigError
from coderl.rollouts.choosing import Posterior
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
    weights: Mapping[str, float] = field(default_factory=lambda: {"": 1.0})  # of each training set
    set_of: Mapping[str, str] = field(default_factory=dict)  # each training task's, by id; absent: the first

    def batch(self, step: int, size: int, seed: int, posterior: Posterior | None = None) -> list[Task]:
        """The tasks of a step (from 1), of each training set its share; a function of the arguments only.

        Without `posterior` a set's tasks come in epochs, each a fresh shuffle.
        """
        before, after = (_drawn(done * size, list(self.weights.values())) for done in (step - 1, step))
        tasks = []
        for number, (own, first, last) in enumerate(zip(self.sets(), before, after, strict=True)):
            if posterior:
                tasks += posterior.choose(own, last - first, f"{seed}/{step}/{number}")
            else:
                tasks += _of_epochs(own, first, last, seed)
        return tasks

    def sets(self) -> list[list[Task]]:
        """The training tasks of each set, in the order of `weights`."""
        sets: dict[str, list[Task]] = {name: [] for name in self.weights}
        only = next(iter(sets))
        for task in self.train:
            sets[self.set_of.get(task.id, only)].append(task)
        return list(sets.values())

    def others(
        self, instead: Sequence[Task], used: set[str], seed: str, posterior: Posterior | None = None
    ) -> list[Task]:
        """For each of `instead` a training task of the same set whose id is not in `used`, as far as there are any."""
        tasks = []
        for own in self.sets():
            unused, ids = [task for task in own if task.id not in used], {task.id for task in own}
            count = min(sum(task.id in ids for task in instead), len(unused))
            if posterior:
                tasks += posterior.choose(unused, count, seed)
            else:
                tasks += random.Random(seed).sample(unused, count)
        return tasks


def _drawn(total: int, weights: Sequence[float]) -> list[int]:
    """How many of the first `total` prompts are of each set: never fewer than of fewer prompts."""
    counts = []
    for number in range(len(weights)):
        later = int(total * sum(weights[number + 1 :]) / sum(weights[number:]))
        counts.append(total - later)
        total = later
    return counts


def _of_epochs(tasks: Sequence[Task], first: int, last: int, seed: int) -> list[Task]:
    """Those from number `first` to before `last` of an endless row of epochs, each shuffled anew."""
    row: list[Task] = []
    for epoch in range(first // len(tasks), (last - 1) // len(tasks) + 1):
        shuffled = list(tasks)
        random.Random(f"{seed}/{epoch}").shuffle(shuffled)
        row += shuffled
    start = first % len(tasks)
    return row[start : start + last - first]


def load_data(config: RunConfig) -> Data:
    """Load all sets and drop overlaps, unless allowed.

    Raises:
        TaskError: a data set is unknown, missing or malformed.
        ConfigError: two training sets hold the same task, or nothing is left of one.
    """
    data = config.data
    sets = {
        name: load(name, split="train", limit=data.train_count, several=data.several) for name in data.weights
    }
    evaluation = load(data.evaluation, split="held-out", limit=data.evaluation_count, several=data.several)
    train = [task for tasks in sets.values() for task in tasks]
    audits = read_audits(data.audit)
    require_known([*train, *evaluation], audits, data.audit)
    weak = sorted({task.id for task in [*train, *evaluation] if audits.is_weak(task)})
    evaluation = without_weak(evaluation, audits)
    _require(
        evaluation, "data.evaluation", "it holds no task with tests, or data.audit says that all are weak"
    )
    overlap = overlapping(without_weak(train, audits), evaluation)
    loaded = Data(train, evaluation, sorted(overlap), [], weak, weights=data.weights, set_of=_set_of(sets))
    loaded = _keeping(loaded, without_weak(train, audits), "the tests of all are weak, says data.audit")
    if data.allow_overlap:
        return loaded
    apart = [task for task in loaded.train if task.id not in overlap]
    why = f"{len(overlap)} tasks also occur in evaluation; set data.allow_overlap=true"
    return _keeping(loaded, apart, why)


def _set_of(sets: Mapping[str, Sequence[Task]]) -> dict[str, str]:
    """The set of each task, by its id. Raises `ConfigError` where two sets hold the same."""
    found: dict[str, str] = {}
    for name, tasks in sets.items():
        twice = [task.id for task in tasks if task.id in found]
        if twice:
            raise ConfigError(
                f"data.train: task {twice[0]} is in {found[twice[0]]} and in {name} ({len(twice)} such tasks); "
                "leave one of the two sets out"
            )
        found |= {task.id: name for task in tasks}
    return found


def _keeping(data: Data, train: list[Task], why: str) -> Data:
    """`data` with these training tasks alone. Raises `ConfigError`, which says `why`, where none of a set is left."""
    kept = replace(data, train=train)
    for name, tasks in zip(kept.weights, kept.sets(), strict=True):
        _require(tasks, f"data.train: {name}" if len(kept.weights) > 1 else "data.train", why)
    return kept


def fitting(data: Data, prompt_length: Callable[[Task], int], limit: int) -> Data:
    """`data` without the tasks whose prompt is over `limit` tokens.

    Raises:
        ConfigError: nothing is left.
    """
    too_long = {t.id for t in [*data.train, *data.evaluation] if prompt_length(t) > limit}
    train = [task for task in data.train if task.id not in too_long]
    evaluation = [task for task in data.evaluation if task.id not in too_long]
    why = f"every prompt is over {limit} tokens; raise sampler.max_prompt_tokens"
    _require(evaluation, "data.evaluation", why)
    return replace(_keeping(data, train, why), evaluation=evaluation, too_long=sorted(too_long))


def passable(data: Data, found: Mapping[str, Found], allowed: InProcess) -> Data:
    """`data` as the references of its tasks, which showed what was `found`, want them to be run.

    Raises:
        ConfigError: nothing is left.
    """
    train, evaluation = (gradable(tasks, found, allowed) for tasks in (data.train, data.evaluation))
    whys = [f"{len(kept.left_out)} are left out: {summary(kept.left_out)}" for kept in (train, evaluation)]
    _require(evaluation.tasks, "data.evaluation", whys[1])
    left_out = train.left_out | evaluation.left_out
    return replace(_keeping(data, train.tasks, whys[0]), evaluation=evaluation.tasks, left_out=left_out)


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
