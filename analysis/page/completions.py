"""The completions that a report shows in full: a second pass that reads only the files it needs.

A record is plain, inert, shortened data for the page and its JSON. Identical programs with the same
outcome on a task share one record, and all records together stay within a budget of characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.inert import inert, one_line
from analysis.measures.cohorts import Column, Source
from analysis.measures.tally import GroupKey, Place
from analysis.mistakes.fingerprint import fingerprint
from analysis.mistakes.wrong_answers import WrongAnswers
from analysis.page.excerpts import LONGEST_PROGRAM, diff, excerpt, source_lines
from analysis.reading.rows import Block, Row, Test

BUDGET_CHARACTERS = 9_500_000
GRID_BUDGET_CHARACTERS = 8_000_000  # the rest is for the issues' examples
LONGEST_VALUE = 600
TESTS_SHOWN = 8
GRID_CELLS = 24_000

PASSED, INFRA = "pass", "infra"

TestTable = dict[tuple[str, str], int]
"""A task's tests as (name, expected), numbered: most completions share them."""


@dataclass(slots=True)
class Records:
    """`items` by index; `tests` of each task, numbered; `left_out` counts what the budget had no room for."""

    items: list[dict[str, Any]] = field(default_factory=list)
    prompts: dict[str, str] = field(default_factory=dict)
    tests: dict[str, TestTable] = field(default_factory=dict)
    left_out: int = 0
    _size: int = 0
    _known: dict[tuple[str, ...], int] = field(default_factory=dict)

    def add(self, row: Row, column: int | None, budget: int) -> int | None:
        """The index of the row's record; None where it would take all records beyond `budget` characters."""
        mark = fingerprint(row)
        l2 = mark.l2 if mark else PASSED if row.passed else INFRA
        key = (str(column), row.task_id, l2, row.program if len(row.blocks) < 2 else row.completion)
        if key in self._known:
            return self._known[key]
        tests = self.tests.setdefault(one_line(row.task_id), {})
        record = _record(row, l2, column, tests)
        size = len(json.dumps(record))
        if self._size + size > budget:
            self.left_out += 1
            return None
        self._size += size
        self._known[key] = len(self.items)
        self.items.append(record)
        if row.prompt and record["task"] not in self.prompts:
            self.prompts[record["task"]] = inert(row.prompt, 2000)
        return self._known[key]


def collect(
    sources: Sequence[Source], columns: Sequence[Column], issues: Sequence[dict[str, Any]]
) -> tuple[Records, list[dict[str, Any]]]:
    """Records for the issues' examples (`issue["examples"]` is filled in) and the columns' grids.

    A grid holds its column's label, a row of cells for each task, how many tasks were left out, and the
    labels of its wrong answers.
    """
    records = Records()
    answers = [WrongAnswers() for _ in columns]
    grids: list[dict[str, list[list[Any]]]] = [{} for _ in columns]
    for source in sources:
        own = {column.key: index for index, column in enumerate(columns) if column.source is source}
        examples = _example_places(source, issues)
        for row in source.run.rows({*own, *(place.group for place in examples)}):
            group = GroupKey(row.source, row.step)
            column = own.get(group)
            issue = examples.get(Place(group, row.task_id, row.sample))
            if issue is not None:
                index = records.add(row, column, BUDGET_CHARACTERS)
                if index is not None and index not in issue["examples"]:
                    issue["examples"].append(index)
            if column is not None:
                answers[column].add(row, fingerprint(row))
                grids[column].setdefault(one_line(row.task_id), []).append(_cell(row, column, records))
    drawn = [_grid(cells, column) for cells, column in zip(grids, columns, strict=True)]
    for grid, answer in zip(drawn, answers, strict=True):
        grid["logic"] = answer.kinds()
    return records, drawn


def _example_places(source: Source, issues: Sequence[dict[str, Any]]) -> dict[Place, dict[str, Any]]:
    places = {}
    for entry in issues:
        entry.setdefault("examples", [])
        if issue := source.tally.issues.get(entry["id"]):
            places.update(dict.fromkeys([*issue.first, *issue.last], entry))
    return places


