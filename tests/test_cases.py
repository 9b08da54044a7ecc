"""Right and wrong programs in the shapes of the public data sets, each with the verdict that it must get.

`cases/NAME.tasks.jsonl` is in its data set's own shape; `cases/NAME.completions.jsonl` holds completions with `expect`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox.protocol import Runner
from tasks.datasets import load
from tasks.extraction.extract import extract
from tasks.grading.grader import Grader
from tasks.grading.modes import checked

FOLDER = Path(__file__).parent / "cases"
SETS = {entry["name"]: entry["dataset"] for entry in json.loads((FOLDER / "manifest.json").read_text())}
SLOW = {"16_total_cpu"}  # over a minute of CPU: on one backend only

# Tests that Python itself lets these programs pass: `coderl tasks audit` finds the tasks (docs/grading.md, tests too weak).
WEAK = {"31_weak_tests"}


@pytest.mark.parametrize("name", sorted(SETS.keys() - SLOW))
def test_the_right_verdict(name: str, pool: Runner) -> None:
    assert not (wrong := wrong_verdicts(name, pool)), "\n".join(wrong)


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize("pool", ["bubblewrap"], indirect=True)
def test_the_right_verdict_after_minutes(name: str, pool: Runner) -> None:
    assert not (wrong := wrong_verdicts(name, pool)), "\n".join(wrong)


def wrong_verdicts(name: str, pool: Runner) -> list[str]:
    file = FOLDER / f"{name}.tasks.jsonl"
    grader = Grader(pool)
    found = checked(
        load(str(file) if SETS[name] == "native" else f"{SETS[name]}={file}"),
        grader,
        "never",
        failing="graded",
    )
    tasks = {task.id: task for task in found.tasks}
    rows = [json.loads(line) for line in (FOLDER / f"{name}.completions.jsonl").read_text().splitlines()]
    wrong = [
        f"{row.get('case')} | {row.get('label')}: left out: {found.left_out.get(row['task_id'])}"
        for row in rows
        if row["task_id"] not in tasks
    ]
    graded = [row for row in rows if row["task_id"] in tasks]
    answers = [extract(row["completion"], tasks[row["task_id"]]) for row in graded]
    work = [
        (tasks[row["task_id"]], answer.program if answer.found else None, None)
        for row, answer in zip(graded, answers, strict=True)
    ]
    for number, verdict in grader.grade_all(work):
        row = graded[number]
        said = verdict.error.message if verdict.error else verdict.detail
        if verdict.passed is not (row["expect"] or name in WEAK):
            wrong.append(
                f"{row.get('case')} | {row.get('label')}: expected {row['expect']}: {verdict.status}, {verdict.passed}: {said}"
            )
    return wrong
