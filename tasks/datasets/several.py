"""Tasks with several right answers of which the data set keeps one, by what the data set itself says.

Either a field says that a special judge decides, or the statement says plainly that any of several answers may be
printed (or that their order is free). What a statement leaves to the reader is not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from tasks.rows import Row, Skip
from tasks.types import CallTest, StdioTest, Task

SEVERAL = "several_answers"  # in a task's metadata: what says so

_FIELDS = ("special_judge", "spj")
_VERBS = r"(?:print|output|return|display|write|report|find)(?:ing|s)?"
_PLAIN = (
    rf"(?<!not )(?<!n't )\b{_VERBS}\s+(?:out\s+)?any(?=\s*[.,;:!)]|\s*$|\s+of\s+(?:them|these|those)\b"
    r"|\s+(?:one|such|valid|suitable|correct|possible|optimal|answers?|solutions?)\b)",
    r"\bany\s+(?:\w+\s+){0,2}(?:answers?|solutions?|outputs?|of\s+(?:them|these|those))\s+(?:\w+\s+){0,3}"
    r"(?:accepted|acceptable|correct)\b",
    r"\baccepts?\s+any\s+(?:\w+\s+){0,2}(?:answers?|solutions?|outputs?|of\s+(?:them|these|those))\b",
    rf"\b{_VERBS}\b(?:(?!\bgiven\b)[^.!?\n]){{0,80}}\bin\s+any\s+order\b",
)
_SAYS_SO = re.compile("|".join(_PLAIN), re.IGNORECASE)


def says_several(statement: str) -> str | None:
    """The sentence by which `statement` says that several answers are right; None where it does not."""
    found = _SAYS_SO.search(statement)
    if found is None:
        return None
    before = re.split(r"[.!?\n]", statement[: found.start()])[-1]
    after = re.split(r"[.!?\n]", statement[found.end() :])[0]
    return f"{before}{found[0]}{after}".strip()


def marking(parse: Callable[[Row], Task | Skip]) -> Callable[[Row], Task | Skip]:
    """`parse`, whose tasks say in their metadata that several answers are right, and what says so."""

    def parse_and_mark(row: Row) -> Task | Skip:
        task = parse(row)
        if isinstance(task, Skip) or task.checker is not None or not _compared(task):
            return task
        field = next((f"{name} is set" for name in _FIELDS if row.data.get(name) in (True, "true", 1)), None)
        words = field or says_several(task.prompt)
        return replace(task, metadata={**task.metadata, SEVERAL: words}) if words else task

    return parse_and_mark


def single(parse: Callable[[Row], Task | Skip]) -> Callable[[Row], Task | Skip]:
    """`parse`, without the tasks that are so marked."""

    def parse_single(row: Row) -> Task | Skip:
        task = parse(row)
        if isinstance(task, Task) and SEVERAL in task.metadata:
            return Skip('several answers are right and only one is known (`several = "keep"` keeps these)')
        return task

    return parse_single


def _compared(task: Task) -> bool:
    """Whether answers are compared with the one that the data set keeps."""
    return isinstance(task.tests, tuple) and isinstance(task.tests[0], (StdioTest, CallTest))
