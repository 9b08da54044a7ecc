"""The daemon that tests/conformance/faults.py breaks, and what can be done to it."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from docker.errors import APIError

from sandbox.backends.base import STAGE
from tests.bench.daemons import DaemonProcess, daemon_process
from tests.conformance.private_engine import PrivateEngine

SLOTS = 2
_FULL_SECONDS = 1.5  # a cell is replaced in less, where there is room
_VICTIM_SECONDS = 20.0  # for a cell to be there that can be killed
_GONE_SECONDS = 20.0  # for cells to end with their daemon


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
    """The daemon under test, and what can be done to it: each public method without a result is a fault."""

    def __init__(self, backend: str, folder: Path, engine: PrivateEngine | None) -> None:
        self.backend = backend
        self.engine = engine
        self.proxy = Proxy()
        self.scratch = folder / "scratch"
        self._disk = engine.disk if engine else self.scratch  # what cells are made on
        self._environment = {"TMPDIR": str(self.scratch)}
        if engine:
            self._environment["DOCKER_HOST"] = engine.url
        self._running = ExitStack()
        self._left: list[str] = []  # by a daemon that was killed, and should not have been
        self._abandoned: set[Path] = set()  # folders of a daemon that was killed, which nobody could remove
        self.daemon = self._start_daemon()

    def _start_daemon(self) -> DaemonProcess:
        daemon = self._running.enter_context(
            daemon_process("--backend", self.backend, "--slots", str(SLOTS), environment=self._environment)
        )
        self.proxy.target = int(daemon.url.rpartition(":")[2])
        return daemon

    def close(self) -> None:
        self._running.close()
        self.proxy.close()

    def kill_supervisor(self) -> None:
        insist(lambda: os.kill(self._supervisors()[0], signal.SIGKILL))

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
        self._left += self._processes_left()
        self._abandoned |= set(self._folders())
        self.daemon = self._start_daemon()

    def fill_scratch(self) -> None:
        """Nothing can be made on the disk just when a cell has to be replaced; some time later it can."""
        deadline = time.monotonic() + _VICTIM_SECONDS
        with filled(self._disk):
            while True:
                self.kill_cell()
                time.sleep(_FULL_SECONDS)
                if len(self._supervisors()) < SLOTS:
                    return
                if time.monotonic() > deadline:
                    raise RuntimeError(
                        "cells were replaced though the disk was full: this fault tests nothing"
                    )

    def drop_connections(self) -> None:
        self.proxy.drop()

    def end(self) -> list[str]:
        """Ends the daemon. What is there afterwards, or was when one was killed, and should not be."""
        self.daemon.stop()
        found = self._left + self._processes_left()
        found += [f"folder {each.name}" for each in self._folders() if each not in self._abandoned]
        if self.engine is not None:
            with closing(self.engine.client()) as client:
                found += [f"container {each.id[:12]}" for each in client.containers.list(all=True)]
        return found

    def _processes_left(self) -> list[str]:
        """Of a daemon that has just ended: its cells see it, and need a moment."""
        deadline = time.monotonic() + _GONE_SECONDS
        while (found := processes_of(self.scratch)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return [f"process {pid}" for pid in found]

    def _folders(self) -> list[Path]:
        return list(self.scratch.glob("coderl-*"))

    def _supervisors(self) -> list[int]:
        if self.engine is None:  # bwrap is between the daemon and each of them
            return [pid for bwrap in children(self.daemon.pid) for pid in children(bwrap)]
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


def children(pid: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(child) for child in listed.stdout.split()]


def processes_of(scratch: Path) -> list[int]:
    """Cells whose code lies in `scratch`, which is a file system of its own, and what runs in them.

    They name it in their command line or have it mounted; their parent may be gone.
    """
    device = scratch.stat().st_dev
    code = f" {os.major(device)}:{os.minor(device)} ", f" {STAGE} "
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            named = os.fsencode(scratch) in (process / "cmdline").read_bytes()
            mounts = (process / "mountinfo").read_text().splitlines()
        except OSError:
            continue  # it has ended
        if named or any(all(each in mount for each in code) for mount in mounts):
            found.append(int(process.name))
    return found


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """No file can be made in `folder`, also where others are deleted meanwhile: ours take their places."""
    filler, done = folder / "filler", threading.Event()
    filler.mkdir()

    def fill() -> None:
        for number in itertools.count():
            while not done.is_set():
                try:
                    (filler / f"{number}").touch()
                    break
                except OSError:  # full
                    full.set()
                    time.sleep(0.001)
            if done.is_set():
                return

    full = threading.Event()
    thread = threading.Thread(target=fill)
    thread.start()
    try:
        full.wait()
        yield
    finally:
        done.set()
        thread.join()
        shutil.rmtree(filler)
