"""Reports and comparisons as files: what they hold, what they leave out, that they repeat."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from analysis import compare, report
from analysis.errors import RunError
from analysis.inert import inert, one_line
from tests.analysis.conftest import passing, write_parquet

RunMaker = Callable[..., Path]


def page(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
    return data


def test_a_report_holds_what_the_run_did(run_folder: Path) -> None:
    out = report.write(run_folder)
    assert out == run_folder / "report.html"
    data = page(out)
    assert [column["label"] for column in data["columns"]] == [
        "held-out, step 0",
        "held-out, step 12",
        "control, step 12",
    ]
    first = data["measures"][0]
    assert first["name"] == "pass@1"
    assert first["differences"][0]["value"] > 0.1
    assert first["differences"][0]["p"] < 0.01
    rates = [column["passed"] / column["samples"] for column in data["columns"]]
    assert [value["value"] for value in first["values"]] == pytest.approx(rates, abs=0.02)
    assert [issue["label"] for issue in data["issues"]] == ["logic", "mapping"]
    evaluations = {f"{row['name']}, step {row['step']}": row["pass_at_k"]["1"] for row in data["evaluations"]}
    assert first["values"] == [evaluations[column["label"]] for column in data["columns"]]
    assert "pass@1" in out.read_text()
    assert "| pass@1 |" in out.with_suffix(".md").read_text()


def test_counts_agree_between_list_grid_and_columns(run_folder: Path) -> None:
    data = page(report.write(run_folder))
    for index, (column, grid) in enumerate(zip(data["columns"], data["grids"], strict=True)):
        states = [cell[1] for row in grid["tasks"] for cell in row["cells"]]
        assert states.count("infra") == column["infra"] > 0
        assert states.count("pass") == column["passed"]
        assert len(states) - states.count("infra") == column["samples"]
        listed = sum(issue["columns"][index] for issue in data["issues"])
        assert listed == column["samples"] - column["passed"] == sum(column["phases"].values())


def test_the_same_run_gives_the_same_bytes(run_folder: Path, tmp_path: Path) -> None:
    first = report.write(run_folder, tmp_path / "a" / "r.html").read_text()
    assert first == report.write(run_folder, tmp_path / "b" / "r.html").read_text()


def test_revised_responses_show_their_attempts_and_the_remark_between(run_folder: Path) -> None:
    data = page(report.write(run_folder))
    timeline = next(record["timeline"] for record in data["records"] if "timeline" in record)
    assert [("remark" in part, part.get("passed")) for part in timeline if "remark" in part] == [(True, None)]
    assert timeline[1]["remark"] == "Wait, that is off by one."
    fixed = next(
        record["timeline"]
        for record in data["records"]
        if "timeline" in record and [part.get("passed") for part in record["timeline"]][::2] == [False, True]
    )
    assert ["-", "    return x"] in fixed[2]["diff"]
    assert ["+", "    return x + 1"] in fixed[2]["diff"]


def test_measures_of_revised_responses_stand_beside_each_other(run_folder: Path) -> None:
    names = [row["name"] for row in page(report.write(run_folder))["measures"]]
    at = names.index("Self-correction")
    assert names[at : at + 6] == [
        "Self-correction",
        "Harm",
        "Excess correction",
        "Code blocks a response",
        "Responses with several attempts",
        "Talk of correction without a second attempt",
    ]
    html = (run_folder / "report.html").read_text()
    assert "Of a response with several code blocks the last is the answer." in html


def test_the_mass_of_each_solution_class_is_followed(run_folder: Path) -> None:
    """Of 16 completions of a shortcut task 12 are popular before training, and 4 after it."""
    for step, popular in ((0, 12), (12, 4)):
        rows = [
            passing(
                "shortcut", n, step, level="shortcut", solution_class="popular" if n < popular else "rare"
            )
            for n in range(16)
        ]
        write_parquet(run_folder / "evals" / f"held-out-step-{step:06}.parquet", rows)
    out = report.write(run_folder)
    (row,) = (row for row in page(out)["measures"] if row["name"] == "Mass of class popular, shortcut")
    assert [value and value["value"] for value in row["values"]] == [0.75, 0.25, None]
    assert row["differences"][0]["value"] == -0.5
    assert 'aria-label="Solution classes of shortcut tasks (share)"' in out.read_text()


def test_what_never_changed_is_said_and_not_drawn(run_folder: Path) -> None:
    out = report.write(run_folder)
    assert page(out)["runs"][0]["constant"]["compile_rate"] == 0.9
    assert "compile_rate 0.900" in out.read_text()
    assert 'aria-label="Programs and groups (share)"' not in out.read_text()


def test_a_run_without_evaluations_reports_its_training(run_folder: Path) -> None:
    for path in (run_folder / "evals").iterdir():
        path.unlink()
    kept = [line for line in (run_folder / "steps.jsonl").read_text().splitlines() if '"eval"' not in line]
    (run_folder / "steps.jsonl").write_text("\n".join(kept) + "\n")
    data = page(report.write(run_folder))
    assert data["columns"] == []
    assert data["issues"][0]["count"] > 100
    assert data["issues"][0]["examples"]


def test_evaluations_that_were_only_logged_are_still_listed(run_folder: Path) -> None:
    (run_folder / "evals" / "control-step-000012.parquet").unlink()
    data = page(report.write(run_folder))
    control = next(row for row in data["evaluations"] if row["name"] == "control")
    assert control["pass_at_k"]["1"] == {"value": 0.42, "low": None, "high": None}


def test_what_is_damaged_stands_in_the_report(run_folder: Path) -> None:
    (run_folder / "rollouts" / "step-000003.parquet").write_bytes(b"PAR1 nonsense")
    out = report.write(run_folder)
    for text in (out.read_text(), out.with_suffix(".md").read_text().replace("\\", "")):
        assert "rollouts/step-000003.parquet: half-written or damaged" in text


def test_hostile_logs_do_not_stop_the_report(run_folder: Path) -> None:
    strange = "$x^{</svg><script>a&b_\u202e"
    lines = [
        {"kind": "step", "step": 10**30, "reward_mean": 1},
        {
            "kind": "step",
            "step": 13,
            "reward_mean": 10**400,
            "entropy": float("nan"),
            strange: 0.5,
            "loss": "x",
        },
        {"kind": "eval", "step": 13, "name": strange, "pass_at_k": {"1": 0.5, "²": 1, "x": 2, "9" * 5000: 1}},
        {"kind": "eval", "step": 14, "name": strange, "pass_at_k": [1], "tasks": "many", "compile_rate": {}},
        {"kind": "eval", "step": 15, "name": 7, "class_mass": {strange: 0.5, "rare": None}, "entropy": True},
        {"kind": "event", "step": 1, "event": strange, "detail": {strange: [strange]}},
    ]
    with (run_folder / "steps.jsonl").open("a") as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines))
    out = report.write(run_folder)
    html = out.read_text()
    assert html.count("<script") == 2
    assert "\u202e" not in html
    assert "NaN" not in out.with_suffix(".json").read_text()
    assert "line 16: not a step" in html


def test_a_verdict_file_is_reported_beside_itself(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.jsonl"
    rows = [{"task_id": "t", "passed": index % 2 == 0, "program": f"p{index}"} for index in range(8)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = report.write(path)
    assert out == tmp_path / "verdicts.report.html"
    assert page(out)["measures"][0]["values"][0]["value"] == 0.5


def test_tasks_stand_in_natural_order(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    names = ["b", "t/10", "t/9", "9", "t/9/x", "1" * 5000]
    path.write_text("".join(json.dumps({"task_id": name, "passed": True}) + "\n" for name in names))
    tasks = [row["task"] for row in page(report.write(path))["grids"][0]["tasks"]]
    assert tasks.index("9") == 0
    assert [task for task in tasks if task.startswith(("b", "t"))] == ["b", "t/9", "t/9/x", "t/10"]


def test_a_comparison_pairs_the_tasks_of_both_runs(tmp_path: Path, run_maker: RunMaker) -> None:
    base = run_maker(tmp_path / "base", gain=0.0)
    better = run_maker(tmp_path / "better", gain=0.4)
    out = compare.write(base, [better], tmp_path / "c.html")
    data = page(out)
    assert data["title"] == "base, step 12 against better, step 12"
    assert data["measures"][0]["differences"][0]["value"] > 0.2
    change = data["changes"][0]
    assert change["shared_tasks"] == 20
    assert change["fixed"] > change["introduced"]
    assert out.read_text().count('aria-label="Reward in training: mean reward"') == 1  # both runs in one


def test_runs_of_one_name_are_told_apart_by_their_paths(tmp_path: Path, run_maker: RunMaker) -> None:
    first, second = run_maker(tmp_path / "a" / "demo"), run_maker(tmp_path / "b" / "demo")
    labels = [
        column["label"] for column in page(compare.write(first, [second], tmp_path / "c.html"))["columns"]
    ]
    assert labels == [f"{first}, step 12", f"{second}, step 12"]


@pytest.mark.parametrize("name", ["page.json", "page.md", "page", "."])
def test_a_page_that_its_json_or_markdown_would_replace_is_refused(run_folder: Path, name: str) -> None:
    before = sorted(run_folder.iterdir())
    for write in (
        lambda out: report.write(run_folder, out),
        lambda out: compare.write(run_folder, [run_folder], out),
    ):
        with pytest.raises(RunError, match=r"--out .*does not end in \.html"):
            write(run_folder / name)
    assert sorted(run_folder.iterdir()) == before


def test_a_page_that_cannot_be_written_is_named(run_folder: Path) -> None:
    (run_folder / "taken.html").mkdir()
    with pytest.raises(RunError, match=r"taken\.html: is a folder"):
        report.write(run_folder, run_folder / "taken.html")
    with pytest.raises(RunError, match=r"page\.html: cannot be written \(File exists: .*run\.json\).*--out"):
        report.write(run_folder, run_folder / "run.json" / "page.html")


def test_runs_that_cannot_be_compared_are_named(tmp_path: Path, run_maker: RunMaker) -> None:
    base = run_maker(tmp_path / "base")
    other = tmp_path / "v.jsonl"
    other.write_text('{"task_id": "else", "passed": true}\n')
    with pytest.raises(RunError, match=r"v\.jsonl: shares no task with .*base"):
        compare.write(base, [other], tmp_path / "c.html")


def test_hostile_names_are_inert_in_html_markdown_and_json(tmp_path: Path) -> None:
    """Markdown is read by pull requests: no markup, no link, no @name may come of what a model wrote."""
    hostile = "@all #1 https://x.example <b>`|``[a](javascript:1)\x1b[31m\u202e\x00"
    for name, passed in (("before", False), ("after", True)):
        rows = []
        for number in range(8):
            error = {"type": "KeyError", "message": hostile, "frames": [{"line": 1, "source": hostile}]}
            row: dict[str, Any] = {"task_id": f"{hostile}{number % 2}", "passed": passed and number % 2 == 0}
            rows.append(row | {"phase": "passed" if row["passed"] else "call", "error": error})
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = compare.write(tmp_path / "before.jsonl", [tmp_path / "after.jsonl"], tmp_path / "c.html")
    for path in (out, out.with_suffix(".md"), out.with_suffix(".json")):
        text = path.read_text()
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", text), (
            path
        )
    assert page(out)["changes"][0]["gained"]
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(out.with_suffix(".md").read_text())
    outside_code = re.sub(r"<code>.*?</code>", "", rendered, flags=re.DOTALL)
    assert "x.example" in rendered and "@all" in rendered
    assert "x.example" not in outside_code and "@all" not in outside_code
    tags = {"table", "thead", "tbody", "tr", "th", "td", "p", "h1", "h2", "blockquote", "code"}
    assert set(re.findall(r"<([a-z0-9]+)", rendered)) <= tags


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b", "a\\x00b"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("if x:\u202e return\u2066", "if x:\\u{202e} return\\u{2066}"),
        ("\ud800", "\\u{d800}"),
        ("zero\u200bwidth\ufeff", "zero\\u{200b}width\\u{feff}"),
        ("tab\tand\r\nline", "tab\tand\nline"),
        ("lone\rreturn", "lone\\x0dreturn"),
    ],
)
def test_hidden_characters_become_visible(text: str, shown: str) -> None:
    assert inert(text) == shown


def test_long_text_is_shortened_in_the_middle_and_says_so() -> None:
    line = inert("a" * 1_000_000)
    assert len(line) < 1000
    assert "left out" in line
    assert line.startswith("aaa") and line.endswith("aaa")
    assert len(inert("ab\n" * 100_000)) < 6_100
    assert "\n" not in one_line("a\nb" * 1000)
