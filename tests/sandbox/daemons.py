"""Daemons for tests: a real server on a free port of the loopback, with a pool that does what a test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from sandbox.daemon.server import Place, Server
from sandbox.errors import JobCancelledError
from sandbox.pool.queue import MAX_PRIORITY, JobQueue, QueuedJob
from sandbox.protocol import Call, Calls, Job, Outcome, Status, TestOutcome


class FakePool:
    """A pool of `slots` whose jobs end when the test says so, or at once where `auto`."""

    backend = "fake"
    languages = ["python"]

    def __init__(self, slots: int = 2, *, auto: bool = True) -> None:
        self.slots = slots
        self.auto = auto
        self.jobs: list[Job] = []  # those that began, in order
        self.held: dict[str, Future[Outcome]] = {}  # those that run
        self.queue = JobQueue()
        self.lock = threading.Lock()
        self.cancelled: list[str] = []
        self.closed = False

    def check(self, job: Job) -> None:
        if job.program == "refuse":
            raise ValueError(f"job {job.id}: refused")

    def check_language(self, language: str) -> None:
        if language not in self.languages:
            raise ValueError(f"language {language!r} is not available here, only python")

    @property
    def waiting(self) -> int:
        return len(self.queue)

    @property
    def running(self) -> int:
        return len(self.held)

    def submit(self, job: Job, priority: int = MAX_PRIORITY) -> Future[Outcome]:
        self.check(job)
        future = self.queue.put(job, priority)
        self._begin()
        return future

    def run(self, job: Job) -> Outcome:
        return self.submit(job).result()

    def _begin(self) -> None:
        while queued := self._next():
            self.jobs.append(queued.job)
            self.held[queued.job.id] = queued.future
            if self.auto:
                self.finish(queued.job.id)

    def _next(self) -> QueuedJob | None:
        with self.lock:
            return self.queue.get() if len(self.held) < self.slots and len(self.queue) else None

    def finish(self, job_id: str, status: Status = Status.OK) -> None:
        outcome = Outcome(
            job_id=job_id, status=status, tests=(TestOutcome(status=status, value=job_id),), backend="fake"
        )
        self.held.pop(job_id).set_result(outcome)
        self._begin()

    def drop(self, future: Future[Outcome]) -> bool:
        return self.queue.drop(future)

    def cancel(self, future: Future[Outcome]) -> None:
        self.drop(future)
        for job_id, each in list(self.held.items()):
            if each is future:
                self.cancelled.append(job_id)
                self.held.pop(job_id).set_exception(JobCancelledError("cancelled"))
        future.cancel()
        self._begin()

    def close(self) -> None:
        self.closed = True


@contextmanager
def running(app: FastAPI, port: int = 0, unix: Path | None = None) -> Iterator[tuple[str, Server]]:
    """`app` served in a thread, at `port` or at the socket `unix`; its address and its server."""
    place = Place(host=None, unix=unix) if unix else Place(port=port)
    with place.sockets() as (listener,):
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=5
        )
        started = threading.Event()
        server = Server(config, app.state.service, started.set)
        thread = threading.Thread(target=server.run, args=([listener],))
        address = f"unix://{unix}" if unix else f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.start()
        try:
            assert started.wait(20)
            yield address, server
        finally:
            server.handle_exit(15, None)
            thread.join()


def call(job_id: str = "j", program: str = "def f(x):\n    return x + 1\n", *arguments: object) -> Job:
    calls = tuple(Call("f", (argument,)) for argument in arguments or (1,))
    return Job(id=job_id, program=program, work=Calls(calls))


def wire(job_id: str, **fields: object) -> dict[str, object]:
    """A job as JSON."""
    work = {"kind": "calls", "calls": [{"function": "f", "args": [1]}]}
    return {"id": job_id, "program": "def f(x):\n    return x + 1\n", "work": work, **fields}


def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.01)
