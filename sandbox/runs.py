"""How a job becomes processes in cells, and what they send becomes an `Outcome`.

A process that crashes or runs out of time costs its job one test: a new process goes on with the next. What
would only repeat itself (a program that cannot be imported, a job out of its total time) is not repeated.
"""

from __future__ import annotations

import json
import math
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from sandbox import judging
from sandbox.cell import Cell, End
from sandbox.inside import codec, wire
from sandbox.process import Clock, Process, pump
from sandbox.protocol import (
    Calls,
    ErrorInfo,
    Frame,
    Job,
    Judge,
    Outcome,
    Phase,
    Status,
    Stdio,
    TestOutcome,
)

_MAX_WALL_TIMEOUTS = 2  # sleepers: after so many the rest of the job's tests is not tried
_GRACE_SECONDS = 0.5  # to exit, once all results are in
_PHASES: frozenset[str] = frozenset({"compile", "import", "entry", "call"})


@dataclass
class Ledger:
    """What a job has used so far, over all its processes."""

    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    wall_timeouts: int = 0
    tests: list[TestOutcome] = field(default_factory=list)

    def add(self, end: End) -> None:
        self.cpu_seconds += end.cpu_seconds
        self.peak_bytes = max(self.peak_bytes, end.peak_bytes)


def run(job: Job, program_cell: Cell, judge_cell: Callable[[], Cell]) -> Outcome:
    """Do `job`; without `backend`, `image`, `wall_seconds` and `attempts`, which its slot fills in."""
    work = job.work
    if isinstance(work, Judge):
        return _judge(job, work, program_cell, judge_cell())
    ledger = Ledger()
    if isinstance(work, Calls):
        while len(ledger.tests) < len(work.calls):
            _calls(job, work, program_cell, ledger)
    else:
        while len(ledger.tests) < len(work.inputs):
            _stdio(job, work, program_cell, ledger)
    return outcome(job, ledger.tests, cpu_seconds=ledger.cpu_seconds, peak_bytes=ledger.peak_bytes)


def outcome(
    job: Job,
    tests: Sequence[TestOutcome],
    *,
    cpu_seconds: float,
    peak_bytes: int,
    status: Status | None = None,
    passed: bool | None = None,
    error: ErrorInfo | None = None,
    detail: str = "",
) -> Outcome:
    """An outcome whose status and error are, unless given, those of the first test that did not end well."""
    bad = next((test for test in tests if test.status is not Status.OK), None)
    return Outcome(
        job_id=job.id,
        status=status or (bad.status if bad else Status.OK),
        tests=tuple(tests),
        passed=passed,
        error=error or (bad.error if bad else None),
        cpu_seconds=cpu_seconds,
        peak_memory_bytes=peak_bytes,
        detail=detail,
    )


def _calls(job: Job, work: Calls, cell: Cell, ledger: Ledger) -> None:
    """One process, from the first call without a result on."""
    limits = job.limits
    calls = work.calls[len(ledger.tests) :]
    payload = {
        "program": job.program,
        "calls": [
            {"function": call.function, "arguments": codec.encode((call.args, dict(call.kwargs)))}
            for call in calls
        ],
        "value_bytes": limits.value_bytes,
        "output_bytes": limits.output_bytes,
    }
    process = Process(cell, "calls", json.dumps(payload).encode(), limits)
    clock = Clock(cell, limits, ledger.cpu_seconds)
    results: list[TestOutcome] = []
    fatal: TestOutcome | None = None
    imported = False
    cpu = 0.0
    try:
        for frame in _frames(process, clock):
            clock.next_test()
            if "fatal" in frame:
                fatal = _result(frame, frame["fatal"], job, 0.0)
                break
            if not imported:
                imported = True  # the frame says `ready`; whatever else it says is ignored
                continue
            now = _number(frame.get("cpu"))
            results.append(_result(frame, frame.get("failure"), job, max(0.0, now - cpu)))
            cpu = now
            if len(results) == len(calls):
                break
        end = _finish(process)
    finally:
        process.close()
    ledger.add(end)
    ledger.tests += _within(results, end.cpu_seconds)
    if end.memory and len(results) == len(calls) and all(test.status is Status.OK for test in results):
        ledger.tests[-1] = _stopped(process, end, "call")  # some of its processes died of it, though not all
    if len(results) == len(calls):
        return
    stopped = fatal or _stopped(process, end, "call" if imported else "import")
    ledger.tests.append(stopped)
    ledger.wall_timeouts += stopped.status is Status.WALL_TIMEOUT
    hopeless = not imported or ledger.wall_timeouts >= _MAX_WALL_TIMEOUTS
    if hopeless or ledger.cpu_seconds >= limits.total_cpu_seconds:
        ledger.tests += [stopped] * (len(work.calls) - len(ledger.tests))


