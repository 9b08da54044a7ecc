"""Reads completions to be graded: JSONL rows with `task_id` and `completion`, plain or gzipped."""

from __future__ import annotations

import difflib
import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.errors import TaskError
from tasks.extract import extract
from tasks.types import Task


@dataclass(frozen=True, slots=True)
class Item:
    """A program to grade: its task, the row that it came in, the program (None: none was found)."""

    task: Task
    row: dict[str, Any]
    program: str | None


def reference_items(tasks: Sequence[Task]) -> list[Item]:
    """Each task's own reference as its completion. Raises `TaskError` where no task has one."""
    items = [Item(task, {"task_id": task.id}, task.reference) for task in tasks if task.reference is not None]
    if not items:
        raise TaskError("--completions reference: these tasks have no references; give a file of completions")
    return items


def read_completions(path: Path, tasks: Sequence[Task]) -> list[Item]:
    """Reads completion rows and takes the program out of each. Raises `TaskError` (file, line, field, remedy)."""
    by_id = {task.id: task for task in tasks}
    items = [_item(row, by_id, where) for where, row in _rows(path)]
    if not items:
        raise TaskError(f"{path}: holds no completions; write one JSON object a line: task_id, completion")
    return items


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield f"{path}, line {number}", _object(line, f"{path}, line {number}")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TaskError(
            f"--completions {path}: cannot be read ({reason}); give a JSONL file, or 'reference'"
        ) from None


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TaskError(
            f"{where}: not JSON ({error}); write one object a line: task_id, completion"
        ) from None
    if not isinstance(row, dict):
        raise TaskError(f"{where}: a {type(row).__name__}, not an object with task_id and completion")
    return row


def _item(row: dict[str, Any], tasks: dict[str, Task], where: str) -> Item:
    identity, completion = row.get("task_id"), row.get("completion")
    if isinstance(identity, bool) or not isinstance(identity, (str, int)):
        raise TaskError(f"{where}, field task_id: {_found(row, 'task_id')}; give the id of a task, a string")
    if not isinstance(completion, str):
        raise TaskError(
            f"{where}, field completion: {_found(row, 'completion')}; give the model's text, a string"
        )
    task = tasks.get(str(identity))
    if task is None:
        close = difflib.get_close_matches(str(identity), tasks, n=1) or list(tasks)[:1]
        raise TaskError(f"{where}, field task_id: no task {str(identity)!r} here; ids look like {close[0]!r}")
    extraction = extract(completion, task)
    return Item(task, {**row, "task_id": task.id}, extraction.program if extraction.found else None)


def _found(row: dict[str, Any], field: str) -> str:
    return f"is a {type(row[field]).__name__}" if field in row else "is missing"
