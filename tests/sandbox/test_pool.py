"""The pool: parallel, retried where a cell is lost, honest about whose fault that was, and gone when closed."""

from __future__ import annotations

import errno
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import sandbox
from sandbox.backends.cell import Cell, Role
from sandbox.backends.leftovers import process_start_time
from sandbox.errors import BackendError, JobCancelledError, NoBackendError, PoolClosedError
from sandbox.inside import wire
from sandbox.inside.supervisor import landlock
from sandbox.inside.values.codec import CodecError
from sandbox.jobs import program_job as runs_module
from sandbox.jobs.ledger import Clock
from sandbox.pool import outage
from sandbox.pool import slot as slot_module
from sandbox.pool.pool import Pool
from sandbox.protocol import MIB, Call, Calls, Job, Judge, Limits, Status
from tests.sandbox.conftest import BACKENDS, LIMITS, open_or_skip, run_calls

DOUBLE = "def f(x):\n    return 2 * x\n"


def job(program: str = DOUBLE, *arguments: object, name: str = "job") -> Job:
    return Job(
        id=name,
        program=program,
        work=Calls(tuple(Call("f", (a,)) for a in arguments or (21,))),
        limits=LIMITS,
    )


@pytest.fixture(params=BACKENDS)
def two(request: pytest.FixtureRequest) -> Iterator[Pool]:
    with open_or_skip(request.param, slots=2) as pool:
        yield pool


def cells(pool: Pool) -> list[Cell]:
    return [cell for slot in pool._slots for cell in slot._cells.values()]


def destroy_cell(cell: Cell) -> None:
    """What an outsider (an operator, the kernel) may do to a cell."""
    cell.handle.destroy()


def leftovers() -> tuple[set[str], set[str]]:
    """Of this process: containers, supervisors that are children."""
    wrapped = {
        child
        for children in Path("/proc/self/task").glob("*/children")
        for child in children.read_text().split()
        if b"sandbox.inside.boot" in Path(f"/proc/{child}/cmdline").read_bytes()
    }
    return set(containers_of(os.getpid(), process_start_time(os.getpid()))), wrapped


def test_slots_work_in_parallel(two: Pool) -> None:
    program = "import time\ndef f(x):\n    time.sleep(1.0)\n    return x\n"
    started = time.monotonic()
    futures = [two.submit(job(program, n)) for n in range(2)]
    assert [future.result().tests[0].value for future in futures] == [0, 1]
    assert time.monotonic() - started < 1.9


def test_many_jobs_each_get_their_own_answer(two: Pool) -> None:
    futures = [two.submit(job(DOUBLE, n, str(n), name=str(n))) for n in range(60)]
    for n, future in enumerate(futures):
        outcome = future.result()
        assert outcome.job_id == str(n)
        assert [test.value for test in outcome.tests] == [2 * n, 2 * str(n)]


def test_a_cell_killed_in_mid_batch_costs_only_a_retry(two: Pool) -> None:
    program = "import time\ndef f(x):\n    time.sleep(0.3)\n    return x\n"
    futures = [two.submit(job(program, n, name=str(n))) for n in range(8)]
    time.sleep(0.45)
    for cell in cells(two):
        destroy_cell(cell)
    outcomes = [future.result() for future in futures]
    assert [outcome.tests[0].value for outcome in outcomes] == list(range(8))
    assert {outcome.status for outcome in outcomes} == {Status.OK}
    assert max(outcome.attempts for outcome in outcomes) == 2


