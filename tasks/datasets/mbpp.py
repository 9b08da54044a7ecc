"""MBPP (arXiv 2108.07732), full (`mbpp.jsonl`) and sanitized (`sanitized-mbpp.json`).

Tests are assert statements. The prompt shows MBPP's, as its authors do: they alone name the function.
"""

from __future__ import annotations

from tasks.datasets.code import called_function, newlines
from tasks.rows import Row
from tasks.types import JudgeTest, Task

# Task ids of each split, from MBPP's README; files do not name the split.
SPLITS = {
    "prompt": range(1, 11),
    "test": range(11, 511),
    "validation": range(511, 601),
    "train": range(601, 975),
}


def mbpp(row: Row) -> Task:
    code = newlines(row.text("code"))
    question = row.text("prompt" if "prompt" in row.data else "text").strip()
    tests = row.texts("test_list")
    if not tests:
        row.fail("test_list", "holds no test")
    setup = [*row.texts("test_imports"), newlines(row.optional_text("test_setup_code"))]
    source = "\n".join([line for line in setup if line.strip()] + tests) + "\n"
    return Task(
        id=row.identity("task_id"),
        prompt="\n".join([question, "Your code should pass these tests:", *tests]) + "\n",
        tests=(JudgeTest(kind="script", source=newlines(source)),),
        entry_point=called_function(source, code),
        reference=code,
        source=row.dataset,
        metadata={"question": question, "first_test": tests[0]},
    )


def mbpp_split(row: Row) -> str | None:
    """The split of a row of a local file."""
    number = row.data.get("task_id")
    return next((name for name, ids in SPLITS.items() if number in ids), None)
