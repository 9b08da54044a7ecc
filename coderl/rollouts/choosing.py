"""Which tasks a step samples: those of which the policy passes about half (`data.choice = "posterior"`).

A group teaches through the variance of its rewards, p (1 - p) where they are passes: most at p = 1/2, nothing at 0
or 1. What training samples anyway says what p is: each task has a Beta posterior, whose evidence fades, since the
policy changes. Each step draws a p for every task (Thompson sampling) and takes the tasks whose draw is nearest 1/2.
So a task that always passes, or never, is rarely drawn until its evidence has faded; of one never seen, any p is as
likely. This is MoPPS, "Can Prompt Difficulty be Online Predicted for Accelerating RL Finetuning of Reasoning Models?"
(arXiv 2507.04632), with all tasks as candidates.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from coderl.rollouts.batch import Group
from tasks.types import Task

TARGET = 0.5
KEPT = 0.97  # of the evidence, each step: half of it is gone after 23
NONE = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Posterior:
    """Beta(1 + passes, 1 + failures) for each task; a new object after each batch."""

    evidence: Mapping[str, tuple[float, float]]  # passes and failures, faded, by the task's id

    @classmethod
    def before_training(cls, tasks: Iterable[Task]) -> Posterior:
        return cls({task.id: NONE for task in tasks})

    def mean(self, task: Task) -> float:
        """The pass rate to expect."""
        passes, failures = self.evidence.get(task.id, NONE)
        return (1 + passes) / (2 + passes + failures)

    def has_seen(self, task: Task) -> bool:
        return sum(self.evidence.get(task.id, NONE)) > 0

    def choose(self, tasks: Sequence[Task], count: int, seed: str) -> list[Task]:
        """`count` of `tasks`, a function of the arguments only; all of them before any twice."""
        draw = random.Random(seed)

        def distance(task: Task) -> float:
            passes, failures = self.evidence.get(task.id, NONE)
            return abs(draw.betavariate(1 + passes, 1 + failures) - TARGET)

        nearest = sorted(tasks, key=distance)
        return [nearest[i % len(nearest)] for i in range(count)]

    def observed(self, groups: Iterable[Group]) -> Posterior:
        """After a step's batch; completions that could not be graded say nothing."""
        evidence = {name: (KEPT * p, KEPT * f) for name, (p, f) in self.evidence.items()}
        for group in groups:
            passes, failures = evidence.get(group.task.id, NONE)
            graded = [r.passed for r in group.rollouts]
            evidence[group.task.id] = (passes + graded.count(True), failures + graded.count(False))
        return Posterior(evidence)
