"""Breaks everything around a batch of jobs, and sees that nothing is lost and nothing is scored wrong by our fault.

    python -m tests.conformance.faults [--jobs 2000] [--backend docker]

While the jobs run: a supervisor is killed, a container (or sandbox) is killed, the Docker engine is restarted (a private
one), the daemon is killed and started again, the scratch disk fills up, the client's connections are dropped.
Every job must end with its true outcome, or as `infra`; each result is recorded once; nothing may be left behind. Needs
root. Ends with one JSON line; exit status 1 where something was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from docker.errors import APIError

import sandbox
from sandbox.protocol import Call, Calls, Job, Outcome, Status
from tests.bench.daemons import DaemonProcess, daemon_process
from tests.conformance.private_engine import PrivateEngine

PROGRAM = """
def f(n):
    if n % 10 == 3:
        raise KeyError(n)
    return [n, str(n) * 2]
"""
_SCRATCH_MIB = 16
_VICTIM_SECONDS = 20.0  # for a cell to be there that can be killed


class Proxy:
    """Between the client and the daemon: keeps the address while daemons come and go, and can drop everything."""

    def __init__(self) -> None:
        self.target = 0
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def drop(self) -> None:
        """Cut every connection."""
        self._do(self._drop())

    def close(self) -> None:
        self._server.close()
        self.drop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _drop(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0.05)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(self._copy(reader, back), self._copy(there, writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            return
        finally:
            self._writers.discard(writer)
            writer.close()


class Stage:
    """The daemon under test, and what can be done to it."""

    def __init__(self, backend: str, folder: Path, engine: PrivateEngine | None) -> None:
        self.backend = backend
        self.engine = engine
        self.proxy = Proxy()
        self.scratch = folder / "scratch"
        self._environment = {"TMPDIR": str(self.scratch)}
        if engine:
            self._environment["DOCKER_HOST"] = engine.url
        self._running = ExitStack()
        self.daemon = self.start_daemon()

    def start_daemon(self) -> DaemonProcess:
        daemon = self._running.enter_context(
            daemon_process("--backend", self.backend, "--slots", "2", environment=self._environment)
        )
        self.proxy.target = int(daemon.url.rpartition(":")[2])
        self.daemon = daemon
        return daemon

    def close(self) -> None:
        self._running.close()
        self.proxy.close()

    def kill_supervisor(self) -> None:
        insist(lambda: os.kill(self._cell_pids()[0], signal.SIGKILL))

    def kill_cell(self) -> None:
        if self.engine is None:
            self.kill_supervisor()
            return
        with closing(self.engine.client()) as client:
            insist(lambda: client.containers.list(ignore_removed=True)[-1].kill())

    def restart_engine(self) -> None:
        if self.engine is not None:
            self.engine.stop()
            self.engine.start()

    def restart_daemon(self) -> None:
        self.daemon.process.kill()
        self.daemon.process.wait()
        self.start_daemon()

    def fill_scratch(self) -> None:
        """The disk is full just when a cell has to be replaced; some time later it is not."""
        filler = self.scratch / "filler"
        with filler.open("wb") as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
                    file.flush()
            except OSError:
                pass  # full
        try:
            self.kill_cell()
            time.sleep(1.5)
        finally:
            filler.unlink()

    def drop_connections(self) -> None:
        self.proxy.drop()

    def left(self) -> list[str]:
        """What is there after the daemon has ended, and should not be."""
        found = [f"process {pid}" for pid in descendants(self.daemon.pid)]
        if self.engine is not None:
            with closing(self.engine.client()) as client:
                found += [f"container {each.id[:12]}" for each in client.containers.list(all=True)]
        return found

    def _cell_pids(self) -> list[int]:
        if self.engine is None:
            return descendants(self.daemon.pid)[-1:]
        with closing(self.engine.client()) as client:
            running = client.containers.list(ignore_removed=True)
        return [pid for each in running if (pid := int(each.attrs["State"]["Pid"]))]  # 0: it has just ended


def insist(fault: Callable[[], object]) -> None:
    """`fault`, again where its victim was just being replaced: no cell was there, or it ended before us."""
    deadline = time.monotonic() + _VICTIM_SECONDS
    while True:
        try:
            fault()
            return
        except (IndexError, ProcessLookupError, APIError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def descendants(pid: int) -> list[int]:
    """Children of `pid` and theirs, nearest first."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = (line.split() for line in listed.stdout.splitlines())
    parents = {int(child): int(parent) for child, parent in pairs}
    children = [child for child, parent in parents.items() if parent == pid]
    return children + [grandchild for child in children for grandchild in descendants(child)]


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SCRATCH_MIB}m", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def right(number: int, outcome: Outcome) -> bool:
    (test,) = outcome.tests
    if number % 10 == 3:
        return test.status is Status.EXCEPTION and test.error is not None and test.error.type == "KeyError"
    return test.status is Status.OK and test.value == [number, str(number) * 2]


def run(jobs: int, backend: str, folder: Path, engine: PrivateEngine | None) -> dict[str, Any]:
    """Runs `jobs` jobs through all the faults; the figures, and what was wrong."""
    started = time.monotonic()
    with small_disk(folder / "scratch"):
        stage = Stage(backend, folder, engine)
        try:
            outcomes, recorded = _run_jobs(stage, jobs)
            stage.daemon.stop()
            left = stage.left()
        finally:
            stage.close()
    wrong = [
        f"job {n}: {outcome}"
        for n, outcome in outcomes.items()
        if outcome.status is not Status.INFRA and not right(n, outcome)
    ]
    return {
        "jobs": jobs,
        "backend": backend,
        "outcomes": Counter(outcome.status.value for outcome in outcomes.values()),
        "retried": sum(outcome.attempts > 1 for outcome in outcomes.values()),
        "recorded_once": sum(count == 1 for count in recorded.values()),
        "wrong": wrong[:5],
        "left": left,
        "seconds": round(time.monotonic() - started, 1),
    }


def _run_jobs(stage: Stage, jobs: int) -> tuple[dict[int, Outcome], Counter[int]]:
    recorded: Counter[int] = Counter()
    faults: list[Callable[[], None]] = [
        stage.kill_supervisor,
        stage.restart_daemon,
        stage.kill_cell,
        stage.drop_connections,
        stage.fill_scratch,
        stage.restart_engine,
    ]
    with sandbox.connect(stage.proxy.url, patience_seconds=600) as client:
        futures = {}
        for n in range(jobs):
            job = Job(id=f"{n}", program=PROGRAM, work=Calls((Call("f", (n,)),)))
            futures[n] = client.submit(job)
            futures[n].add_done_callback(lambda done, n=n: recorded.update([n]))  # type: ignore[misc]
        for number, fault in enumerate(faults, start=1):
            while sum(recorded.values()) < jobs * number / (len(faults) + 2):
                time.sleep(0.005)
            print(f"{sum(recorded.values())} of {jobs} done: {fault.__name__}", file=sys.stderr, flush=True)
            fault()
        return {n: future.result(600) for n, future in futures.items()}, recorded


def passed(report: dict[str, Any]) -> bool:
    return report["recorded_once"] == report["jobs"] and not report["wrong"] and not report["left"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--backend", choices=("docker", "bubblewrap"), default="docker")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        engine = PrivateEngine(Path(folder)) if options.backend == "docker" else None
        try:
            if engine:
                engine.start()
                engine.copy_images()
            report = run(options.jobs, options.backend, Path(folder), engine)
        finally:
            if engine:
                engine.stop()
    print(json.dumps(report))
    return 0 if passed(report) else 1


if __name__ == "__main__":
    sys.exit(main())
