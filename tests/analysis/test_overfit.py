"""The report's section on programs that pass the rewarded tests and fail those held back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis import report
from analysis.measures import overfit
from analysis.measures.cohorts import load
from tests.analysis.conftest import passing, write_parquet, wrong

RunMaker = Callable[..., Path]


def overfitted(task: str, sample: int, step: int, program: str, name: str = "f(9)") -> dict[str, Any]:
    test = {"name": name, "passed": False, "status": "ok", "actual": "3", "expected": "10"}
    return passing(task, sample, step, program=program, held_back_passed=False, held_back_failed=[test] * 6)


def run_of(folder: Path, steps: dict[int, list[dict[str, Any]]]) -> Path:
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"schema": 1, "name": folder.name, "seed": 0}))
    (folder / "config.toml").write_text("")
    lines = []
    for step, rows in steps.items():
        write_parquet(folder / "rollouts" / f"step-{step:06}.parquet", rows)
        again = [row for row in rows if row.get("held_back_passed") is not None]
        rate = sum(not row["held_back_passed"] for row in again) / len(again) if again else None
        lines.append({"kind": "step", "step": step, "held_back_count": len(again), "overfit_rate": rate})
    (folder / "steps.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


TABLE = "def f(x):\n    return {1: 2}[x]  # </script><b>\n"


@pytest.fixture
def overfitting(tmp_path: Path) -> Path:
    good = [passing("a", n, 1, held_back_passed=True) for n in range(6)]
    return run_of(
        tmp_path / "games",
        {
            1: [*good, overfitted("a", 6, 1, TABLE), wrong("a", 7, 1)],
            2: [
                overfitted("a", 0, 2, TABLE),
                overfitted("b", 1, 2, "def f(x): return 2\n"),
                passing("c", 0, 2),
            ],
            3: [wrong("a", 0, 3)],
        },
    )


def test_programs_are_listed_with_what_they_fail_and_escaped(overfitting: Path) -> None:
    html = report.write(overfitting)
    (part,) = json.loads(html.with_suffix(".json").read_text())["overfitting"]
    assert (part["graded_again"], part["failed"], part["steps"], part["tasks"]) == (9, 3, 2, 2)
    assert part["rate"] == pytest.approx(1 / 3)
    first, second = part["programs"]
    assert (first["task"], first["count"], first["first_step"], first["last_step"]) == ("a", 2, 1, 2)
    assert first["tests"][0] == {"name": "f(9)", "status": "ok", "actual": "3", "expected": "10"}
    assert (len(first["tests"]), first["failed_tests"], second["task"]) == (overfit.TESTS_SHOWN, 6, "b")
    text = html.read_text()
    assert 'id="overfitting"' in text and "33.3%" in text and "</script><b>" not in text
    assert "Passing programs that fail held-back tests (share)" in text  # the curve
    assert "held back count" not in text
    assert "| `a` | 2 | 1-2 | `f(9)` | `10` | `3` |" in html.with_suffix(".md").read_text()


def test_runs_that_hold_nothing_back_have_no_section(run_maker: RunMaker, tmp_path: Path) -> None:
    html = report.write(run_maker(tmp_path / "plain"))
    assert json.loads(html.with_suffix(".json").read_text())["overfitting"] == []
    assert (
        'id="overfitting"' not in html.read_text()
        and "Overfitting" not in html.with_suffix(".md").read_text()
    )


def test_where_nothing_overfits_that_is_said(tmp_path: Path) -> None:
    run = run_of(tmp_path / "honest", {1: [passing("a", 0, 1, held_back_passed=True)]})
    (part,) = overfit.overfitting([load(run)])
    assert (part["graded_again"], part["failed"], part["programs"]) == (1, 0, [])
    assert (
        "0 of 1 completions that pass the rewarded tests" in report.write(run).with_suffix(".md").read_text()
    )


def test_of_long_runs_some_steps_are_read_the_last_among_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overfit, "STEPS_READ", 3)
    monkeypatch.setattr(overfit, "PROGRAMS_SHOWN", 2)
    steps = {step: [overfitted("a", 0, step, f"x = {step}\n")] for step in range(1, 8)}
    (part,) = overfit.overfitting([load(run_of(tmp_path / "long", steps))])
    assert (part["failed"], part["steps"], part["steps_read"], part["more"]) == (7, 7, 3, 1)
    assert [entry["first_step"] for entry in part["programs"]] == [1, 4]
