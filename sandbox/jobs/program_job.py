"""Turns a job into processes in cells, and their results into an `Outcome`.

A process that crashes or runs out of time costs its job one test: a new process goes on with the next. Failures that
would only repeat (a program that cannot be imported, a job out of its total time) end the job.

A job says when it no longer needs its cells, before its last results are read, so that the next one's processes can
`begin` in the meantime.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.backends.cell import Cell, End
from sandbox.errors import CellLost
from sandbox.inside import wire
from sandbox.inside.supervisor import modules
from sandbox.jobs import judge_job, results
from sandbox.jobs.process import MAX_SLOWDOWN, Clock, Process, pump
from sandbox.protocol import Calls, ErrorInfo, Job, Judge, Limits, Outcome, Status, Stdio, TestOutcome

# After so many tests that ran out of CPU or wall-clock time, the job's other tests are not tried.
_MAX_TIMEOUTS = {Status.CPU_TIMEOUT: 15, Status.WALL_TIMEOUT: 2}
_MAX_IDLE = 8.0  # a job may do nothing for so many times its wall seconds, all tests together
_GRACE_SECONDS = 0.5  # to exit, once all results are in
_KILL_SECONDS = 5.0  # before an unanswered request to kill is repeated


@dataclass
class Ledger:
    """What a job has used and learned so far, over all its processes."""

    limits: Limits
    tests: list[TestOutcome] = field(default_factory=list)
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    timeouts: Counter[Status] = field(default_factory=Counter)
    started: float = field(default_factory=time.monotonic)
    _exhausted: TestOutcome | None = None

    @property
    def deadline(self) -> float:
        """By the monotonic clock, if it used no more CPU."""
        return self.started + _MAX_IDLE * self.limits.wall_seconds + MAX_SLOWDOWN * self.cpu_seconds

    def clock(self, cell: Cell) -> Clock:
        return Clock(cell, self.limits, spent_cpu_seconds=self.cpu_seconds, deadline=self.deadline)

    def add(self, end: End) -> None:
        self.cpu_seconds += end.cpu_seconds
        self.peak_bytes = max(self.peak_bytes, end.peak_bytes)

    def fail(self, test: TestOutcome) -> None:
        """Takes in a test that its process did not outlive. It says so where time ran out over all tests."""
        out_of_time = test.status in _MAX_TIMEOUTS
        over_all = self.exhausted if out_of_time and self.tests else None
        self.tests.append(over_all or test)
        self.timeouts[test.status] += out_of_time

    @property
    def exhausted(self) -> TestOutcome | None:
        """What is said of the tests that there is no time left for; None while there is."""
        if self._exhausted is None and (why := self._why_exhausted()):
            status, message = why
            error = ErrorInfo(type="TimeoutError", message=message, phase="timeout")
            self._exhausted = TestOutcome(status=status, error=error)
        return self._exhausted

    def _why_exhausted(self) -> tuple[Status, str] | None:
        done = len(self.tests)
        if self.cpu_seconds >= self.limits.total_cpu_seconds:
            return Status.CPU_TIMEOUT, f"{_over_all_tests(self.limits)} ran out after test {done}"
        if time.monotonic() >= self.deadline:
            return Status.WALL_TIMEOUT, f"the time for all tests by the wall clock ran out after test {done}"
        for status, most in _MAX_TIMEOUTS.items():
            if self.timeouts[status] >= most:
                return status, f"not tried: {most} tests before it ran out of time"
        return None


@dataclass(frozen=True, slots=True)
class Begun:
    """A job's first processes, with their clocks: the program's, and the judge's where there is one."""

    job: Job
    ledger: Ledger
    processes: list[Process] = field(default_factory=list)
    clocks: list[Clock] = field(default_factory=list)

    def add(
        self, cell: Cell, main: str, payload: bytes, modules: Sequence[str], rpc: int | None = None
    ) -> None:
        limits = self.ledger.limits
        self.clocks.append(self.ledger.clock(cell))
        self.processes.append(Process(cell, main, payload, limits, rpc=rpc, modules=modules))

    def close(self) -> None:
        for process in self.processes:
            process.close()


def can_begin(job: Job) -> bool:
    """Whether `begin` knows how to start it."""
    return isinstance(job.work, Calls) or (isinstance(job.work, Judge) and not job.work.in_process)


def prepare(job: Job) -> None:
    """Make, once, what the programs of a task share, before any is run: what goes wrong here is no program's fault.

    Raises:
        CodecError: arguments that cannot cross.
    """
    if isinstance(job.work, Calls):
        _ = job.work.encoded
    elif isinstance(job.work, Judge):
        judge_job.judge_payload(job, job.work)


