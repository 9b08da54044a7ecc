"""open-r1/codeforces, in rows made for the purpose: tests, checkers, and what is left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sandbox
from sandbox.pool.pool import Pool
from tasks.datasets import load
from tasks.grading.grader import Grader
from tasks.types import StdioTest, Task

# Arguments as that data set's checkers take them; any two numbers with the right sum will do.
CHECKER = """
import sys

def main(input_path, output_path, submission_path):
    with open(input_path) as given, open(output_path) as right, open(submission_path) as submission:
        total = int(given.read())
        assert sum(map(int, right.read().split())) == total
        try:
            a, b = map(int, submission.read().split())
        except ValueError:
            return 0
        return int(a + b == total)

if __name__ == "__main__":
    print(main(*sys.argv[1:]))
"""
ROW: dict[str, Any] = {
    "id": "9999/A",
    "contest_id": "9999",
    "index": "A",
    "title": "Two terms",
    "rating": 800,
    "time_limit": 2.0,
    "memory_limit": 256.0,
    "description": "Write n as a sum.",
    "input_format": "One number.",
    "output_format": "Two numbers.",
    "note": "Any will do.",
    "interaction_format": None,
    "input_mode": "stdio",
    "executable": True,
    "examples": [{"input": "5", "output": "2 3"}],
    "official_tests": [{"input": "5", "output": "2 3"}, {"input": "7\r\n", "output": "0 7\r\n"}],
    "official_tests_complete": True,
    "generated_checker": CHECKER,
}


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with sandbox.open_pool(1) as pool:
        yield pool


def read(tmp_path: Path, **changes: object) -> Task:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROW | changes) + "\n")
    (task,) = load(f"codeforces={path}")
    return task


def test_a_row_is_a_task_with_its_checker(tmp_path: Path) -> None:
    task = read(tmp_path)
    assert (task.id, task.level, task.cpu_seconds, task.memory_bytes) == ("9999/A", "800", 10.0, 268_435_456)
    tests = [(test.stdin, test.stdout) for test in task.tests if isinstance(test, StdioTest)]  # type: ignore[union-attr]
    assert tests == [("5", "2 3"), ("7\r\n", "0 7\r\n")], "an example that is an official test counts once"
    assert task.checker is not None and (task.checker.style, task.checker.language) == ("printed", "python")
    wanted = [
        "Write n as a sum.",
        "Input\n\nOne number.",
        "Example 1\n\nInput\n5\nOutput\n2 3",
        "Note\n\nAny will do.",
    ]
    assert [part for part in wanted if part not in task.prompt] == []


def test_any_right_output_passes_and_no_other(tmp_path: Path, pool: Pool) -> None:
    programs = ["n = int(input())\nprint(n - 1, 1)", "print(1, 4)", "print(0)", "print('x' * 3000)"]
    verdicts = Grader(pool).grade(read(tmp_path), programs)
    assert [(verdict.passed, verdict.score) for verdict in verdicts] == [
        (True, 1.0),
        (False, 0.5),
        (False, 0.0),
        (False, 0.0),
    ]


def test_with_a_checker_it_stays_where_several_answers_are_right(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [
        ROW | {"description": "Print any of them."},
        ROW | {"id": "b", "description": "Print any of them."},
    ]
    rows[1]["generated_checker"] = None
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [task.id for task in load(f"codeforces={path}", several="leave out")] == ["9999/A"]


def test_without_a_checker_outputs_are_compared(tmp_path: Path, pool: Pool) -> None:
    task = read(tmp_path, generated_checker=None)
    assert task.checker is None
    other, same = Grader(pool).grade(
        task, ["n = int(input())\nprint(n - 1, 1)", "print('2 3' if input() == '5' else '0 7')"]
    )
    assert not other.passed and same.passed


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"interaction_format": "Ask the judge."}, "dialogues"),
        ({"input_mode": "file"}, "files"),
        ({"executable": False}, "cannot be run"),
        ({"official_tests": [], "examples": None}, "no tests"),
        ({"official_tests_complete": False}, "not complete"),
    ],
)
def test_what_cannot_be_graded_is_left_out_and_said(
    tmp_path: Path, changes: dict[str, object], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in (ROW, ROW | {"id": "b"} | changes)))
    assert [task.id for task in load(f"codeforces={path}")] == ["9999/A"]
    assert "left out 1 row" in (said := capsys.readouterr().err) and why in said
