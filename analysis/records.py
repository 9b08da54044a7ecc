"""The completions that a report shows in full: a second pass that reads only the files it needs.

A record is plain, inert, shortened data for the page and its JSON. Identical programs with the same
outcome on a task share one record, and all records together stay within a budget of characters.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.columns import Column, Source
from analysis.fingerprint import fingerprint
from analysis.inert import inert, one_line
from analysis.rows import Block, Row, Test
from analysis.tally import GroupKey, Place
from analysis.wrong_answers import WrongAnswers

BUDGET_CHARACTERS = 8_000_000
GRID_BUDGET_CHARACTERS = 6_000_000  # the rest is for the issues' examples
LONGEST_PROGRAM = 6000
LONGEST_VALUE = 600
TESTS_SHOWN = 8
LONGEST_DIFF_LINES = 400
GRID_CELLS = 24_000

PASSED, INFRA = "pass", "infra"


@dataclass(slots=True)
class Records:
    """`items` by index; `left_out` counts the completions that the budget had no room for."""

    items: list[dict[str, Any]] = field(default_factory=list)
    prompts: dict[str, str] = field(default_factory=dict)
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
        record = _record(row, l2, column)
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
    return {"column": column.label, "tasks": shown, "tasks_left_out": left_out}


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts `task/9` before `task/10`."""
    parts = re.findall(r"[0-9]{1,18}|[^0-9]+", name)
    return [(int(part), "") if part.isdecimal() and part.isascii() else (10**18, part) for part in parts]


def _record(row: Row, l2: str, column: int | None) -> dict[str, Any]:
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
        "program": inert(row.program, LONGEST_PROGRAM),
        "truncated": row.truncated,
        "tests": [_test(test) for test in failed_first[:TESTS_SHOWN]],
        "tests_total": len(row.tests),
        "tests_passed": sum(test.passed for test in row.tests),
    }
    if row.error_type:
        message = inert(row.error_message, LONGEST_VALUE)
        record["error"] = {"type": one_line(row.error_type), "message": message, "line": row.error_line}
    if len(row.blocks) > 1:
        record["timeline"] = _timeline(row.completion, row.blocks)
    elif not row.program and row.completion:
        record["completion"] = inert(row.completion, LONGEST_PROGRAM)
    return record


def _test(test: Test) -> dict[str, Any]:
    return {
        "name": inert(test.name, 200),
        "passed": test.passed,
        "status": one_line(test.status),
        "actual": inert(test.actual, LONGEST_VALUE),
        "expected": inert(test.expected, LONGEST_VALUE),
    }


def _timeline(completion: str, blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """Remarks and attempts in turn; each attempt after the first with its diff from the one before."""
    parts: list[dict[str, Any]] = []
    position = 0
    previous: str | None = None
    for block in blocks:
        start = completion.find(block.code, position) if block.code else -1
        if start >= 0:
            if remark := _without_fences(completion[position:start]):
                parts.append({"remark": inert(remark, 1500)})
            position = start + len(block.code)
        attempt: dict[str, Any] = {"code": inert(block.code, LONGEST_PROGRAM), "passed": block.passed}
        if previous is not None:
            attempt["diff"] = _diff(previous, attempt["code"])
        previous = attempt["code"]
        parts.append(attempt)
    if position and (remark := _without_fences(completion[position:])):
        parts.append({"remark": inert(remark, 1500)})
    return parts


def _without_fences(text: str) -> str:
    kept = (line for line in text.splitlines() if not line.lstrip().startswith("```"))
    return "\n".join(kept).strip()


def _diff(before: str, after: str) -> list[list[str]]:
    """[sign, line] pairs; sign is "+", "-" or " "."""
    old, new = before.splitlines()[:LONGEST_DIFF_LINES], after.splitlines()[:LONGEST_DIFF_LINES]
    lines: list[list[str]] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            lines += [[" ", line] for line in old[a:b]]
        else:
            lines += [["-", line] for line in old[a:b]] + [["+", line] for line in new[c:d]]
    return lines
