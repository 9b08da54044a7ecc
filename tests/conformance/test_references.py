"""A quick part of grade_references.py on real data: all of HumanEval and HumanEvalPack, some of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.protocol import Runner
from tasks.datasets import load
from tasks.grading.grader import Grader
from tasks.grading.reference import References
from tests.conformance.grade_references import SETS, grade_references


@pytest.mark.parametrize(
    ("name", "every"),
    [("humaneval", 1), ("humanevalpack", 1), ("mbpp", 8), ("humanevalplus", 20), ("mbppplus", 20)],
)
def test_references_pass_and_known_bugs_fail(
    pool: Runner, shared: Path, tmp_path: Path, name: str, every: int
) -> None:
    tasks = load(f"{name}={shared / 'data' / SETS[name].file}")
    assert len(tasks) == SETS[name].total
    result = grade_references(tasks[::every], Grader(pool, references=References(pool, tmp_path)))
    assert result.failures == () and result.passed == result.isolated == len(tasks[::every])
    assert result.buggy_passed == 0
    assert every > 1 or result.tests_passed > 1000
