"""Checkers and interactors: programs of a task's author, run in the judge's cell, apart from all candidates.

An author's program is believed, unless it fails: it raises, breaks a limit, or ends with a status that means nothing.
Then there is no decision but a reason; the caller finds out whose fault it is.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from sandbox.backends.cell import Cell, Role
from sandbox.inside import wire
from sandbox.inside.supervisor import modules
from sandbox.inside.values import codec
from sandbox.jobs import compile_job, program_job, results
from sandbox.jobs.ledger import Ledger
from sandbox.jobs.process import Process, run_to_end
from sandbox.protocol import Case, Checks, Job, Limits, Outcome, Status, TestOutcome

Cells = Callable[[Role, Limits], Cell]
INPUT, OUTPUT, ANSWER = "input.txt", "output.txt", "answer.txt"
_WRONG = {1: "wrong answer", 2: "presentation error", 4: "wrong output format", 8: "unexpected end of output"}
_POINTS = 7
_MESSAGE_CHARS = 2000
_MAX_LATE = 2  # times that a checker may run out of time; not for each case
_KEPT = 64  # executables of checkers, in each slot


class Builds:
    """Executables of checkers and interactors, which many jobs have in common."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], compile_job.Built] = OrderedDict()

    def of(self, language: str, source: str, cells: Cells, scratch_bytes: int) -> compile_job.Built | None:
        """None for Python, which needs none. Raises `CellLost`."""
        if language == "python":
            return None
        key = language, source
        if key not in self._kept:
            self._kept[key] = compile_job.build(
                language, source, lambda limits: cells("program", limits), scratch_bytes
            )
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


@dataclass(frozen=True, slots=True)
class Decision:
    """`score` in [0, 1]; None where there is none, and `message` says why."""

    score: float | None
    message: str = ""

    def test(self, cpu_seconds: float = 0.0) -> TestOutcome:
        return TestOutcome(
            status=Status.OK,
            passed=None if self.score is None else self.score == 1.0,
            value=self.score,
            stderr=self.message[:_MESSAGE_CHARS],
            cpu_seconds=cpu_seconds,
        )


def run(job: Job, work: Checks, cells: Cells, builds: Builds) -> Outcome:
    """As `program_job.run`. Raises `CellLost`."""
    ledger = Ledger(job.limits)
    built = builds.of(job.language, job.program, cells, job.limits.scratch_bytes)
    if built and built.error:
        refused = Decision(None, f"the checker does not compile: {built.error.message}").test()
        return Outcome(job_id=job.id, status=Status.OK, tests=(refused,) * len(work.cases))
    with built.opened() if built else nullcontext() as executable:
        late = 0
        for case in work.cases:
            if late >= _MAX_LATE or ledger.exhausted:
                ledger.tests.append(Decision(None, "no time is left for all of the checks").test())
                continue
            test, was_late = _check(job, work, case, cells("judge", job.limits), executable, ledger)
            ledger.tests.append(test)
            late += was_late
    return replace(ledger.outcome(job), status=Status.OK, error=None)


def _check(
    job: Job, work: Checks, case: Case, cell: Cell, executable: int | None, ledger: Ledger
) -> tuple[TestOutcome, bool]:
    """The decision on `case`, and whether the checker ran out of time over it."""
    clock = ledger.clock(cell)
    if work.style == "function":
        try:
            text = codec.encode((case.input, case.output, case.answer), max_bytes=1 << 30)
        except (
            codec.CodecError,
            RecursionError,
        ) as error:  # the output's doing: input and answer crossed before it
            return Decision(0.0, f"no checker can be shown the output: {error}").test(), False
        payload = wire.to_json({"program": job.program, "case": text}).encode()
        named = modules.named_by_program(job.program)
        process = Process(cell, "check", payload, job.limits, modules=named)
    else:
        files = files_of(case, answer_first=work.style == "printed")
        process = program_job.start_script(
            cell, job.program, "", job.limits, executable, stdin=b"", files=files
        )
    frames, end = run_to_end(process, clock)
    ledger.add(end)
    if work.style == "function":
        decision = _returned(process, frames)
    elif work.style == "testlib":
        decision = exited(job, process, frames)
    else:
        decision = _printed(job, process, frames)
    late = process.verdict in (Status.CPU_TIMEOUT, Status.WALL_TIMEOUT)
    return decision.test(end.cpu_seconds), late


