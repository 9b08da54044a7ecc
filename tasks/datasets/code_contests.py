"""CodeContests (arXiv 2203.07814): the hub's rows, and the shape `{problem, tests: {inputs, outputs}}` of its
test split as others redistribute it."""

from __future__ import annotations

from typing import Any

from tasks.datasets.cases import from_object, stdio
from tasks.datasets.limits import floored, python_seconds, seconds_of
from tasks.datasets.profiles import CODE_CONTESTS
from tasks.rows import Row, Skip
from tasks.types import StdioTest, Task

_PYTHON3 = 3  # contest_problem.proto, Solution.Language
_TESTS = ("public_tests", "private_tests", "generated_tests")


def code_contests(row: Row) -> Task | Skip:
    if "problem" in row.data:
        return _redistributed(row)
    if row.optional_text("input_file") or row.optional_text("output_file"):
        return Skip("reads or writes files, not standard input and output")
    tests: list[StdioTest] = []
    for field in _TESTS:
        tests += stdio(row, field, CODE_CONTESTS, _list(row, field, "input"), _list(row, field, "output"))
    if not tests:
        return Skip("no tests")
    return Task(
        id=row.identity("name"),
        prompt=row.text("description"),
        tests=tuple(tests),
        reference=_python3(row.mapping("solutions")),
        source=row.dataset,
        level=str(row.data.get("cf_rating") or ""),
        cpu_seconds=python_seconds(seconds_of(row.data.get("time_limit"))),
        memory_bytes=floored(row.data.get("memory_limit_bytes")),
    )


def _redistributed(row: Row) -> Task | Skip:
    tests = from_object(row, "tests", CODE_CONTESTS, row.mapping("tests"))
    if not tests:
        return Skip("no tests")
    return Task(id=row.positional_id(), prompt=row.text("problem"), tests=tests, source=row.dataset)


def _list(row: Row, field: str, part: str) -> list[Any]:
    values = row.mapping(field).get(part) or []
    if not isinstance(values, list):
        row.fail(field, f"`{part}` must be a list")
    return values


def _python3(solutions: dict[str, Any]) -> str | None:
    pairs = zip(solutions.get("language") or [], solutions.get("solution") or [], strict=False)
    return next((str(code) for language, code in pairs if language == _PYTHON3), None)
