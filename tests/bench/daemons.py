"""A real daemon in a process of its own, for benchmarks and for tests of faults."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_MAIN = "from coderl.cli import main; main()"


@dataclass
class DaemonProcess:
    url: str
    process: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        return self.process.pid

    def resident_mib(self) -> float:
        return _status(self.pid, "VmRSS") / 1024

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def stop(self, how: int = signal.SIGTERM, patience: float = 60) -> int:
        """Its exit status."""
        self.process.send_signal(how)
        return self.process.wait(patience)


@contextmanager
def daemon_process(*options: str, environment: dict[str, str] | None = None) -> Iterator[DaemonProcess]:
    """`coderl sandbox serve` with `options`; on a free port of the loopback unless they say otherwise."""
    if "--port" not in options:
        options = ("--port", "0", *options)
    process = subprocess.Popen(
        [sys.executable, "-c", _MAIN, "sandbox", "serve", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        if found is None:
            raise RuntimeError(f"the daemon did not start: {line!r}, status {process.wait(10)}")
        yield DaemonProcess(found.group(), process)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        process.stdout.close()


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
