"""The pools that a daemon has, by image, and the jobs of one item on them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Protocol

from sandbox.pool.queue import MAX_PRIORITY
from sandbox.protocol import Job, Outcome, Runner, Status


class SlotPool(Runner, Protocol):
    """What is used of `sandbox.pool.pool.Pool`."""

    @property
    def slots(self) -> int: ...
    @property
    def languages(self) -> list[str]: ...
    @property
    def waiting(self) -> int: ...
    @property
    def running(self) -> int: ...
    def check(self, job: Job) -> None: ...
    def check_language(self, language: str) -> None: ...
    def submit(self, job: Job, priority: int = MAX_PRIORITY) -> Future[Outcome]: ...
    def drop(self, future: Future[Outcome]) -> bool: ...
    def cancel(self, future: Future[Outcome]) -> None: ...


class Scheduler:
    """A pool for each image that may be asked for; the first is the default. A `Runner` itself."""

    def __init__(
        self, pools: Mapping[str, SlotPool], waited: Callable[[float], None] = lambda seconds: None
    ) -> None:
        """`waited` is told of each job how many seconds it had to wait for a slot."""
        self.pools = pools
        self._default = next(iter(pools.values()))
        self._waited = waited
        self._faults = dict.fromkeys(pools.values(), 0)  # in a row

    def pool(self, image: str) -> SlotPool:
        """Raises `ValueError` for an image that is not allowed."""
        if not image:
            return self._default
        if image not in self.pools:
            raise ValueError(f"image {image!r} is not allowed here; allowed: {', '.join(self.pools)}")
        return self.pools[image]

    def submit(self, job: Job, priority: int = MAX_PRIORITY) -> Future[Outcome]:
        """Raises `ValueError` for a job that cannot be run here."""
        pool, since = self.pool(job.image), time.monotonic()
        future = pool.submit(job, priority)
        future.add_done_callback(partial(self._done, pool, since))
        return future

    def run(self, job: Job) -> Outcome:
        return self.submit(job).result()

    def _done(self, pool: SlotPool, since: float, future: Future[Outcome]) -> None:
        if future.cancelled() or future.exception():
            return
        outcome = future.result()
        if not outcome.backend:
            return  # it never came to a slot
        self._waited(max(0.0, time.monotonic() - since - outcome.wall_seconds))
        self._faults[pool] = self._faults[pool] + 1 if outcome.status is Status.INFRA else 0

    @property
    def backend(self) -> str:
        return self._default.backend

    @property
    def slots(self) -> int:
        return sum(pool.slots for pool in self.pools.values())

    @property
    def faults_in_a_row(self) -> int:
        """Jobs whose outcome was `infra`, since one whose was not; of the worst pool."""
        return max(self._faults.values())

    def close(self) -> None:
        for pool in self.pools.values():
            pool.close()


class ItemRunner:
    """A `Runner` for the jobs of one item: they share its priority, its deadline and its end."""

    def __init__(self, scheduler: Scheduler, priority: int) -> None:
        self._scheduler = scheduler
        self._priority = priority
        self._lock = threading.Lock()
        self._jobs: list[tuple[Job, Future[Outcome]]] = []
        self._cancelled = False
        self._expired = False

    @property
    def backend(self) -> str:
        return self._scheduler.backend

    def submit(self, job: Job) -> Future[Outcome]:
        """Raises `ValueError` for a job that cannot be run here."""
        if self._expired:
            future: Future[Outcome] = Future()
            future.set_result(expired(job))
            return future
        future = self._scheduler.submit(job, self._priority)
        with self._lock:
            self._jobs.append((job, future))
            cancelled = self._cancelled
        if cancelled:
            self._scheduler.pool(job.image).cancel(future)
        return future

    def run(self, job: Job) -> Outcome:
        return self.submit(job).result()

    def cancel(self) -> None:
        """Drop what waits, stop what runs."""
        with self._lock:
            self._cancelled = True
            jobs = list(self._jobs)
        for job, future in jobs:
            if not future.done():
                self._scheduler.pool(job.image).cancel(future)

    def expire(self) -> None:
        """The deadline: what has not started does not start any more; what runs goes on."""
        with self._lock:
            self._expired = True
            jobs = list(self._jobs)
        for job, future in jobs:
            if self._scheduler.pool(job.image).drop(future):
                future.set_result(expired(job))

    def close(self) -> None:
        self.cancel()


def expired(job: Job) -> Outcome:
    return Outcome(
        job_id=job.id, status=Status.INFRA, detail="the request's deadline passed before the job started"
    )
