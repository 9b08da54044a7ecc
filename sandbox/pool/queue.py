"""Which job runs next: decided as late as possible, when a slot is free."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import NamedTuple

from sandbox.errors import PoolClosedError
from sandbox.protocol import Job, Outcome

MAX_PRIORITY = 9
_OLDEST_EVERY = 8  # one job in so many is the one that waited longest, so that no priority starves


class QueuedJob(NamedTuple):
    job: Job
    future: Future[Outcome]
    number: int  # in the order of arrival


class JobQueue:
    """Jobs that wait for a slot, the highest priority first. A job is known by its future. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[int, OrderedDict[Future[Outcome], QueuedJob]] = {}
        self._put = self._taken = 0
        self._closed = False

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def put(self, job: Job, priority: int) -> Future[Outcome]:
        """Raises `PoolClosedError`."""
        future: Future[Outcome] = Future()
        with self._changed:
            if self._closed:
                raise PoolClosedError("the pool is closed")
            self._put += 1
            self._waiting.setdefault(priority, OrderedDict())[future] = QueuedJob(job, future, self._put)
            self._changed.notify()
        return future

    def get(self) -> QueuedJob | None:
        """Waits for a job that nobody has cancelled, from now on running. None: the queue is closed."""
        with self._changed:
            while not self._closed:
                while queued := self._pop():
                    if queued.future.set_running_or_notify_cancel():
                        return queued
                self._changed.wait()
        return None

    def _pop(self) -> QueuedJob | None:
        queues = {priority: queue for priority, queue in self._waiting.items() if queue}
        if not queues:
            return None
        self._taken += 1
        if self._taken % _OLDEST_EVERY == 0:
            queue = min(queues.values(), key=lambda queue: next(iter(queue.values())).number)
        else:
            queue = queues[max(queues)]
        return queue.popitem(last=False)[1]

    def drop(self, future: Future[Outcome]) -> bool:
        """Take a job out; False if it is not there any more."""
        with self._changed:
            return any(queue.pop(future, None) is not None for queue in self._waiting.values())

    def close(self) -> None:
        """Those that wait in `get` have None, those whose jobs wait a `PoolClosedError`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            left = [queued for queue in self._waiting.values() for queued in queue.values()]
            self._waiting.clear()
        for queued in left:
            if queued.future.set_running_or_notify_cancel():
                queued.future.set_exception(PoolClosedError("the pool was closed before the job ran"))