def files_of(case: Case, *, answer_first: bool = False) -> dict[str, object]:
    """What an author's program is given: files, and their names as arguments."""
    files = {INPUT: case.input, OUTPUT: case.output, ANSWER: case.answer}
    return {"files": files, "arguments": [INPUT, ANSWER, OUTPUT] if answer_first else [INPUT, OUTPUT, ANSWER]}


def exited(job: Job, process: Process, frames: list[dict[str, Any]]) -> Decision:
    """By testlib's exit statuses."""
    assert process.end is not None
    ran = results.script(job, process, process.end, frames)
    said = ran.stderr.removesuffix(f"SystemExit: {process.end.code}\n")
    message = " ".join((said.strip() or ran.stdout.strip()).split())
    if (failed := _failed(ran, process, frames)) is not None:
        return failed
    code = process.end.code or 0
    if code == 0:
        return Decision(1.0, message)
    if code in _WRONG:
        return Decision(0.0, message or _WRONG[code])
    if code == _POINTS and (found := re.match(r"(?:points )?\s*([-+.\deE]+)", message)):
        return _score(found[1], message)
    return Decision(None, f"it ended with status {code}{': ' if message else ''}{message}")


def _printed(job: Job, process: Process, frames: list[dict[str, Any]]) -> Decision:
    assert process.end is not None
    ran = results.script(job, process, process.end, frames)
    if (failed := _failed(ran, process, frames)) is not None:
        return failed
    if process.end.code:
        return Decision(None, f"it ended with status {process.end.code}")
    words = ran.stdout.split()
    return _score(words[-1], " ".join(words[:-1])) if words else Decision(None, "it printed no score")


def _failed(ran: TestOutcome, process: Process, frames: list[dict[str, Any]]) -> Decision | None:
    """How an author's program failed to end by itself, if it did: an exit status of its own choice is no failure."""
    assert process.end is not None
    failure = frames[0].get("failure") if frames else None
    if isinstance(failure, dict) and failure.get("type") == "SystemExit":
        failure = None
    if (
        failure is None
        and process.verdict is None
        and not process.end.memory
        and process.end.code is not None
    ):
        return None
    error = results.error_of(failure) if failure else ran.error
    return Decision(None, f"it failed: {error.type}: {error.message}" if error else "it failed")


def _returned(process: Process, frames: list[dict[str, Any]]) -> Decision:
    assert process.end is not None
    frame = frames[0] if frames else {}
    if process.verdict is not None or process.end.memory or not frame:
        error = results.cut_short(process, process.end, "call").error
        return Decision(None, f"it failed: {error.type}: {error.message}" if error else "it failed")
    if failure := frame.get("failure"):
        error = results.error_of(failure)
        return Decision(None, f"it failed: {error.type}: {error.message}")
    try:
        result = codec.decode(str(frame.get("result")))
    except codec.CodecError as problem:
        return Decision(None, f"it returned what is no value: {problem}")
    score, message = result, ""
    if isinstance(result, (tuple, list)) and len(result) == 2 and isinstance(result[1], str):
        score, message = result
    if isinstance(score, (bool, int, float)) and 0 <= score <= 1:
        return Decision(float(score), message)
    return Decision(None, f"it returned {result!r:.200}, neither a bool nor a number from 0 to 1")


def _score(text: str, message: str) -> Decision:
    try:
        score = float(text)
    except ValueError:
        return Decision(None, f"{text[:100]!r} is no score")
    if not (math.isfinite(score) and 0 <= score <= 1):
        return Decision(None, f"a score of {text[:100]} is not from 0 to 1")
    return Decision(score, message)
