"""Programs a second through HTTP, beside a pool in this process: the same jobs, the same cores, in turns.

    python -m tests.bench.http_rate [--rounds 5] [--slots 2] [--backend auto] [--batch 16] [--limit 164]

The jobs are HumanEval's references with all their tests. Ends with one JSON line: medians over the rounds, and the
median of the rounds' own ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence

import sandbox
from sandbox.protocol import Job, Runner, Status
from tasks.datasets import load
from tasks.grade import works_of
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
            single = single_rate(pool, jobs[:50]), single_rate(client, jobs[:50])
            rows.append((here, there, there / here, *single, single[1] / single[0]))
            print(
                f"round {number + 1}: in-process {here:.0f}/s, HTTP {there:.0f}/s ({there / here:.0%}); "
                f"one at a time {single[0]:.0f}/s, {single[1]:.0f}/s ({single[1] / single[0]:.0%})",
                flush=True,
            )
    names = (
        "in_process_per_second",
        "http_per_second",
        "http_ratio",
        "single_in_process_per_second",
        "single_http_per_second",
        "single_ratio",
    )
    medians = {
        name: round(statistics.median(column), 3)
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }
    print(json.dumps({"jobs": len(jobs), "batch": options.batch, "slots": options.slots, **medians}))


if __name__ == "__main__":
    main()
