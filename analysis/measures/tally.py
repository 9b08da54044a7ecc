"""One pass over a run's completions: what every measure and every list in the report is counted from.

Texts are not kept; an issue remembers where its examples lie, and the report reads those again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from analysis.measures.correction import talks_of_correction
from analysis.mistakes.fingerprint import Fingerprint, fingerprint
from analysis.mistakes.labels import label
from analysis.mistakes.programs import form
from analysis.reading.rows import TRAINING, Row

EXAMPLES_AT_EACH_END = 3


class GroupKey(NamedTuple):
    """Completions that one policy version wrote for one purpose: a training step, or an evaluation."""

    source: str
    step: int


class Place(NamedTuple):
    """Where a completion lies."""

    group: GroupKey
    task_id: str
    sample: int


@dataclass(slots=True)
class TaskTally:
    """One task's samples within a group. Counters hold failures only; INFRA is in none of them."""

    level: str = ""
    samples: int = 0
    passed: int = 0
    by_type: Counter[str] = field(default_factory=Counter)
    by_l1: Counter[str] = field(default_factory=Counter)
    by_l2: Counter[str] = field(default_factory=Counter)
    revisions: Counter[tuple[bool, bool]] = field(default_factory=Counter)
    """(first block passes, last block passes) of the completions with several graded blocks."""
    fresh_samples: int = 0
    """Completions whose first attempt has a verdict, and how many of those attempts pass."""
    fresh_passed: int = 0
    blocks: int = 0
    """Code blocks of all completions, and the completions with more than one."""
    several_blocks: int = 0
    talk_only: int = 0
    """Completions that speak of a correction and hold one block or none."""
    right: Counter[str] = field(default_factory=Counter)
    """Passing programs by `programs.form`."""
    by_class: Counter[str] = field(default_factory=Counter)
    """Shortcut tasks: completions by class of solution."""


@dataclass(slots=True)
class Group:
    """`tasks` is kept for evaluations and verdict files only: training meets a task too few times."""

    samples: int = 0
    passed: int = 0
    infra: int = 0
    truncated: int = 0
    held_back: int = 0
    """Completions graded again on held-back tests, and how many of them fail those."""
    overfit: int = 0
    by_phase: Counter[str] = field(default_factory=Counter)
    by_l1: Counter[str] = field(default_factory=Counter)
    by_class: dict[str, Counter[str]] = field(default_factory=dict)
    """Shortcut tasks: completions by class of solution, for each level."""
    tasks: dict[str, TaskTally] = field(default_factory=dict)

    def counts(self) -> list[tuple[int, int]]:
        """(samples, passed) of each task with samples, by name, so that resampling repeats."""
        ordered = (task for _, task in sorted(self.tasks.items()))
        return [(task.samples, task.passed) for task in ordered if task.samples]


@dataclass(slots=True)
class Issue:
    """All failures of one L1 fingerprint."""

    fingerprint: Fingerprint
    example_source: str
    count: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    tasks: set[str] = field(default_factory=set)
    first: list[Place] = field(default_factory=list)
    last: list[Place] = field(default_factory=list)


@dataclass(slots=True)
class Tally:
    groups: dict[GroupKey, Group] = field(default_factory=dict)
    issues: dict[str, Issue] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        key = GroupKey(row.source, row.step)
        group = self.groups.setdefault(key, Group())
        if row.passed is None:
            group.infra += 1
            return
        mark = fingerprint(row)
        group.samples += 1
        group.passed += row.passed
        group.truncated += row.truncated
        if row.held_back_passed is not None:
            group.held_back += 1
            group.overfit += not row.held_back_passed
        if row.solution_class:
            group.by_class.setdefault(row.level, Counter())[row.solution_class] += 1
        if row.source != TRAINING:
            _add_to_task(group.tasks.setdefault(row.task_id, TaskTally(row.level)), row, mark)
        if mark is not None:
            group.by_phase[row.phase] += 1
            group.by_l1[mark.l1] += 1
            issue = self.issues.setdefault(mark.l1, Issue(mark, row.error_source))
            _add_to_issue(issue, row, Place(key, row.task_id, row.sample))


def tally(rows: Iterable[Row]) -> Tally:
    result = Tally()
    for row in rows:
        result.add(row)
    return result


def _add_to_task(task: TaskTally, row: Row, mark: Fingerprint | None) -> None:
    task.samples += 1
    task.passed += bool(row.passed)
    if mark is not None:
        task.by_type[mark.l0.split(":", 1)[-1]] += 1
        task.by_l1[mark.l1] += 1
        task.by_l2[mark.l2] += 1
    elif row.program:
        task.right[form(row.program)] += 1
    if row.solution_class:
        task.by_class[row.solution_class] += 1
    task.blocks += len(row.blocks) or bool(row.program)
    if len(row.blocks) > 1:
        task.several_blocks += 1
    else:
        task.talk_only += talks_of_correction(row.completion)
    first, last = _first_and_last(row)
    if first is not None:
        task.fresh_samples += 1
        task.fresh_passed += first
        if len(row.blocks) > 1 and last is not None:
            task.revisions[first, last] += 1


def _first_and_last(row: Row) -> tuple[bool | None, bool | None]:
    """Verdicts of a completion's first and last attempt."""
    if len(row.blocks) > 1:
        return row.blocks[0].passed, row.blocks[-1].passed
    return row.passed, row.passed


def _add_to_issue(issue: Issue, row: Row, place: Place) -> None:
    issue.count += 1
    issue.labels[label(row)] += 1
    issue.tasks.add(row.task_id)
    if len(issue.first) < EXAMPLES_AT_EACH_END:
        issue.first.append(place)
    else:
        issue.last = [*issue.last[1 - EXAMPLES_AT_EACH_END :], place]