def begin(job: Job, program_cell: Cell, judge_cell: Callable[[], Cell]) -> Begun:
    """Start what `run` then goes on with, of a job whose work is `Calls` or `Judge`. Raises `CellLost`."""
    if isinstance(job.work, Judge):
        return _begin_judge(job, job.work, program_cell, judge_cell())
    assert isinstance(job.work, Calls)
    return _begin_calls(job, job.work, Ledger(job.limits), program_cell)


def run(
    job: Job,
    program_cell: Cell,
    judge_cell: Callable[[], Cell],
    begun: Begun | None = None,
    freed: Callable[[], None] = lambda: None,
) -> Outcome:
    """Do `job`, without what its slot fills in: backend, image, wall seconds, attempts. Raises `CellLost`.

    `freed` is called, at most once, when nothing more of it will run.
    """
    work = job.work
    if isinstance(work, Stdio):
        return run_stdio(job, work, program_cell)
    if isinstance(work, Judge):
        return _judge(job, work, begun or begin(job, program_cell, judge_cell), freed)
    assert isinstance(work, Calls)
    ledger = begun.ledger if begun else Ledger(job.limits)
    while len(ledger.tests) < len(work.calls):
        _calls(job, work, begun or _begin_calls(job, work, ledger, program_cell), freed)
        begun = None
    return outcome_of(job, ledger)


def run_stdio(job: Job, work: Stdio, cell: Cell, executable: int | None = None) -> Outcome:
    """A process for each input: of the program as Python, or of the descriptor `executable`."""
    ledger = Ledger(job.limits)
    while len(ledger.tests) < len(work.inputs):
        _stdio(job, work, ledger, cell, executable)
    return outcome_of(job, ledger)


def outcome_of(job: Job, ledger: Ledger) -> Outcome:
    bad = next((test for test in ledger.tests if test.status is not Status.OK), None)
    return Outcome(
        job_id=job.id,
        status=bad.status if bad else Status.OK,
        tests=tuple(ledger.tests),
        error=bad.error if bad else None,
        cpu_seconds=ledger.cpu_seconds,
        peak_memory_bytes=ledger.peak_bytes,
    )


def _begin_calls(job: Job, work: Calls, ledger: Ledger, cell: Cell) -> Begun:
    payload = (
        f'{{"program":{wire.to_json(job.program)},"prelude":{wire.to_json(job.prelude)},'
        f'"calls":{work.encoded},"done":{len(ledger.tests)},'
        f'"value_bytes":{job.limits.value_bytes},"output_bytes":{job.limits.output_bytes}}}'
    )
    begun = Begun(job, ledger)
    begun.add(cell, "calls", payload.encode(), modules.named_by_program(job.program, job.prelude))
    return begun


def _calls(job: Job, work: Calls, begun: Begun, freed: Callable[[], None]) -> None:
    """One process, from the first call without a result on."""
    ledger, (process,), (clock,) = begun.ledger, begun.processes, begun.clocks
    left = len(work.calls) - len(ledger.tests)
    process.at_end = lambda: freed() if _is_done(process) else None
    tests: list[TestOutcome] = []
    fatal: TestOutcome | None = None
    imported, cpu = False, 0.0
    try:
        for frame in frames_of(process, clock, results_expected=left + 1):
            if "fatal" in frame:
                fatal = results.claimed(job, frame, frame["fatal"] or {})
                break
            if imported:
                before, cpu = cpu, results.seconds(frame.get("cpu"))
                tests.append(results.claimed(job, frame, frame.get("failure"), max(0.0, cpu - before)))
            imported = True  # the first frame says so, whatever it says
            if len(tests) == left:
                break
        end = finish(process)
    finally:
        process.close()
    ledger.add(end)
    ledger.tests += results.plausible(tests, end.cpu_seconds)
    if len(tests) == left:
        if end.memory and all(test.status is Status.OK for test in tests):
            ledger.tests[-1] = results.cut_short(process, end, "call")  # a child of it ran out of memory
        return
    ledger.fail(fatal or results.cut_short(process, end, "call" if imported else "import"))
    if rest := ledger.tests[-1] if not imported or _is_done(process) else ledger.exhausted:
        ledger.tests += [rest] * (len(work.calls) - len(ledger.tests))


def _is_done(process: Process) -> bool:
    """Whether a `calls` process has said that it sent all it will ever send."""
    return process.end is not None and process.end.code == wire.DONE


