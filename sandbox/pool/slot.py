"""A slot runs one job at a time on cells of its own, replaces cells, and decides whose fault a lost cell is."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from sandbox.backends.base import Backend, as_text
from sandbox.backends.cell import Cell, Role
from sandbox.errors import BackendError, CellLost, JobCancelledError, PoolClosedError, SandboxError
from sandbox.jobs import check_job, compile_job, dialogue_job, program_job, together_job
from sandbox.pool.outage import Opener
from sandbox.protocol import (
    Call,
    Calls,
    Checks,
    Dialogues,
    Job,
    Judge,
    Limits,
    Outcome,
    Status,
    Stdio,
    TestOutcome,
)

RUNS_PER_CELL = 20_000
_ATTEMPTS = 2

_log = logging.getLogger(__name__)
CANARY = Job(
    id="canary",
    program="def double(x):\n    return 2 * x\n",
    work=Calls((Call("double", (21,)),)),
    limits=Limits(cpu_seconds=10.0, wall_seconds=60.0),
)


class Slot:
    """Use it from one thread; `stop` and `cancel` may come from any."""

    def __init__(self, backend: Backend, limits: Limits, opener: Opener) -> None:
        self._backend = backend
        self._limits = limits  # what its cells are made for
        self._opener = opener  # of the whole pool
        self._cells: dict[Role, Cell] = {}
        self._builds = check_job.Builds()
        self.languages: frozenset[str] = frozenset()  # besides Python, once it is warm
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._current: object = None  # the future of the job that has the cells
        self._cancelled = False

    @property
    def busy(self) -> bool:
        return self._current is not None

    def warm(self) -> None:
        """Open the program cell now. Raises `BackendError`."""
        self.languages = self._cell("program", self._limits).languages

    def run(self, job: Job, future: object = None) -> Outcome:
        """Raises only `PoolClosedError`, and `JobCancelledError` after `cancel(future)`."""
        started = time.monotonic()
        self._hand_over(future)
        try:
            found = self._attempt_all(job)
        except JobCancelledError:
            self.close()
            raise
        finally:
            self._hand_over(None)
        return replace(
            found,
            backend=self._backend.name,
            image=self._backend.image("program"),
            unenforced=self._backend.unenforced,
            wall_seconds=time.monotonic() - started,
        )

    def stop(self) -> None:
        """Make a running job end with `PoolClosedError`."""
        self._stopped.set()
        self._abandon_cells()

    def cancel(self, future: object) -> None:
        """Make the job that runs under `future` end with `JobCancelledError`; it costs its cells."""
        with self._lock:
            if self._current is future:
                self._cancelled = True
                self._abandon_cells()

    def close(self) -> None:
        for role in list(self._cells):
            self._discard(role)

    def _hand_over(self, future: object) -> None:
        with self._lock:
            self._current, self._cancelled = future, False

    def _attempt_all(self, job: Job) -> Outcome:
        lost: list[CellLost] = []
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                outcome = self._attempt(job)
                return outcome if attempt == 1 else replace(outcome, attempts=attempt)
            except BackendError as error:
                return _failed(job, Status.INFRA, f"no cell could be opened: {error}", attempt)
            except CellLost as error:
                self._give_up_cells()
                _log.warning("job %s, attempt %d: %s", job.id, attempt, error)
                lost.append(error)
        status, finding = self._whose_fault(lost)
        evidence = [f"attempt {attempt}: {error}" for attempt, error in enumerate(lost, start=1)]
        return _failed(job, status, "; ".join([*evidence, finding]), _ATTEMPTS)

    def _whose_fault(self, lost: Sequence[CellLost]) -> tuple[Status, str]:
        """The outcome of a job that lost its cells in every attempt: our fault if a known good program fails too."""
        if any(each.ours for each in lost):
            return Status.INFRA, "no program can cause that"
        try:
            canary = self._attempt(CANARY)
        except (CellLost, BackendError) as error:
            self._give_up_cells()
            return Status.INFRA, f"a program known to be good failed there too: {error}"
        if not canary_passed(canary):
            return Status.INFRA, f"a program known to be good failed there too: {canary}"
        status = Status.MEMORY if lost[-1].memory else Status.KILLED
        return status, "a program known to be good ran well there"

    def _attempt(self, job: Job) -> Outcome:
        """Run `job` once; cells that it left in doubt are replaced. Raises `CellLost`, `BackendError`."""
        program_job.prepare(job)  # raised to the caller: nothing that the program did
        try:
            if isinstance(job.work, Checks):
                return check_job.run(job, job.work, self._cell, self._builds)
            if isinstance(job.work, Dialogues):
                return dialogue_job.run(job, job.work, self._cell, self._builds)
            if job.language != "python":
                assert isinstance(job.work, Stdio)  # the pool checks it
                return compile_job.run(job, job.work, lambda limits: self._cell("program", limits))
            if isinstance(job.work, Judge) and job.work.in_process:
                return together_job.run(job, job.work, self._cell("together", job.limits))
            program_cell = self._cell("program", job.limits)
            return program_job.run(job, program_cell, lambda: self._cell("judge", job.limits))
        except OSError as error:  # such as no descriptors left
            raise CellLost(f"this host failed: {as_text(error)}", ours=True) from error
        except SandboxError:
            raise
        except Exception as error:  # our fault if a known good program fails, too
            _log.exception("job %s could not be taken in", job.id)
            raise CellLost(f"what it sent could not be taken in: {type(error).__name__}") from error
        finally:
            for role, cell in list(self._cells.items()):
                if _is_worn_out(cell):
                    self._discard(role)

    def _cell(self, role: Role, limits: Limits) -> Cell:
        if role not in self._cells:
            self._cells[role] = self._opener.open(role, self._pause)
        cell = self._cells[role]
        self._check_wanted()
        self._backend.fit(cell, limits)
        return cell

    def _pause(self, seconds: float) -> None:
        self._stopped.wait(seconds)
        self._check_wanted()

    def _give_up_cells(self) -> None:
        self._check_wanted()
        self.close()

    def _abandon_cells(self) -> None:
        for cell in list(self._cells.values()):
            cell.abandon()

    def _check_wanted(self) -> None:
        if self._stopped.is_set():
            raise PoolClosedError("the pool was closed")
        if self._cancelled:
            raise JobCancelledError("the job was cancelled")

    def _discard(self, role: Role) -> None:
        self._cells.pop(role).destroy()


def _is_worn_out(cell: Cell) -> bool:
    """Whether no job may use it any more; also true while a cancelled run has not ended."""
    return cell.doubtful or cell.busy or cell.run.number >= RUNS_PER_CELL


def canary_passed(outcome: Outcome) -> bool:
    return [test.value for test in outcome.tests] == [42]


def _failed(job: Job, status: Status, detail: str, attempts: int) -> Outcome:
    """The outcome of a job that has no results of its own; its tests all have `status`."""
    match job.work:
        case Calls(units) | Stdio(units) | Checks(cases=units) | Dialogues(cases=units):
            count = len(units)
        case _:
            count = 0
    return Outcome(
        job_id=job.id,
        status=status,
        tests=(TestOutcome(status=status),) * count,
        passed=False if isinstance(job.work, Judge) and status is not Status.INFRA else None,
        attempts=attempts,
        detail=detail,
    )
