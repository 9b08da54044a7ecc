"""The gradings of a batch: each program of a task once, and those that pass again on the tests held back.

    program -> rewarded tests --passes--> held-back tests -> Rollout.held_back
                     |
                     +-> Rollout.verdict, the reward

The second grading starts in the thread that ends the first, and is awaited when the step is recorded.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from coderl.rollouts.batch import Rollout
from tasks.grading.futures import then
from tasks.grading.grader import Grader
from tasks.grading.hold_back import HoldBack
from tasks.types import Task, Verdict


class Gradings:
    """A program that was submitted is not run again: over half of a batch's are, as groups concentrate."""

    def __init__(self, grader: Grader, hold_back: HoldBack | None = None) -> None:
        self._grader, self._hold_back = grader, hold_back
        self._verdicts: dict[tuple[str, str | None], Future[Verdict]] = {}
        self._again: dict[tuple[str, str], Future[Verdict | None]] = {}

    def submit(self, rollout: Rollout) -> list[Future[Verdict]]:
        """The gradings of the answer's programs."""
        task = rollout.task
        split = self._hold_back.split(task) if self._hold_back else None
        programs = rollout.answer.programs(task)
        verdicts = [self._submit(split.rewarded if split else task, program) for program in programs]
        if split:
            key = (task.id, rollout.program)
            if key not in self._again:
                self._again[key] = self._submit_again(split.held_back, rollout.program, verdicts[0])
            rollout.held_back = self._again[key]
        return verdicts

    def _submit(self, task: Task, program: str | None) -> Future[Verdict]:
        key = (task.id, program)
        if key not in self._verdicts:
            self._verdicts[key] = self._grader.submit(task, program)
        return self._verdicts[key]

    def _submit_again(self, task: Task, program: str, first: Future[Verdict]) -> Future[Verdict | None]:
        """The verdict on the held-back tests of `task`; None where `program` did not pass the `first` ones."""

        def grade(verdict: Verdict) -> Any:  # a future of the verdict, or None
            return self._grader.submit(task, program) if verdict.passed else None

        return then(first, grade)
