"""Holds tests back from the reward: programs that pass the others are graded again on these.

A unit (a call or, of literal asserts, an assert; an input; a judge's test) is held back whole. Which ones depends on
the task's id, the seed and the share only, so a resumed run, and another run of the same seed, hold back the same.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace

from tasks.builtin import is_shortcut
from tasks.grading.grader import compiled
from tasks.types import CallTest, ReferenceTests, Task


@dataclass(frozen=True, slots=True)
class Split:
    """A task twice: with the tests that the reward is made of, and with those held back from it."""

    rewarded: Task
    held_back: Task


def split(task: Task, share: float, seed: int) -> Split | None:
    """Holds about `share` of `task`'s units back, at least one and never all; None where there are fewer than two.

    None for shortcut tasks too: their classes of solution are told from all tests (tasks/builtin/classes.py).
    """
    units = [] if is_shortcut(task) else _units(task)
    if len(units) < 2:
        return None
    count = min(max(round(share * len(units)), 1), len(units) - 1)
    chosen = set(random.Random(f"{seed}/{task.id}").sample(range(len(units)), count))
    rewarded, held_back = (
        [test for number, unit in enumerate(units) if (number in chosen) is held for test in unit]
        for held in (False, True)
    )
    return Split(_with(task, task.id, rewarded), _with(task, f"{task.id}#held-back", held_back))


class HoldBack:
    """Splits tasks, each once: graders know a task by its identity. Safe to call from several threads."""

    def __init__(self, share: float, seed: int) -> None:
        self._share, self._seed = share, seed
        self._known: dict[str, tuple[Task, Split | None]] = {}

    def split(self, task: Task) -> Split | None:
        known = self._known.get(task.id)
        if known is None or known[0] is not task:
            known = self._known[task.id] = task, split(task, self._share, self._seed)
        return known[1]

    def describe(self, tasks: Iterable[Task]) -> str:
        """How many of `tasks` are split, for people."""
        splits = [self.split(task) for task in tasks]
        whole = splits.count(None)
        return (
            f"{self._share:.0%} of the tests of {len(splits) - whole} training tasks are held back from the reward; "
            f"{whole} tasks keep all of theirs: they have fewer than two, or are shortcut tasks"
        )


def _units(task: Task) -> list[list[object]]:
    """What may be held back, each with the tests that belong together; in the tests' order."""
    tests = task.tests
    if isinstance(tests, ReferenceTests):
        return [[args] for args in tests.inputs]
    units: dict[object, list[object]] = {}
    for number, test in enumerate(compiled(task) or tests):
        name = test.name if isinstance(test, CallTest) else ""  # the executions of an assert share its name
        units.setdefault(name or number, []).append(test)
    return list(units.values())


def _with(task: Task, identity: str, tests: list[object]) -> Task:
    if isinstance(task.tests, ReferenceTests):
        return replace(task, id=identity, tests=replace(task.tests, inputs=tuple(tests)))  # type: ignore[arg-type]
    return replace(task, id=identity, tests=tuple(tests))  # type: ignore[arg-type]
