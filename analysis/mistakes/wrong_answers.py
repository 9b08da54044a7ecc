"""How wrong answers differ from right ones: the most repeated wrong answer of each task, labelled."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from analysis.mistakes.fingerprint import Fingerprint
from analysis.mistakes.labels import LOGIC, MOST_SIBLINGS, label, logic_label
from analysis.mistakes.programs import LONGEST
from analysis.reading.rows import Row


@dataclass(slots=True)
class _Task:
    passing: dict[str, None] = field(default_factory=dict)  # an ordered set
    wrong: Counter[str] = field(default_factory=Counter)  # by L2
    program: dict[str, str] = field(default_factory=dict)  # the first of each L2


@dataclass(slots=True)
class WrongAnswers:
    """Fed with the completions of one column."""

    _tasks: dict[str, _Task] = field(default_factory=dict)

    def add(self, row: Row, mark: Fingerprint | None) -> None:
        task = self._tasks.setdefault(row.task_id, _Task())
        if len(row.program) > LONGEST:
            return
        if row.passed and len(task.passing) < MOST_SIBLINGS:
            task.passing.setdefault(row.program)
        elif mark is not None and label(row) == LOGIC:
            task.wrong[mark.l2] += 1
            task.program.setdefault(mark.l2, row.program)

    def kinds(self) -> dict[str, int]:
        """Tasks by the label of their most repeated wrong answer, where a sibling passes."""
        found: Counter[str] = Counter()
        for task in self._tasks.values():
            if task.passing and task.wrong:
                worst = min(task.wrong, key=lambda l2: (-task.wrong[l2], l2))
                found[logic_label(task.program[worst], task.passing)] += 1
        found.pop("", None)
        return dict(found.most_common())
