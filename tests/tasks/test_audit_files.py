"""`coderl tasks audit`, and what training, evaluation and `coderl grade` make of its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from coderl.cli import app
from coderl.rollouts.prompts import load_data
from coderl.sampling.types import Drawing
from coderl.training.display import Display
from tasks import native
from tasks.commands import audit, grade
from tasks.errors import TaskError
from tasks.types import CallTest, Task
from tasks.validation.audits import read_audits
from tests.coderl.batches import run_config

DOUBLE = "def f(x):\n    return x * 2\n"


def task(name: str, *pairs: tuple[int, int]) -> Task:
    tests = tuple(CallTest(function="f", args=(x,), expected=y) for x, y in pairs)
    return Task(id=name, prompt=f"Write f, {name}.", tests=tests, entry_point="f", reference=DOUBLE)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A weak task and a strong one, audited by the command."""
    folder = tmp_path_factory.mktemp("audit")
    native.dump([task("weak", (2, 4)), task("strong", (1, 2), (3, 6))], folder / "tasks.jsonl")
    files: dict[str, Any] = {name: folder / f"{name}.jsonl" for name in ("tasks", "out", "write")}
    command = [
        "tasks",
        "audit",
        str(files["tasks"]),
        "--out",
        str(files["out"]),
        "--write",
        str(files["write"]),
    ]
    files["said"] = CliRunner().invoke(app, [*command, "--slots", "1"])
    return files


def test_the_command_lists_holes_and_says_what_to_do(audited: Any) -> None:
    said = audited["said"]
    assert said.exit_code == 0, said.output
    for part in (
        "weak\n  constant  returns 4",
        "return 4",
        "weak tests: 1 of 2 tasks",
        "data.audit='[",
        "--write",
    ):
        assert part in said.output, part
    weak, strong = map(json.loads, audited["out"].read_text().splitlines())
    assert (weak["task_id"], weak["source"], weak["weak"]) == ("weak", "native", True)
    assert {"kind": "constant", "name": "returns 4"}.items() <= weak["holes"][0].items()
    assert strong["weak"] is False and strong["holes"] == []
    assert [one.id for one in native.load(audited["write"])] == ["strong"]


def test_the_command_prints_json(audited: Any) -> None:
    command = [
        "tasks",
        "audit",
        str(audited["tasks"]),
        "--json",
        "--limit",
        "1",
        "--mutants",
        "0",
        "--slots",
        "1",
    ]
    summary = json.loads(CliRunner().invoke(app, command).stdout)
    assert (summary["tasks"], summary["weak"], summary["infra"], summary["kinds"]) == (
        1,
        1,
        0,
        {"constant": 1},
    )
    assert summary["holes"][0]["task_id"] == "weak"


