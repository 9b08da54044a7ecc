"""The host's end of a cell: one warm sandbox whose pid 1 is `inside/supervisor/supervisor.py`."""

from __future__ import annotations

import select
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from sandbox.errors import CellLost
from sandbox.inside import wire
from sandbox.protocol import Limits

Role = Literal["program", "judge", "together"]  # together: program and test in one process
ROLES: tuple[Role, ...] = ("program", "judge")  # those with packages and an image of their own
ANSWER_SECONDS = 30.0  # a supervisor answers within a millisecond, unless the machine is badly overloaded


def like(role: Role) -> Role:
    """The one of `ROLES` whose packages and image a cell of `role` has."""
    return "judge" if role == "together" else role


@dataclass(frozen=True, slots=True)
class End:
    """How a process ended, as its supervisor reports, and what its whole process tree used."""

    code: int | None  # exit status
    signal: int | None
    cpu_seconds: float
    peak_bytes: int  # of the largest process
    memory: bool  # something in the cell was killed at the memory limit


@dataclass(slots=True)
class Run:
    """A process that the cell was told to start; one at a time."""

    number: int
    end: End | None = None


class CellHandle(Protocol):
    """What a backend holds of a cell: the container, or the process."""

    def destroy(self) -> None:
        """Remove it and all that runs in it. Idempotent; raises nothing if it is gone already."""
        ...

    def autopsy(self) -> tuple[str, bool]:
        """Why it died, for a person; and whether the engine says that memory ran out."""
        ...


class Cell:
    """Runs one process at a time.

    Raises `CellLost` when the supervisor is gone or makes no sense, or the host ran out of memory and killed a process.
    """

    def __init__(self, role: Role, control: socket.socket, handle: CellHandle) -> None:
        self.role = role
        self.control = control
        self.run = Run(0)  # the current one, or the last
        self.doubtful = False  # something was left behind: never use it again
        self.handle = handle
        self._usage: float | None = None
        hello = wire.from_json(self._message(ANSWER_SECONDS)[len(wire.HELLO) :].decode())
        self.python = str(hello.get("python"))
        self.has_cgroup = bool(hello.get("cgroup"))
        self.languages = frozenset(map(str, hello.get("languages") or ()))  # besides Python

    def start(
        self, main: str, limits: Limits, descriptors: dict[int, int], modules: Sequence[str] = ()
    ) -> Run:
        """Fork a process that runs `main`. `descriptors` maps its descriptor numbers to ours.

        `modules` are imported before the fork, once in a cell.
        """
        self.run = Run(self.run.number + 1)
        bounds = wire.BOUNDS.pack(
            limits.total_cpu_seconds,
            limits.memory_bytes,
            limits.processes,
            limits.open_files,
            limits.scratch_bytes,
        )
        place, count = wire.MAINS.index(main), len(descriptors)
        starts = wire.STARTS.pack(wire.START, self.run.number, place, count, bounds)
        self._send(starts + bytes(descriptors) + " ".join(modules).encode(), list(descriptors.values()))
        return self.run

    @property
    def busy(self) -> bool:
        return self.run.number > 0 and self.run.end is None

    def kill(self) -> None:
        """Kill every process of the current run; its `end` follows."""
        self._send(wire.RUN.pack(wire.KILL, self.run.number))

    def cpu_seconds(self) -> float:
        """CPU time of the current run's whole process tree so far (all of it, once it ended)."""
        self._usage = None
        self._send(wire.RUN.pack(wire.USAGE, self.run.number))
        while self.run.end is None and self._usage is None:
            self._take(self._message(ANSWER_SECONDS))
        return self.run.end.cpu_seconds if self.run.end else self._usage or 0.0

    def read(self) -> None:
        """Read the supervisor's messages; call it when `control` is readable."""
        self._take(self._message(0.0))

    def destroy(self) -> None:
        self.control.close()
        self.handle.destroy()

    def abandon(self) -> None:
        """Make the user of this cell get `CellLost`; call it from any thread."""
        try:
            self.control.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # already closed

    def _take(self, message: bytes) -> None:
        letter, run = wire.RUN.unpack_from(message)
        if run != self.run.number:
            return  # about an earlier run
        if letter == wire.USAGE:
            (_, _, self._usage) = wire.USED.unpack(message)
        elif letter == wire.EXIT:
            _, _, code, cpu_seconds, peak_bytes, memory, host_memory, clean = wire.EXITS.unpack(message)
            if host_memory:
                self.doubtful = True
                raise CellLost(f"{self.role} cell: killed, as the host has no memory left", ours=True)
            self.doubtful |= not clean
            exited, signal = (code, None) if code >= 0 else (None, -code)
            self.run.end = End(exited, signal, cpu_seconds, peak_bytes, memory)

    def _send(self, message: bytes, descriptors: Sequence[int] = ()) -> None:
        try:
            socket.send_fds(self.control, [message], descriptors)
        except OSError as error:
            raise self._lost(f"cannot reach its supervisor: {error}") from None

    def _message(self, timeout_seconds: float) -> bytes:
        try:
            if timeout_seconds and not _readable(self.control, timeout_seconds):
                raise self._lost(f"its supervisor was silent for {timeout_seconds:.0f} s")
            message = self.control.recv(65536)
        except OSError as error:
            raise self._lost(f"its supervisor's socket failed: {error}") from None
        if not message:
            raise self._lost("its supervisor died")
        return message

    def _lost(self, what: str) -> CellLost:
        self.doubtful = True
        why, memory = self.handle.autopsy()
        return CellLost(f"{self.role} cell: {what} ({why})", memory=memory)


def _readable(control: socket.socket, timeout_seconds: float) -> bool:
    poller = select.poll()
    poller.register(control, select.POLLIN)
    return bool(poller.poll(timeout_seconds * 1000))
