"""Reading a study's folder: for each policy and task what was measured, and what training logged on the way."""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.errors import RunError
from analysis.measures.cohorts import load
from analysis.measures.diversity import rarefied_distinct
from analysis.measures.recurrence import recurrence, repeat_error_rate
from analysis.measures.tally import TaskTally, tally
from analysis.passk import pass_at_k
from analysis.reading.reader import open_run
from coderl.runfolder.layout import CONTROL, HELD_OUT, SIMULATION, STUDY_SCHEMA, WARM

LEVELS = SHORTCUT, SHORTCUT_CONTROL = (
    "shortcut",
    "shortcut-control",
)  # levels; the control's rare solution is never shown
DRAWS = 10  # failures that distinct errors are rarefied to

Floats = NDArray[np.float64]
Tasks = dict[str, TaskTally]


@dataclass(slots=True)
class Policy:
    """One trained (or control) policy: its final evaluations by name, then by task; its record (`done.json`), and
    what identifies its run (`run.json`)."""

    name: str
    evaluations: dict[str, Tasks] = field(default_factory=dict)
    summaries: dict[str, dict[str, Any]] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    evals: list[dict[str, Any]] = field(default_factory=list)
    onway: dict[int, Tasks] = field(default_factory=dict)
    """The evaluations during training, by step."""
    info: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Study:
    folder: Path
    description: dict[str, Any]
    policies: dict[str, Policy]
    simulation: dict[str, dict[str, list[tuple[int, dict[str, float]]]]] = field(default_factory=dict)
    """By arm and level: the shares of each class by step, of the simulation with the same settings."""

    @property
    def arms(self) -> list[str]:
        return list(self.description["arms"])

    @property
    def seeds(self) -> list[int]:
        return list(self.description["seeds"])

    @property
    def controls(self) -> list[str]:
        """The policies that no arm has trained."""
        return _controls(self.description)

    @property
    def others(self) -> list[str]:
        """The further data sets of the final evaluation."""
        return list(self.description["final"].get("others", ()))

    @property
    def tempered(self) -> bool:
        """Whether each policy was also evaluated at its best temperature."""
        return bool(self.description["final"].get("temperatures", True))

    def of(self, arm: str) -> list[Policy]:
        """An arm's policies, one a seed; a control's one policy, for every seed."""
        if arm in self.controls:
            return [self.policies[arm]] * len(self.seeds)
        return [self.policies[name] for name in _names(self.description, arm)]

    def matrix(self, arm: str, evaluation: str, measure: Measure) -> tuple[list[str], Floats]:
        """Tasks, and the measure by (seed, task); NaN where it does not apply."""
        return matrix([p.evaluations.get(evaluation, p.evaluations[HELD_OUT]) for p in self.of(arm)], measure)


Measure = Callable[[TaskTally], float]


def matrix(tallies: Sequence[Tasks], measure: Measure) -> tuple[list[str], Floats]:
    """The tasks that all of `tallies` have, and the measure by (tally, task)."""
    tasks = sorted(set.intersection(*(set(each) for each in tallies)))
    rows = [[measure(each[task]) for task in tasks] for each in tallies]
    return tasks, np.array(rows, dtype=np.float64)


def read(folder: Path) -> Study:
    """Raises `RunError` where `folder` is no finished study that this version reads."""
    try:
        description = json.loads((folder / "study.json").read_text())
    except (OSError, ValueError) as error:
        raise RunError(
            f"{folder}: not a finished study: study.json: {error}. Run `coderl reproduce` to its end."
        ) from None
    if description.get("schema") != STUDY_SCHEMA:
        raise RunError(
            f"{folder}: study schema {description.get('schema')!r}; this version reads {STUDY_SCHEMA}."
        )
    arms = [name for arm in description["arms"] for name in _names(description, arm)]
    names = [*_controls(description), *arms]
    # A process for each core: a study has a million completions.
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        policies = pool.map(read_policy, [folder] * len(names), names)
        found = dict(zip(names, policies, strict=True))
    simulated = folder / SIMULATION
    simulation = json.loads(simulated.read_text())["arms"] if simulated.exists() else {}
    return Study(folder, description, found, simulation)


def _controls(description: dict[str, Any]) -> list[str]:
    return list(description.get("controls", (WARM, CONTROL)))


def _names(description: dict[str, Any], arm: str) -> list[str]:
    """Of an arm's policies."""
    seeds = description["seeds"]
    return [f"{arm}-seed{seed}" for seed in (seeds[:1] if arm in description["once"] else seeds)]


def read_policy(folder: Path, name: str) -> Policy:
    """What was evaluated of one policy, and what its training logged if it had any."""
    source = load(folder / "evals" / name)
    policy = Policy(name, record=json.loads((folder / "evals" / name / "done.json").read_text()))
    for key, group in source.tally.groups.items():
        policy.evaluations[key.source] = group.tasks
    policy.summaries = {str(line["name"]): line for line in source.run.evals}
    policy.info = source.run.info
    training = folder / "arms" / name
    if training.exists():
        run = open_run(training)
        policy.steps = run.steps
        policy.evals = [line for line in run.evals if line["name"] == HELD_OUT]
        groups = tally(run.rows(only={(HELD_OUT, line["step"]) for line in policy.evals})).groups
        policy.onway = {key.step: group.tasks for key, group in groups.items()}
    return policy


def class_shares(tasks: Tasks, level: str) -> dict[str, float]:
    """Share of each class of solution in the completions of a level's shortcut tasks; empty where there are none."""
    counts: Counter[str] = Counter()
    for task in tasks.values():
        if task.level == level:
            counts.update(task.by_class)
    names = ("popular", "rare", "wrong")
    return {name: counts[name] / counts.total() for name in names} if counts else {}


def passing(k: int) -> Measure:
    return lambda task: pass_at_k(task.samples, task.passed, k) if task.samples >= k else np.nan


def recurring(task: TaskTally) -> float:
    return _or_nan(recurrence(task.by_l2))


def repeating(task: TaskTally) -> float:
    return _or_nan(repeat_error_rate(task.by_l2, task.samples))


def distinct(task: TaskTally) -> float:
    return _or_nan(rarefied_distinct(task.by_l2, DRAWS))


def correcting(task: TaskTally) -> float:
    """P(last passes | first fails)."""
    failed = task.revisions[False, False] + task.revisions[False, True]
    return task.revisions[False, True] / failed if failed else np.nan


def harming(task: TaskTally) -> float:
    """P(last fails | first passes)."""
    passed = task.revisions[True, False] + task.revisions[True, True]
    return task.revisions[True, False] / passed if passed else np.nan


def excess(task: TaskTally) -> float:
    """Self-correction beyond what a fresh first attempt at the task gets."""
    return correcting(task) - task.fresh_passed / task.fresh_samples if task.fresh_samples else np.nan


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value
