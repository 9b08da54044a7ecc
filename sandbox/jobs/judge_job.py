"""The host's side of judge jobs: two processes, their payloads, and the outcome from the judge's one result frame.

Only the judge's payload holds the test. Only the judge's frame, from a descriptor that the program's
process does not have, makes a pass; anything missing or cut short is the program's failure.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, cast

from sandbox.backends.cell import Cell
from sandbox.inside import wire
from sandbox.inside.supervisor import modules
from sandbox.inside.values.codec import CodecError, decode
from sandbox.jobs import instrument, results
from sandbox.jobs.ledger import Clock, Ledger, over_all_tests
from sandbox.jobs.process import Process, finish, pump
from sandbox.protocol import ErrorInfo, Frame, Job, Judge, Outcome, Phase, Status, TestOutcome

_MAX_CODE = 1 << 18  # characters of a test's code that are kept


def run(job: Job, work: Judge, program_cell: Cell, judge_cell: Cell) -> Outcome:
    """As `program_job.run`: the judge's process drives the program's over a socket pair, and the program's ends with
    it. Raises `CellLost`."""
    ledger = Ledger(job.limits)
    ours, theirs = socket.socketpair()
    named = [*modules.named_by_program(job.program, job.prelude), *modules.for_values(job.program)]
    with ExitStack() as stack:
        with ours, theirs:
            clocks = [ledger.clock(program_cell)]
            payload, rpc = program_payload(job), ours.fileno()
            served = Process(program_cell, "serve", payload, job.limits, rpc=rpc, modules=named)
            stack.enter_context(closing(served))
            clocks.append(ledger.clock(judge_cell))
            payload, rpc = judge_payload(work), theirs.fileno()
            judge = Process(judge_cell, "judge", payload, job.limits, rpc=rpc, modules=judge_modules(work))
            stack.enter_context(closing(judge))
        frames = _watch(served, judge, clocks)
        keep_code(work, frames)
        for process in (served, judge):
            ledger.add(finish(process))
    return _outcome(job, frames, _interruption(served, judge), ledger)


def _watch(served: Process, judge: Process, clocks: Sequence[Clock]) -> list[dict[str, Any]]:
    """The judge's frames, until it has ended; both are killed where one is out of time."""
    frames: list[dict[str, Any]] = []
    while judge.end is None:
        pump(
            [each for each in (served, judge) if each.end is None],
            min(clock.remaining_seconds() for clock in clocks),
        )
        served.frames.clear()  # nothing that the program sends here counts
        for clock in clocks if judge.frames and judge.end is None else ():
            clock.next_test()
        frames += judge.taken()
        for process, clock in zip((served, judge), clocks, strict=True):
            if process.end is None and (late := clock.verdict()):
                served.kill(late)
                limit = over_all_tests(clock.limits) if clock.job_is_over else "time"
                judge.kill(late, f"{limit} ran out in the {process.cell.role} cell")
    return frames + judge.taken()


def _interruption(served: Process, judge: Process) -> TestOutcome | None:
    """How a judge's run was cut short, or None where the judge came to its own end."""
    for process in (served, judge):
        if process.end is not None and process.end.memory:
            return results.cut_short(process, process.end, "call")
    if judge.end is not None and (judge.verdict is not None or judge.end.code != 0):
        return results.cut_short(judge, judge.end, "call")
    return None


def program_payload(job: Job) -> bytes:
    """What `serve` reads: the program, and nothing of its test."""
    fields = {"program": job.program, "prelude": job.prelude, "output_bytes": job.limits.output_bytes}
    return wire.to_json(fields).encode()


def judge_payload(work: Judge) -> bytes:
    """What `judge` reads: the test and the prompt, and nothing of the program."""
    return _prepared(work).payload


def keep_code(work: Judge, frames: Sequence[Mapping[str, Any]]) -> None:
    """Keeps the compiled test that a judge sent in `frames`, for later judges of the same test.

    It is in a judge's very first frame, sent before the program or the test could influence it.
    Only judges of the same test read it, in their cells, and only with the same interpreter.
    """
    prepared = _prepared(work)
    match frames[0].get("code") if frames and not prepared.has_code else None:
        case [str(), str(text)] as code if len(text) <= _MAX_CODE:
            prepared.payload = b'{"code":%b,%b' % (wire.to_json(code).encode(), prepared.payload[1:])
            prepared.has_code = True


