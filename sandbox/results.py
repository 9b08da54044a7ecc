"""What a process sent, and how it ended, as outcomes of tests.

Whatever a program's process sends comes from a possible liar: it is bounded, parsed and taken as the program's
own claim. No claim can make a fault look like ours.
"""

from __future__ import annotations

import math
import signal
from dataclasses import replace
from typing import Any, cast

from sandbox.cell import End
from sandbox.inside import codec, wire
from sandbox.process import Process
from sandbox.protocol import ErrorInfo, Frame, Job, Phase, Status, TestOutcome

_PHASES: frozenset[str] = frozenset({"compile", "import", "entry", "call"})
_MESSAGE_CHARS = 2000
_NAME_CHARS = 200


def claimed(job: Job, frame: dict[str, Any], failure: Any, cpu_seconds: float = 0.0) -> TestOutcome:
    """The outcome of one call, from its frame; `failure` is the exception in it, as data, or None."""
    status, value, error = Status.OK, None, None
    if failure is not None:
        error = error_of(failure)
        status = _status(error)
    else:
        text = frame.get("value")
        try:
            if not isinstance(text, str):
                raise codec.CodecError("no value in the result")
            value = codec.decode(text, max_bytes=job.limits.value_bytes)
        except codec.CodecError as problem:
            error = ErrorInfo(type="ProtocolError", message=str(problem), phase="call")
            status = Status.KILLED
    most = job.limits.output_bytes
    return TestOutcome(
        status=status,
        value=value,
        stdout=_text(frame.get("stdout"), most),
        stderr=_text(frame.get("stderr"), most),
        truncated=bool(frame.get("truncated")),
        error=error,
        cpu_seconds=cpu_seconds,
    )


def plausible(tests: list[TestOutcome], cpu_seconds: float) -> list[TestOutcome]:
    """`tests` with the CPU times that they claim, unless these exceed what was measured for all together."""
    if sum(test.cpu_seconds for test in tests) <= cpu_seconds:
        return tests
    return [replace(test, cpu_seconds=0.0) for test in tests]


def cut_short(process: Process, end: End, phase: Phase) -> TestOutcome:
    """The outcome of the test during which `process` ended."""
    status = process.verdict
    if end.memory:
        status, kind, message, phase = Status.MEMORY, "MemoryError", "out of memory", "memory"
    elif status in (Status.CPU_TIMEOUT, Status.WALL_TIMEOUT) or end.signal == signal.SIGXCPU:
        status = status or Status.CPU_TIMEOUT
        kind, message, phase = "TimeoutError", process.complaint or status.value.replace("_", " "), "timeout"
    elif status is not None:
        kind, message = "ProtocolError", process.complaint
    else:
        status, kind = Status.KILLED, "ProcessDied"
        message = f"exited with status {end.code} before its work was done"
        if end.signal is not None:
            message = f"died of {_signal_name(end.signal)}"
    return TestOutcome(status=status, error=ErrorInfo(type=kind, message=message, phase=phase))


def script(job: Job, process: Process, end: End, frames: list[dict[str, Any]]) -> TestOutcome:
    """The outcome of a program run as a script. Its exit status counts: 0 is a normal end."""
    failure = frames[0].get("failure") if frames else None
    if process.verdict is not None or end.memory or end.code is None or (end.code and not failure):
        test = cut_short(process, end, "call")
    elif end.code:
        test = claimed(job, {}, failure)
    else:
        test = TestOutcome(status=Status.OK)
    return replace(
        test,
        stdout=process.streams[wire.STDOUT].decode(errors="replace"),
        stderr=process.streams[wire.STDERR].decode(errors="replace"),
        truncated=process.verdict is Status.OUTPUT_LIMIT,
        cpu_seconds=end.cpu_seconds,
    )


def seconds(value: Any) -> float:
    """A claimed time."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def _status(error: ErrorInfo) -> Status:
    if error.type == "MemoryError":
        return Status.MEMORY
    if error.type == "TooLarge":
        return Status.OUTPUT_LIMIT
    return Status.COMPILE_ERROR if error.phase == "compile" else Status.EXCEPTION


def error_of(failure: Any) -> ErrorInfo:
    fields = failure if isinstance(failure, dict) else {}
    phase = fields.get("phase")
    frames = fields.get("frames")
    return ErrorInfo(
        type=_text(fields.get("type"), _NAME_CHARS) or "Exception",
        message=_text(fields.get("message"), _MESSAGE_CHARS),
        phase=cast(Phase, phase) if isinstance(phase, str) and phase in _PHASES else "call",
        frames=tuple(map(_frame, frames[-20:])) if isinstance(frames, list) else (),
    )


def _frame(fields: Any) -> Frame:
    if not isinstance(fields, list) or len(fields) != 3:
        return Frame(0, "", "")
    line, function, source = fields
    return Frame(line if type(line) is int else 0, _text(function, _NAME_CHARS), _text(source, _NAME_CHARS))


def _text(value: Any, most: int) -> str:
    return value[:most] if isinstance(value, str) else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # a real-time signal
