"""`coderl tasks audit`: runs the audit, writes a row a task, and says what was found and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks import native
from tasks.commands.output import EXIT_NOT_GRADED, atomic_writer
from tasks.datasets import load
from tasks.errors import TaskError
from tasks.grading.modes import InProcess
from tasks.progress import shown
from tasks.runner import open_runner
from tasks.validation.audit import AuditReport, audit

_SHOWN_TASKS, _SHOWN_HOLES, _SHOWN_LINES = 40, 3, 3


def main(
    spec: str,
    *,
    split: str | None,
    limit: int | None,
    backend: str,
    slots: int,
    mutants: int,
    seed: int,
    in_process: InProcess,
    out: Path | None,
    write: Path | None,
    overwrite: bool,
    as_json: bool,
) -> int:
    """Audits, writes `out` (a row a task) and `write` (the tasks that are not weak), prints; returns the exit code.

    Raises `TaskError` for tasks that cannot be read and files that cannot be written.
    """
    tasks = load(spec, split=split, limit=limit)
    languages = {task.language for task in tasks}
    if out is not None and write is not None and out.resolve() == write.resolve():
        raise TaskError(f"--out and --write are both {out}; give each a file of its own")
    with _writer(write, "--write", overwrite) as put_sound:
        with (
            _writer(out, "--out", overwrite) as put_rows,
            open_runner(urls=(), slots=slots, backend=backend, languages=languages) as runner,
            shown() as advance,
        ):
            report = audit(
                tasks,
                runner,
                mutants=mutants,
                seed=seed,
                in_process=in_process,
                progress=advance,
            )
            put_rows("".join(json.dumps(row) + "\n" for row in audit_rows(report)))
        print(json.dumps(summary(report)) if as_json else text(report, spec, out))
        if write is not None and not report.sound:
            raise TaskError(f"--write {write}: no task is left to write, the tests of all are weak")
        put_sound("".join(json.dumps(native.to_row(task)) + "\n" for task in report.sound))
    return EXIT_NOT_GRADED if report.infra else 0


@contextmanager
def _writer(path: Path | None, option: str, overwrite: bool) -> Iterator[Callable[[str], None]]:
    """Opens it before hours of audit, so that a path that cannot be written fails at once."""
    if path is None:
        yield lambda text: None
        return
    with atomic_writer(path, option, overwrite=overwrite) as write:
        yield write


def audit_rows(report: AuditReport) -> Iterable[dict[str, Any]]:
    for audited in report.tasks:
        yield {
            "task_id": audited.task.id,
            "source": audited.task.source,
            "weak": audited.weak,
            "holes": [asdict(hole) for hole in audited.holes],
            "infra": audited.infra,
            "left_out": audited.left_out,
        }


def summary(report: AuditReport) -> dict[str, Any]:
    return {
        "tasks": len(report.tasks),
        "weak": len(report.weak),
        "programs": report.programs,
        "infra": report.infra,
        "left_out": sum(bool(audited.left_out) for audited in report.tasks),
        "kinds": report.tasks_by_kind(),
        "holes": [row for row in audit_rows(report) if row["holes"]],
    }


def text(report: AuditReport, spec: str, out: Path | None) -> str:
    """A table of tasks and holes for a terminal, then counts and what to do."""
    found = [audited for audited in report.tasks if audited.holes]
    lines = []
    for audited in found[:_SHOWN_TASKS]:
        lines.append(f"{audited.task.id}{'' if audited.weak else '  (mutants only)'}")
        for hole in audited.holes[:_SHOWN_HOLES]:
            lines.append(f"  {hole.kind:<10}{' '.join(hole.name.split())}")
            lines += [f"    | {line}" for line in hole.program.rstrip().splitlines()[-_SHOWN_LINES:]]
        if (more := len(audited.holes) - _SHOWN_HOLES) > 0:
            lines.append(f"  and {more} more programs")
    if (more := len(found) - _SHOWN_TASKS) > 0:
        lines.append(f"and {more} more tasks, see --out")
    lines += [
        "",
        f"weak tests: {len(report.weak)} of {len(report.tasks)} tasks ({report.programs} programs graded)",
    ]
    lines += [f"  {kind:<10}{count:>6} tasks" for kind, count in report.tasks_by_kind().items()]
    if report.infra:
        lines.append(f"could not be graded: {report.infra} programs; see `coderl sandbox doctor`")
    if skipped := [audited for audited in report.tasks if audited.left_out]:
        lines.append(
            f"not audited, as no program could pass them: {len(skipped)}, such as {skipped[0].task.id}"
        )
    if found:
        lines += ["", *_advice(report, spec, out)]
    return "\n".join(lines)


def _advice(report: AuditReport, spec: str, out: Path | None) -> Iterable[str]:
    yield "A program that passes may be the right answer, and a mutant its reference's equal. Otherwise add tests, or:"
    if report.weak:
        file = out or "FILE"
        first = "" if out else "give --out FILE, then "
        yield f"  leave weak tasks out of training and evaluation: {first}data.audit='[\"{file}\"]'"
        yield f"  mark verdicts on them: {first}coderl grade --audit {file}"
        yield f"  write the other tasks to a file: coderl tasks audit {spec} --write TASKS.jsonl"