def _cell(row: Row, column: int, records: Records) -> list[Any]:
    """[sample, "pass" | "infra" | L2 fingerprint, record index or None]."""
    mark = fingerprint(row)
    state = mark.l2 if mark else PASSED if row.passed else INFRA
    return [row.sample, state, records.add(row, column, GRID_BUDGET_CHARACTERS)]


def _grid(cells: dict[str, list[list[Any]]], column: Column) -> dict[str, Any]:
    shown, left_out, total = [], 0, 0
    for task in sorted(cells, key=_natural):
        total += len(cells[task])
        if total > GRID_CELLS:
            left_out += 1
        else:
            shown.append({"task": task, "cells": sorted(cells[task], key=lambda cell: int(cell[0]))})
    return {"column": one_line(column.label), "tasks": shown, "tasks_left_out": left_out}


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts `task/9` before `task/10`."""
    parts = re.findall(r"[0-9]{1,18}|[^0-9]+", name)
    return [(int(part), "") if part.isdecimal() and part.isascii() else (10**18, part) for part in parts]


def _record(row: Row, l2: str, column: int | None, tests: TestTable) -> dict[str, Any]:
    failed_first = sorted(row.tests, key=lambda test: test.passed)
    record: dict[str, Any] = {
        "task": one_line(row.task_id),
        "column": column,
        "source": one_line(row.source),
        "step": row.step,
        "sample": row.sample,
        "state": l2,
        "phase": one_line(row.phase),
        "status": one_line(row.status),
        "program": excerpt(row.program, row.error_line),
        "lines": len(source_lines(row.program.rstrip())),
        "truncated": row.truncated,
        "tests": [_test(test, tests) for test in failed_first[:TESTS_SHOWN]],
        "tests_total": len(row.tests),
        "tests_passed": sum(test.passed for test in row.tests),
    }
    if row.error_type:
        message = inert(row.error_message, LONGEST_VALUE)
        record["error"] = {"type": one_line(row.error_type), "message": message, "line": row.error_line}
    if len(row.blocks) > 1:
        record["timeline"] = timeline(row.completion, row.blocks)
    elif not row.program and row.completion:
        record["completion"] = inert(row.completion, LONGEST_PROGRAM)
    return record


def _test(test: Test, tests: TestTable) -> list[Any]:
    """[number in the task's table of (name, expected), passed, status, actual]."""
    named = (inert(test.name, 200), inert(test.expected, LONGEST_VALUE))
    number = tests.setdefault(named, len(tests))
    return [number, test.passed, one_line(test.status), inert(test.actual, LONGEST_VALUE)]


def timeline(completion: str, blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """Remarks and attempts in turn; each attempt after the first with its diff from the one before."""
    parts: list[dict[str, Any]] = []
    position = 0
    previous: str | None = None
    for block in blocks:
        start, end = _find(completion, block.code, position)
        if start >= 0:
            if remark := _without_fences(completion[position:start]):
                parts.append({"remark": inert(remark, 1500)})
            position = end
        attempt: dict[str, Any] = {"code": excerpt(block.code), "passed": block.passed}
        if previous is not None:
            attempt["diff"] = diff(previous, block.code)
        previous = block.code
        parts.append(attempt)
    if position and (remark := _without_fences(completion[position:])):
        parts.append({"remark": inert(remark, 1500)})
    return parts


def _find(completion: str, code: str, position: int) -> tuple[int, int]:
    """Where `code` lies in `completion`, (-1, -1) where it does not: blocks were moved to the left margin."""
    start = completion.find(code, position) if code else -1
    if start >= 0:
        return start, start + len(code)
    lines = [line.strip() for line in code.splitlines() if line.strip()]
    if not lines or (start := completion.find(lines[0], position)) < 0:
        return -1, -1
    end = start
    for line in lines:
        if (found := completion.find(line, end)) < 0:
            break
        end = found + len(line)
    return start, end


def _without_fences(text: str) -> str:
    kept = (line for line in text.splitlines() if not line.lstrip().startswith(("```", "~~~")))
    return "\n".join(kept).strip()
