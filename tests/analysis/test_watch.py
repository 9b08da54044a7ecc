"""`coderl watch` shows where a run is, and ends with it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from analysis import watch
from analysis.errors import RunError
from analysis.reading.reader import Run
from coderl.cli import app
from tests.analysis.conftest import make_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = make_run(tmp_path / "run", steps=4, tasks=4, samples=4)
    (folder / "config.toml").write_text("[train]\nsteps = 4\n")
    return folder


def test_what_a_run_does_is_shown_once_where_there_is_no_terminal(run: Path) -> None:
    result = CliRunner().invoke(app, ["watch", str(run)])
    assert result.exit_code == 0, result.exception
    assert "step 4 of 4" in result.output and "pass@1" in result.output and "wrong" in result.output


def test_it_ends_with_the_run_and_follows_it_until_then(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = run / "steps.jsonl"
    whole = log.read_text()
    log.write_text(whole.split("\n")[0] + "\n")
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        log.write_text(whole)

    monkeypatch.setattr("analysis.watch.time.sleep", sleep)
    console = Console(file=io.StringIO(), force_terminal=True)
    watch.watch(run, console)
    assert waited == [watch.PERIOD]


def test_no_run_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(RunError):
        watch.watch(tmp_path / "none", Console(file=io.StringIO()))


def test_nothing_is_cut_in_eighty_columns() -> None:
    line = dict.fromkeys(watch.COLUMNS.values(), 0.1234) | {
        "step": 1000,
        "kl_warm": 1.234e-4,
        "learning_rate": 1.234e-5,
    }
    console = Console(file=io.StringIO(), width=80)
    console.print(watch._steps_table(Run(Path("run"), "run", steps=[line])))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in shown and all(name in shown for name in watch.COLUMNS)
