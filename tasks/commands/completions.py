"""From the rows of a file of completions (sources.py) to what is graded.

A row names its task by `task_id` (LiveCodeBench: `question_id`), or by the `prompt` that the model was given, and holds
texts in one of `_FIELDS`: one, a list of them, or what an assistant says last in a list of chat messages.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.commands.sources import STANDARD_INPUT, read_source
from tasks.errors import TaskError
from tasks.extraction.answers import Answer
from tasks.types import Task

_ANSWER = "a model's answer, or a body to the prompt"
_PROGRAM = "a whole program, graded as it is"
_EITHER = "a whole program, or an answer that holds one"
_READ: Mapping[str, Callable[[str, Task], Answer]] = {
    _ANSWER: Answer.of,
    _PROGRAM: Answer.whole,
    _EITHER: Answer.either,
}
# What a row may call its texts; of several the first counts, as rows of data sets also carry solutions.
_FIELDS = {
    "completion": _ANSWER,
    "completions": _ANSWER,
    "samples": _ANSWER,
    "response": _ANSWER,
    "responses": _ANSWER,
    "generation": _EITHER,
    "generations": _EITHER,
    "solution": _PROGRAM,
    "code_list": _PROGRAM,
    "messages": _ANSWER,
}
_IDS = ("task_id", "question_id")
_KNOWN = frozenset({*_FIELDS, *_IDS, "prompt"})


@dataclass(frozen=True, slots=True)
class Item:
    """What to grade: its task, the row that it came in, the field that it stood in."""

    task: Task
    row: dict[str, Any]
    answer: Answer
    field: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row, or one of its texts, that cannot be graded: what could be read of it, and why."""

    row: dict[str, Any]
    reason: str


@dataclass(frozen=True, slots=True)
class Completions:
    """`form`: what the file is, for people."""

    form: str
    rows: list[Item | Unreadable]

    @property
    def items(self) -> list[Item]:
        return [row for row in self.rows if isinstance(row, Item)]

    def __str__(self) -> str:
        fields = Counter(item.field for item in self.items if item.field)
        read = "".join(f"; {count} in `{field}`: {_FIELDS[field]}" for field, count in fields.items())
        return f"{self.form}; {len(self.items)} completions of {len({i.task.id for i in self.items})} tasks{read}"


def reference_items(tasks: Sequence[Task]) -> Completions:
    """Each task's own reference as its completion. Raises `TaskError` where no task has one."""
    items: list[Item | Unreadable] = [
        Item(task, {"task_id": task.id}, Answer(task.reference))
        for task in tasks
        if task.reference is not None
    ]
    if not items:
        raise TaskError("--completions reference: these tasks have no references; give a file of completions")
    return Completions("references", items)


def read_completions(name: str, tasks: Sequence[Task]) -> Completions:
    """Reads the file, the folder or (`-`) standard input, and takes the program out of each completion.

    A row that makes no sense is returned with its place, field and remedy. Raises `TaskError` for a file that cannot be
    read, or is empty.
    """
    named = _Names(tasks)
    source = read_source(name, list(named.by_id), _KNOWN)
    rows = [item for where, row in source.rows for item in _items(row, named, where)]
    if not rows:
        raise TaskError(f"{name}: holds no completions; write one JSON object a line: task_id, completion")
    where = "standard input" if name == STANDARD_INPUT else name
    return Completions(f"{where}: {source.form}", rows)


class _Names:
    """Tasks by what completion rows call them."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.by_id = {task.id: task for task in tasks}
        self.by_prompt = {task.prompt: task for task in tasks}
        self.by_entry_point: dict[str, list[Task]] = {}
        for task in tasks:
            self.by_entry_point.setdefault(task.entry_point or "", []).append(task)

    def of(self, row: dict[str, Any], where: str) -> Task:
        """Raises `TaskError` where the row names no task."""
        field = next((name for name in _IDS if name in row), None)
        if field is None and (prompt := _prompt(row)) is not None:
            task = self.by_prompt.get(prompt) or self._most_alike(prompt)
            if task is None:
                raise TaskError(
                    f"{where}, field prompt: it is no task's here; add the task's id as `task_id`"
                )
            return task
        field = field or _IDS[0]
        identity = row.get(field)
        found = f"is a {type(identity).__name__}" if field in row else "is missing"
        if isinstance(identity, bool) or not isinstance(identity, (str, int)):
            raise TaskError(f"{where}, field {field}: {found}; give the id of a task, a string")
        task = self.by_id.get(str(identity))
        if task is None:
            close = difflib.get_close_matches(str(identity), self.by_id, n=1) or list(self.by_id)[:1]
            raise TaskError(
                f"{where}, field {field}: no task {str(identity)!r} here; ids look like {close[0]!r}"
            )
        return task

    def _most_alike(self, prompt: str) -> Task | None:
        """Of the tasks whose entry point `prompt` defines last, since data sets circulate with edited prompts, or whose
        prompt it quotes."""
        names = re.findall(r"^def (\w+)\(", prompt, re.MULTILINE)
        alike = self.by_entry_point.get(names[-1], []) if names else []
        alike = alike or [
            task for text, task in self.by_prompt.items() if text.strip() and text.strip() in prompt
        ]

        def likeness(task: Task) -> float:
            return difflib.SequenceMatcher(None, task.prompt, prompt).ratio()

        return max(alike, key=likeness) if len(alike) > 1 else next(iter(alike), None)


def _items(row: dict[str, Any] | TaskError, named: _Names, where: str) -> Iterator[Item | Unreadable]:
    """What the row asks for; a fault in it does not affect other rows."""
    if isinstance(row, TaskError):
        yield Unreadable({}, str(row))
        return
    try:
        task = named.of(row, where)
    except TaskError as error:
        yield Unreadable(row, str(error))
        return
    field = next((name for name in _FIELDS if row.get(name) is not None), "completion")
    value = row.get(field)
    several = isinstance(value, list) and not _is_chat(value)
    values: list[object] = value if isinstance(value, list) and several else [value]
    if not values:
        yield Unreadable(
            row, f"{where}, field {field}: is empty; give the model's texts, or leave the row out"
        )
    carried = {key: value for key, value in row.items() if key != field}
    for number, one in enumerate(values):
        text = _said(one, "assistant")
        if isinstance(text, str):
            asked = {**carried, "task_id": task.id, "completion": text}
            yield Item(task, asked, _READ[_FIELDS[field]](text, task), field)
            continue
        found = f"is a {type(one).__name__}" if field in row else "is missing"
        reason = "has no message of the assistant's" if _is_chat(one) else found
        place = f"{field}[{number}]" if several else field
        yield Unreadable(
            {**carried, "task_id": task.id}, f"{where}, field {place}: {reason}; give the model's text"
        )


def _is_chat(value: object) -> bool:
    """Whether it is a list of messages."""
    return (
        isinstance(value, list) and bool(value) and all(isinstance(m, dict) and "content" in m for m in value)
    )


def _said(value: object, role: str) -> object:
    """What `role` says last in a message, or a list of them, else None; any other value is itself."""
    messages: Any = [value] if isinstance(value, dict) else value
    if not _is_chat(messages):
        return value
    last = next((message["content"] for message in reversed(messages) if message.get("role") == role), None)
    if isinstance(last, list):  # of parts
        return "".join(str(part.get("text") or "") for part in last if isinstance(part, dict))
    return last


def _prompt(row: dict[str, Any]) -> str | None:
    """The prompt that the model was given, as text or in messages; None where the row holds none."""
    asked = _said(row.get("prompt", row.get("messages")), "user")
    return asked if isinstance(asked, str) else None
