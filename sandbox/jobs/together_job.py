"""The host's side of judge jobs in one process: program and test in a cell of their own.

The frame comes from a process that the program shares, so it is parsed as the program's claim: nothing in it can
raise here, change a limit, or look like a fault of ours.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from sandbox.backends.cell import Cell
from sandbox.inside import wire
from sandbox.inside.supervisor import modules
from sandbox.jobs import judge_job, results
from sandbox.jobs.ledger import Ledger
from sandbox.jobs.process import Process, run_to_end
from sandbox.protocol import ErrorInfo, Job, Judge, Limits, Outcome, TestOutcome

_MAX_UNITS = 10_000


def run(job: Job, work: Judge, cell: Cell) -> Outcome:
    """As `program_job.run`. Raises `CellLost`."""
    number = secrets.token_hex(16)
    own = wire.to_json({"run": number}).encode()[:-1] + b"," + judge_job.program_payload(job)[1:]
    payload = own[:-1] + b"," + judge_job.judge_payload(work)[1:]
    named = {*modules.named_by_program(job.program, job.prelude), *judge_job.judge_modules(work)}
    ledger = Ledger(_limits(job, work))
    clock = ledger.clock(cell)
    process = Process(cell, "together", payload, ledger.limits, modules=sorted(named))
    frames, end = run_to_end(process, clock)
    ledger.add(end)
    claim = next((frame for frame in frames if frame.get("run") == number), None)
    stopped = None
    if process.verdict is not None or end.memory or end.code != 0 or claim is None:
        stopped = results.cut_short(process, end, "call")
    units = _units(claim)
    error = stopped.error if stopped else _error(claim and claim.get("error"))
    status = stopped.status if stopped else judge_job.status_of(error)
    return Outcome(
        job_id=job.id,
        status=status,
        tests=units,
        passed=stopped is None and claim is not None and claim.get("passed") is True and bool(units),
        error=error,
        cpu_seconds=ledger.cpu_seconds,
        peak_memory_bytes=ledger.peak_bytes,
    )


def _limits(job: Job, work: Judge) -> Limits:
    """The time of all its tests, as only the program's own process could say when one is over."""
    count = max(1, work.test.count("assert"), work.test.count("def test"))
    seconds = min(job.limits.total_cpu_seconds, count * job.limits.cpu_seconds)
    return replace(job.limits, cpu_seconds=seconds)


def _units(claim: dict[str, Any] | None) -> tuple[TestOutcome, ...]:
    units = claim.get("units") if claim else None
    if not isinstance(units, list) or len(units) > _MAX_UNITS:
        return ()
    return tuple(_unit(unit) for unit in units if isinstance(unit, dict))


def _unit(unit: dict[str, Any]) -> TestOutcome:
    error = _error(unit.get("error"))
    name = unit.get("name")
    return TestOutcome(
        status=judge_job.status_of(error),
        name=name[:200] if isinstance(name, str) else "",
        passed=unit.get("passed") is True and error is None,
        error=error,
    )


def _error(fields: Any) -> ErrorInfo | None:
    if not isinstance(fields, dict):
        return None
    error = results.error_of(fields)
    return replace(error, phase="wrong") if fields.get("phase") == "wrong" else error
