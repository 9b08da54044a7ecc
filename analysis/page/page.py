"""Everything that a report or a comparison says, as plain data: `report.json`, and what the page shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analysis.inert import inert, one_line
from analysis.measures.boundary import arm_table, equal_pass_at_1
from analysis.measures.choosing import choosing
from analysis.measures.cohorts import Column, Source, evaluations
from analysis.measures.numbers import constants, finite, logged_pass_at_k
from analysis.measures.overfit import overfitting
from analysis.measures.table import as_data, changes, measure_table
from analysis.measures.tally import Group, GroupKey
from analysis.mistakes import fingerprint
from analysis.page.completions import collect
from analysis.page.issues import issue_list
from analysis.passk import pass_at_k_intervals

SCHEMA = 1
NO_PROGRAM = ("no_code", "compile")


def build(title: str, sources: Sequence[Source], columns: Sequence[Column]) -> dict[str, Any]:
    issues, more_issues = issue_list(sources, columns)
    records, grids = collect(sources, columns, issues)
    chosen = choosing(sources)
    notes = [f"{source.run.name}: {note}" for source in sources for note in source.run.notes]
    if more_issues:
        notes.append(f"{more_issues:,} rarer errors are counted but not listed.")
    if records.left_out:
        notes.append(f"{records.left_out:,} completions are shown without their program, to bound the page.")
    notes += [
        f"{grid['column']}: the grid leaves out {grid['tasks_left_out']:,} tasks, to bound the page."
        for grid in grids
        if grid["tasks_left_out"]
    ]
    return {
        "schema": SCHEMA,
        "fingerprint_version": fingerprint.VERSION,
        "title": one_line(title),
        "runs": [_run(source) for source in sources],
        "columns": [_column(column) for column in columns],
        "notes": [one_line(note, 400) for note in notes],
        "evaluations": [row for source in sources for row in evaluation_rows(source)],
        "measures": measure_table(columns),
        "changes": changes(columns),
        "arms": arm_table(columns) if len(sources) > 1 else [],
        "equal_pass_at_1": equal_pass_at_1(sources),
        "issues": issues,
        "overfitting": overfitting(sources),
        "choosing": chosen,
        "grids": grids,
        "records": records.items,
        "prompts": records.prompts,
        "tests": {task: [list(test) for test in tests] for task, tests in records.tests.items()},
    }


def evaluation_rows(source: Source) -> list[dict[str, Any]]:
    """Every evaluation by name and step: from its completions, else from its line in steps.jsonl."""
    lines = {GroupKey(str(line.get("name")), line["step"]): line for line in source.run.evals}
    rows = []
    for key in sorted({*lines, *evaluations(source)}):
        line = lines.get(key, {})
        group = source.tally.groups.get(key)
        rows.append(
            {
                "run": one_line(source.run.name),
                "name": one_line(key.source),
                "step": key.step,
                "tasks": len(group.tasks) if group else finite(line.get("tasks")),
                "samples": group.samples if group else None,
                "infra": group.infra if group else finite(line.get("infra_count")),
                "pass_at_k": _measured(group) if group else _logged(line),
                "compile_rate": compile_rate(group) if group else finite(line.get("compile_rate")),
                "entropy": finite(line.get("entropy")),
                "class_mass": _shares(line.get("class_mass")),
            }
        )
    return rows


def compile_rate(group: Group) -> float | None:
    """Share of graded completions that hold a program which compiles."""
    if not group.samples:
        return None
    return 1 - sum(group.by_phase[phase] for phase in NO_PROGRAM) / group.samples


def _measured(group: Group) -> dict[str, Any]:
    return {str(k): as_data(estimate) for k, estimate in pass_at_k_intervals(group.counts()).items()}


def _logged(line: dict[str, Any]) -> dict[str, Any]:
    shares = logged_pass_at_k(line.get("pass_at_k"))
    return {k: {"value": share, "low": None, "high": None} for k, share in shares.items()}


def _shares(logged: object) -> dict[str, float]:
    if not isinstance(logged, dict):
        return {}
    shares = {one_line(str(name)): finite(share) for name, share in logged.items()}
    return {name: share for name, share in shares.items() if share is not None}


def _run(source: Source) -> dict[str, Any]:
    run, groups = source.run, source.tally.groups.values()
    facts = {key: value for key, value in run.info.items() if key not in ("schema", "name")}
    return {
        "name": one_line(run.name),
        "facts": {one_line(str(key)): _fact(value) for key, value in facts.items()},
        "config": inert(run.config, 20_000),
        "steps": len(run.steps),
        "constant": {one_line(str(key), 60): value for key, value in constants(run.steps).items()},
        "completions": sum(group.samples + group.infra for group in groups),
        "infra": sum(group.infra for group in groups),
        "events": [
            {
                "step": event["step"],
                "event": one_line(str(event.get("event"))),
                "detail": _fact(event.get("detail")),
            }
            for event in run.events
        ],
    }


def _column(column: Column) -> dict[str, Any]:
    group = column.group
    return {
        "label": one_line(column.label),
        "tasks": len(group.tasks),
        "samples": group.samples,
        "passed": group.passed,
        "infra": group.infra,
        "truncated": group.truncated,
        "phases": dict(group.by_phase),
    }


def _fact(value: object) -> str:
    if isinstance(value, dict):
        return inert(", ".join(f"{key} {_fact(item)}" for key, item in value.items()), 2000)
    return inert("" if value is None else str(value), 2000)
