"""HumanEval (arXiv 2107.03374) and HumanEvalPack's Python part (arXiv 2308.07124).

A completion continues the prompt, so a program is `prompt + completion`. The test calls
`check(candidate)`; HumanEvalPack's calls it itself.
"""

from __future__ import annotations

from tasks.datasets.code import head_before
from tasks.rows import Row
from tasks.types import JudgeTest, Task


def humaneval(row: Row) -> Task:
    prompt, entry_point = row.text("prompt"), row.text("entry_point")
    return Task(
        id=row.identity("task_id"),
        prompt=prompt,
        tests=(JudgeTest(kind="check", source=row.text("test")),),
        style="complete",
        entry_point=entry_point,
        context=head_before(prompt, entry_point),
        reference=prompt + row.text("canonical_solution"),
        source=row.dataset,
    )


def humanevalpack(row: Row) -> Task:
    prompt, entry_point = row.text("prompt"), row.text("entry_point")
    return Task(
        id=row.identity("task_id"),
        prompt=prompt,
        tests=(JudgeTest(kind="script", source=row.text("test")),),
        style="complete",
        entry_point=entry_point,
        context=head_before(prompt, entry_point),
        reference=prompt + row.text("canonical_solution"),
        wrong=(prompt + row.text("buggy_solution"),),
        source=row.dataset,
        metadata={name: row.optional_text(name) for name in ("bug_type", "failure_symptoms")},
    )
