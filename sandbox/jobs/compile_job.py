"""Jobs in a language that is compiled: once, in a process of its own; then a process for each input.

The executable leaves the cell as bytes and comes back as a sealed descriptor, so nothing of the build is left when
the program runs, and a run cannot change it for the next.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sandbox.backends.cell import Cell, End
from sandbox.inside import wire
from sandbox.jobs import program_job, results
from sandbox.jobs.ledger import Clock
from sandbox.jobs.process import Process, run_to_end
from sandbox.protocol import MIB, ErrorInfo, Job, Limits, Outcome, Status, Stdio, TestOutcome

# Of the compiler, whatever the job's own limits are. Its output is the executable.
BUILD_LIMITS = Limits(
    cpu_seconds=20.0,
    total_cpu_seconds=20.0,
    wall_seconds=80.0,
    memory_bytes=512 * MIB,
    output_bytes=32 * MIB,
)


@dataclass(frozen=True, slots=True)
class Built:
    """What became of a source: an executable, or why there is none."""

    executable: bytes
    error: ErrorInfo | None
    end: End

    @contextmanager
    def opened(self) -> Iterator[int]:
        """A descriptor of the executable, sealed."""
        descriptor = _sealed(self.executable)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def build(language: str, source: str, cell: Callable[[Limits], Cell], scratch_bytes: int) -> Built:
    """`cell` gives the program cell with that bound on its memory. Raises `CellLost`."""
    limits = replace(BUILD_LIMITS, scratch_bytes=scratch_bytes)
    payload = wire.to_json({"language": language, "program": source}).encode()
    process = Process(cell(limits), "build", payload, limits, stdin=b"")
    deadline = time.monotonic() + limits.wall_seconds
    clock = Clock(process.cell, limits, spent_cpu_seconds=0.0, deadline=deadline)
    frames, end = run_to_end(process, clock)
    return Built(bytes(process.streams[wire.STDOUT]), _error(process, frames), end)


def run(job: Job, work: Stdio, cell: Callable[[Limits], Cell]) -> Outcome:
    """As `program_job.run`; `cell` as for `build`. Raises `CellLost`."""
    built = build(job.language, job.program, cell, job.limits.scratch_bytes)
    if built.error:
        return refused(job, built, len(work.inputs))
    with built.opened() as executable:
        outcome = program_job.run_stdio(job, work, cell(job.limits), executable)
    return replace(
        outcome,
        cpu_seconds=outcome.cpu_seconds + built.end.cpu_seconds,
        peak_memory_bytes=max(outcome.peak_memory_bytes, built.end.peak_bytes),
    )


def refused(job: Job, built: Built, tests: int) -> Outcome:
    """The outcome of a program that does not compile."""
    return Outcome(
        job_id=job.id,
        status=Status.COMPILE_ERROR,
        tests=(TestOutcome(status=Status.COMPILE_ERROR, error=built.error),) * tests,
        error=built.error,
        cpu_seconds=built.end.cpu_seconds,
        peak_memory_bytes=built.end.peak_bytes,
    )


def _error(process: Process, frames: list[dict[str, Any]]) -> ErrorInfo | None:
    """Why there is no executable. Whatever stopped the compiler is the program's fault, and has a phase of its own."""
    end = process.end
    assert end is not None
    if process.verdict is None and end.code == 0 and not end.memory and frames:
        if failure := frames[0].get("failure"):
            return replace(results.error_of(failure), phase="compile")
        if process.streams[wire.STDOUT]:
            return None
    short = results.cut_short(process, end, "compile").error
    assert short is not None
    return replace(short, message=f"the compiler did not finish: {short.message}", phase="compile")


def _sealed(executable: bytes) -> int:
    """A descriptor of these bytes that can be executed, which no process has open for writing."""
    writable = os.memfd_create("program", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(executable)
        while view:
            view = view[os.write(writable, view) :]
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(writable, fcntl.F_ADD_SEALS, seals)
        return os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(writable)
