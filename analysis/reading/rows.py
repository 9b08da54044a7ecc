"""`Row`: one graded completion, whichever file it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# The phase of a verdict that names only a status (see sandbox.protocol.Status, Phase).
_PHASE_OF_STATUS = {
    "ok": "wrong",
    "exception": "call",
    "compile_error": "compile",
    "cpu_timeout": "timeout",
    "wall_timeout": "timeout",
    "memory": "memory",
    "output_limit": "call",
    "killed": "call",
    "infra": "infra",
}

TRAINING = "train"
"""`Row.source` of training rollouts; an evaluation's source is its name."""


@dataclass(frozen=True, slots=True)
class Test:
    """One test of a verdict; `actual` and `expected` are shortened reprs."""

    __test__ = False  # not a pytest class

    name: str
    passed: bool
    status: str
    actual: str
    expected: str


@dataclass(frozen=True, slots=True)
class Block:
    """One code block of a completion, with its own verdict (None: not graded)."""

    code: str
    passed: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A completion and its verdict. `passed` is None where the fault was ours (INFRA)."""

    source: str
    step: int
    sample: int
    task_id: str
    passed: bool | None
    phase: str
    status: str = ""
    level: str = ""
    prompt: str = ""
    completion: str = ""
    program: str = ""
    truncated: bool = False
    score: float | None = None
    error_type: str = ""
    error_message: str = ""
    error_source: str = ""
    error_line: int | None = None
    tests: tuple[Test, ...] = ()
    blocks: tuple[Block, ...] = ()
    solution_class: str = ""
    held_back_passed: bool | None = None
    """Of a completion that passed the rewarded tests: whether it passes those held back; None: not graded again."""
    held_back_failed: tuple[Test, ...] = ()


def from_columns(record: Mapping[str, Any], source: str) -> Row:
    """A row of a run folder's Parquet file; columns that it lacks keep their defaults."""
    get = record.get
    status, passed = get("status") or "", get("passed")
    return Row(
        source=source,
        step=get("step") or 0,
        sample=get("sample") or 0,
        task_id=get("task_id") or "",
        passed=None if status == "infra" else passed,
        phase=_phase(get("phase"), status, passed),
        status=status,
        level=get("level") or "",
        prompt=get("prompt") or "",
        completion=get("completion") or "",
        program=get("program") or "",
        truncated=bool(get("truncated")),
        score=get("score"),
        error_type=get("error_type") or "",
        error_message=get("error_message") or "",
        error_source=get("error_source") or "",
        error_line=get("error_line"),
        tests=_tests(get("tests")),
        blocks=_blocks(get("blocks")),
        solution_class=get("solution_class") or "",
        held_back_passed=get("held_back_passed"),
        held_back_failed=_tests(get("held_back_failed")),
    )


def from_verdict(record: Mapping[str, Any], source: str, sample: int) -> Row:
    """A row of a bare JSONL file of verdicts, as `coderl grade --out` writes.

    Only `task_id` and `passed` must be there. Raises KeyError or TypeError where they are not.
    """
    passed, status = record["passed"], str(record.get("status") or "")
    if not isinstance(passed, bool | None):
        raise TypeError(f"`passed` must be true, false or null, not {passed!r}")
    error = record.get("error") or {}
    frames = error.get("frames") or [{}]
    deepest = frames[-1]
    program = str(record.get("program") or record.get("completion") or "")
    return Row(
        source=source,
        step=int(record.get("step") or 0),
        sample=sample,
        task_id=str(record["task_id"]),
        passed=None if status == "infra" else passed,
        phase=_phase(record.get("phase") or error.get("phase"), status, passed),
        status=status,
        level=str(record.get("level") or ""),
        prompt=str(record.get("prompt") or ""),
        completion=str(record.get("completion") or ""),
        program=program,
        truncated=bool(record.get("truncated")),
        score=record.get("score"),
        error_type=str(error.get("type") or ""),
        error_message=str(error.get("message") or ""),
        error_source=str(deepest.get("source") or ""),
        error_line=deepest.get("line"),
        tests=_tests(record.get("tests")),
        blocks=_blocks(record.get("blocks")),
    )


def _phase(phase: object, status: str, passed: bool | None) -> str:
    if status == "infra" or phase == "infra" or passed is None:
        return "infra"
    if passed:
        return "passed"
    if phase and phase != "passed":
        return str(phase)
    return _PHASE_OF_STATUS.get(status, "wrong")


def _tests(records: Sequence[Mapping[str, Any]] | None) -> tuple[Test, ...]:
    return tuple(
        Test(
            name=str(test.get("name") or ""),
            passed=bool(test.get("passed")),
            status=str(test.get("status") or ""),
            actual=str(test.get("actual") or ""),
            expected=str(test.get("expected") or ""),
        )
        for test in records or ()
    )


def _blocks(records: Sequence[Mapping[str, Any]] | None) -> tuple[Block, ...]:
    return tuple(Block(str(block.get("code") or ""), block.get("passed")) for block in records or ())