def test_a_program_that_loses_its_cell_twice_is_killed_not_excused(
    two: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Played by us, since no program is known that can do it."""
    run = runs_module.run

    def run_and_lose(job: Job, cell: Cell, *rest: Any) -> Any:
        if job.id == "breaks its cell":
            destroy_cell(cell)
        return run(job, cell, *rest)

    monkeypatch.setattr(runs_module, "run", run_and_lose)
    outcome = two.run(job(name="breaks its cell"))
    assert outcome.status is Status.KILLED
    assert [test.status for test in outcome.tests] == [Status.KILLED]
    assert "attempt 2" in outcome.detail and "ran well there" in outcome.detail
    assert two.run(job()).tests[0].value == 42


def test_a_broken_machine_is_our_fault_with_its_evidence(two: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    run = runs_module.run

    def lose(job: Job, cell: Cell, *rest: Any) -> Any:
        destroy_cell(cell)
        return run(job, cell, *rest)

    with monkeypatch.context() as broken:
        broken.setattr(runs_module, "run", lose)
        outcome = two.run(job())
    assert outcome.status is Status.INFRA
    assert "known to be good failed there too" in outcome.detail
    assert two.run(job()).tests[0].value == 42


def test_a_backend_that_opens_no_more_cells_is_our_fault(two: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = []

    def refuse(role: Role, limits: Limits) -> Cell:
        refused.append(role)
        raise BackendError("the engine is gone")

    monkeypatch.setattr(outage, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(outage, "RETRY_SECONDS", 0.2)
    with monkeypatch.context() as broken:
        broken.setattr(two._backend, "open_cell", refuse)
        for cell in cells(two):
            destroy_cell(cell)
        outcomes = [future.result() for future in [two.submit(job()) for _ in range(300)]]
    assert len(refused) < 50  # the outage is waited out once, not by each job
    assert {outcome.status for outcome in outcomes} == {Status.INFRA}
    assert all("the engine is gone" in outcome.detail for outcome in outcomes)
    monkeypatch.setattr(outage, "RETRY_SECONDS", 0.0)
    assert two.run(job()).tests[0].value == 42


@pytest.mark.parametrize(
    "error",
    [BackendError("the engine restarts"), OSError(errno.ENOSPC, "No space left on device")],
    ids=["engine", "disk"],
)
def test_an_outage_that_ends_costs_no_job(
    two: Pool, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    open_cell, refusals = two._backend.open_cell, [error] * 3

    def refuse_at_first(role: Role, limits: Limits) -> Cell:
        if refusals:
            raise refusals.pop()
        return open_cell(role, limits)

    monkeypatch.setattr(outage, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(two._backend, "open_cell", refuse_at_first)
    for cell in cells(two):
        destroy_cell(cell)
    outcomes = [future.result() for future in [two.submit(job()) for _ in range(20)]]
    assert [outcome.tests[0].value for outcome in outcomes] == [42] * 20
    assert not refusals


def test_pretending_that_set_up_failed_excuses_nothing(two: Pool) -> None:
    outcome = two.run(job(f"import os\nos._exit({wire.SETUP_FAILED})\n"))
    assert outcome.status is Status.KILLED, outcome.detail


def test_cells_are_recycled(two: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot_module, "RUNS_PER_CELL", 3)
    before = cells(two)
    for n in range(10):
        assert run_calls(two, DOUBLE, n).tests[0].value == 2 * n
    assert not any(cell is old for cell in cells(two) for old in before)


def test_the_memory_limit_is_the_jobs_own(two: Pool) -> None:
    program = "def f(mib):\n    return len(b'x' * (mib << 20))\n"
    for mib, status in ((100, Status.OK), (400, Status.MEMORY), (100, Status.OK)):
        assert run_calls(two, program, mib).tests[0].status is status
    roomy = replace(LIMITS, memory_bytes=600 * MIB)
    assert run_calls(two, program, 400, limits=roomy).tests[0].status is Status.OK
    assert run_calls(two, program, 400).tests[0].status is Status.MEMORY


SLOW = "import time\ndef f(x):\n    time.sleep(0.2)\n    return x\n"


@pytest.fixture(params=BACKENDS)
def one(request: pytest.FixtureRequest) -> Iterator[Pool]:
    with open_or_skip(request.param) as pool:
        yield pool


def test_jobs_come_to_their_end_however_it_is_learned_of(one: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here by looking at the time that processes have used, long after all of them have ended."""

    def look(clock: Clock) -> None:
        time.sleep(0.3)
        clock._look(time.monotonic())

    monkeypatch.setattr(Clock, "verdict", look)
    work = Judge(kind="script", test="assert f(1) == 1\n", entry_point="f")
    jobs = [replace(job(SLOW, 1), work=each) for each in (work, work, work, job(DOUBLE, 1).work)]
    outcomes = [future.result() for future in [one.submit(each) for each in jobs]]
    assert [outcome.attempts for outcome in outcomes] == [1] * 4
    assert all(outcome.passed for outcome in outcomes[:3]) and outcomes[3].tests[0].value == 1


def test_a_job_can_be_cancelled_as_it_is_about_to_begin(one: Pool) -> None:
    first, next_one = one.submit(job(SLOW, 1)), one.submit(job("while True: pass\n"))
    first.add_done_callback(lambda _: one.cancel(next_one))
    later = one.submit(job())
    assert first.result().tests[0].value == 1
    with pytest.raises(CancelledError):
        next_one.result(timeout=20)
    assert later.result().attempts == 1


def test_a_job_is_tried_again_where_its_cell_is_lost_before_it_begins(one: Pool) -> None:
    first, second = one.submit(job(SLOW, 1)), one.submit(job(SLOW, 2))
    (cell,) = cells(one)
    first.add_done_callback(lambda _: destroy_cell(cell))
    assert first.result().attempts == 1
    outcome = second.result()
    assert (outcome.tests[0].value, outcome.attempts) == (2, 2)


def test_a_job_that_cannot_begin_harms_only_itself(one: Pool) -> None:
    first, bad, later = one.submit(job(SLOW, 1)), one.submit(job(DOUBLE, "x" * (40 << 20))), one.submit(job())
    assert first.result().tests[0].value == 1
    with pytest.raises(CodecError):
        bad.result()
    assert later.result().tests[0].value == 42


@pytest.mark.parametrize("status", [0, 1, wire.DONE])
def test_what_is_left_of_a_program_that_ends_too_early_goes_before_the_next(one: Pool, status: int) -> None:
    """Saying that all is done forfeits what is not; any other end costs the call in which it came."""
    program = f"import os\ndef f(x):\n    return x if x != 2 else os._exit({status})\n"
    torn, later = one.submit(job(program, 1, 2, 3)), one.submit(job())
    expected = [Status.OK, Status.KILLED, Status.KILLED if status == wire.DONE else Status.OK]
    assert [test.status for test in torn.result().tests] == expected
    assert later.result().tests[0].value == 42


@pytest.mark.parametrize("name", BACKENDS)
def test_closing_leaves_nothing(name: str) -> None:
    before, threads = leftovers(), set(threading.enumerate())  # of the pools that other tests share
    pool = open_or_skip(name, slots=2)
    judge = Judge(kind="script", test="assert f(1) == 2\n", entry_point="f")
    assert pool.run(Job(id="j", program=DOUBLE, work=judge, limits=LIMITS)).passed
    folder = pool._backend._stage.folder  # type: ignore[attr-defined]
    assert folder.exists()
    assert leftovers() != before
    pool.close()
    assert leftovers() == before
    assert not folder.exists()
    assert not [t for t in set(threading.enumerate()) - threads if t.name.startswith("sandbox-slot")]
    with pytest.raises(PoolClosedError):
        pool.submit(job())
    pool.close()


@pytest.mark.parametrize("name", BACKENDS)
def test_cells_that_are_replaced_leave_no_descriptor_open(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first few: the engine's client keeps up to ten connections open for later."""
    monkeypatch.setattr(slot_module, "RUNS_PER_CELL", 1)
    with open_or_skip(name) as pool:
        counts = []
        for _ in range(3):
            for _ in range(4):
                assert pool.run(job()).tests[0].value == 42
            counts.append(len(os.listdir("/proc/self/fd")))
    assert counts[1] == counts[2], counts


@pytest.mark.parametrize("name", BACKENDS)
def test_closing_ends_running_and_queued_jobs_at_once(name: str) -> None:
    before = leftovers()
    pool = open_or_skip(name)
    sleeper = job("import time\ndef f(x):\n    time.sleep(60)\n")
    running, queued, cancelled = (pool.submit(sleeper) for _ in range(3))
    assert cancelled.cancel()
    time.sleep(0.5)
    started = time.monotonic()
    pool.close()
    assert time.monotonic() - started < 15
    for future in (running, queued):
        with pytest.raises(PoolClosedError):
            future.result(timeout=0)
    with pytest.raises(CancelledError):
        cancelled.result(timeout=0)
    assert leftovers() == before


@pytest.mark.parametrize("name", BACKENDS)
def test_a_cancelled_job_is_stopped_and_its_slot_is_free(name: str) -> None:
    with open_or_skip(name) as pool:
        sleeper = job("import time\ndef f(x):\n    time.sleep(60)\n")
        running, queued = pool.submit(sleeper), pool.submit(sleeper)
        time.sleep(0.3)
        started = time.monotonic()
        pool.cancel(queued)
        pool.cancel(running)
        assert pool.run(job()).attempts == 1
        assert time.monotonic() - started < 15
        with pytest.raises(JobCancelledError):
            running.result(timeout=0)
        with pytest.raises(CancelledError):
            queued.result(timeout=0)


OWNER = """
import sys, time
sys.path.insert(0, {root!r})
import sandbox
from sandbox.protocol import Call, Calls, Job
pool = sandbox.open_pool(1, {name!r})
assert pool.run(Job(id="j", program="def f(x): return x", work=Calls((Call("f", (1,)),)))).tests[0].value == 1
pool.submit(Job(id="j", program="import time\\ndef f(x): time.sleep(100)", work=Calls((Call("f", (1,)),))))
print("ready", flush=True)
{then}
"""


@contextmanager
def owner_process(name: str, then: str) -> Iterator[subprocess.Popen[str]]:
    """Another process with a pool, a running job in it."""
    open_or_skip(name).close()
    code = OWNER.format(root=str(Path(sandbox.__file__).parents[1]), name=name, then=then)
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # A shell's background jobs ignore SIGINT, and children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"
        yield owner
        owner.kill()


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("how", ["end", "SIGINT"])
def test_an_owner_that_ends_or_is_interrupted_leaves_nothing(name: str, how: str) -> None:
    with owner_process(name, "" if how == "end" else "time.sleep(100)") as owner:
        started = process_start_time(owner.pid)
        children = descendants(owner.pid)
        if how == "SIGINT":
            owner.send_signal(signal.SIGINT)
        assert owner.wait(timeout=60) == (0 if how == "end" else -signal.SIGINT)
    assert containers_of(owner.pid, started) == {}
    deadline = time.monotonic() + 10  # the kernel takes a moment to end a killed sandbox
    while left := [pid for pid in children if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


@pytest.mark.docker
def test_what_a_killed_owner_left_is_removed_at_the_next_start_and_nothing_else() -> None:
    with owner_process("docker", "time.sleep(100)") as owner, open_or_skip("docker") as mine:
        started = process_start_time(owner.pid)
        assert containers_of(owner.pid, started), "a live owner's containers are not touched"
        owner.kill()
        owner.wait()
        deadline = time.monotonic() + 20
        while "running" in containers_of(owner.pid, started).values():
            assert time.monotonic() < deadline, "cells end with their owner"
            time.sleep(0.1)
        with open_or_skip("docker"):
            assert containers_of(owner.pid, started) == {}
        assert mine.run(job()).tests[0].value == 42


def containers_of(pid: int, started: str | None) -> dict[str, str]:
    """Container id -> state, for docker; empty without an engine."""
    try:
        from sandbox.backends.docker import OWNER_LABEL
        from sandbox.backends.engine import connect

        client = connect()
    except BackendError:
        return {}
    found = client.containers.list(
        all=True, ignore_removed=True, filters={"label": f"{OWNER_LABEL}={pid}:{started}"}
    )
    client.close()
    return {each.id: each.status for each in found}


def descendants(pid: int) -> list[str]:
    """Process numbers of the children of `pid`, and of theirs."""
    children = [
        entry.name
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _status_field(entry, "PPid") == str(pid)
    ]
    return children + [each for child in children for each in descendants(int(child))]


def _status_field(entry: Path, name: str) -> str:
    try:
        lines = (entry / "status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return next((line.split()[1] for line in lines if line.startswith(f"{name}:")), "")


def test_misuse_is_refused_at_once(two: Pool) -> None:
    with pytest.raises(ValueError, match="language 'rust'"):
        two.submit(replace(job(), language="rust"))
    with pytest.raises(ValueError, match="scratch_bytes .* above the pool's"):
        two.submit(replace(job(), limits=replace(LIMITS, scratch_bytes=1 << 40)))
    with pytest.raises(BackendError, match="unknown sandbox backend 'dokcer'"):
        sandbox.open_pool(1, "dokcer")


@pytest.mark.filterwarnings("ignore:unclosed <socket")  # the docker SDK's, where it cannot connect
def test_without_any_backend_each_one_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    with pytest.raises(NoBackendError) as caught:
        sandbox.open_pool(1)
    assert set(caught.value.failures) == {"docker", "bubblewrap", "confined"}
    assert all(error.remedy for error in caught.value.failures.values())
    assert "no Docker engine answers" in str(caught.value)
    assert "bwrap is missing" in str(caught.value)
    del caught
    gc.collect()


@pytest.mark.docker
def test_how_a_container_is_confined() -> None:
    with open_or_skip("docker") as pool:
        (cell,) = cells(pool)
        container = cell.handle.container  # type: ignore[attr-defined]
        container.reload()
        host = container.attrs["HostConfig"]
        assert host["NetworkMode"] == "none"
        assert host["ReadonlyRootfs"] is True
        assert host["IpcMode"] == "none"
        assert host["CapDrop"] == ["ALL"]
        assert sorted(host["CapAdd"]) == ["KILL", "SETGID", "SETUID"]
        assert host["Privileged"] is False
        assert host["SecurityOpt"] == ["no-new-privileges"]
        assert host["Memory"] == host["MemorySwap"] > LIMITS.memory_bytes
        assert 0 < host["PidsLimit"] <= 512
        assert host["LogConfig"]["Type"] == "none"
        assert {mount["RW"] for mount in container.attrs["Mounts"]} == {False}
        memory = Path(f"/proc/{container.attrs['State']['Pid']}/status").read_text()
        resident_kib = int(next(line.split()[1] for line in memory.splitlines() if line.startswith("VmRSS")))
        assert resident_kib < 25 * 1024
