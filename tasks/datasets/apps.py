"""APPS (arXiv 2105.09938) and TACO (arXiv 2312.14852): one shape, TACO with limits."""

from __future__ import annotations

from tasks.datasets.cases import entry_point, from_object, prompt_with_starter
from tasks.datasets.limits import bytes_of, floored, python_seconds, seconds_of
from tasks.datasets.profiles import APPS, TACO, Profile
from tasks.rows import Row, Skip
from tasks.types import Task


def apps(row: Row) -> Task | Skip:
    return _parse(row, APPS, row.identity("problem_id"))


def taco(row: Row) -> Task | Skip:
    return _parse(row, TACO, row.positional_id())


def _parse(row: Row, profile: Profile, identity: str) -> Task | Skip:
    solutions = row.structure("solutions") or []
    if not isinstance(solutions, list):
        row.fail("solutions", "expected a list of programs")
    reference = str(solutions[0]) if solutions else ""
    starter = row.optional_text("starter_code")
    tests = from_object(row, "input_output", profile, row.mapping("input_output"))
    if not tests:
        return Skip("no tests")
    function = entry_point(tests)
    return Task(
        id=identity,
        prompt=prompt_with_starter(row.text("question"), starter if function else ""),
        tests=tests,
        entry_point=function,
        prelude=profile.prelude_of(function),
        reference=reference or None,
        source=row.dataset,
        level=row.optional_text("difficulty"),
        cpu_seconds=python_seconds(seconds_of(row.data.get("time_limit")), profile.cpu_seconds),
        memory_bytes=floored(bytes_of(row.data.get("memory_limit"))),
    )