def _stdio(job: Job, work: Stdio, ledger: Ledger, cell: Cell, executable: int | None) -> None:
    """One process, for the first input without a result."""
    main = "stdio"
    needed: dict[str, object] = {"program": job.program, "prelude": job.prelude}
    if executable is not None:
        main, needed = "execute", {"stack_bytes": job.limits.memory_bytes}
    payload = wire.to_json(needed).encode()
    stdin = work.inputs[len(ledger.tests)].encode(errors="surrogatepass")
    clock = ledger.clock(cell)
    named = modules.named_by_program(job.program, job.prelude) if executable is None else []
    process = Process(cell, main, payload, job.limits, stdin=stdin, executable=executable, modules=named)
    try:
        frames = list(frames_of(process, clock))
        end = finish(process)
    finally:
        process.close()
    ledger.add(end)
    test = results.script(job, process, end, frames)
    ledger.fail(test)
    broken = (
        TestOutcome(status=test.status, error=test.error) if test.status is Status.COMPILE_ERROR else None
    )
    if rest := broken or ledger.exhausted:
        ledger.tests += [rest] * (len(work.inputs) - len(ledger.tests))


def _begin_judge(job: Job, work: Judge, program_cell: Cell, judge_cell: Cell) -> Begun:
    """The judge's process drives the program's over a socket pair, and the program's ends with it."""
    ours, theirs = socket.socketpair()
    begun = Begun(job, Ledger(job.limits))
    try:
        with ours, theirs:
            payload = judge_job.program_payload(job, work)
            named = [*modules.named_by_program(job.program, job.prelude), *modules.for_values(job.program)]
            begun.add(program_cell, "serve", payload, named, ours.fileno())
            payload, named_by_test = judge_job.judge_payload(job, work), judge_job.judge_modules(work)
            begun.add(judge_cell, "judge", payload, named_by_test, theirs.fileno())
    except BaseException:
        begun.close()
        raise
    return begun


def _judge(job: Job, work: Judge, begun: Begun, freed: Callable[[], None]) -> Outcome:
    ledger, (served, judge) = begun.ledger, begun.processes

    def one_ended() -> None:
        if all(each.end is not None and not each.never_began for each in begun.processes):
            served.at_end = judge.at_end = None
            freed()

    served.at_end = judge.at_end = one_ended
    try:
        frames = _watch_judge(served, judge, begun.clocks)
        judge_job.keep_code(work, frames)
        for process in begun.processes:
            ledger.add(finish(process))
    finally:
        begun.close()
    return judge_job.outcome(
        job,
        frames,
        _interruption(served, judge),
        cpu_seconds=ledger.cpu_seconds,
        peak_bytes=ledger.peak_bytes,
    )


def _watch_judge(served: Process, judge: Process, clocks: Sequence[Clock]) -> list[dict[str, Any]]:
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
        frames += _taken(judge)
        for process, clock in zip((served, judge), clocks, strict=True):
            if process.end is None and (late := clock.verdict()):
                served.kill(late)
                limit = _over_all_tests(clock.limits) if clock.job_is_over else "time"
                judge.kill(late, f"{limit} ran out in the {process.cell.role} cell")
    return frames + _taken(judge)


def _over_all_tests(limits: Limits) -> str:
    return f"the limit of {limits.total_cpu_seconds:g} s over all tests"


def _interruption(served: Process, judge: Process) -> TestOutcome | None:
    """How a judge's run was cut short, or None where the judge came to its own end."""
    for process in (served, judge):
        if process.end is not None and process.end.memory:
            return results.cut_short(process, process.end, "call")
    if judge.end is not None and (judge.verdict is not None or judge.end.code != 0):
        return results.cut_short(judge, judge.end, "call")
    return None


def frames_of(process: Process, clock: Clock, results_expected: int = 0) -> Iterator[dict[str, Any]]:
    """The process's frames as they come, until it has ended; it is killed where it is out of time.

    Each of the first `results_expected` results begins a test and restarts the clock. No other frame does.
    """
    while process.end is None:
        pump([process], clock.remaining_seconds())
        frames = _taken(process)
        if frames and process.end is None and results_expected > 0:
            clock.next_test()
        results_expected -= len(frames)
        yield from frames
        if process.end is None and (late := clock.verdict()):
            process.kill(late)
    yield from _taken(process)


def _taken(process: Process) -> list[dict[str, Any]]:
    """The frames that came since the last time; all there will be, if the process has ended."""
    if process.end is not None:
        process.drain_all()
    frames, process.frames = process.frames, []
    return frames


def finish(process: Process) -> End:
    """Wait until the process has ended; kill it if it does not end by itself."""
    deadline = time.monotonic() + _GRACE_SECONDS
    while process.end is None:
        pump([process], deadline - time.monotonic())
        if process.end is None and time.monotonic() >= deadline:
            process.cell.kill()
            deadline += _KILL_SECONDS
    process.tell_end()  # which a look at its time may have found
    process.drain_all()
    if process.never_began:
        raise CellLost(f"{process.cell.role} cell: a process could not be set up")
    return process.end
