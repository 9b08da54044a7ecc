"""Run folders as they are found: whole, half-written, foreign, newer; and bare verdict files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.errors import RunError
from analysis.mistakes.fingerprint import fingerprint
from analysis.reading.reader import open_run
from analysis.reading.rows import TRAINING

VERDICT: dict[str, Any] = {
    "task_id": "HumanEval/0",
    "program": "def f():\n    return g()\n",
    "passed": False,
    "score": 0.0,
    "status": "exception",
    "phase": "call",
    "tests": [{"name": "f()", "passed": False, "status": "exception", "actual": "", "expected": "1"}],
    "error": {
        "type": "NameError",
        "message": "name 'g' is not defined",
        "phase": "call",
        "frames": [
            {"line": 9, "function": "outer", "source": "f()"},
            {"line": 2, "function": "f", "source": "return g()"},
        ],
    },
}


def write_lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_run_folder_is_read_back_whole(run_folder: Path) -> None:
    run = open_run(run_folder)
    rows = list(run.rows())
    assert (run.name, run.info["seed"]) == ("demo", 0)
    assert [record["step"] for record in run.steps] == list(range(1, 13))
    assert {row.source for row in rows} == {TRAINING, "held-out", "control"}
    assert sum(row.source == TRAINING for row in rows) == 12 * 64
    raised = next(row for row in rows if row.error_type)
    assert (raised.error_type, raised.error_line, raised.phase) == ("TypeError", 2, "call")
    assert run.notes == []


def test_only_opens_no_other_file(run_folder: Path) -> None:
    (run_folder / "rollouts" / "step-000003.parquet").write_bytes(b"damaged")
    run = open_run(run_folder)
    rows = list(run.rows({("held-out", 12)}))
    assert {(row.source, row.step) for row in rows} == {("held-out", 12)}
    assert run.notes == []


def test_half_written_pieces_are_noted_and_the_rest_is_read(run_folder: Path) -> None:
    whole = (run_folder / "rollouts" / "step-000012.parquet").read_bytes()
    (run_folder / "rollouts" / "step-000012.parquet").write_bytes(whole[: len(whole) // 2])
    (run_folder / "rollouts" / ".tmp-step-000013.parquet").write_bytes(whole)
    with (run_folder / "steps.jsonl").open("a") as file:
        file.write('nonsense\n{"kind": "step", "st')
    run = open_run(run_folder)
    rows = list(run.rows())
    assert sum(row.source == TRAINING for row in rows) == 11 * 64
    notes = "\n".join(run.notes)
    assert "rollouts/step-000012.parquet: half-written or damaged" in notes
    assert "rollouts/.tmp-step-000013.parquet: left unfinished" in notes
    assert "last line (17) is half-written" in notes
    assert "line 16: not a step" in notes
    assert len(run.notes) == 4
    list(run.rows())
    assert len(run.notes) == 4  # a second pass repeats none


def test_a_resumed_run_repeats_steps_and_the_later_line_counts(run_folder: Path) -> None:
    with (run_folder / "steps.jsonl").open("a") as file:
        file.write(json.dumps({"kind": "step", "step": 5, "reward_mean": 0.99}) + "\n")
    run = open_run(run_folder)
    assert [record["step"] for record in run.steps] == list(range(1, 13))
    assert run.steps[4]["reward_mean"] == 0.99


def test_a_parquet_file_of_something_else_is_named(run_folder: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), run_folder / "evals" / "other-step-000000.parquet")
    run = open_run(run_folder)
    list(run.rows())
    assert run.notes == [
        "evals/other-step-000000.parquet: lacks the columns passed, phase, task_id; not read."
    ]


def test_a_parquet_file_of_a_newer_schema_is_named_and_left_out(run_folder: Path) -> None:
    newer = pa.table({"task_id": ["t"], "passed": [True], "phase": ["passed"]})
    newer = newer.replace_schema_metadata({"coderl_schema": "2"})
    pq.write_table(newer, run_folder / "evals" / "other-step-000000.parquet")
    run = open_run(run_folder)
    assert "other" not in {row.source for row in run.rows()}
    assert run.notes == [
        "evals/other-step-000000.parquet: schema 2 was written by a newer coderl; not read. Upgrade coderl."
    ]


def test_brief_training_rows_keep_what_is_counted(run_folder: Path) -> None:
    run = open_run(run_folder)
    pairs = list(zip(run.rows(), run.rows(brief_training=True), strict=True))
    assert all(whole == brief for whole, brief in pairs if whole.source != TRAINING)
    for whole, brief in pairs:
        assert (whole.phase, whole.error_source, whole.task_id) == (
            brief.phase,
            brief.error_source,
            brief.task_id,
        )
        marks = [fingerprint(row) for row in (whole, brief)]
        assert [mark and mark.l1 for mark in marks][0] == [mark and mark.l1 for mark in marks][1]
    assert {brief.program for _, brief in pairs if brief.source == TRAINING} == {""}


def test_missing_small_files_are_noted(run_folder: Path) -> None:
    (run_folder / "run.json").unlink()
    (run_folder / "config.toml").unlink()
    run = open_run(run_folder)
    assert [note.split(" ")[0] for note in run.notes] == ["run.json", "config.toml"]


def test_a_newer_schema_is_refused(run_folder: Path) -> None:
    (run_folder / "run.json").write_text('{"schema": 2}')
    with pytest.raises(RunError, match=r"schema 2 was written by a newer coderl.*Upgrade"):
        open_run(run_folder)


def test_missing_and_foreign_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no such run folder"):
        open_run(tmp_path / "nothing")
    with pytest.raises(RunError, match=r"holds neither run\.json nor steps\.jsonl"):
        open_run(tmp_path)
    (tmp_path / "run.json").write_text('{"project": "another"}')
    with pytest.raises(RunError, match="no integer `schema`"):
        open_run(tmp_path)


@pytest.mark.parametrize("packed", [False, True])
def test_a_verdict_file_is_read_with_the_deepest_frame(tmp_path: Path, packed: bool) -> None:
    path = write_lines(tmp_path / "v.jsonl", VERDICT, VERDICT)
    if packed:
        path = path.with_suffix(".jsonl.gz")
        path.write_bytes(gzip.compress((tmp_path / "v.jsonl").read_bytes()))
    rows = list(open_run(path).rows())
    assert [row.sample for row in rows] == [0, 1]
    assert (rows[0].error_type, rows[0].error_source, rows[0].error_line) == ("NameError", "return g()", 2)
    assert rows[0].tests[0].expected == "1"


def test_least_verdict_rows_are_enough(tmp_path: Path) -> None:
    rows = [
        {"task_id": "a", "passed": True},
        {"task_id": "a", "passed": False, "status": "wall_timeout"},
        {"task_id": "b", "passed": False, "status": "infra"},
        {"task_id": "b", "passed": None},
    ]
    path = write_lines(tmp_path / "v.jsonl", *rows)
    assert [(row.passed, row.phase) for row in open_run(path).rows()] == [
        (True, "passed"),
        (False, "timeout"),
        (None, "infra"),
        (None, "infra"),
    ]


def test_bad_verdict_lines_are_noted_by_number(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "v.jsonl", VERDICT, {"task_id": "x"}, [1], {"task_id": 1, "passed": "yes"})
    run = open_run(path)
    assert len(list(run.rows())) == 1
    assert run.notes == [
        "v.jsonl, line 2: `passed` is missing; left out.",
        "v.jsonl, line 3: not a JSON object; left out.",
        "v.jsonl, line 4: `passed` must be true, false or null, not 'yes'; left out.",
    ]


@pytest.mark.parametrize("cut_off", [True, False])
def test_a_damaged_gzip_is_read_as_far_as_it_goes(tmp_path: Path, cut_off: bool) -> None:
    import random

    noise = random.Random(0)
    many = [VERDICT | {"program": str(noise.random())} for _ in range(2000)]
    packed = gzip.compress("".join(json.dumps(row) + "\n" for row in many).encode())
    path = tmp_path / "v.jsonl.gz"
    header, no_block = packed[:10], b"\xff" * 20
    path.write_bytes(packed[: len(packed) // 2] if cut_off else packed + header + no_block)
    run = open_run(path)
    count = len(list(run.rows()))
    assert 0 < count <= (1999 if cut_off else 2000)
    assert any("damaged after line" in note for note in run.notes)


@pytest.mark.parametrize("content", ["", "hello\n", '{"a": 1}\n', '{"task_id": 1}'])
def test_files_without_verdicts_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "v.jsonl"
    path.write_text(content)
    with pytest.raises(RunError, match="holds no verdict rows"):
        open_run(path)