def _stdio(job: Job, work: Stdio, cell: Cell, ledger: Ledger) -> None:
    """One process, for the first input without a result."""
    limits = job.limits
    payload = json.dumps({"program": job.program}).encode()
    stdin = work.inputs[len(ledger.tests)].encode(errors="surrogatepass")
    process = Process(cell, "stdio", payload, limits, stdin=stdin)
    clock = Clock(cell, limits, ledger.cpu_seconds)
    try:
        frames = list(_frames(process, clock))
        end = _finish(process)
    finally:
        process.close()
    ledger.add(end)
    failure = frames[0].get("failure") if frames else None
    if process.verdict is None and not end.memory and end.code == 0:
        test = TestOutcome(status=Status.OK)
    elif process.verdict is None and not end.memory and end.code and failure:
        test = _result({}, failure, job, 0.0)
    else:
        test = _stopped(process, end, "call")
    test = _with_streams(test, process, end.cpu_seconds)
    ledger.tests.append(test)
    ledger.wall_timeouts += test.status is Status.WALL_TIMEOUT
    hopeless = test.status is Status.COMPILE_ERROR or ledger.wall_timeouts >= _MAX_WALL_TIMEOUTS
    if hopeless or ledger.cpu_seconds >= limits.total_cpu_seconds:
        rest = len(work.inputs) - len(ledger.tests)
        ledger.tests += [TestOutcome(status=test.status, error=test.error)] * rest


def _judge(job: Job, work: Judge, program_cell: Cell, judge_cell: Cell) -> Outcome:
    """The judge's process drives the program's over a socket pair; the program's ends with it."""
    limits = job.limits
    ends = socket.socketpair()
    processes: list[Process] = []
    try:
        program = judging.program_payload(job, work)
        processes.append(Process(program_cell, "serve", program, limits, rpc=ends[0].fileno()))
        test = judging.judge_payload(job, work)
        processes.append(Process(judge_cell, "judge", test, limits, rpc=ends[1].fileno()))
        for each in ends:
            each.close()
        served, judge = processes
        clocks = [Clock(each.cell, limits, 0.0) for each in processes]
        frames: list[dict[str, Any]] = []
        while judge.end is None:
            pump([p for p in processes if p.end is None], min(c.remaining_seconds() for c in clocks))
            frames += judge.frames
            if judge.frames:
                clocks[0].next_test()
                clocks[1].next_test()
            judge.frames.clear()
            served.frames.clear()
            for process, clock in zip(processes, clocks, strict=True):
                if process.end is None and (late := clock.verdict()):
                    judge.kill(late, f"out of time in the {process.cell.role} cell")
                    served.kill(late)
        judge.drain_all()
        frames += judge.frames
        _finish(served)
    finally:
        for each in ends:
            each.close()
        for process in processes:
            process.close()
    ledger = Ledger()
    for process in processes:
        ledger.add(cast(End, process.end))
    stopped = _judge_stopped(served, judge)
    return judging.outcome(job, frames, stopped, cpu_seconds=ledger.cpu_seconds, peak_bytes=ledger.peak_bytes)


def _judge_stopped(served: Process, judge: Process) -> TestOutcome | None:
    """How a judge's run was cut short, or None where the judge came to its own end."""
    ends = [cast(End, served.end), cast(End, judge.end)]
    if any(end.memory for end in ends):
        return TestOutcome(status=Status.MEMORY, error=_error("MemoryError", "out of memory", "memory"))
    if judge.verdict is not None:
        return _stopped(judge, ends[1], "call")
    if ends[1].code != 0:
        return _stopped(judge, ends[1], "call")
    return None


def _frames(process: Process, clock: Clock) -> Any:
    """The process's frames as they come, until it has ended (or was killed for being late)."""
    while True:
        pump([process], clock.remaining_seconds())
        ended = process.end is not None
        if ended:
            process.drain_all()
        frames, process.frames = process.frames, []
        yield from frames
        if process.end is not None:
            if ended:
                return
        elif process.verdict is None and (late := clock.verdict()):
            process.kill(late)


