"""Every measure for every column, with its interval, and its paired difference from the first column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from analysis.inert import one_line
from analysis.intervals import (
    Estimate,
    bootstrap_mean,
    paired_difference,
    paired_permutation,
)
from analysis.measures.cohorts import Column
from analysis.measures.correction import (
    Revisions,
    excess_correction,
    harm_rate,
    self_correction_rate,
)
from analysis.measures.diversity import error_entropy, rarefied, rarefied_distinct
from analysis.measures.recurrence import recurrence, repeat_error_rate
from analysis.measures.tally import Group, TaskTally
from analysis.measures.transitions import error_change, solved_change
from analysis.passk import pass_at_k, stable_ks

PerTask = Callable[[TaskTally], float | None]


@dataclass(frozen=True, slots=True)
class Measure:
    """A mean over tasks; `per_task` is None for tasks that it does not apply to."""

    name: str
    about: str
    per_task: PerTask
    better: str  # "higher", "lower", or "" where neither is better


def task_measures(columns: Sequence[Column]) -> list[Measure]:
    """The measures that the columns' sample counts allow."""
    samples = [task.samples for column in columns for task in column.group.tasks.values() if task.samples]
    draws = _common_draws(columns)
    spread = max(1, min(samples, default=1) // 2)
    return [
        *(
            Measure(f"pass@{k}", f"Chance that one of {k} samples is right", _pass_at(k), "higher")
            for k in stable_ks(samples)
            if k <= min(samples)
        ),
        Measure(
            "Recurrence (L2)",
            "Chance that two failures of a task are the same error: same kind, same line, same outputs",
            lambda task: recurrence(task.by_l2),
            "lower",
        ),
        Measure(
            "Recurrence by exception type",
            "The same, when only the exception type is compared; it overstates sameness",
            lambda task: recurrence(task.by_type),
            "lower",
        ),
        Measure(
            "Repeat-error rate",
            "Chance that two samples of a task are the same error (L2)",
            lambda task: repeat_error_rate(task.by_l2, task.samples),
            "lower",
        ),
        Measure(
            "Error entropy (nats)",
            "Variety of a task's errors (L2), Miller-Madow corrected",
            lambda task: error_entropy(task.by_l2),
            "",
        ),
        Measure(
            f"Distinct errors in {draws} failures",
            f"Expected number of different errors (L2) among {draws} failures of a task",
            lambda task: rarefied_distinct(task.by_l2, draws),
            "",
        ),
        Measure(
            f"Distinct right programs in {spread} samples",
            f"Expected number of different passing programs among {spread} samples of a task",
            lambda task: rarefied(task.right, task.samples, spread),
            "higher",
        ),
    ]


REVISION_MEASURES = [
    Measure(
        "Code blocks a response",
        "Mean number of code blocks; the last is the answer",
        lambda task: task.blocks / task.samples if task.samples else None,
        "",
    ),
    Measure(
        "Responses with several attempts",
        "Share of responses that hold more than one code block",
        lambda task: task.several_blocks / task.samples if task.samples else None,
        "",
    ),
    Measure(
        "Talk of correction without a second attempt",
        "Share of responses with words such as 'wait' or 'mistake' but no second code block",
        lambda task: task.talk_only / task.samples if task.samples else None,
        "",
    ),
]


def measure_table(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """A row a measure: a value for each column, and its paired difference from the first column."""
    tasks = [task for column in columns for task in column.group.tasks.values()]
    classes = sorted({(task.level, name) for task in tasks for name in task.by_class})
    measures = [*task_measures(columns), *(_class_measure(level, name) for level, name in classes)]
    rows = [_row(measure, columns) for measure in measures]
    if any(task.several_blocks or task.talk_only for task in tasks):
        rows += _correction_rows(columns)
        rows += [_row(measure, columns) for measure in REVISION_MEASURES]
    return [row for row in rows if any(row["values"])]


def _row(measure: Measure, columns: Sequence[Column]) -> dict[str, Any]:
    values = [_values(column.group, measure.per_task) for column in columns]
    return {
        "name": measure.name,
        "about": measure.about,
        "better": measure.better,
        "values": [as_data(bootstrap_mean(list(value.values()))) for value in values],
        "differences": [_difference(values[0], other) for other in values[1:]],
    }


def changes(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """For every column but the first: tasks gained and lost, errors fixed, introduced, persistent."""
    rows = []
    for column in columns[1:]:
        before, after = columns[0].group.tasks, column.group.tasks
        solved = solved_change(_passes(before), _passes(after))
        errors = error_change(_failures(before), _failures(after))
        rows.append(
            {
                "column": one_line(column.label),
                "shared_tasks": len(before.keys() & after.keys()),
                "equal_samples": all(
                    before[t].samples == after[t].samples for t in before.keys() & after.keys()
                ),
                "gained": [one_line(task) for task in solved.gained],
                "lost": [one_line(task) for task in solved.lost],
                "clearly_gained": [one_line(task) for task in solved.clearly_gained],
                "clearly_lost": [one_line(task) for task in solved.clearly_lost],
                "kept": solved.kept,
                "unsolved": solved.unsolved,
                "mcnemar_p": solved.p_value,
                "fixed": round(errors.fixed),
                "introduced": round(errors.introduced),
                "persistent": round(errors.persistent),
            }
        )
    return rows


def as_data(estimate: Estimate) -> dict[str, Any] | None:
    """For JSON; None where no task applies."""
    if estimate.tasks == 0:
        return None
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high, "tasks": estimate.tasks}


def _correction_rows(columns: Sequence[Column]) -> list[dict[str, Any]]:
    revisions = [[_revisions(task) for task in column.group.tasks.values()] for column in columns]
    kinds = [
        ("Self-correction", "Of responses whose first attempt fails, the share whose last passes", "higher"),
        ("Harm", "Of responses whose first attempt passes, the share whose last fails", "lower"),
        ("Excess correction", "Self-correction beyond what a fresh attempt at the same task gets", "higher"),
    ]
    functions = [self_correction_rate, harm_rate, excess_correction]
    return [
        {
            "name": name,
            "about": about,
            "better": better,
            "values": [as_data(function(column)) for column in revisions],
            "differences": [None for _ in columns[1:]],
        }
        for (name, about, better), function in zip(kinds, functions, strict=True)
    ]


def _revisions(task: TaskTally) -> Revisions:
    counts = task.revisions
    return Revisions(
        wrong_wrong=counts[False, False],
        wrong_right=counts[False, True],
        right_wrong=counts[True, False],
        right_right=counts[True, True],
        fresh_samples=task.fresh_samples,
        fresh_passed=task.fresh_passed,
    )


def _pass_at(k: int) -> PerTask:
    return lambda task: pass_at_k(task.samples, task.passed, k) if task.samples >= k else None


def _class_measure(level: str, name: str) -> Measure:
    return Measure(
        f"Mass of class {one_line(name, 40)}, {one_line(level, 40)}",
        "Share of the completions of this level's tasks whose solution is of this class",
        lambda task: task.by_class[name] / task.samples if task.by_class and task.level == level else None,
        "",
    )


def _values(group: Group, per_task: PerTask) -> dict[str, float]:
    found = ((name, per_task(task)) for name, task in sorted(group.tasks.items()))
    return {name: value for name, value in found if value is not None}


def _difference(base: dict[str, float], other: dict[str, float]) -> dict[str, Any] | None:
    """Over the tasks for which both columns have the measure."""
    shared = [name for name in base if name in other]
    if not shared:
        return None
    pair = [base[name] for name in shared], [other[name] for name in shared]
    estimate = as_data(paired_difference(*pair))
    return {**estimate, "p": paired_permutation(*pair)} if estimate else None


def _common_draws(columns: Sequence[Column]) -> int:
    """The failures that at least half of each column's failing tasks have, from 2 to 10."""
    failures = [
        [m for task in column.group.tasks.values() if (m := task.samples - task.passed)] for column in columns
    ]
    return max(2, min([10, *(int(median(counts)) for counts in failures if counts)]))


def _passes(tasks: dict[str, TaskTally]) -> dict[str, tuple[int, int]]:
    return {name: (task.samples, task.passed) for name, task in tasks.items()}


def _failures(tasks: dict[str, TaskTally]) -> dict[str, tuple[Counter[str], int]]:
    return {name: (task.by_l2, task.samples) for name, task in tasks.items()}
