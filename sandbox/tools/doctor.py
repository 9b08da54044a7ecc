"""Whether this machine can run programs safely: each check says what it found, and what would help.

It does not trust configuration: where a backend works, it runs programs there that go over each limit.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sandbox.backends.base import as_text
from sandbox.errors import BackendError, NoBackendError, SandboxError
from sandbox.pool.opening import OPENERS, open_backend
from sandbox.pool.pool import Pool
from sandbox.protocol import MIB, Call, Calls, Job, Limits, Status

_FREE_BYTES = 1024 * MIB
_CLOCK_SECONDS = 30.0
_CGROUPS = Path("/sys/fs/cgroup")
_ENGINE_LIMITS = ("MemoryLimit", "SwapLimit", "PidsLimit", "CpuCfsQuota")

_LIMITS = Limits(cpu_seconds=0.5, memory_bytes=128 * MIB, scratch_bytes=16 * MIB)
# A program, the status with which its limit must end it, and how long it may take where that is not the limit.
_TRIALS = {
    "memory": ("def f():\n    return len(b'x' * (1 << 30))\n", Status.MEMORY, 30.0),
    "CPU time": ("def f():\n    while True:\n        pass\n", Status.CPU_TIMEOUT, 30.0),
    "wall time": ("import time\ndef f():\n    time.sleep(60)\n", Status.WALL_TIMEOUT, 1.0),
    "no network": (
        "import socket\ndef f():\n    socket.create_connection(('192.0.2.1', 80), 1)\n",
        Status.EXCEPTION,
        30.0,
    ),
}


@dataclass(frozen=True)
class Check:
    """What was looked at, whether it is as it should be, what was found, and what would help."""

    name: str
    good: bool
    found: str
    remedy: str = ""


def examine(report: Callable[[str], None] = lambda line: None) -> Iterator[Check]:
    """All checks, as they are made; `report` is told what takes long."""
    yield from _engine()
    yield _cgroups()
    # Fails where no temporary folder can be written to.
    yield _disk("disk of the temporary folder", tempfile.gettempdir)
    working = []
    for name in OPENERS:
        check, works = _backend(name, report)
        yield check
        if works:
            working.append(name)
            yield from _trials(name)
    yield Check(
        "a backend works",
        bool(working),
        f"auto chooses {working[0]}" if working else "none: nothing can be run or graded here",
        "" if working else "Mend one of the backends above; docker is the first choice.",
    )


def _engine() -> Iterator[Check]:
    from sandbox.backends.engine import connected

    try:
        with connected() as client:
            yield from _answers(client)
    except BackendError as error:
        yield Check("docker engine", False, error.problem, error.remedy)


def _answers(client: Any) -> Iterator[Check]:
    """What an engine says of itself."""
    from sandbox import image

    info: dict[str, Any] = client.info()
    yield Check("docker engine", True, f"version {info['ServerVersion']}, runtime {info['DefaultRuntime']}")
    missing = [name for name in _ENGINE_LIMITS if not info.get(name)]
    yield Check(
        "engine's limits",
        not missing,
        f"cannot enforce {', '.join(missing)}" if missing else ", ".join(_ENGINE_LIMITS),
        "Run the engine as root, or delegate the memory, pids and cpu controllers to it; SwapLimit needs "
        "swapaccount=1 on the kernel's command line.",
    )
    found = image.find(client)
    yield Check(
        "docker images",
        found is not None,
        ", ".join(f"{role} {name[7:19]}" for role, name in found.items()) if found else "not built",
        "Build them: `coderl sandbox image` (also done at first use).",
    )
    yield _clock(str(info["SystemTime"]))
    if os.path.isdir(root := str(info["DockerRootDir"])):
        yield _disk("disk of the engine", lambda: root)


def _clock(told: str) -> Check:
    """The engine's clock against ours (its time has nanoseconds, which `fromisoformat` does not read)."""
    there = datetime.fromisoformat(told[:19] + "+00:00").timestamp() if told.endswith("Z") else None
    there = datetime.fromisoformat(told[:19] + told[-6:]).timestamp() if there is None else there
    off = abs(time.time() - there)
    return Check(
        "clock",
        off < _CLOCK_SECONDS,
        f"the engine's is {off:.0f} s from ours",
        "Synchronise the clocks of both machines (chrony, systemd-timesyncd).",
    )


def _cgroups() -> Check:
    unified = (_CGROUPS / "cgroup.controllers").exists()
    split = (_CGROUPS / "memory").is_dir()
    return Check(
        "control groups",
        unified or split,
        "version 2" if unified else "version 1" if split else "none are mounted",
        f"Mount them: `mount -t cgroup2 none {_CGROUPS}`.",
    )


def _disk(name: str, place: Callable[[], str]) -> Check:
    remedy = f"Free {_FREE_BYTES // MIB} MiB there."
    try:
        folder = place()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Check(name, False, as_text(error), remedy)
    return Check(name, free >= _FREE_BYTES, f"{folder}: {free // MIB} MiB free", remedy)


def _backend(name: str, report: Callable[[str], None]) -> tuple[Check, bool]:
    try:
        open_backend(name, Limits(), report).close()
    except NoBackendError as error:
        failure = error.failures[name]
        return Check(f"backend {name}", False, failure.problem, failure.remedy or "None is known."), False
    return Check(f"backend {name}", True, "ran a program"), True


def _trials(name: str) -> Iterator[Check]:
    """Whether limits hold in backend `name`, which just ran a program."""
    try:
        yield from _try_limits(name)
    except SandboxError as error:
        yield Check(f"{name}: limits", False, f"cannot be tried: {error}", "Mend that, and run this again.")


def _try_limits(name: str) -> Iterator[Check]:
    """Programs that go over each limit."""
    with Pool(open_backend(name, _LIMITS), 1, limits=_LIMITS) as pool:
        for what, (program, expected, wall_seconds) in _TRIALS.items():
            limits = replace(_LIMITS, wall_seconds=wall_seconds)
            job = Job(id=what, program=program, work=Calls((Call("f"),)), limits=limits)
            status = pool.run(job).status
            yield Check(
                f"{name}: {what}",
                status is expected,
                f"a program that tries ends with {status}",
                f"It must end with {expected}: do not use this backend here, and report it with the output of "
                "`coderl sandbox doctor`.",
            )