def _finish(process: Process) -> End:
    """Wait until the process has ended; kill it if it does not end by itself."""
    clock_seconds = _GRACE_SECONDS
    while process.end is None:
        pump([process], clock_seconds)
        if process.end is None and process.verdict is None:
            process.cell.kill()
        clock_seconds = 5.0
    process.drain_all()
    return process.end


def _within(tests: list[TestOutcome], cpu_seconds: float) -> list[TestOutcome]:
    """`tests`, with the CPU times that they claim struck out where they exceed what was measured together."""
    if sum(test.cpu_seconds for test in tests) <= cpu_seconds:
        return tests
    return [replace(test, cpu_seconds=0.0) for test in tests]


def _result(frame: dict[str, Any], failure: Any, job: Job, cpu_seconds: float) -> TestOutcome:
    """A test's outcome from what the program's process says of it: nothing of it is believed, only taken."""
    streams = {
        "stdout": _text(frame.get("stdout"), job.limits.output_bytes),
        "stderr": _text(frame.get("stderr"), job.limits.output_bytes),
        "truncated": bool(frame.get("truncated")),
        "cpu_seconds": cpu_seconds,
    }
    if failure is not None:
        error = _error_of(failure)
        return TestOutcome(status=_status_of(error), error=error, **streams)
    text = frame.get("value")
    try:
        if not isinstance(text, str):
            raise codec.CodecError("no value in the result")
        value = codec.decode(text, max_bytes=job.limits.value_bytes)
    except codec.CodecError as error:
        return TestOutcome(status=Status.KILLED, error=_error("ProtocolError", str(error), "call"), **streams)
    return TestOutcome(status=Status.OK, value=value, **streams)


def _status_of(error: ErrorInfo) -> Status:
    if error.type == "MemoryError":
        return Status.MEMORY
    if error.type == "TooLarge":
        return Status.OUTPUT_LIMIT
    return Status.COMPILE_ERROR if error.phase == "compile" else Status.EXCEPTION


def _error_of(failure: Any) -> ErrorInfo:
    fields = failure if isinstance(failure, dict) else {}
    phase = fields.get("phase")
    frames = fields.get("frames")
    return ErrorInfo(
        type=_text(fields.get("type"), 200) or "Exception",
        message=_text(fields.get("message"), 2000),
        phase=cast(Phase, phase) if phase in _PHASES else "call",
        frames=tuple(_frame_of(each) for each in frames[-20:]) if isinstance(frames, list) else (),
    )


def _frame_of(fields: Any) -> Frame:
    if not isinstance(fields, list) or len(fields) != 3:
        return Frame(0, "", "")
    line, function, source = fields
    return Frame(line if type(line) is int else 0, _text(function, 200), _text(source, 500))


def _stopped(process: Process, end: End, phase: Phase) -> TestOutcome:
    """The outcome of the test that a process's end cut short."""
    if end.memory:
        return TestOutcome(status=Status.MEMORY, error=_error("MemoryError", "out of memory", "memory"))
    verdict, complaint = process.verdict, process.complaint
    if verdict is None and end.signal == signal.SIGXCPU:
        verdict = Status.CPU_TIMEOUT
    if verdict in (Status.CPU_TIMEOUT, Status.WALL_TIMEOUT):
        message = complaint or verdict.value.replace("_", " ")
        return TestOutcome(status=verdict, error=_error("TimeoutError", message, "timeout"))
    if verdict is not None:
        return TestOutcome(status=verdict, error=_error("ProtocolError", complaint, phase))
    if end.signal is not None:
        message = f"died of {signal.Signals(end.signal).name}"
    else:
        message = f"exited with status {end.code} before its work was done"
    return TestOutcome(status=Status.KILLED, error=_error("ProcessDied", message, phase))


def _with_streams(test: TestOutcome, process: Process, cpu_seconds: float) -> TestOutcome:
    stdout, stderr = (
        process.streams[number].decode(errors="replace") for number in (wire.STDOUT, wire.STDERR)
    )
    return TestOutcome(
        status=test.status,
        error=test.error,
        stdout=stdout,
        stderr=stderr,
        truncated=test.status is Status.OUTPUT_LIMIT,
        cpu_seconds=cpu_seconds,
    )


def _error(kind: str, message: str, phase: Phase) -> ErrorInfo:
    return ErrorInfo(type=kind, message=message, phase=phase)


def _text(value: Any, most: int) -> str:
    return value[:most] if isinstance(value, str) else ""


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0
