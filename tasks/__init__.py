"""Problems, and verdicts on programs that are to solve them.

    import sandbox, tasks

    task = tasks.load("builtin:easy")[0]
    with sandbox.open_pool(slots=2) as pool:
        verdicts = tasks.grade(pool, task, [task.reference, "print(1)"])

The types are in `tasks.types`.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.protocol import Limits, Runner
    from tasks.types import Task, Verdict


def load(spec: str | PathLike[str], *, split: str | None = None, limit: int | None = None) -> list[Task]:
    """The problems of `NAME`, `NAME=FILE`, `FILE.jsonl` (the native format) or `builtin:LEVEL`, at most `limit`.

    `split`: a part's name, or `train` or `held-out`; None: all of a file. Rows that cannot be read are left out, and
    named on standard error. Raises `tasks.errors.TaskError`: nothing has this name, or no row is left.
    """
    from tasks.datasets import load as load_tasks

    return load_tasks(str(spec), split=split, limit=limit)


def grade(
    runner: Runner, task: Task, programs: Iterable[str | None], *, limits: Limits | None = None
) -> list[Verdict]:
    """The verdicts on whole programs, in their order; None stands for no program.

    Args:
        runner: `sandbox.open_pool(...)` or `sandbox.connect(...)`; it runs as many at once as it has slots.
        limits: of a test, in CPU seconds and bytes, in the place of the task's own and the default ones.

    A program that fails, loops or attacks gets a verdict. One with `passed` None could not be graded, by no fault of
    its own. Raises `sandbox.errors.SandboxError`: the sandbox is closed, or refuses everything.
    """
    from tasks.grading.grader import Grader

    return Grader(runner, limits=limits).grade(task, programs)


def program_of(completion: str, task: Task) -> str | None:
    """The whole program that a model's answer to `task` holds, its context included; None: there is none."""
    from tasks.extraction.answers import Answer

    return Answer.of(completion, task).program
