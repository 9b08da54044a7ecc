"""Programs a second through HTTP, beside a pool in this process: the same jobs, the same cores, in turns.

    python -m tests.bench.http_rate [--rounds 5] [--slots 2] [--backend auto] [--batch 16] [--limit 164]

The jobs are HumanEval's references with all their tests. Ends with one JSON line: medians over the rounds, and the
median of the rounds' own ratios. With `--backend bubblewrap`, whose sandboxes are children of their pool, also CPU time a
job, of all processes that have a part in it: on cores that are all busy, `cpu_ratio` is what `http_ratio` would be on
idle ones, however loaded the machine is.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import sandbox
from sandbox.protocol import Job, Runner, Status
from tasks.datasets import load
from tasks.grading.grader import works_of
from tests.bench.daemons import daemon_process
from tests.conformance.grade_references import DATA


def humaneval_jobs(limit: int = 164) -> list[Job]:
    tasks = load(f"humaneval={DATA / 'humaneval' / 'HumanEval.jsonl'}")[:limit]
    return [
        Job(id=f"{task.id}#{n}", program=task.reference or "", work=work)
        for task in tasks
        for n, work in enumerate(works_of(task))
    ]


def rate(runner: Runner, jobs: Sequence[Job]) -> float:
    """Jobs a second, all submitted at once."""
    started = time.perf_counter()
    outcomes = [future.result() for future in [runner.submit(job) for job in jobs]]
    seconds = time.perf_counter() - started
    wrong = [outcome for outcome in outcomes if outcome.status is not Status.OK]
    assert not wrong, wrong[0]
    return len(jobs) / seconds


def cpu_seconds(pid: int, without: int = 0) -> float:
    """CPU time of a process and all below it, the ended ones included; not of the process `without` and below."""
    parents: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents.setdefault(int(fields[1]), []).append(int(folder.name))
            used[int(folder.name)] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def below(number: int) -> float:
        return sum(used[child] + below(child) for child in parents.get(number, ()) if child != without)

    return used[pid] + below(pid)


def cpu_per_job(runner: Runner, jobs: Sequence[Job], daemon: int) -> tuple[float, float]:
    """CPU seconds a job here (with the cells of this process's pool), and in the daemon (with its cells)."""
    mine, its = cpu_seconds(os.getpid(), without=daemon), cpu_seconds(daemon)
    rate(runner, jobs)
    return (
        (cpu_seconds(os.getpid(), without=daemon) - mine) / len(jobs),
        (cpu_seconds(daemon) - its) / len(jobs),
    )


def single_rate(runner: Runner, jobs: Sequence[Job]) -> float:
    """Jobs a second, one after the other."""
    started = time.perf_counter()
    for job in jobs:
        runner.run(job)
    return len(jobs) / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--limit", type=int, default=164)
    options = parser.parse_args()
    jobs = humaneval_jobs(options.limit)
    serve = ("--slots", str(options.slots), "--backend", options.backend)
    rows = []
    with (
        sandbox.open_pool(options.slots, options.backend) as pool,
        daemon_process(*serve) as daemon,
        sandbox.connect(daemon.url, batch=options.batch, requests=2 * options.slots) as client,
    ):
        for runner in (pool, client):  # judges' cells open, caches fill
            rate(runner, jobs)
        for number in range(options.rounds):
            here, there = rate(pool, jobs), rate(client, jobs)
            cpu_here, cpu_there = (
                sum(cpu_per_job(pool, jobs, daemon.pid)),
                sum(cpu_per_job(client, jobs, daemon.pid)),
            )
            single = single_rate(pool, jobs[:50]), single_rate(client, jobs[:50])
            cpu = (1000 * cpu_here, 1000 * cpu_there, cpu_here / cpu_there)
            rows.append((here, there, there / here, *single, single[1] / single[0], *cpu))
            print(
                f"round {number + 1}: in-process {here:.0f}/s, HTTP {there:.0f}/s ({there / here:.0%}); "
                f"one at a time {single[0]:.0f}/s, {single[1]:.0f}/s ({single[1] / single[0]:.0%}); "
                f"CPU {cpu[0]:.2f} ms, {cpu[1]:.2f} ms a job ({cpu[2]:.0%})",
                flush=True,
            )
    names = (
        "in_process_per_second",
        "http_per_second",
        "http_ratio",
        "single_in_process_per_second",
        "single_http_per_second",
        "single_ratio",
        "in_process_cpu_ms",
        "http_cpu_ms",
        "cpu_ratio",
    )
    medians = {
        name: round(statistics.median(column), 3)
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }
    if options.backend != "bubblewrap":
        for name in names[-3:]:
            del medians[name]
    print(json.dumps({"jobs": len(jobs), "batch": options.batch, "slots": options.slots, **medians}))


if __name__ == "__main__":
    main()
