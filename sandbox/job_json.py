"""Jobs and outcomes as JSON, for the daemon and its client. Fields that hold their default are left out.

Values (arguments, returned values) are the codec's JSON nodes, see `sandbox.inside.values.codec`; never pickle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from sandbox.inside.values.codec import Decoder, Encoder
from sandbox.protocol import (
    CEILING,
    Call,
    Calls,
    Case,
    Checks,
    Dialogues,
    ErrorInfo,
    Frame,
    Job,
    Judge,
    Limits,
    Outcome,
    Status,
    Stdio,
    TestOutcome,
)

_LIMITS = Limits()
_LIMIT_NAMES = tuple(field.name for field in fields(Limits))
# The fields of an outcome that are JSON as they are, with their defaults.
_PLAIN = {
    field.name: field.default
    for field in fields(Outcome)
    if field.name not in ("job_id", "status", "tests", "error")
}


def job_to_json(job: Job) -> dict[str, Any]:
    """Raises `CodecError` for arguments that cannot cross."""
    result: dict[str, Any] = {"id": job.id, "program": job.program, "work": _work_to_json(job.work)}
    if job.limits != _LIMITS:
        changed = {name: getattr(job.limits, name) for name in _LIMIT_NAMES}
        result["limits"] = {name: v for name, v in changed.items() if v != getattr(_LIMITS, name)}
    if job.prelude:
        result["prelude"] = job.prelude
    if job.language != "python":
        result["language"] = job.language
    if job.image:
        result["image"] = job.image
    return result


def _work_to_json(work: Calls | Stdio | Judge | Checks | Dialogues) -> dict[str, Any]:
    if isinstance(work, Calls):
        return {"kind": "calls", "calls": [_call_to_json(call) for call in work.calls]}
    if isinstance(work, Stdio):
        return {"kind": "stdio", "inputs": work.inputs}
    if isinstance(work, Checks):
        cases = [_case_to_json(case) for case in work.cases]
        return {"kind": "checks", "style": work.style, "cases": cases}
    if isinstance(work, Dialogues):
        fields = {"interactor": work.interactor, "language": work.language, "cases": work.cases}
        return {"kind": "dialogues", **fields}
    together = {"in_process": True} if work.in_process else {}
    return {
        "kind": "judge",
        "judge": work.kind,
        "test": work.test,
        "entry_point": work.entry_point,
        "prompt": work.prompt,
        **together,
    }


def _call_to_json(call: Call) -> dict[str, Any]:
    encoder = Encoder()
    result: dict[str, Any] = {
        "function": call.function,
        "args": [encoder.node(value, 1) for value in call.args],
    }
    if call.kwargs:
        result["kwargs"] = {name: encoder.node(value, 1) for name, value in call.kwargs.items()}
    return result


def _case_to_json(case: Case) -> list[Any]:
    encoder = Encoder()
    return [encoder.node(value, 1) for value in (case.input, case.output, case.answer)]


def case_from_json(values: list[Any]) -> Case:
    """Raises `CodecError`."""
    decoder = Decoder()
    return Case(*[decoder.value(node) for node in values])


def call_from_json(function: str, args: list[Any], kwargs: dict[str, Any]) -> Call:
    """Raises `CodecError`. Takes the parsed arrays over."""
    decoder = Decoder()
    return Call(
        function,
        tuple([decoder.value(node) for node in args]),
        {name: decoder.value(node) for name, node in kwargs.items()},
    )


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    """All but `job_id`, which the asker knows."""
    result: dict[str, Any] = {"status": outcome.status.value}
    if outcome.tests:
        result["tests"] = [_test_to_json(test) for test in outcome.tests]
    if outcome.error:
        result["error"] = _error_to_json(outcome.error)
    for name, default in _PLAIN.items():
        if (value := getattr(outcome, name)) != default:
            result[name] = value
    return result


def _test_to_json(test: TestOutcome) -> dict[str, Any]:
    result: dict[str, Any] = {"status": test.status.value}
    if test.value is not None:
        try:
            result["value"] = Encoder(max_bytes=2 * CEILING.value_bytes).node(test.value)
        except Exception as problem:  # noqa: BLE001 - a value that cannot cross is its program's fault
            error = ErrorInfo(type="ProtocolError", message=type(problem).__name__, phase="call")
            return _test_to_json(TestOutcome(status=Status.KILLED, error=error))
    if test.stdout:
        result["stdout"] = test.stdout
    if test.stderr:
        result["stderr"] = test.stderr
    if test.name:
        result["name"] = test.name
    if test.truncated:
        result["truncated"] = True
    if test.passed is not None:
        result["passed"] = test.passed
    if test.error:
        result["error"] = _error_to_json(test.error)
    if test.cpu_seconds:
        result["cpu_seconds"] = test.cpu_seconds
    return result


def _error_to_json(error: ErrorInfo) -> dict[str, Any]:
    return {
        "type": error.type,
        "message": error.message,
        "phase": error.phase,
        "frames": [[frame.line, frame.function, frame.source] for frame in error.frames],
    }


def outcome_from_json(job_id: str, data: Mapping[str, Any]) -> Outcome:
    """Raises `CodecError`, `KeyError`, `TypeError` or `ValueError` for what is not an outcome."""
    rest = {name: value for name, value in data.items() if name not in ("status", "tests", "error")}
    return Outcome(
        job_id=job_id,
        status=Status(data["status"]),
        tests=tuple([_test_from_json(test) for test in data.get("tests", ())]),
        error=_error_from_json(data.get("error")),
        **{**rest, "unenforced": tuple(data.get("unenforced", ()))},
    )


def _test_from_json(data: dict[str, Any]) -> TestOutcome:
    rest = {name: value for name, value in data.items() if name not in ("status", "value", "error")}
    node = data.get("value")
    return TestOutcome(
        status=Status(data["status"]),
        value=None if node is None else Decoder().value(node),
        error=_error_from_json(data.get("error")),
        **rest,
    )


def _error_from_json(data: Mapping[str, Any] | None) -> ErrorInfo | None:
    if data is None:
        return None
    frames = tuple([Frame(*frame) for frame in data["frames"]])
    return ErrorInfo(type=data["type"], message=data["message"], phase=data["phase"], frames=frames)
