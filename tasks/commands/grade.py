"""`coderl grade`: grades a file of completions, or a dataset's references, and writes verdict rows.

What is read: completions.py and sources.py. Fields of a row that are not read are carried through. A verdict row is one
completion's, and adds the fields of `verdict_row` (they win over carried ones of the same name). Rows keep the order of
the input. Of a completion with several code blocks the last is the answer; the earlier ones are graded too, for the
analysis of self-correction.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from sandbox.protocol import Limits, SandboxError
from tasks.commands.completions import Item, Unreadable, read_completions, reference_items
from tasks.commands.output import EXIT_NOT_GRADED, atomic_writer, table
from tasks.commands.sources import STANDARD_INPUT
from tasks.datasets import load
from tasks.grading.grader import Grader
from tasks.grading.modes import LEFT_OUT, Gradable, InProcess, checked, left_out
from tasks.grading.modes import summary as reasons
from tasks.progress import Advance, shown
from tasks.runner import open_runner
from tasks.types import Task, Verdict
from tasks.validation.audits import read_audits, require_known
from tasks.validation.validate import ValidationReport, validate

_TOLD = 10  # of these, with their reasons
_SHOWN_TASKS = 200  # of the table by task


def main(
    tasks_spec: str,
    completions: str,
    out: str | None = None,
    *,
    overwrite: bool = False,
    urls: Sequence[str] = (),
    backend: str = "auto",
    slots: int = 2,
    requirements: Sequence[str] = (),
    image: str = "",
    limits: Limits | None = None,
    in_process: InProcess = "never",
    mutants: bool = False,
    audits: Sequence[str] = (),
    as_json: bool = False,
) -> int:
    """Grades, writes `out` (gzipped where it ends in .gz; None: beside the completions), prints a summary; returns the
    exit code.

    Raises `TaskError` for tasks or completions that cannot be read, `sandbox`'s errors where nothing can run.
    """
    tasks, audited = load(tasks_spec), read_audits(audits)
    require_known(tasks, audited, audits)
    path = Path(out) if out else default_out(completions)
    if completions == "reference":
        found = reference_items(tasks)
    else:
        found = read_completions(completions, tasks)
        _say(str(found))
    rows, items = found.rows, found.items
    languages = {name for task in tasks for name in task.languages}
    started = time.monotonic()
    with (
        atomic_writer(path, overwrite=overwrite) as write,
        open_runner(
            urls=urls,
            slots=slots,
            backend=backend,
            languages=languages,
            requirements=requirements,
            image=image,
            report=_say,
        ) as runner,
        shown() as advance,
    ):
        grader = Grader(runner, limits=limits)
        decided = _decide(items, grader, in_process, advance)
        if completions == "reference":  # whose failures are what is asked for
            decided.left_out.clear()
        graded: dict[int, list[Verdict]] = {}

        def line_of(number: int, item: Item) -> str:
            weak_tests = {"weak_tests": audited.holes_of(item.task)} if audits else {}
            return _line(verdict_row(item, graded[number]) | weak_tests)

        try:
            _grade(grader, items, decided, graded, advance)
        except (KeyboardInterrupt, SandboxError):
            _keep([line_of(number, items[number]) for number in sorted(graded)], path, len(items))
            raise
        numbers = count()
        for row in rows:
            write(line_of(next(numbers), row) if isinstance(row, Item) else _line(_unreadable_row(row)))
        verdicts = [graded[number][0] for number in range(len(items))]
        summary = _summary(rows, items, tasks, verdicts)
        summary["seconds"] = round(time.monotonic() - started, 3)
        if audits:
            solved = [item.task for item, verdict in zip(items, verdicts, strict=True) if verdict.passed]
            summary["passed_weak_tests"] = sum(audited.is_weak(task) for task in solved)
        if mutants:
            summary["mutants"] = _mutants(tasks, grader, advance)
    summary["out"] = str(path)
    _tell([f"{v.task_id!r}: {v.detail}" for v in verdicts if v.passed is None and not _is_left_out(v)])
    _tell([row.reason for row in rows if isinstance(row, Unreadable)])
    if as_json:
        print(json.dumps(summary))
    else:
        _print(summary)
    return EXIT_NOT_GRADED if summary["infra"] or summary["invalid"] else 0


def _summary(
    rows: Sequence[Item | Unreadable],
    items: Sequence[Item],
    tasks: Sequence[Task],
    verdicts: Sequence[Verdict],
) -> dict[str, Any]:
    """Of the verdicts, with what got none."""
    return summarize(verdicts) | {
        "invalid": len(rows) - len(items),
        "tasks_without_completion": len(tasks) - len({item.task.id for item in items}),
    }


def default_out(completions: str) -> Path:
    """`samples.jsonl.gz` is graded to `samples-verdicts.jsonl` beside it; what has no file, to one in this folder."""
    if completions in (STANDARD_INPUT, "reference"):
        return Path("verdicts.jsonl")
    path = Path(completions)
    return path.with_name(f"{path.name.removesuffix('.gz').rpartition('.')[0] or path.name}-verdicts.jsonl")


def verdict_row(item: Item, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The fields of `item`'s row, and of the verdicts on its programs."""
    return {**item.row, **item.answer.to_json(verdicts), "program": item.answer.program or ""}


