"""The in-process runner: a queue of jobs and a few slots, each a thread with its own warm cells."""

from __future__ import annotations

import atexit
import threading
from concurrent.futures import Future
from dataclasses import replace
from types import TracebackType

from sandbox.backends.base import Backend
from sandbox.errors import CapacityError
from sandbox.pool import prelude
from sandbox.pool.capacity import check_slots
from sandbox.pool.outage import Opener
from sandbox.pool.queue import MAX_PRIORITY, JobQueue
from sandbox.pool.slot import Slot
from sandbox.protocol import Checks, Dialogues, Job, Limits, Outcome, Stdio


class Pool:
    """Runs jobs on `backend`, `slots` at a time. Implements `protocol.Runner`.

    The pool owns the backend. `limits` is what cells are made for: a job may ask for other memory, but for no
    more scratch space. Close it, or use it in a `with` statement; a forgotten one is closed at exit.
    """

    def __init__(self, backend: Backend, slots: int = 2, *, limits: Limits | None = None) -> None:
        """Opens a cell for each slot. Raises `BackendError` if one cannot be opened, `CapacityError` for too many."""
        if slots < 1:
            raise ValueError(f"slots must be at least 1, got {slots}")
        self._backend = backend
        try:
            check_slots(slots)
        except CapacityError:
            backend.close()
            raise
        self._limits = limits or Limits()
        self._queue = JobQueue()
        opener = Opener(backend, self._limits)
        self._slots = [Slot(backend, self._limits, opener) for _ in range(slots)]
        self._closing = threading.Event()
        self._close_lock = threading.Lock()
        warm: list[Future[None]] = [Future() for _ in self._slots]
        self._threads = [
            threading.Thread(target=self._work, args=(slot, ready), name=f"sandbox-slot-{n}", daemon=True)
            for n, (slot, ready) in enumerate(zip(self._slots, warm, strict=True))
        ]
        atexit.register(self.close)
        try:
            for thread in self._threads:
                thread.start()
            for ready in warm:
                ready.result()
        except BaseException:
            self.close()
            raise

    @property
    def backend(self) -> str:
        return self._backend.name

    @property
    def slots(self) -> int:
        return len(self._slots)

    @property
    def waiting(self) -> int:
        """Jobs that have no slot yet."""
        return len(self._queue)

    @property
    def running(self) -> int:
        return sum(slot.busy for slot in self._slots)

    @property
    def image(self) -> str:
        """What programs find inside, as outcomes name it."""
        return self._backend.image("program")

    @property
    def languages(self) -> list[str]:
        """Of the programs that can be run."""
        return ["python", *sorted(self._slots[0].languages)]

    def check(self, job: Job) -> None:
        """Raises `ValueError` for a job that this pool cannot take."""
        if isinstance(job.work, Dialogues):
            self.check_language(job.work.language)
        self.check_language(job.language)
        whole = isinstance(job.work, Stdio | Dialogues) or (
            isinstance(job.work, Checks) and job.work.style != "function"
        )
        if job.language != "python" and not whole:
            raise ValueError(f"job {job.id}: language {job.language!r} has stdio tests only")
        if job.image and job.image != self.image:
            raise ValueError(f"job {job.id}: image {job.image!r} is not the pool's, {self.image!r}")
        if job.limits.scratch_bytes > self._limits.scratch_bytes:
            raise ValueError(
                f"job {job.id}: scratch_bytes {job.limits.scratch_bytes} is above the pool's "
                f"{self._limits.scratch_bytes}; open the pool with larger limits"
            )

    def check_language(self, language: str) -> None:
        """Raises `ValueError` for one whose programs cannot be run here."""
        if language not in self.languages:
            raise ValueError(
                f"language {language!r} is not available here, only {', '.join(self.languages)}; "
                "see `Languages` in sandbox/README.md"
            )

    def submit(self, job: Job, priority: int = MAX_PRIORITY) -> Future[Outcome]:
        """Queue `job`. Raises `ValueError` for a job that this pool cannot take, `PoolClosedError`."""
        self.check(job)
        if job.prelude:
            job = replace(job, prelude=prelude.needed(job.prelude, job.program))
        return self._queue.put(job, priority)

    def run(self, job: Job) -> Outcome:
        return self.submit(job).result()

    def drop(self, future: Future[Outcome]) -> bool:
        """Take a job out of the queue; its future is the caller's to set. False if it has begun."""
        return self._queue.drop(future)

    def cancel(self, future: Future[Outcome]) -> None:
        """The caller gave `future` up: a queued job is dropped, a running one stopped (`JobCancelledError`)."""
        self.drop(future)
        if not future.cancel():
            for slot in self._slots:
                slot.cancel(future)

    def close(self) -> None:
        """Stop now: running and queued jobs get `PoolClosedError`. Leaves no container or process."""
        with self._close_lock:
            if self._closing.is_set():
                return
            self._closing.set()
        for slot in self._slots:
            slot.stop()
        self._queue.close()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self._backend.close()
        atexit.unregister(self.close)

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _work(self, slot: Slot, ready: Future[None]) -> None:
        """A slot's thread. The cells' processes die with the thread that opened them, so it opens them all."""
        try:
            try:
                slot.warm()
            except BaseException as error:  # noqa: BLE001 - the opener of the pool waits for it
                ready.set_exception(error)
                return
            ready.set_result(None)
            while queued := self._queue.get():
                try:
                    queued.future.set_result(slot.run(queued.job, queued.future))
                except BaseException as error:  # noqa: BLE001 - ours: the waiting caller has to learn of it
                    queued.future.set_exception(error)
        finally:
            slot.close()
