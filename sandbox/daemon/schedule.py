"""Decides which job runs next. Gives each pool just enough to be busy, so that the order is decided late."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from sandbox.errors import JobCancelledError
from sandbox.protocol import Job, Outcome, Status

MAX_PRIORITY = 9
_AHEAD = 1.0  # jobs a slot that a pool holds beyond those that run, so that no slot waits for us
_OLDEST_EVERY = 8  # every so many jobs, the one that waited longest runs, so that no priority starves


class SlotPool(Protocol):
    """What is used of `sandbox.pool.pool.Pool`."""

    @property
    def backend(self) -> str: ...
    @property
    def slots(self) -> int: ...
    @property
    def languages(self) -> list[str]: ...
    def check(self, job: Job) -> None: ...
    def submit(self, job: Job) -> Future[Outcome]: ...
    def cancel(self, future: Future[Outcome]) -> None: ...
    def close(self) -> None: ...


@dataclass(eq=False, slots=True)
class _Waiting:
    job: Job
    priority: int
    number: int
    since: float
    future: Future[Outcome] = field(default_factory=Future)
    running: Future[Outcome] | None = None
    cancelled: bool = False


class Lane:
    """The jobs of one pool: those that wait, by priority, and those that the pool has. Thread-safe."""

    def __init__(self, pool: SlotPool, waited: Callable[[float], None] = lambda seconds: None) -> None:
        self.pool = pool
        self._room = pool.slots + round(_AHEAD * pool.slots)
        self._waited = waited
        self._lock = threading.Lock()
        self._waiting: dict[int, OrderedDict[_Waiting, None]] = {}
        self._held = 0
        self._count = 0
        self.faults_in_a_row = 0

    @property
    def depth(self) -> int:
        """Jobs that wait."""
        return sum(map(len, self._waiting.values()))

    @property
    def running(self) -> int:
        return min(self._held, self.pool.slots)

    def submit(self, job: Job, priority: int) -> _Waiting:
        with self._lock:
            self._count += 1
            waiting = _Waiting(job, priority, self._count, time.monotonic())
            self._waiting.setdefault(priority, OrderedDict())[waiting] = None
        self._feed()
        return waiting

    def drop(self, waiting: _Waiting) -> bool:
        """Take a job out of the queue; False if it is not there any more."""
        with self._lock:
            queue = self._waiting.get(waiting.priority)
            return queue is not None and queue.pop(waiting, waiting) is None

    def cancel(self, waiting: _Waiting) -> None:
        """Its future is cancelled, or fails with `JobCancelledError`, unless it is done."""
        waiting.cancelled = True  # also seen by `_feed`, which may be about to hand it to the pool
        if self.drop(waiting):
            waiting.future.cancel()
        elif (running := waiting.running) is not None:
            self.pool.cancel(running)

    def _feed(self) -> None:
        while (waiting := self._next()) is not None:
            self._waited(time.monotonic() - waiting.since)
            try:
                waiting.running = self.pool.submit(waiting.job)
            except BaseException as error:  # noqa: BLE001 - the waiting caller has to learn of it
                with self._lock:
                    self._held -= 1
                waiting.future.set_exception(error)
            else:
                if waiting.cancelled:
                    self.pool.cancel(waiting.running)
                waiting.running.add_done_callback(lambda done, waiting=waiting: self._done(waiting, done))  # type: ignore[misc]

    def _next(self) -> _Waiting | None:
        with self._lock:
            queues = [queue for queue in self._waiting.values() if queue]
            if not queues or self._held >= self._room:
                return None
            self._held += 1
            self._count += 1
            if self._count % _OLDEST_EVERY == 0:
                queue = min(queues, key=lambda queue: next(iter(queue)).number)
            else:
                queue = max(queues, key=lambda queue: next(iter(queue)).priority)
            return queue.popitem(last=False)[0]

    def _done(self, waiting: _Waiting, done: Future[Outcome]) -> None:
        with self._lock:
            self._held -= 1
        self._feed()
        if done.cancelled():
            waiting.future.set_exception(JobCancelledError("the job was cancelled"))
        elif (error := done.exception()) is not None:
            waiting.future.set_exception(error)
        else:
            outcome = done.result()
            self.faults_in_a_row = self.faults_in_a_row + 1 if outcome.status is Status.INFRA else 0
            waiting.future.set_result(outcome)


class Scheduler:
    """A lane for each image that may be asked for; the first is the default. A `Runner` itself."""

    def __init__(
        self, pools: Mapping[str, SlotPool], waited: Callable[[float], None] = lambda seconds: None
    ) -> None:
        self.lanes = {image: Lane(pool, waited) for image, pool in pools.items()}
        self._default = next(iter(self.lanes.values()))

    def lane(self, image: str) -> Lane:
        """Raises `ValueError` for an image that is not allowed."""
        if not image:
            return self._default
        if image not in self.lanes:
            raise ValueError(f"image {image!r} is not allowed here; allowed: {', '.join(self.lanes)}")
        return self.lanes[image]

    def check(self, job: Job) -> None:
        """Raises `ValueError` for a job that cannot be run here."""
        self.lane(job.image).pool.check(job)

    def submit(self, job: Job, priority: int = MAX_PRIORITY) -> Future[Outcome]:
        """A job that belongs to no request. Raises `ValueError` for one that cannot be run here."""
        self.check(job)
        return self.lane(job.image).submit(job, priority).future

    def run(self, job: Job) -> Outcome:
        return self.submit(job).result()

    @property
    def backend(self) -> str:
        return self._default.pool.backend

    @property
    def slots(self) -> int:
        return sum(lane.pool.slots for lane in self.lanes.values())

    @property
    def faults_in_a_row(self) -> int:
        """Jobs whose outcome was `infra`, since one whose was not; of the worst lane."""
        return max(lane.faults_in_a_row for lane in self.lanes.values())

    def close(self) -> None:
        for lane in self.lanes.values():
            lane.pool.close()


class Ticket:
    """A `Runner` for the jobs of one item: they share its priority, its deadline and its end."""

    def __init__(self, scheduler: Scheduler, priority: int) -> None:
        self._scheduler = scheduler
        self._priority = priority
        self._lock = threading.Lock()
        self._jobs: list[tuple[Lane, _Waiting]] = []
        self._cancelled = False
        self._expired = False

    @property
    def backend(self) -> str:
        return self._scheduler.backend

    def submit(self, job: Job) -> Future[Outcome]:
        """Raises `ValueError` for a job that cannot be run here."""
        self._scheduler.check(job)
        if self._expired:
            return _done(expired(job))
        lane = self._scheduler.lane(job.image)
        waiting = lane.submit(job, self._priority)
        with self._lock:
            self._jobs.append((lane, waiting))
            cancelled = self._cancelled
        if cancelled:
            lane.cancel(waiting)
        return waiting.future

    def run(self, job: Job) -> Outcome:
        return self.submit(job).result()

    def cancel(self) -> None:
        """Drop what waits, stop what runs."""
        with self._lock:
            self._cancelled = True
            jobs = list(self._jobs)
        for lane, waiting in jobs:
            if not waiting.future.done():
                lane.cancel(waiting)

    def expire(self) -> None:
        """The deadline: what has not started does not start any more; what runs goes on."""
        with self._lock:
            self._expired = True
            jobs = list(self._jobs)
        for lane, waiting in jobs:
            if lane.drop(waiting):
                waiting.future.set_result(expired(waiting.job))

    def close(self) -> None:
        self.cancel()


def expired(job: Job) -> Outcome:
    return Outcome(
        job_id=job.id, status=Status.INFRA, detail="the request's deadline passed before the job started"
    )


def _done(outcome: Outcome) -> Future[Outcome]:
    future: Future[Outcome] = Future()
    future.set_result(outcome)
    return future
