"""Datasets whose tests are test files: KodCode (pytest, arXiv 2503.02951), BigCodeBench (unittest, arXiv
2406.15877), AceCode (assert statements, arXiv 2502.01718)."""

from __future__ import annotations

from tasks.datasets.code import called_function, head_before
from tasks.rows import Row, Skip
from tasks.types import JudgeTest, Task


def kodcode(row: Row) -> Task:
    info = row.data.get("test_info")
    first = info[0] if isinstance(info, list) and info and isinstance(info[0], dict) else {}
    prompt = row.text("question")
    if declaration := first.get("function_declaration"):
        prompt = f"{prompt.rstrip()}\n\nThe function must be declared as `{declaration}`\n"
    return Task(
        id=row.identity("question_id"),
        prompt=prompt,
        tests=(JudgeTest(kind="pytest", source=row.text("test")),),
        entry_point=first.get("function_name"),
        reference=row.text("solution"),
        source=row.dataset,
        level=row.optional_text("gpt_difficulty"),
    )


def bigcodebench(row: Row) -> Task:
    entry_point = row.text("entry_point")
    return Task(
        id=row.identity("task_id"),
        prompt=row.text("instruct_prompt"),
        tests=(JudgeTest(kind="unittest", source=row.text("test")),),
        entry_point=entry_point,
        context=head_before(row.text("code_prompt"), entry_point),
        reference=row.text("complete_prompt") + row.text("canonical_solution"),
        source=row.dataset,
        metadata={"libs": row.optional_text("libs")},
    )


def acecode(row: Row) -> Task | Skip:
    tests = row.texts("test_cases")
    if not tests:
        return Skip("no tests")
    source = "\n".join(tests) + "\n"
    solution = _passing(row)
    return Task(
        id=row.identity("id"),
        prompt=row.text("question"),
        tests=(JudgeTest(kind="script", source=source),),
        entry_point=called_function(source, solution or ""),
        reference=solution,
        source=row.dataset,
        metadata={"subset": row.optional_text("source")},
    )


def _passing(row: Row) -> str | None:
    """A model's program that passed all tests; the dataset has no reference of its own."""
    for inference in row.data.get("inferences") or []:
        if isinstance(inference, dict) and inference.get("pass_rate") == 1.0:
            return str(inference.get("completion"))
    return None
