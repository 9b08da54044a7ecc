"""A real model's 16,400 completions: graded in the sandbox, reported, and the recurrence of its errors.

    python -m tests.bench.codet [--samples 100] [--out FOLDER]

Runs the two documented commands, `coderl grade` and `coderl report`, on CodeT's CodeGen-16B completions of HumanEval
(`$CODERL_DATA/codet_samples`), and then measures recurrence as it was measured independently: on the first 30
samples a task and the first 12 tests. One JSON line of figures at the end.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from analysis.intervals import bootstrap_mean
from analysis.measures.recurrence import recurrence
from analysis.reader import open_run
from analysis.rows import Row
from analysis.tally import TaskTally, tally

DATA = Path(os.environ.get("CODERL_DATA", Path(__file__).parents[3] / "shared" / "data"))
CODET = DATA / "codet_samples" / "HumanEval_codegen16B_temp0.8_topp0.95_num100_max300_code_solution.jsonl.gz"
COMMAND = [sys.executable, "-c", "from coderl.cli import main; main()"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=100, help="completions a task")
    parser.add_argument("--out", type=Path, default=Path("codet"), help="folder for verdicts and report")
    parser.add_argument("--keep", action="store_true", help="use the verdicts that are there")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    verdicts = arguments.out / "verdicts.jsonl"
    figures: dict[str, Any] = {"samples": arguments.samples, "load_before": os.getloadavg()[0]}
    if not arguments.keep:
        completions = arguments.out / "completions.jsonl"
        completions.write_text("".join(shortened(arguments.samples)))
        grade = [
            "--tasks",
            f"humaneval={DATA / 'humaneval' / 'HumanEval.jsonl'}",
            "--completions",
            str(completions),
        ]
        figures["seconds_grade"] = timed("grade", *grade, "--out", str(verdicts))
    figures["seconds_report"] = timed("report", str(verdicts))
    figures |= measured(verdicts)
    print(json.dumps(figures))


def shortened(samples: int) -> Iterator[str]:
    with gzip.open(CODET, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            yield json.dumps({**row, "samples": row["samples"][:samples]}) + "\n"


def timed(*arguments: str) -> float:
    start = time.monotonic()
    subprocess.run([*COMMAND, *arguments], check=True)
    return round(time.monotonic() - start, 1)


def measured(verdicts: Path) -> dict[str, Any]:
    rows = list(open_run(verdicts).rows())
    (group,) = tally(rows).groups.values()
    failures = group.samples - group.passed
    figures: dict[str, Any] = {
        "completions": group.samples + group.infra,
        "infra": group.infra,
        "passed": group.passed,
        "wrong_share_of_failures": round(group.by_phase["wrong"] / failures, 3),
        "all_samples": recurrences(group.tasks),
    }
    by_task: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_task[row.task_id].append(row)
    first = itertools.chain.from_iterable(group[:30] for group in by_task.values())
    (group,) = tally(map(with_12_tests, first)).groups.values()
    figures["30_samples_12_tests"] = recurrences(group.tasks)
    return figures


def with_12_tests(row: Row) -> Row:
    """The row as if its task had its first 12 tests only; what failed by itself, fails still."""
    tests = row.tests[:12]
    if row.passed or (tests and all(test.passed for test in tests)):
        return replace(row, tests=tests, passed=True, phase="passed")
    return replace(row, tests=tests)


def recurrences(tasks: dict[str, TaskTally]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("by_l2", "by_type"):
        values = [v for task in tasks.values() if (v := recurrence(getattr(task, name))) is not None]
        estimate = bootstrap_mean(values)
        found[name] = [round(x, 3) for x in (estimate.value, estimate.low, estimate.high)]
    return {**found, "tasks": len(values)}


if __name__ == "__main__":
    main()
