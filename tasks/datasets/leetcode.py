"""LeetCodeDataset (arXiv 2504.14655): methods of `Solution`, tested by `check(candidate)`.

Its `prompt` is code that stands before a program, with the imports and the classes (`ListNode`) that it may use; what
a model is asked is its `query`. The entry point is written `Solution().f`.
"""

from __future__ import annotations

from tasks.rows import Row
from tasks.types import JudgeTest, Task


def leetcode(row: Row) -> Task:
    context = row.text("prompt")
    return Task(
        id=row.identity("task_id"),
        prompt=row.text("query"),
        tests=(JudgeTest(kind="check", source=row.text("test")),),
        entry_point=row.text("entry_point").replace("().", "."),
        context=context,
        reference=f"{context}\n\n{row.text('completion')}",
        source=row.dataset,
        level=row.optional_text("difficulty"),
    )
