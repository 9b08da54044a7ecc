"""What audits found (`coderl tasks audit --out FILE`), for those who grade, train and evaluate afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasks.errors import TaskError
from tasks.rows import read_rows
from tasks.types import Task

COMMAND = "coderl tasks audit SPEC --out FILE"


@dataclass(frozen=True, slots=True)
class Audits:
    """What audits found, by a task's source and id."""

    holes: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    weak: set[tuple[str, str]] = field(default_factory=set)

    def holes_of(self, task: Task) -> list[str] | None:
        """The programs that pass, as `kind: name`; None where the task was not audited."""
        return self.holes.get((task.source, task.id))

    def is_weak(self, task: Task) -> bool:
        return (task.source, task.id) in self.weak


def read_audits(paths: Sequence[str]) -> Audits:
    """Raises `TaskError` for a file that is missing, or that no audit wrote."""
    audits = Audits()
    for path in paths:
        for row in read_rows(Path(path), "audit"):
            if isinstance(row, TaskError):
                raise row
            key = (row.text("source"), row.text("task_id"))
            holes, weak = row.data.get("holes"), row.data.get("weak")
            try:
                audits.holes[key] = [f"{hole['kind']}: {hole['name']}" for hole in holes]  # type: ignore[union-attr]
            except (TypeError, KeyError):
                holes = None
            if not isinstance(holes, list) or not isinstance(weak, bool):
                row.fail("holes", "not a row of an audit", f"Write the file with `{COMMAND}`.")
            if weak:
                audits.weak.add(key)
    return audits


def without_weak(tasks: Sequence[Task], audits: Audits) -> list[Task]:
    return [task for task in tasks if not audits.is_weak(task)]


def require_known(tasks: Sequence[Task], audits: Audits, paths: Sequence[str]) -> None:
    """Raises `TaskError` where `paths` were given and say nothing of any of `tasks`."""
    if paths and tasks and all(audits.holes_of(task) is None for task in tasks):
        raise TaskError(
            f"audit: {', '.join(paths)} holds none of these tasks (such as {tasks[0].id!r} of {tasks[0].source}); "
            f"audit them with `{COMMAND}`"
        )
