"""A real model's 16,400 completions: graded in the sandbox, reported, and the recurrence of its errors.

    python -m tests.bench.codet [--samples 100] [--backend auto] [--out FOLDER]

Runs the two documented commands, `coderl grade` and `coderl report`, on CodeT's CodeGen-16B completions of HumanEval
(`$CODERL_DATA/codet_samples`), and then measures recurrence on the first 30 samples a task and the first 12 tests, as
it was measured independently: there, errors were the same by their outputs alone (without the line that raised), and
any test that raised gave its exception's name to the failure (here, the first test that fails does). Both ways are
printed. One JSON line of figures at the end.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from analysis.intervals import bootstrap_mean
from analysis.measures.recurrence import recurrence
from analysis.measures.tally import tally
from analysis.mistakes.fingerprint import Fingerprint, fingerprint
from analysis.reading.reader import open_run
from analysis.reading.rows import Row

DATA = Path(os.environ.get("CODERL_DATA", Path(__file__).parents[3] / "shared" / "data"))
CODET = DATA / "codet_samples" / "HumanEval_codegen16B_temp0.8_topp0.95_num100_max300_code_solution.jsonl.gz"
COMMAND = [sys.executable, "-c", "from coderl.cli import main; main()"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=100, help="completions a task")
    parser.add_argument("--backend", default="auto")
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
        grade += ["--backend", arguments.backend]
        grade += ["--cpu-seconds", "1", "--total-cpu-seconds", "2"]  # some 60 of the programs never end
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
    }
    figures["all_samples"] = recurrences(rows)
    by_task: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_task[row.task_id].append(row)
    first = [with_12_tests(row) for samples in by_task.values() for row in samples[:30]]
    failed = [row for row in first if row.passed is False]
    figures["30_samples_12_tests"] = {
        **recurrences(first),
        "no_test_raises": round(sum(raised(row) == "wrong" for row in failed) / len(failed), 3),
    }
    return figures


def with_12_tests(row: Row) -> Row:
    """The row as if its task had its first 12 tests only; what failed by itself, fails still."""
    tests = row.tests[:12]
    if row.passed or (tests and all(test.passed for test in tests)):
        return replace(row, tests=tests, passed=True, phase="passed")
    return replace(row, tests=tests)


def recurrences(rows: list[Row]) -> dict[str, list[float]]:
    """Mean recurrence over tasks with its interval, for several meanings of "the same error"."""
    marks: dict[str, Callable[[Row, Fingerprint], str]] = {
        "l2": lambda row, mark: mark.l2,
        "outputs": lambda row, mark: str([(test.status, test.actual) for test in row.tests] or row.phase),
        "type": lambda row, mark: mark.l0.split(":")[-1],
        "any_type": lambda row, mark: raised(row),
    }
    found: dict[str, list[float]] = {}
    for name, key in marks.items():
        failures: dict[str, Counter[str]] = defaultdict(Counter)
        for row in rows:
            if mark := fingerprint(row):
                failures[row.task_id][key(row, mark)] += 1
        values = [value for task in failures.values() if (value := recurrence(task)) is not None]
        estimate = bootstrap_mean(values)
        found[name] = [round(number, 3) for number in (estimate.value, estimate.low, estimate.high)]
    return found


def raised(row: Row) -> str:
    """The exception of any test that raised, "wrong" where none did."""
    if not row.tests:
        return row.phase
    test = next((test for test in row.tests if test.status != "ok"), None)
    return "wrong" if test is None else test.actual.split(":")[0] or test.status


if __name__ == "__main__":
    main()
