"""Programs that pass the tests that the reward sees and fail those held back from it (`grading.hold_back`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analysis.inert import inert, one_line
from analysis.measures.cohorts import Source
from analysis.measures.tally import GroupKey
from analysis.reading.rows import Row

STEPS_READ = 40  # whole rows are read again, and long runs have many steps
PROGRAMS_SHOWN = 100
TESTS_SHOWN = 4
LONGEST_VALUE = 300


def overfitting(sources: Sequence[Source]) -> list[dict[str, Any]]:
    """For each run that holds tests back: counts over all its steps, and the programs, most frequent first."""
    return [_section(source) for source in sources if any(g.held_back for g in source.tally.groups.values())]


def _section(source: Source) -> dict[str, Any]:
    groups = source.tally.groups
    again, failed = (sum(getattr(g, name) for g in groups.values()) for name in ("held_back", "overfit"))
    steps = sorted(key for key, group in groups.items() if group.overfit)
    programs: dict[tuple[str, str], dict[str, Any]] = {}
    for row in source.run.rows(_spread(steps)):
        if row.held_back_passed is False:
            entry = programs.setdefault((row.task_id, row.program), _entry(row))
            entry["count"] += 1
            entry["last_step"] = row.step
    shown = sorted(programs.values(), key=lambda entry: (-entry["count"], entry["task"], entry["first_step"]))
    return {
        "run": one_line(source.run.name),
        "graded_again": again,
        "failed": failed,
        "rate": failed / again,
        "steps": len(steps),
        "steps_read": len(_spread(steps)),
        "tasks": len({task for task, _ in programs}),
        "more": max(0, len(shown) - PROGRAMS_SHOWN),
        "programs": shown[:PROGRAMS_SHOWN],
    }


def _spread(steps: Sequence[GroupKey]) -> set[GroupKey]:
    """At most `STEPS_READ` of them, evenly, the last among them."""
    every = -(-len(steps) // STEPS_READ) or 1
    return set(steps[::-1][::every])


def _entry(row: Row) -> dict[str, Any]:
    return {
        "task": one_line(row.task_id),
        "program": inert(row.program, 3000),
        "count": 0,
        "first_step": row.step,
        "last_step": row.step,
        "failed_tests": len(row.held_back_failed),
        "tests": [
            {
                "name": one_line(test.name),
                "status": one_line(test.status),
                "actual": inert(test.actual, LONGEST_VALUE),
                "expected": inert(test.expected, LONGEST_VALUE),
            }
            for test in row.held_back_failed[:TESTS_SHOWN]
        ],
    }
