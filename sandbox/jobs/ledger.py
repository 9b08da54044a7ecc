"""What a job has used of its limits: the clock of its current test, and the sums over all its processes."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from sandbox.backends.cell import Cell, End
from sandbox.protocol import ErrorInfo, Job, Limits, Outcome, Status, TestOutcome

_MAX_SLOWDOWN = 4.0  # a job may take so many times its CPU seconds by the wall clock, on a busy machine
# After so many tests that ran out of CPU or wall-clock time, the job's other tests are not tried.
_MAX_TIMEOUTS = {Status.CPU_TIMEOUT: 15, Status.WALL_TIMEOUT: 2}
_MAX_IDLE = 8.0  # a job may do nothing for so many times its wall seconds, all tests together


class Clock:
    """Watches the time of a process's current test; CPU time first, wall time as the backstop.

    CPU time is the supervisor's count of the whole process tree, never the program's claim. The host decides when a
    test ends: frames that a program writes itself change nothing.
    """

    _SLACK_SECONDS = 0.05  # how old the count at a test's beginning may be

    def __init__(self, cell: Cell, limits: Limits, *, spent_cpu_seconds: float, deadline: float) -> None:
        """`spent_cpu_seconds`: by the job's earlier processes. `deadline`: of the job, by the monotonic clock, if it
        used no more CPU: what it uses moves it by `_MAX_SLOWDOWN` times that."""
        self._cell = cell
        self.limits = limits
        self._spent = spent_cpu_seconds
        self._deadline = deadline
        self._cpu_at_start = self._cpu = 0.0
        self._started = self._looked = time.monotonic()

    def next_test(self) -> None:
        now = time.monotonic()
        if now - self._looked > self._SLACK_SECONDS:
            self._look(now)
        self._cpu_at_start = self._cpu
        self._started = now

    def remaining_seconds(self) -> float:
        """How long nothing can happen that `verdict` would report."""
        now = time.monotonic()
        return max(0.01, min(self._looked + self._cpu_left(), self._wall_end()) - now)

    def verdict(self) -> Status | None:
        """Whether the current test, or the job, is out of time."""
        now = time.monotonic()
        if now < min(self._wall_end(), self._looked + self._cpu_left()):
            return None
        self._look(now)
        if now >= self._wall_end():
            return Status.WALL_TIMEOUT
        return Status.CPU_TIMEOUT if self._cpu_left() <= 0 else None

    @property
    def job_is_over(self) -> bool:
        """Whether, by the last look, it is all tests together that used up their CPU time."""
        return self._cpu_of_job_left() <= 0

    def _cpu_left(self) -> float:
        of_test = self.limits.cpu_seconds - (self._cpu - self._cpu_at_start)
        return min(of_test, self._cpu_of_job_left())

    def _cpu_of_job_left(self) -> float:
        return self.limits.total_cpu_seconds - self._spent - self._cpu

    def _wall_end(self) -> float:
        return min(self._started + self.limits.wall_seconds, self._deadline + _MAX_SLOWDOWN * self._cpu)

    def _look(self, now: float) -> None:
        self._cpu = self._cell.cpu_seconds()
        self._looked = now


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
        return self.started + _MAX_IDLE * self.limits.wall_seconds + _MAX_SLOWDOWN * self.cpu_seconds

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
            return Status.CPU_TIMEOUT, f"{over_all_tests(self.limits)} ran out after test {done}"
        if time.monotonic() >= self.deadline:
            return Status.WALL_TIMEOUT, f"the time for all tests by the wall clock ran out after test {done}"
        for status, most in _MAX_TIMEOUTS.items():
            if self.timeouts[status] >= most:
                return status, f"not tried: {most} tests before it ran out of time"
        return None

    def outcome(self, job: Job) -> Outcome:
        bad = next((test for test in self.tests if test.status is not Status.OK), None)
        return Outcome(
            job_id=job.id,
            status=bad.status if bad else Status.OK,
            tests=tuple(self.tests),
            error=bad.error if bad else None,
            cpu_seconds=self.cpu_seconds,
            peak_memory_bytes=self.peak_bytes,
        )


def over_all_tests(limits: Limits) -> str:
    return f"the limit of {limits.total_cpu_seconds:g} s over all tests"
