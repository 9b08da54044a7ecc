"""What this host fails at is never the program's fault, and what a program does is never this host's."""

from __future__ import annotations

import errno
import os
import pickle
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.backends.base import Backend
from sandbox.backends.cell import Cell, Role
from sandbox.errors import BackendError, CellLost, ImageError, NoBackendError, SandboxError
from sandbox.inside import wire
from sandbox.inside.supervisor import meter
from sandbox.jobs import program_job as runs_module
from sandbox.pool import outage
from sandbox.pool.pool import Pool
from sandbox.protocol import MIB, Call, Calls, Job, Limits, Outcome, Status
from tests.sandbox.conftest import BACKENDS, LIMITS, open_or_skip

JOB = Job(id="job", program="def f(x):\n    return 2 * x\n", work=Calls((Call("f", (21,)),)), limits=LIMITS)


@pytest.fixture(scope="module", params=BACKENDS)
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    with open_or_skip(request.param) as opened:
        yield opened


def run_failing(pool: Pool, monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> Outcome:
    """`JOB`, whose attempts fail with `errors`, one each; all else runs well."""
    run, left = runs_module.run, list(errors)

    def fail(job: Job, *rest: Any) -> Any:
        if job is JOB and left:
            raise left.pop(0)
        return run(job, *rest)

    with monkeypatch.context() as broken:
        broken.setattr(runs_module, "run", fail)
        outcome = pool.run(JOB)
    assert pool.run(JOB).tests[0].value == 42
    return outcome


FULL = OSError(errno.EMFILE, "Too many open files")
LOST = CellLost("its supervisor died")
OURS = CellLost("killed, as the host has no memory left", ours=True)
MEMORY = CellLost("its supervisor died (OOMKilled)", memory=True)


@pytest.mark.parametrize(
    ("errors", "status", "evidence"),
    [
        ((FULL, FULL), Status.INFRA, "attempt 2: this host failed: [Errno 24] Too many open files"),
        ((OURS, OURS), Status.INFRA, "no program can cause that"),
        ((LOST, OURS), Status.INFRA, "no program can cause that"),
        ((LOST, LOST), Status.KILLED, "ran well there"),
        ((MEMORY, MEMORY), Status.MEMORY, "ran well there"),
    ],
    ids=["no descriptors", "host's memory", "host's memory at last", "lost", "out of memory"],
)
def test_only_what_a_program_can_cause_is_its_fault(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, errors: tuple[Exception, ...], status: Status, evidence: str
) -> None:
    outcome = run_failing(pool, monkeypatch, *errors)
    assert (outcome.status, [test.status for test in outcome.tests]) == (status, [status])
    assert evidence in outcome.detail


@pytest.mark.parametrize("error", [FULL, OURS, LOST, MEMORY], ids=["full", "ours", "lost", "memory"])
def test_what_fails_once_costs_only_a_retry(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """An engine calls a cell out of memory also where the host was, or an earlier program."""
    outcome = run_failing(pool, monkeypatch, error)
    assert (outcome.status, outcome.attempts) == (Status.OK, 2)


@pytest.mark.docker
def test_an_engine_that_refuses_another_memory_limit_is_our_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    from docker.errors import APIError
    from docker.models.containers import Container

    def refuse(container: Container, **limits: object) -> None:
        raise APIError("no such cgroup")

    other = replace(JOB, limits=replace(LIMITS, memory_bytes=256 * MIB))
    with open_or_skip("docker") as pool:
        with monkeypatch.context() as broken:
            broken.setattr(Container, "update", refuse)
            outcome = pool.run(other)
        assert outcome.status is Status.INFRA and "no such cgroup" in outcome.detail, outcome
        assert pool.run(other).tests[0].value == 42


@pytest.mark.parametrize(
    "error",
    [
        NoBackendError({"docker": BackendError("no engine", "Start one."), "bubblewrap": ImageError("none")}),
        BackendError("no engine", "Start one."),
        OURS,
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_crosses_processes_whole(error: SandboxError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (type(error), str(error))
    assert repr(vars(copy)) == repr(vars(error))


class BrokenBackend:
    name = "broken"
    unenforced: tuple[str, ...] = ()

    def __init__(self, error: Exception) -> None:
        self._error = error

    def image(self, role: Role) -> str:
        return ""

    def open_cell(self, role: Role, limits: Limits) -> Cell:
        raise self._error

    def fit(self, cell: Cell, limits: Limits) -> None:
        raise self._error

    def close(self) -> None:
        return


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), BackendError),
        (RuntimeError("no space"), RuntimeError),
    ],
)
def test_a_pool_that_cannot_open_its_cells_says_so(
    monkeypatch: pytest.MonkeyPatch, error: Exception, raised: type[Exception]
) -> None:
    monkeypatch.setattr(outage, "PATIENCE_SECONDS", 0.0)
    backend: Backend = BrokenBackend(error)
    with pytest.raises(raised, match="(?i)no space"):
        Pool(backend, 2)


LIMIT = 192 * MIB


class Cgroup:
    """Files as the kernel shows them in a container, of either version."""

    def __init__(self, folder: Path, version: int) -> None:
        self._folder, self._version = folder, version
        (folder / "memory").mkdir()
        (folder / "cpuacct").mkdir()
        self.write(oom_kills=2, at_limit=False)  # by earlier programs

    def write(self, oom_kills: int, at_limit: bool) -> None:
        if self._version == 2:
            files = {
                "memory.events": f"max 7\noom {7 + at_limit}\noom_kill {oom_kills}\noom_group_kill 0\n",
                "cpu.stat": "usage_usec 5\nuser_usec 3\nsystem_usec 2\n",
            }
        else:
            files = {
                "memory/memory.oom_control": f"oom_kill_disable 0\nunder_oom 0\noom_kill {oom_kills}\n",
                "memory/memory.max_usage_in_bytes": f"{LIMIT - 4096 if at_limit else LIMIT // 2}\n",
                "memory/memory.limit_in_bytes": f"{LIMIT}\n",
                "cpuacct/cpuacct.usage": "5000\n",
            }
        for name, content in files.items():
            (self._folder / name).write_text(content)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("oom_kills", "at_limit", "over_limit", "host"),
    [(2, False, False, False), (2, True, False, False), (3, True, True, False), (3, False, False, True)],
    ids=["nothing", "page cache at the limit", "killed at its limit", "killed for others' memory"],
)
def test_a_kill_counts_as_the_programs_only_at_its_own_limit(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: int,
    oom_kills: int,
    at_limit: bool,
    over_limit: bool,
    host: bool,
) -> None:
    cgroup = Cgroup(tmp_path, version)
    monkeypatch.setattr(meter, "_CGROUP", str(tmp_path))
    opened: list[int] = []

    def keep(descriptor: int) -> int:
        opened.append(descriptor)
        return descriptor

    monkeypatch.setattr(wire, "set_aside", keep)
    counts = meter.CgroupMeter()
    before = counts.start()
    cgroup.write(oom_kills, at_limit)
    used = counts.since(before)
    for descriptor in opened:
        os.close(descriptor)
    assert (used.over_limit, used.host_out_of_memory) == (over_limit, host)


class NoHandle:
    def destroy(self) -> None:
        return

    def autopsy(self) -> tuple[str, bool]:
        return "", False


def test_a_cell_whose_program_the_host_killed_for_its_own_memory_is_lost() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        theirs.send(wire.HELLO + b"{}")
        cell = Cell("program", ours, NoHandle())
        theirs.send(wire.EXITS.pack(wire.EXIT, 0, -9, 0.5, 1 << 20, False, True, True))
        with pytest.raises(CellLost, match="the host has no memory left") as caught:
            cell.read()
        assert caught.value.ours and cell.doubtful
