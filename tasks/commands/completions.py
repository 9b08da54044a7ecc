"""Reads completions to be graded: JSONL rows, plain or gzipped.

A row names its task by `task_id`, or by the `prompt` that the model was given, and holds one `completion` or
several `samples`.
"""

from __future__ import annotations

import codecs
import difflib
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.errors import TaskError
from tasks.extraction.answers import Answer
from tasks.types import Task


@dataclass(frozen=True, slots=True)
class Item:
    """What to grade: its task, the row that it came in."""

    task: Task
    row: dict[str, Any]
    answer: Answer


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row, or one of its samples, that cannot be graded: what could be read of it, and why."""

    row: dict[str, Any]
    reason: str


def reference_items(tasks: Sequence[Task]) -> list[Item]:
    """Each task's own reference as its completion. Raises `TaskError` where no task has one."""
    items = [
        Item(task, {"task_id": task.id}, Answer(task.reference))
        for task in tasks
        if task.reference is not None
    ]
    if not items:
        raise TaskError("--completions reference: these tasks have no references; give a file of completions")
    return items


def read_completions(path: Path, tasks: Sequence[Task]) -> list[Item | Unreadable]:
    """Reads completion rows and takes the program out of each. A row that makes no sense
    is returned with its line, field and remedy. Raises `TaskError` for a file that cannot be read, or is empty."""
    named = _Names(tasks)
    items = [item for number, line in _lines(path) for item in _items(line, named, f"{path}, line {number}")]
    if not items:
        raise TaskError(f"{path}: holds no completions; write one JSON object a line: task_id, completion")
    return items


class _Names:
    """Tasks by what completion rows call them."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.by_id = {task.id: task for task in tasks}
        self.by_prompt = {task.prompt: task for task in tasks}
        self.by_entry_point: dict[str, list[Task]] = {}
        for task in tasks:
            self.by_entry_point.setdefault(task.entry_point or "", []).append(task)

    def by_id_or_prompt(self, row: dict[str, Any], where: str) -> Task:
        """Raises `TaskError` where the row names no task."""
        identity, prompt = row.get("task_id"), row.get("prompt")
        if "task_id" not in row and isinstance(prompt, str):
            task = self.by_prompt.get(prompt) or self._most_alike(prompt)
            if task is None:
                raise TaskError(
                    f"{where}, field prompt: it is no task's here; add the task's id as `task_id`"
                )
            return task
        if isinstance(identity, bool) or not isinstance(identity, (str, int)):
            raise TaskError(
                f"{where}, field task_id: {_found(row, 'task_id')}; give the id of a task, a string"
            )
        task = self.by_id.get(str(identity))
        if task is None:
            close = difflib.get_close_matches(str(identity), self.by_id, n=1) or list(self.by_id)[:1]
            raise TaskError(
                f"{where}, field task_id: no task {str(identity)!r} here; ids look like {close[0]!r}"
            )
        return task

    def _most_alike(self, prompt: str) -> Task | None:
        """Of the tasks whose entry point `prompt` defines last, since data sets circulate with edited prompts."""
        names = re.findall(r"^def (\w+)\(", prompt, re.MULTILINE)
        alike = self.by_entry_point.get(names[-1], []) if names else []

        def likeness(task: Task) -> float:
            return difflib.SequenceMatcher(None, task.prompt, prompt).ratio()

        return max(alike, key=likeness) if len(alike) > 1 else next(iter(alike), None)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as stream:
            for number, line in enumerate(stream, start=1):
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if line.strip():
                    yield number, line
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TaskError(
            f"--completions {path}: cannot be read ({reason}); give a JSONL file, or 'reference'"
        ) from None


def _items(line: bytes, named: _Names, where: str) -> Iterator[Item | Unreadable]:
    """What the line asks for; a fault in it does not affect other lines."""
    row: dict[str, Any] = {}
    try:
        row = _object(line, where)
        task = named.by_id_or_prompt(row, where)
        field = "samples" if "completion" not in row and "samples" in row else "completion"
        texts = row.get("samples") if field == "samples" else [row.get("completion")]
        if not isinstance(texts, list):
            raise TaskError(f"{where}, field {field}: {_found(row, field)}; give a list of the model's texts")
        if not texts:
            raise TaskError(f"{where}, field {field}: is empty; give the model's texts, or leave the row out")
    except TaskError as error:
        yield Unreadable(row, str(error))
        return
    carried = {key: value for key, value in row.items() if key != "samples"}
    for number, text in enumerate(texts):
        asked = {**carried, "task_id": task.id, "completion": text}
        if isinstance(text, str):
            yield Item(task, asked, Answer.of(text, task))
        elif field == "samples":
            yield Unreadable(
                asked, f"{where}, field samples[{number}]: is a {type(text).__name__}; give the model's text"
            )
        else:
            yield Unreadable(
                row, f"{where}, field completion: {_found(row, field)}; give the model's text, a string"
            )


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else "not JSON"
        raise TaskError(
            f"{where}: {reason} ({error}); write one object a line: task_id, completion"
        ) from None
    if not isinstance(row, dict):
        raise TaskError(f"{where}: a {type(row).__name__}, not an object with task_id and completion")
    return row


def _found(row: dict[str, Any], field: str) -> str:
    return f"is a {type(row[field]).__name__}" if field in row else "is missing"
