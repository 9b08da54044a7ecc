"""Breaks everything around a batch of jobs, and sees that nothing is lost and nothing is scored wrong by our fault.

    python -m tests.conformance.faults [--jobs 2000] [--backend docker] [--fault fill_scratch]

While the jobs run: a supervisor is killed, a container (or sandbox) is killed, the Docker engine is restarted (a private
one), the daemon is killed and started again, the disk that cells are made on fills up (bubblewrap's scratch folder, the
engine's data), the client's connections are dropped.
Every job must end with its true outcome, or as `infra` where its fault can cause that; what is asked again under its key
is not run again; nothing may be left behind. Needs root. Ends with one JSON line; exit status 1 where something was wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx

import sandbox
from sandbox.client import Client
from sandbox.pool.outage import PATIENCE_SECONDS
from sandbox.protocol import Call, Calls, Job, Outcome, Status
from tests.conformance.private_engine import PrivateEngine, private_engine, small_disk
from tests.conformance.stage import SLOTS, Stage

# It sleeps so that jobs are under way when a fault comes, however fast the machine.
PROGRAM = """
def f(n):
    import time
    time.sleep(0.1)
    if n % 10 == 3:
        raise KeyError(n)
    return [n, str(n) * 2]
"""
# No two runs of it return the same.
ONCE = """
def f():
    import os
    return os.urandom(8).hex()
"""
_SCRATCH_MIB, _SCRATCH_FILES = 16, 512
_KEYED = 8  # items that are asked again under their keys, for each fault
# Jobs that may end as `infra`. Where a cell is lost, its job is tried again, and jobs wait for another cell; a second
# loss, of the job that runs in a slot or the one begun ahead, can only come with the engine. What the daemon or the
# connection takes along, the client asks again.
MAY_FAIL = {
    "kill_supervisor": 0,
    "restart_daemon": 0,
    "kill_cell": 0,
    "drop_connections": 0,
    "fill_scratch": SLOTS,
    "restart_engine": 2 * SLOTS,
}


def right(number: int, outcome: Outcome) -> bool:
    (test,) = outcome.tests
    if number % 10 == 3:
        return test.status is Status.EXCEPTION and test.error is not None and test.error.type == "KeyError"
    return test.status is Status.OK and test.value == [number, str(number) * 2]


def run(
    jobs: int,
    backend: str,
    folder: Path,
    engine: PrivateEngine | None,
    faults: Sequence[str] = tuple(MAY_FAIL),
) -> dict[str, Any]:
    """Runs `jobs` jobs, a share under each fault; the figures, and what was wrong."""
    started = time.monotonic()
    with small_disk(folder / "scratch", _SCRATCH_MIB, _SCRATCH_FILES):
        stage = Stage(backend, folder, engine)
        try:
            with sandbox.connect(stage.proxy.url, patience_seconds=600) as client:
                shares = [range(n, jobs, len(faults)) for n in range(len(faults))]
                reports = {
                    fault: _run_under(stage, client, fault, share)
                    for fault, share in zip(faults, shares, strict=True)
                }
            left = stage.end()
        finally:
            stage.close()
    return {
        "jobs": jobs,
        "backend": backend,
        "faults": reports,
        "left": left,
        "seconds": round(time.monotonic() - started, 1),
    }


def _run_under(stage: Stage, client: Client, fault: str, numbers: Sequence[int]) -> dict[str, Any]:
    """`fault` comes when the first of these jobs is done; it ends with the last."""
    keys, before = [f"{fault}-{n}" for n in range(_KEYED)], stage.daemon.pid
    with ThreadPoolExecutor(1) as thread:
        early = thread.submit(ask, stage.proxy.url, keys)
        futures = {
            n: client.submit(Job(id=f"{n}", program=PROGRAM, work=Calls((Call("f", (n,)),)))) for n in numbers
        }
        wait(futures.values(), 600, FIRST_COMPLETED)
        print(
            f"{sum(each.done() for each in futures.values())} of {len(futures)} done: {fault}",
            file=sys.stderr,
        )
        began = time.monotonic()
        getattr(stage, fault)()
        seconds = time.monotonic() - began
        answers = [ask(stage.proxy.url, keys), ask(stage.proxy.url, keys)]
        if stage.daemon.pid == before:  # another one cannot know what this one answered
            answers.append(early.result())
    outcomes = {n: future.result(600) for n, future in futures.items()}
    known = [[answer[key] for answer in answers if key in answer] for key in keys]
    statuses = Counter(outcome.status.value for outcome in outcomes.values())
    return {
        "outcomes": statuses,
        "retried": sum(outcome.attempts > 1 for outcome in outcomes.values()),
        "may_fail": _may_fail(fault, seconds, len(outcomes)),
        "wrong": [
            f"job {n}: {outcome}"
            for n, outcome in outcomes.items()
            if outcome.status is not Status.INFRA and not right(n, outcome)
        ][:5],
        "infra": next(
            (outcome.detail for outcome in outcomes.values() if outcome.status is Status.INFRA), ""
        ),
        "keys_compared": sum(len(values) > 1 for values in known),
        "keys_run_again": sum(len(set(values)) > 1 for values in known),
        "seconds": round(seconds, 1),
    }


def _may_fail(fault: str, seconds: float, jobs: int) -> int:
    if fault == "restart_engine" and seconds > PATIENCE_SECONDS / 2:
        return jobs  # jobs do not wait for an engine that was away so long
    return MAY_FAIL[fault]


def ask(url: str, keys: Sequence[str]) -> dict[str, str]:
    """What the program of each key returned, of those that were answered before the connection ended."""
    work = {"kind": "calls", "calls": [{"function": "f"}]}
    body = {"jobs": [{"key": key, "program": ONCE, "work": work} for key in keys]}
    found = {}
    try:
        with httpx.stream("POST", f"{url}/v1/run", json=body, timeout=120) as response:
            for line in response.iter_lines():
                answer = json.loads(line or "{}")
                outcome = answer.get("outcome", {})
                if outcome.get("status") == "ok":
                    found[keys[answer["index"]]] = outcome["tests"][0]["value"]
    except httpx.HTTPError:
        pass  # the fault
    return found


def passed(report: dict[str, Any]) -> bool:
    return not report["left"] and all(map(_passed_under, report["faults"].values()))


def _passed_under(report: dict[str, Any]) -> bool:
    few = report["outcomes"]["infra"] <= report["may_fail"]
    once = report["keys_run_again"] == 0 and report["keys_compared"] >= _KEYED / 2
    return few and once and not report["wrong"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--backend", choices=("docker", "bubblewrap"), default="docker")
    parser.add_argument("--fault", choices=tuple(MAY_FAIL), action="append", help="only this one; repeatable")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        own = private_engine(Path(folder)) if options.backend == "docker" else nullcontext()
        with own as engine:
            report = run(
                options.jobs, options.backend, Path(folder), engine, options.fault or tuple(MAY_FAIL)
            )
    print(json.dumps(report))
    return 0 if passed(report) else 1


if __name__ == "__main__":
    sys.exit(main())
