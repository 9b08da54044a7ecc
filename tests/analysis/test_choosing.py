"""The report's section on tasks chosen by the posterior of their pass rates."""

from __future__ import annotations

import json
from pathlib import Path

from analysis import report
from tests.analysis.conftest import make_run


def test_tasks_are_counted_by_posterior_mean_at_each_checkpoint_and_the_extreme_ones_named(
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path / "chosen", steps=2)
    (run / "posterior").mkdir()
    first = {"<b>new": [0, 0], "never": [0, 8], "half": [4, 4]}
    later = {"<b>new": [0, 0], "never": [0, 16], "half": [8, 4], "always": [16, 0]}
    for step, evidence in ((1, first), (2, later)):
        (run / "posterior" / f"step-{step:06d}.json").write_text(json.dumps(evidence))
    (run / "posterior" / "step-000003.json").write_text('{"a": [1')
    page = report.write(run)
    data = json.loads(page.with_suffix(".json").read_text())
    (section,) = data["choosing"]
    assert section["kinds"] == ["unknown", "hopeless", "hard", "about half", "easy", "retired"]
    assert section["rows"] == [
        {"step": 1, "tasks": [1, 1, 0, 1, 0, 0]},
        {"step": 2, "tasks": [1, 1, 0, 1, 0, 1]},
    ]
    assert section["extreme"] == {"hopeless": ["never"], "retired": ["always"]}
    assert section["signal_rate"] is None  # this run did not record it
    assert any("posterior/step-000003.json: not read" in note for note in data["notes"])
    assert "Tasks by pass rate" in page.read_text()
    assert "## Tasks by pass rate" in page.with_suffix(".md").read_text()


def test_a_run_that_chose_at_random_has_no_such_section(run_folder: Path) -> None:
    page = report.write(run_folder)
    assert json.loads(page.with_suffix(".json").read_text())["choosing"] == []
    assert "Tasks by pass rate" not in page.read_text()
