"""Turns a job into processes in cells, and their results into an `Outcome`.

A process that crashes or runs out of time costs its job one test: a new process goes on with the next. Failures that
would only repeat (a program that cannot be imported, a job out of its total time) end the job.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from sandbox.backends.cell import Cell
from sandbox.inside import wire
from sandbox.inside.supervisor import modules
from sandbox.jobs import judge_job, results
from sandbox.jobs.ledger import Ledger
from sandbox.jobs.process import Process, finish, frames_of, run_to_end
from sandbox.protocol import Calls, Job, Judge, Limits, Outcome, Status, Stdio, TestOutcome


def prepare(job: Job) -> None:
    """Make, once, what the programs of a task share, before any is run: what goes wrong here is no program's fault.

    Raises:
        CodecError: arguments that cannot cross.
    """
    if isinstance(job.work, Calls):
        _ = job.work.encoded
    elif isinstance(job.work, Judge):
        judge_job.judge_payload(job.work)


def run(job: Job, program_cell: Cell, judge_cell: Callable[[], Cell]) -> Outcome:
    """Do `job`, without what its slot fills in: backend, image, wall seconds, attempts. Raises `CellLost`."""
    work = job.work
    if isinstance(work, Judge):
        return judge_job.run(job, work, program_cell, judge_cell())
    if isinstance(work, Stdio):
        return run_stdio(job, work, program_cell)
    assert isinstance(work, Calls)
    ledger = Ledger(job.limits)
    while len(ledger.tests) < len(work.calls):
        _calls(job, work, ledger, program_cell)
    return ledger.outcome(job)


def run_stdio(job: Job, work: Stdio, cell: Cell, executable: int | None = None) -> Outcome:
    """A process for each input: of the program as Python, or of the descriptor `executable`."""
    ledger = Ledger(job.limits)
    while len(ledger.tests) < len(work.inputs):
        _stdio(job, work, ledger, cell, executable)
    return ledger.outcome(job)


def _calls(job: Job, work: Calls, ledger: Ledger, cell: Cell) -> None:
    """One process, from the first call without a result on."""
    payload = (
        f'{{"program":{wire.to_json(job.program)},"prelude":{wire.to_json(job.prelude)},'
        f'"calls":{work.encoded},"done":{len(ledger.tests)},'
        f'"value_bytes":{job.limits.value_bytes},"output_bytes":{job.limits.output_bytes}}}'
    )
    left = len(work.calls) - len(ledger.tests)
    clock = ledger.clock(cell)
    named = modules.named_by_program(job.program, job.prelude)
    process = Process(cell, "calls", payload.encode(), job.limits, modules=named)
    tests: list[TestOutcome] = []
    fatal: TestOutcome | None = None
    imported, cpu = False, 0.0
    with closing(process):
        for frame in frames_of(process, clock, results_expected=left + 1):
            if "fatal" in frame:
                fatal = results.claimed(job, frame, frame["fatal"] or {})
                break
            if imported:
                before, cpu = cpu, results.seconds(frame.get("cpu"))
                tests.append(results.claimed(job, frame, frame.get("failure"), max(0.0, cpu - before)))
            imported = True  # the first frame says so, whatever it says
            if len(tests) == left:
                break
        end = finish(process)
    ledger.add(end)
    ledger.tests += results.plausible(tests, end.cpu_seconds)
    if len(tests) == left:
        if end.memory and all(test.status is Status.OK for test in tests):
            ledger.tests[-1] = results.cut_short(process, end, "call")  # a child of it ran out of memory
        return
    ledger.fail(fatal or results.cut_short(process, end, "call" if imported else "import"))
    said_all = not imported or end.code == wire.DONE  # or it said that it sent all it will ever send
    if rest := ledger.tests[-1] if said_all else ledger.exhausted:
        ledger.tests += [rest] * (len(work.calls) - len(ledger.tests))


def _stdio(job: Job, work: Stdio, ledger: Ledger, cell: Cell, executable: int | None) -> None:
    """One process, for the first input without a result."""
    stdin = work.inputs[len(ledger.tests)].encode(errors="surrogatepass")
    clock = ledger.clock(cell)
    process = start_script(cell, job.program, job.prelude, job.limits, executable, stdin=stdin)
    frames, end = run_to_end(process, clock)
    ledger.add(end)
    test = results.script(job, process, end, frames)
    ledger.fail(test)
    broken = (
        TestOutcome(status=test.status, error=test.error) if test.status is Status.COMPILE_ERROR else None
    )
    if rest := broken or ledger.exhausted:
        ledger.tests += [rest] * (len(work.inputs) - len(ledger.tests))


def start_script(
    cell: Cell,
    source: str,
    prelude: str,
    limits: Limits,
    executable: int | None,
    *,
    stdin: bytes | None = None,
    joined: tuple[int, int] | None = None,
    files: dict[str, object] | None = None,
) -> Process:
    """A process that is a whole program: `source` as Python, or the descriptor `executable`.

    `files` are what an author's program is given: files and arguments. The rest is as for `Process`.
    """
    main, named = "stdio", []
    needed: dict[str, object] = {"program": source, "prelude": prelude}
    if executable is None:
        named = modules.named_by_program(source, prelude)
    else:
        main, needed = "execute", {"stack_bytes": limits.memory_bytes}
    payload = wire.to_json(needed | (files or {})).encode()
    return Process(
        cell, main, payload, limits, stdin=stdin, executable=executable, joined=joined, modules=named
    )