def test_training_and_evaluation_leave_weak_tasks_out(
    audited: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, out = audited["tasks"], audited["out"]
    config = run_config(data__train=spec, data__evaluation=spec, data__allow_overlap=True)
    assert [one.id for one in load_data(config).train] == ["weak", "strong"]
    config = config.model_copy(update={"data": config.data.model_copy(update={"audit": [str(out)]})})
    data = load_data(config)
    assert [one.id for one in data.train] == [one.id for one in data.evaluation] == ["strong"]
    assert data.weak == ["weak"]
    Display().start(config, data, Drawing(1.0), "none")
    assert "1 tasks left out: their tests are weak, says data.audit (such as weak)" in " ".join(
        capsys.readouterr().err.split() or capsys.readouterr().out.split()
    )


def test_other_tasks_files_are_refused(audited: Any, tmp_path: Path) -> None:
    native.dump([task("other", (1, 2))], tmp_path / "other.jsonl")
    config = run_config(data__train=tmp_path / "other.jsonl", data__evaluation=tmp_path / "other.jsonl")
    config = config.model_copy(
        update={"data": config.data.model_copy(update={"audit": [str(audited["out"])]})}
    )
    with pytest.raises(TaskError, match="holds none of these tasks"):
        load_data(config)
    with pytest.raises(TaskError, match="coderl tasks audit SPEC --out FILE"):
        read_audits([str(_written(tmp_path / "rows.jsonl", {"task_id": "t", "source": "native"}))])
    with pytest.raises(TaskError):
        read_audits([str(tmp_path / "missing.jsonl")])


def test_verdicts_on_weak_tasks_are_marked(audited: Any, tmp_path: Path) -> None:
    rows = [
        {"task_id": name, "completion": "```python\ndef f(x): return 4\n```"} for name in ("weak", "strong")
    ]
    completions, out = _written(tmp_path / "completions.jsonl", *rows), tmp_path / "out.jsonl"
    code = grade.main(
        str(audited["tasks"]), str(completions), str(out), slots=1, audits=[str(audited["out"])]
    )
    weak, strong = map(json.loads, out.read_text().splitlines())
    assert code == 0 and weak["passed"] and not strong["passed"]
    assert "constant: returns 4" in weak["weak_tests"] and strong["weak_tests"] == []


def _written(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("holes", [[1], [{"kind": "constant"}], 7, None])
def test_a_damaged_audit_is_one_error_with_its_line(tmp_path: Path, holes: object) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_text(json.dumps({"task_id": "a", "source": "native", "weak": True, "holes": holes}) + "\n")
    with pytest.raises(TaskError, match="audit.jsonl, line 1: field 'holes': not a row of an audit"):
        read_audits([str(path)])


@pytest.mark.parametrize("option", ["--out", "--write"])
def test_a_place_that_cannot_be_written_is_said_before_the_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    native.dump([task("weak", (2, 4))], tmp_path / "tasks.jsonl")
    monkeypatch.setattr(audit, "audit", lambda *_, **__: pytest.fail("audited first"))
    command = ["tasks", "audit", str(tmp_path / "tasks.jsonl"), option, str(tmp_path / "missing" / "a.jsonl")]
    error = CliRunner().invoke(app, command).exception
    assert isinstance(error, TaskError) and f"{option} " in str(error) and "cannot be written" in str(error)


def test_where_all_tasks_are_weak_the_audit_is_kept_and_shown(tmp_path: Path) -> None:
    native.dump([task("weak", (2, 4))], tmp_path / "tasks.jsonl")
    command = ["tasks", "audit", str(tmp_path / "tasks.jsonl"), "--out", str(tmp_path / "audit.jsonl")]
    said = CliRunner().invoke(app, [*command, "--write", str(tmp_path / "sound.jsonl"), "--slots", "1"])
    assert "no task is left to write" in str(said.exception) and "weak tests: 1 of 1" in said.output
    assert (tmp_path / "audit.jsonl").is_file() and not (tmp_path / "sound.jsonl").exists()


def test_one_file_cannot_be_both_outputs(tmp_path: Path) -> None:
    native.dump([task("weak", (2, 4))], tmp_path / "tasks.jsonl")
    both = str(tmp_path / "both.jsonl")
    command = ["tasks", "audit", str(tmp_path / "tasks.jsonl"), "--out", both, "--write", both]
    assert "--out and --write are both" in str(CliRunner().invoke(app, command).exception)


def test_any_task_is_shown_and_validation_needs_references(tmp_path: Path) -> None:
    row = {"id": "odd", "prompt": "p\ud800", "tests": {"stdio": [{"stdin": "", "stdout": "1"}]}}
    path = tmp_path / "tasks.jsonl"
    path.write_text(json.dumps(row) + "\n")
    assert json.loads(CliRunner().invoke(app, ["tasks", "show", str(path)]).output)["prompt"] == "p\ud800"
    error = CliRunner().invoke(app, ["tasks", "validate", str(path)]).exception
    assert isinstance(error, TaskError) and "no task has a reference" in str(error)