def _unreadable_row(row: Unreadable) -> dict[str, Any]:
    verdict = {"passed": None, "score": None, "status": "invalid", "phase": "invalid", "detail": row.reason}
    return {**row.row, **verdict, "program": ""}


def _line(row: dict[str, Any]) -> str:
    """As JSON. What the input's row carries, and JSON cannot, is left out: nested too deeply, or bytes, say."""
    try:
        return json.dumps(row) + "\n"
    except (TypeError, ValueError, RecursionError):
        fields = {"task_id", "completion", *(field.name for field in dataclasses.fields(Verdict)), "program"}
        return json.dumps({name: value for name, value in row.items() if name in fields}) + "\n"


def _keep(lines: Sequence[str], out: Path, wanted: int) -> None:
    """Grading ends early: what is graded so far goes into a file of its own, beside `out`."""
    if not lines:
        return
    path = out.with_name(f"partial-{out.name}")
    with atomic_writer(path, overwrite=True) as write:
        for line in lines:
            write(line)
    _say(f"{len(lines)} of {wanted} completions are graded; their verdicts are in {path}")


def _tell(reasons: Sequence[str]) -> None:
    for reason in reasons[:_TOLD]:
        _say(f"not graded: {reason}")
    if len(reasons) > _TOLD:
        _say(f"not graded: {len(reasons) - _TOLD} more")


def _is_left_out(verdict: Verdict) -> bool:
    return verdict.detail.startswith(LEFT_OUT)


def summarize(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Counts over all rows; rates leave out what could not be graded."""
    graded = [verdict for verdict in verdicts if verdict.passed is not None]
    scores = [verdict.score for verdict in verdicts if verdict.score is not None]
    right = [verdict for verdict in verdicts if verdict.passed]
    ungraded = sum(_is_left_out(verdict) for verdict in verdicts if verdict.passed is None)
    return {
        "completions": len(verdicts),
        "tasks": len({verdict.task_id for verdict in verdicts}),
        "passed": len(right),
        "failed": len(graded) - len(right),
        "infra": len(verdicts) - len(graded) - ungraded,
        "left_out": ungraded,
        "pass_rate": len(right) / len(graded) if graded else None,
        "score_mean": sum(scores) / len(scores) if scores else None,
        "tasks_solved": len({verdict.task_id for verdict in right}),
        "tests": sum(len(verdict.tests) for verdict in graded),
        "tests_passed": sum(test.passed for verdict in graded for test in verdict.tests),
        "phases": dict(Counter(verdict.phase for verdict in verdicts).most_common()),
        "trust": dict(Counter(verdict.trust for verdict in graded)),
        "backends": dict(Counter(verdict.backend for verdict in graded if verdict.backend)),
        "cpu_seconds": round(sum(verdict.cpu_seconds for verdict in graded), 3),
        "by_task": by_task(verdicts),
    }


def by_task(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Counts of each task, in the order in which they first come; what could not be graded is in `phases` alone."""
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.task_id, []).append(verdict)
    return [
        {
            "task_id": task_id,
            "completions": sum(verdict.passed is not None for verdict in each),
            "passed": sum(verdict.passed is True for verdict in each),
            "phases": dict(Counter(verdict.phase for verdict in each).most_common()),
        }
        for task_id, each in found.items()
    ]


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _decide(items: Sequence[Item], grader: Grader, allowed: InProcess, advance: Advance) -> Gradable:
    """Which of the items' tasks can be graded, and how."""
    tasks = list({item.task.id: item.task for item in items}.values())
    decided = checked(
        tasks, grader, allowed, partial(advance, "references of tasks that need a judge"), failing="graded"
    )
    if decided.left_out:
        _say(
            f"{len(decided.left_out)} tasks left out, as no program could pass them: {reasons(decided.left_out)}"
        )
    return decided


