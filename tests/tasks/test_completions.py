"""The forms of a file of completions that other harnesses write, and that the command says which it read."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from tasks.commands import grade
from tasks.commands.completions import Unreadable, read_completions
from tasks.commands.output import table
from tasks.errors import TaskError
from tasks.progress import SECONDS, Progress
from tasks.types import Task

HEAD = 'def f(x):\n    """Add one."""\n'
BODY = "    return x + 1\n"
COMPLETE = Task(id="H/0", prompt=HEAD, tests=(), style="complete", entry_point="f")
INSTRUCT = Task(id="M/1", prompt="Write g, which adds one.", tests=(), entry_point="g", context="ONE = 1\n")
TASKS = [COMPLETE, INSTRUCT]
G = "def g(x):\n    return x + 1\n"
FENCED = f"Here:\n```python\n{G}```\n"
BEHIND_CONTEXT = f"ONE = 1\n\n{G}"
ASKED = {"role": "user", "content": f"Complete this:\n```\n{HEAD}```"}


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def parquet(*rows: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), file)
    return file.getvalue()


# Each file holds a completion of H/0 and one of M/1.
FORMS: dict[str, tuple[bytes, str]] = {
    "human-eval": (
        lines({"task_id": "H/0", "completion": BODY}, {"task_id": "M/1", "completion": FENCED}),
        "JSON lines; 2 completions of 2 tasks; 2 in `completion`: a model's answer, or a body to the prompt",
    ),
    "evalplus": (
        lines({"task_id": "H/0", "solution": HEAD + BODY}, {"task_id": "M/1", "solution": G}),
        "JSON lines; 2 completions of 2 tasks; 2 in `solution`: a whole program, graded as it is",
    ),
    "bigcode": (
        json.dumps([[HEAD.strip() + "\n" + BODY], [G]]).encode(),
        "a JSON array of texts by task, as bigcode's generations; 2 completions of 2 tasks; 2 in `generations`: a whole",
    ),
    "bodies by task": (json.dumps([[BODY], [FENCED]]).encode(), "as bigcode's generations"),
    "by id": (json.dumps({"H/0": [BODY], "M/1": FENCED}, indent=1).encode(), "a JSON object of texts by task"),
    "LiveCodeBench": (
        json.dumps(
            [{"question_id": "H/0", "code_list": [HEAD + BODY]}, {"question_id": "M/1", "code_list": [G]}]
        ).encode(),
        "a JSON array; 2 completions of 2 tasks; 2 in `code_list`: a whole program",
    ),
    "chats": (
        lines(
            {"messages": [ASKED, {"role": "assistant", "content": BODY}]},
            {"task_id": "M/1", "completion": [{"role": "assistant", "content": [{"type": "text", "text": FENCED}]}]},
        ),
        "1 in `messages`: a model's answer, or a body to the prompt; 1 in `completion`",
    ),
    "verl": (
        parquet({"prompt": [ASKED], "responses": [BODY]}, {"prompt": [{"role": "user", "content": INSTRUCT.prompt}], "responses": [FENCED]}),
        "Parquet; 2 completions of 2 tasks; 2 in `responses`",
    ),
    "gzipped without its suffix": (
        gzip.compress(lines({"task_id": "H/0", "samples": [BODY]}, {"task_id": "M/1", "samples": FENCED})),
        "JSON lines, gzipped; 2 completions of 2 tasks; 2 in `samples`",
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_same_programs_and_is_named(tmp_path: Path, form: str) -> None:
    data, said = FORMS[form]
    file = tmp_path / "completions"
    file.write_bytes(data)
    found = read_completions(str(file), TASKS)
    programs = {item.task.id: item.answer.program for item in found.items}
    whole = HEAD.strip() + "\n" + BODY
    assert programs == {"H/0": whole, "M/1": BEHIND_CONTEXT} and len(found.rows) == 2
    assert said in str(found)


def test_a_folder_of_evalplus_and_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "H_0").mkdir()
    for number, program in enumerate([HEAD + BODY, "x"]):
        (tmp_path / "H_0" / f"{number}.py").write_text(program)
    found = read_completions(str(tmp_path), TASKS)
    assert [(item.task.id, item.answer.program) for item in found.items] == [
        ("H/0", HEAD + BODY),
        ("H/0", "x"),
    ]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(FORMS["human-eval"][0])))
    assert str(read_completions("-", TASKS)).startswith("standard input: JSON lines; 2")


def test_a_solution_is_graded_as_it_is_and_a_completion_is_not(tmp_path: Path) -> None:
    """What follows a body is cut off; a program that does not compile stays so, as its own harness has it."""
    wordy = HEAD + BODY + "\nThat was it.\n"
    rows = [
        {"task_id": "H/0", field: text}
        for field, text in (("solution", wordy), ("completion", BODY + "\nThat was it.\n"))
    ]
    file = tmp_path / "c.jsonl"
    file.write_bytes(lines(*rows))
    assert [item.answer.program for item in read_completions(str(file), TASKS).items] == [
        wordy,
        HEAD + BODY + "\n",
    ]


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text(json.dumps([["x"]] * 3))
    with pytest.raises(TaskError, match="texts for 3 tasks by their order, and there are 2"):
        read_completions(str(file), TASKS)
    file.write_text(json.dumps({"H/9": "x"}))
    (row,) = read_completions(str(file), TASKS).rows
    assert isinstance(row, Unreadable) and "key 'H/9', field task_id: no task 'H/9' here" in row.reason
    file.write_bytes(parquet({"task_id": "H/0", "completion": BODY})[:-20])
    with pytest.raises(TaskError, match="damaged Parquet after row 0"):
        read_completions(str(file), TASKS)


@pytest.mark.parametrize(
    ("name", "out"),
    [
        ("a/s.jsonl.gz", "a/s-verdicts.jsonl"),
        ("s.parquet", "s-verdicts.jsonl"),
        ("folder", "folder-verdicts.jsonl"),
        ("-", "verdicts.jsonl"),
        ("reference", "verdicts.jsonl"),
    ],
)
def test_the_output_has_a_default(name: str, out: str) -> None:
    assert grade.default_out(name) == Path(out)


def test_an_output_that_is_there_is_not_replaced_unless_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.jsonl").write_bytes(
        lines(
            {
                "id": "a",
                "prompt": "Write f.",
                "tests": {"call": [{"function": "f", "args": [], "expected": 1}]},
            }
        )
    )
    Path("c.jsonl").write_bytes(lines({"task_id": "a", "completion": "x"}))
    Path("c-verdicts.jsonl").write_text("earlier")
    with pytest.raises(
        TaskError, match="--out c-verdicts.jsonl: is there already; name another file, or add"
    ):
        grade.main("t.jsonl", "c.jsonl")
    assert Path("c-verdicts.jsonl").read_text() == "earlier"


def test_a_table_cuts_no_name() -> None:
    name = "HumanEval/" + "9" * 200
    assert table(["task", "passed"], [[name, "1/2"]]).splitlines() == [
        f"{'task':<210}  passed",
        f"{name}  1/2",
    ]


def test_where_there_is_no_terminal_a_line_comes_now_and_then() -> None:
    now, screen = 0.0, io.StringIO()
    progress = Progress(Console(file=screen), lambda: now)
    for done in range(1, 101):
        progress("grading", done, 100)
        now += SECONDS / 10
    told = screen.getvalue().splitlines()
    assert told[0] == "grading 11/100, about 121 s left" and len(told) == 9
