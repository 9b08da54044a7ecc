"""Dialogues: a program and an interactor in two cells, their standard streams joined crosswise by two pipes.

Each side sees when the other closes a stream or ends. A program's children end with it, so none keeps a pipe open.
An interactor may still write for a while to a program that has ended.
docs/grading.md has the table of whom to blame; `_blame` is that table.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from sandbox.jobs import check_job, compile_job, program_job, results
from sandbox.jobs.check_job import Builds, Cells, Decision
from sandbox.jobs.ledger import Clock, Ledger
from sandbox.jobs.process import Process, finish, pump
from sandbox.protocol import Case, Dialogues, Job, Limits, Outcome, Status, TestOutcome

# Of an interactor, beyond what its program may take: so that waiting for the program is never what ends it.
_EXTRA = Limits(cpu_seconds=10.0, total_cpu_seconds=60.0, wall_seconds=10.0)
_UNWRITTEN = 120  # CPython's exit status where standard output could not be written
_NOBODY_THERE = ("EOFError", "BrokenPipeError")  # what a program meets whose interactor has ended
_LEAVE_SECONDS = 2.0  # for one side to end by itself where the other has


@dataclass(slots=True)
class _Side:
    process: Process
    clock: Clock
    frames: list[dict[str, Any]]

    def look(self) -> None:
        self.frames += self.process.taken()
        if self.process.end is None and (late := self.clock.verdict()):
            self.process.kill(late)


def run(job: Job, work: Dialogues, cells: Cells, builds: Builds) -> Outcome:
    """As `program_job.run`. Raises `CellLost`."""
    scratch = job.limits.scratch_bytes
    interactor = builds.of(work.language, work.interactor, cells, scratch)
    if interactor and interactor.error:
        refused = Decision(None, f"the interactor does not compile: {interactor.error.message}").test()
        return Outcome(job_id=job.id, status=Status.OK, tests=(refused,) * len(work.cases))
    program: compile_job.Built | None = None
    if job.language != "python":
        program = compile_job.build(
            job.language, job.program, lambda limits: cells("program", limits), scratch
        )
        if program.error:
            return compile_job.refused(job, program, len(work.cases))
    ledger = Ledger(job.limits)
    with ExitStack() as stack:
        executables = [stack.enter_context(each.opened()) if each else None for each in (program, interactor)]
        for case in work.cases:
            if ledger.exhausted:
                ledger.fail(TestOutcome(status=ledger.tests[-1].status, error=ledger.tests[-1].error))
            else:
                ledger.fail(_dialogue(job, work, case, cells, executables, ledger))
    return ledger.outcome(job)


def _dialogue(
    job: Job,
    work: Dialogues,
    case: tuple[str, str],
    cells: Cells,
    executables: list[int | None],
    ledger: Ledger,
) -> TestOutcome:
    of_program, of_interactor = executables
    extra = replace(
        job.limits,
        cpu_seconds=job.limits.cpu_seconds + _EXTRA.cpu_seconds,
        total_cpu_seconds=job.limits.total_cpu_seconds + _EXTRA.total_cpu_seconds,
        wall_seconds=job.limits.wall_seconds + _EXTRA.wall_seconds,
    )
    cell, judge_cell = cells("program", job.limits), cells("judge", job.limits)
    ends = [*os.pipe2(os.O_CLOEXEC), *os.pipe2(os.O_CLOEXEC)]
    said, told, heard, answered = ends[0], ends[1], ends[2], ends[3]  # it reads, program writes; and back
    sides: list[_Side] = []
    try:
        files = check_job.files_of(Case(case[0], "", case[1]))
        interactor = program_job.start_script(
            judge_cell, work.interactor, "", extra, of_interactor, joined=(said, answered), files=files
        )
        clock = Clock(judge_cell, extra, spent_cpu_seconds=0.0, deadline=ledger.deadline + extra.wall_seconds)
        sides.append(_Side(interactor, clock, []))
        program = program_job.start_script(
            cell, job.program, job.prelude, job.limits, of_program, joined=(heard, told)
        )
        sides.append(_Side(program, ledger.clock(cell), []))
        ends.remove(heard)
        _close(ends)
        ends.append(heard)
        first = _listen(sides[0], sides[1], lambda: _close(ends))
        for side in sides:
            finish(side.process)
            side.look()
    finally:
        _close(ends)
        for side in sides:
            side.process.close()
    assert program.end is not None
    ledger.add(program.end)
    return _blame(job, sides[1], sides[0], first)


def _close(ends: list[int]) -> None:
    while ends:
        os.close(ends.pop())


def _listen(interactor: _Side, program: _Side, let_go: Callable[[], None]) -> _Side | None:
    """Until both have ended; the side that ended first (None: they were seen to end at once).

    `let_go` makes an interactor see that its program has ended.
    """
    first: _Side | None = None
    leave = 0.0
    while True:
        running = [side for side in (interactor, program) if side.process.end is None]
        if not running:
            return first
        if len(running) == 1 and first is None:
            first = program if running[0] is interactor else interactor
            leave = time.monotonic() + _LEAVE_SECONDS
        pump([side.process for side in running], min(side.clock.remaining_seconds() for side in running))
        for side in running:
            side.look()
        if first is program and time.monotonic() > leave:
            let_go()
        if first is interactor and _refused(interactor) and time.monotonic() > leave:
            program.process.kill(Status.WALL_TIMEOUT, "it did not end after the interactor had")


def _refused(interactor: _Side) -> bool:
    assert interactor.process.end is not None
    return interactor.process.end.code != 0


def _met_nobody(own: TestOutcome, process: Process) -> bool:
    """Whether a program failed as one does whose interactor has ended."""
    assert process.end is not None
    if own.error is None:
        return False
    unwritten = process.end.code == _UNWRITTEN or own.error.message.endswith("SIGPIPE")
    return unwritten or own.error.type in _NOBODY_THERE


def _blame(job: Job, program: _Side, interactor: _Side, first: _Side | None) -> TestOutcome:
    """Which side decides. What a program can do to an interactor (fall silent, flood, leave) never excuses it."""
    assert program.process.end is not None and interactor.process.end is not None
    own = results.script(job, program.process, program.process.end, program.frames)
    decision = check_job.exited(job, interactor.process, interactor.frames)
    decided = replace(decision.test(own.cpu_seconds), stdout=own.stderr)
    accepted = decision.score == 1.0
    if not accepted and (own.status is Status.OK or first is interactor or _met_nobody(own, program.process)):
        return decided  # refused, or failed; the program may then have found nobody there
    if own.status is not Status.OK:
        return replace(own, passed=False)
    return decided