def _grade(
    grader: Grader,
    items: Sequence[Item],
    decided: Gradable,
    graded: dict[int, list[Verdict]],
    advance: Advance,
) -> None:
    """Puts into `graded`, by the item's number, the verdicts on its programs, as they are there."""
    programs = [item.answer.programs(item.task) for item in items]
    tasks = {task.id: task for task in decided.tasks}
    found: dict[int, dict[int, Verdict]] = {}
    places = []
    for number, item in enumerate(items):
        if (reason := decided.left_out.get(item.task.id)) is not None:
            graded[number] = [left_out(item.task.id, reason)] * len(programs[number])
        else:
            places += [(number, part) for part in range(len(programs[number]))]
    work = (
        (tasks.get(items[number].task.id, items[number].task), programs[number][part], None)
        for number, part in places
    )
    for done, (index, verdict) in enumerate(grader.grade_all(work), start=1):
        number, part = places[index]
        parts = found.setdefault(number, {})
        parts[part] = verdict
        if len(parts) == len(programs[number]):
            graded[number] = [parts[place] for place in range(len(parts))]
            del found[number]
        advance("grading", done, len(places))


def _mutants(tasks: Sequence[Task], grader: Grader, advance: Advance) -> dict[str, Any]:
    return _mutant_summary(validate(tasks, grader, progress=partial(advance, "mutants")))


def _mutant_summary(report: ValidationReport) -> dict[str, Any]:
    return {
        "graded": report.mutants,
        "killed": report.mutants - len(report.survivors),
        "kill_rate": report.kill_rate,
        "infra": report.infra,
        "survivors": [
            {"task_id": s.task_id, "line": s.mutant.line, "change": s.mutant.change} for s in report.survivors
        ],
    }


def _print(summary: dict[str, Any]) -> None:
    """The table by task, then the summary, which so stays on the screen."""
    shown = summary["by_task"][:_SHOWN_TASKS]
    rows = [
        [task["task_id"], f"{task['passed']}/{task['completions']}", _list(task["phases"])] for task in shown
    ]
    print(table(["task", "passed", "phases"], rows))
    if (more := len(summary["by_task"]) - len(shown)) > 0:
        print(f"and {more} more tasks; --json has all")
    print()
    print(
        table(["completions", f"{summary['completions']} on {summary['tasks']} tasks"], list(_lines(summary)))
    )
    if summary["infra"]:
        print(
            f"{summary['infra']} completions could not be graded: the sandbox or their task failed, not they"
        )
    if summary["invalid"]:
        print(f"{summary['invalid']} rows could not be graded: they make no sense")


def _lines(summary: dict[str, Any]) -> Iterator[tuple[str, str]]:
    rate = "-" if summary["pass_rate"] is None else f"{summary['pass_rate']:.1%}"
    yield "passed", f"{summary['passed']} ({rate}); tasks solved: {summary['tasks_solved']}"
    yield "mean score", "-" if summary["score_mean"] is None else f"{summary['score_mean']:.3f}"
    yield "tests", f"{summary['tests_passed']} of {summary['tests']} passed"
    for field in ("phases", "trust", "backends"):
        yield field, _list(summary[field])
    yield "time", f"{summary['seconds']:.1f} s ({summary['cpu_seconds']:.1f} s of programs' CPU)"
    if mutants := summary.get("mutants"):
        rate = "-" if mutants["kill_rate"] is None else f"{mutants['kill_rate']:.1%}"
        yield "mutants killed", f"{mutants['killed']} of {mutants['graded']} ({rate})"
        for s in mutants["survivors"]:
            yield "", f"survives: {s['task_id']}, line {s['line']}: {s['change']}"
    if "passed_weak_tests" in summary:
        yield (
            "weak tests",
            f"{summary['passed_weak_tests']} of those that passed are on tasks with weak tests",
        )
    if summary["left_out"]:
        yield "left out", f"{summary['left_out']} completions of tasks that no program could pass"
    if summary["tasks_without_completion"]:
        yield "not answered", f"{summary['tasks_without_completion']} tasks have no completion"
    yield "verdicts", summary["out"]


def _list(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.items()) or "-"
