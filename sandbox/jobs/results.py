"""What a process sent, and how it ended, as outcomes of tests.

What a program's process sends is untrusted: it is bounded, parsed and taken as the program's own claim. No claim can
make a fault look like ours: what goes wrong while we read one is the program's fault, too.
"""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import Any, cast

from sandbox.backends.cell import End
from sandbox.inside import wire
from sandbox.inside.values import codec
from sandbox.jobs.process import Process
from sandbox.protocol import ErrorInfo, Frame, Job, Phase, Status, TestOutcome

_PHASES: frozenset[str] = frozenset({"compile", "import", "entry", "call"})
_MESSAGE_CHARS = 2000
_NAME_CHARS = 200
_MAX_SECONDS = 1e9
_MAX_LINE = 1 << 30


def claimed(job: Job, frame: dict[str, Any], failure: Any, cpu_seconds: float = 0.0) -> TestOutcome:
    """The outcome of one call, from its frame; `failure` is the exception in it, as data, or None.

    This is the boundary: nothing in a frame raises here.
    """
    try:
        return _claimed(job, frame, failure, cpu_seconds)
    except Exception as problem:  # noqa: BLE001 - the sender is charged
        return _malformed(problem)


def _claimed(job: Job, frame: dict[str, Any], failure: Any, cpu_seconds: float) -> TestOutcome:
    status, value, error = Status.OK, None, None
    if failure is not None:
        error = error_of(failure)
        status = _status(error)
    else:
        text = frame.get("value")
        if type(text) is not str:
            raise codec.CodecError("no value in the result")
        value = codec.decode(text, max_bytes=job.limits.value_bytes)
    most = job.limits.output_bytes
    return TestOutcome(
        status=status,
        value=value,
        stdout=_text(frame.get("stdout"), most),
        stderr=_text(frame.get("stderr"), most),
        truncated=frame.get("truncated") is True,
        error=error,
        cpu_seconds=cpu_seconds,
    )


def _malformed(problem: Exception) -> TestOutcome:
    message = str(problem) if isinstance(problem, codec.CodecError) else type(problem).__name__
    error = ErrorInfo(type="ProtocolError", message=_text(message, _MESSAGE_CHARS), phase="call")
    return TestOutcome(status=Status.KILLED, error=error)


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
    """A claimed time; 0 for what is none."""
    return float(value) if type(value) in (int, float) and 0 <= value <= _MAX_SECONDS else 0.0


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
    number = line if type(line) is int and 0 <= line <= _MAX_LINE else 0
    return Frame(number, _text(function, _NAME_CHARS), _text(source, _NAME_CHARS))


def _text(value: Any, most: int) -> str:
    """A claimed text, as any file can hold it: JSON can bring lone surrogates."""
    if type(value) is not str:
        return ""
    text = value[:most]
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # a real-time signal
