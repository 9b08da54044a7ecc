"""The host's end of a cell: one warm sandbox whose pid 1 is `inside/supervisor.py`."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, cast

from sandbox.errors import CellLost
from sandbox.protocol import Limits

Role = Literal["program", "judge"]
ANSWER_SECONDS = 30.0  # a supervisor answers within a millisecond, unless the machine is badly overloaded


@dataclass(frozen=True, slots=True)
class End:
    """How a process ended, by its supervisor's word, and what its whole process tree used."""

    code: int | None  # exit status
    signal: int | None
    cpu_seconds: float
    peak_bytes: int  # of the largest process
    memory: bool  # something in the cell was killed for want of memory


class Keeper(Protocol):
    """What a backend holds of a cell: the container, or the process."""

    def destroy(self) -> None:
        """Remove it and all that runs in it. Idempotent; raises nothing for what is gone already."""
        ...

    def autopsy(self) -> tuple[str, bool]:
        """Why it died, for a person; and whether the kernel says that memory ran out."""
        ...


class Cell:
    """Runs one process at a time. Raises `CellLost` when the supervisor is gone or makes no sense."""

    def __init__(self, role: Role, control: socket.socket, keeper: Keeper) -> None:
        self.role = role
        self.control = control
        self.runs = 0
        self.doubtful = False  # something was left behind: never use it again
        self.end: End | None = None  # of the current run, once it ended
        self.keeper = keeper
        self._usage: float | None = None
        hello = self._message(ANSWER_SECONDS)
        self.python = str(hello.get("python"))
        self.has_cgroup = bool(hello.get("cgroup"))
        self.languages = frozenset(
            map(str, cast("list[object]", hello.get("languages") or ()))
        )  # besides Python

    def start(
        self, main: str, limits: Limits, descriptors: dict[int, int], modules: Sequence[str] = ()
    ) -> None:
        """Fork a process that runs `main`. `descriptors` maps its descriptor numbers to ours.

        `modules` are imported before the fork, once in a cell.
        """
        self.runs += 1
        self.end = None
        header = {
            "op": "start",
            "run": self.runs,
            "main": main,
            "fds": list(descriptors),
            "modules": list(modules),
            "limits": {
                "total_cpu_seconds": limits.total_cpu_seconds,
                "memory_bytes": limits.memory_bytes,
                "processes": limits.processes,
                "open_files": limits.open_files,
                "scratch_bytes": limits.scratch_bytes,
            },
        }
        self._send(header, list(descriptors.values()))

    def kill(self) -> None:
        """Kill every process of the current run; its `end` follows."""
        self._send({"op": "kill", "run": self.runs})

    def cpu_seconds(self) -> float:
        """CPU time of the current run's whole process tree so far (all of it, once it ended)."""
        self._usage = None
        self._send({"op": "usage", "run": self.runs})
        while self.end is None and self._usage is None:
            self._take(self._message(ANSWER_SECONDS))
        return self.end.cpu_seconds if self.end else self._usage or 0.0

    def read(self) -> None:
        """Take in what the supervisor has to say; call it when `control` is readable."""
        self._take(self._message(0.0))

    def destroy(self) -> None:
        self.control.close()
        self.keeper.destroy()

    def abandon(self) -> None:
        """Make whoever uses this cell get `CellLost`; from any thread."""
        try:
            self.control.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # already closed

    def _take(self, message: dict[str, object]) -> None:
        if message.get("run") != self.runs:
            return  # about an earlier run
        if message["op"] == "usage":
            self._usage = float(message["cpu"])  # type: ignore[arg-type]
        elif message["op"] == "exit":
            self.doubtful |= not message["clean"]
            self.end = End(
                code=message["code"],  # type: ignore[arg-type]
                signal=message["signal"],  # type: ignore[arg-type]
                cpu_seconds=float(message["cpu"]),  # type: ignore[arg-type]
                peak_bytes=int(message["peak_bytes"]),  # type: ignore[call-overload]
                memory=bool(message["memory"]),
            )

    def _send(self, message: dict[str, object], descriptors: Sequence[int] = ()) -> None:
        try:
            socket.send_fds(self.control, [json.dumps(message).encode()], descriptors)
        except OSError as error:
            raise self._lost(f"cannot reach its supervisor: {error}") from None

    def _message(self, timeout_seconds: float) -> dict[str, object]:
        try:
            if timeout_seconds and not _readable(self.control, timeout_seconds):
                raise self._lost(f"its supervisor was silent for {timeout_seconds:.0f} s")
            data = self.control.recv(65536)
        except OSError as error:
            raise self._lost(f"its supervisor's socket failed: {error}") from None
        if not data:
            raise self._lost("its supervisor died")
        message: dict[str, object] = json.loads(data)
        return message

    def _lost(self, what: str) -> CellLost:
        self.doubtful = True
        why, memory = self.keeper.autopsy()
        return CellLost(f"{self.role} cell: {what} ({why})", memory=memory)


def _readable(control: socket.socket, timeout_seconds: float) -> bool:
    poller = select.poll()
    poller.register(control, select.POLLIN)
    return bool(poller.poll(timeout_seconds * 1000))
