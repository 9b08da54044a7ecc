"""A pool in a process of an ordinary user without any capability, as in a cluster's pod."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import sandbox
from sandbox.protocol import MIB, Call, Calls, Job, Limits, Outcome, Status

USER = 65534
LIMITS = Limits(
    cpu_seconds=2.0, total_cpu_seconds=6.0, wall_seconds=4.0, memory_bytes=192 * MIB, scratch_bytes=32 * MIB
)
SERVER = """
import os, pickle, sys
sys.path.insert(0, {root!r})
import sandbox
from sandbox.protocol import Limits
capabilities = [line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapPrm", "CapEff"))]
assert os.getuid() != 0 and capabilities == ["0" * 16] * 2, (os.getuid(), capabilities)
with sandbox.open_pool(1, {backend!r}, limits=pickle.load(sys.stdin.buffer)) as pool:
    while sys.stdin.buffer.peek(1):
        pickle.dump(pool.run(pickle.load(sys.stdin.buffer)), sys.stdout.buffer)
        sys.stdout.buffer.flush()
"""


class OrdinaryUser:
    """A pool of one slot on `backend`."""

    def __init__(self, folder: Path, backend: str) -> None:
        shutil.copytree(
            Path(sandbox.__file__).parent, folder / "sandbox", ignore=shutil.ignore_patterns("__pycache__")
        )
        self.folder = folder
        self.process = subprocess.Popen(
            [_interpreter(), "-c", SERVER.format(root=str(folder), backend=backend)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            **_as_user(),
        )
        self._send(LIMITS)

    def run(self, job: Job) -> Outcome:
        self._send(job)
        outcome: Outcome = pickle.load(self.process.stdout)  # type: ignore[arg-type]
        return outcome

    def call(self, program: str, *arguments: object, limits: Limits = LIMITS) -> Outcome:
        calls = tuple(Call("f", (argument,)) for argument in arguments or (None,))
        return self.run(Job(id="t", program=program, work=Calls(calls), limits=limits))

    def value(self, program: str, argument: object = None) -> Any:
        (test,) = self.call(program, argument).tests
        assert test.status is Status.OK, test
        return test.value

    def _send(self, value: object) -> None:
        assert self.process.stdin is not None
        pickle.dump(value, self.process.stdin)
        self.process.stdin.flush()


@contextmanager
def ordinary_user(folder: Path, backend: str) -> Iterator[OrdinaryUser]:
    """`folder` is made that user's."""
    for parent in [folder, *folder.parents]:
        if parent.owner() == folder.owner() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o711)
    if os.geteuid() == 0:
        os.chown(folder, USER, USER)
    user = OrdinaryUser(folder, backend)
    yield user
    user.process.communicate(timeout=30)  # closes its input, and so its pool


def _as_user() -> dict[str, Any]:
    return {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}


def _interpreter() -> str:
    """One that any user may run: ours may lie in root's home."""
    ours = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    for path in (ours, "/usr/bin/python3"):
        command = [path, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
        try:
            if subprocess.run(command, cwd="/", check=False, **_as_user()).returncode == 0:
                return path
        except OSError:
            continue
    pytest.skip("no interpreter that an ordinary user may run")
