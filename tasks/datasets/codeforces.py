"""open-r1/codeforces: problems of Codeforces with official tests and, where several outputs are right, checkers.

A checker is a Python program whose arguments are the files of the input, the right output and the program's output;
it prints 1 or 0 (or a score). Left out are programs that read input.txt and write output.txt (`input_mode`), dialogues
(their interactors are not public) and problems whose tests were cut off (`official_tests_complete`).
"""

from __future__ import annotations

from typing import Any

from tasks.datasets.cases import stdio
from tasks.datasets.limits import floored, python_seconds, seconds_of
from tasks.datasets.profiles import CODE_CONTESTS
from tasks.rows import Row, Skip
from tasks.types import Checker, StdioTest, Task

_MEGABYTE = 1_000_000
_SECTIONS = (("Input", "input_format"), ("Output", "output_format"), ("Note", "note"))


def codeforces(row: Row) -> Task | Skip:
    if row.optional_text("interaction_format").strip():
        return Skip("dialogues, whose interactors are not public")
    if (row.optional_text("input_mode") or "stdio") != "stdio":
        return Skip("reads or writes files, not standard input and output")
    if row.data.get("executable") is False:
        return Skip("its solutions cannot be run")
    checker = row.optional_text("generated_checker")
    tests = _tests(row)
    if not tests:
        return Skip("no tests")
    if not row.data.get("official_tests_complete"):
        return Skip("its official tests are not complete")
    memory = row.data.get("memory_limit")
    return Task(
        id=row.identity("id"),
        prompt=_prompt(row),
        tests=tests,
        checker=Checker(source=checker, style="printed") if checker.strip() else None,
        source=row.dataset,
        level=str(row.data.get("rating") or ""),
        cpu_seconds=python_seconds(seconds_of(row.data.get("time_limit"))),
        memory_bytes=floored(float(memory) * _MEGABYTE) if isinstance(memory, (int, float)) else None,
        metadata={name: str(row.data.get(name) or "") for name in ("contest_id", "index", "title")},
    )


def _tests(row: Row) -> tuple[StdioTest, ...]:
    tests: list[StdioTest] = []
    for field in ("examples", "official_tests"):
        cases: Any = row.structure(field) or []
        if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
            row.fail(field, "expected a list of objects with `input` and `output`")
        found = stdio(
            row, field, CODE_CONTESTS, [c.get("input") for c in cases], [c.get("output") for c in cases]
        )
        tests += [test for test in found if test.stdin not in {known.stdin for known in tests}]
    return tuple(tests)


def _prompt(row: Row) -> str:
    parts = [row.text("description")]
    for title, field in _SECTIONS[:2]:
        if text := row.optional_text(field).strip():
            parts.append(f"{title}\n\n{text}")
    for number, case in enumerate(row.structure("examples") or [], start=1):
        parts.append(f"Example {number}\n\nInput\n{case.get('input')}\nOutput\n{case.get('output')}")
    if note := row.optional_text("note").strip():
        parts.append(f"Note\n\n{note}")
    return "\n\n".join(part.strip() for part in parts)