@lru_cache(maxsize=4096)
def judge_modules(work: Judge) -> tuple[str, ...]:
    """What the judge's cell should have imported before the fork."""
    source = f"{work.prompt}\n{work.test}"
    named = [*modules.named_by_test(source), *modules.for_values(source, large=True)]
    return (*named, work.kind) if work.kind in ("pytest", "unittest") else tuple(named)


MAX_CHARACTERS = 1 << 20  # of a test: reading so many costs the host some ten seconds


@dataclass(slots=True)
class _Prepared:
    payload: bytes
    has_code: bool = False  # the test's, compiled


@lru_cache(maxsize=4096)
def _prepared(work: Judge) -> _Prepared:
    plan = _plan(work)
    owner, entry_point = instrument.split_entry_point(work.entry_point)
    fields = {"kind": work.kind, "owner": owner, "entry_point": entry_point, "plan": plan}
    return _Prepared(wire.to_json(fields).encode())


def _plan(work: Judge) -> dict[str, Any]:
    if len(work.test) + len(work.prompt) > MAX_CHARACTERS:
        return {
            "broken": f"a test is judged up to {MAX_CHARACTERS:,} characters: split it, or give `call` tests"
        }
    try:
        return asdict(instrument.plan(work.kind, work.test, work.entry_point, work.prompt))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return {"broken": f"the test or its prompt is not Python: {type(error).__name__}: {error}"}


def _outcome(
    job: Job, frames: Sequence[Mapping[str, Any]], stopped: TestOutcome | None, ledger: Ledger
) -> Outcome:
    """The outcome of a judge's run that sent `frames`; `stopped` says how it was cut short, if it was."""
    result = next((frame for frame in frames if "passed" in frame), None)
    tests: tuple[TestOutcome, ...] = ()
    passed, status, error, detail = False, Status.KILLED, None, "the judge sent no result"
    if result is not None:
        tests = tuple(_test(job, unit) for unit in result["units"])
        error = _error(job, result["error"])
        passed = result["passed"] and stopped is None
        status = status_of(error)
        detail = result["unsupported"] or ""
        if (lacks := result["lacks"]) is not None:
            status, passed = Status.INFRA, False
            detail = (
                f"the test imports {lacks!r}, which judges lack: require it (grading.requirements, --requirement); "
                "where it means the program, only a name that the program defines can be imported from it"
            )
    if stopped is not None:
        status, error = stopped.status, stopped.error
    return Outcome(
        job_id=job.id,
        status=status,
        tests=tests,
        passed=passed,
        error=error,
        cpu_seconds=ledger.cpu_seconds,
        peak_memory_bytes=ledger.peak_bytes,
        detail=detail,
    )


def _test(job: Job, unit: Mapping[str, Any]) -> TestOutcome:
    error = _error(job, unit["error"])
    try:
        value = decode(unit["value"]) if unit["value"] is not None else None
    except CodecError:  # for instance a cycle, which cannot be shown
        value = None
    return TestOutcome(
        status=status_of(error), name=unit["name"], value=value, passed=unit["passed"], error=error
    )


def status_of(error: ErrorInfo | None) -> Status:
    """A wrong value is no fault of the run: the program ran to its end."""
    if error is None or error.phase == "wrong":
        return Status.OK
    if error.phase == "compile":
        return Status.COMPILE_ERROR
    if error.type == "BrokenProtocol":
        return Status.KILLED
    return Status.MEMORY if error.type == "MemoryError" else Status.EXCEPTION


def _error(job: Job, data: Mapping[str, Any] | None) -> ErrorInfo | None:
    if data is None:
        return None
    lines = job.program.splitlines()
    return ErrorInfo(
        type=data["type"],
        message=data["message"],
        phase=cast(Phase, data["phase"]),
        frames=tuple(
            Frame(line, function, lines[line - 1].strip()[:200])
            if 0 < line <= len(lines)
            else Frame(0, function, "")
            for line, function in data["frames"]
        ),
    )
