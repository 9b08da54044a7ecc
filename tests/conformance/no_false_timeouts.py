"""Right programs on a busy host must not end as timeouts: HumanEval+'s references, 8 slots on 2 cores beside a CPU hog.

    python -m tests.conformance.no_false_timeouts [--times 5] [--slots 8] [--backend auto]

The references make their own expected outputs, with the default limits. This process and all it starts share two cores;
with docker, whose containers are the engine's, the machine has to have no more for that. Ends with one JSON line; exit
status 1 where a reference failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sandbox
from tasks.datasets import load
from tasks.grading.grader import Grader
from tasks.grading.reference import References
from tests.conformance.grade_references import DATA, SETS, grade_references

_CORES = 2
_HOG = "while True:\n    pass\n"


@contextmanager
def hog() -> Iterator[None]:
    """A process that never rests."""
    process = subprocess.Popen([sys.executable, "-I", "-c", _HOG])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--backend", default="auto")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:_CORES])
    tasks = load(f"humanevalplus={DATA / SETS['humanevalplus'].file}")
    passed, seconds, loads = [], [], []
    with hog(), sandbox.open_pool(options.slots, options.backend) as pool:
        for number in range(options.times):
            started = time.monotonic()
            with tempfile.TemporaryDirectory() as cache:  # expected outputs are made anew
                result = grade_references(tasks, Grader(pool, references=References(pool, Path(cache))))
            passed.append(result.passed)
            seconds.append(round(time.monotonic() - started, 1))
            loads.append(round(os.getloadavg()[0], 1))
            print(
                f"{number + 1}: {result.passed}/{result.total} in {seconds[-1]} s, load {loads[-1]}",
                flush=True,
            )
            for verdict in result.failures:
                print(f"  {verdict.task_id}: {verdict.status} {verdict.error or verdict.detail}")
        figures = {
            "backend": pool.backend,
            "slots": options.slots,
            "cores": _CORES,
            "references": len(tasks),
            "passed": passed,
            "seconds": seconds,
            "load": loads,
        }
    print(json.dumps(figures))
    return 0 if set(passed) == {len(tasks)} else 1


if __name__ == "__main__":
    sys.exit(main())
