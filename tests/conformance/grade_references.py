"""Grades the references of the real data sets: how many pass, of how many, and how long it took.

    python -m tests.conformance.grade_references [--backend NAME] [--slots N] [--only NAME ...] [--mutants]

Expects the files below in `$CODERL_DATA`, or `../shared/data` beside the repository. Exit status 1 where a
count is off.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sandbox
from sandbox.protocol import Limits
from tasks.datasets import load
from tasks.grading.grader import Grader
from tasks.grading.reference import References
from tasks.types import ReferenceTests, Task, Verdict
from tasks.validation.validate import validate

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("CODERL_DATA", ROOT.parent / "shared" / "data"))


WRONG_LIMITS = Limits(cpu_seconds=1, total_cpu_seconds=2)  # some loop for ever


@dataclass(frozen=True, slots=True)
class Conformance:
    """A data set's file, and how many references must pass at least, of how many, on how many inputs."""

    file: str
    least: int
    total: int
    inputs: int = 0
    buggy: bool = False  # known wrong programs, which must all fail


SETS = {
    "humaneval": Conformance("humaneval/HumanEval.jsonl", 164, 164),
    "mbpp": Conformance("mbpp/mbpp.jsonl", 974, 974),
    "humanevalpack": Conformance("humanevalpack_python/humanevalpack.jsonl", 164, 164, buggy=True),
    "humanevalplus": Conformance("humanevalplus/HumanEvalPlus.jsonl.gz", 164, 164, 124_253),
    "mbppplus": Conformance("mbppplus/MbppPlus.jsonl.gz", 377, 378, 41_015),
}


@dataclass(frozen=True, slots=True)
class Result:
    passed: int
    total: int
    inputs: int
    tests_passed: int
    isolated: int
    buggy_passed: int
    seconds: float
    failures: tuple[Verdict, ...]


def grade_references(tasks: Sequence[Task], grader: Grader) -> Result:
    """Grades each task's reference, and its known wrong programs."""
    started = time.monotonic()
    verdicts = [v for _, v in grader.grade_all((task, task.reference, None) for task in tasks)]
    seconds = time.monotonic() - started
    wrong = [(task, program, WRONG_LIMITS) for task in tasks for program in task.wrong]
    return Result(
        passed=sum(v.passed is True for v in verdicts),
        total=len(verdicts),
        inputs=sum(len(t.tests.inputs) for t in tasks if isinstance(t.tests, ReferenceTests)),
        tests_passed=sum(test.passed for v in verdicts for test in v.tests),
        isolated=sum(v.trust == "isolated" for v in verdicts),
        buggy_passed=sum(v.passed is not False for _, v in grader.grade_all(wrong)),
        seconds=seconds,
        failures=tuple(v for v in verdicts if not v.passed),
    )


def as_expected(result: Result, conformance: Conformance) -> bool:
    return (
        result.passed >= conformance.least
        and result.total == result.isolated == conformance.total
        and result.inputs == conformance.inputs
        and result.buggy_passed == 0
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=SETS, default=list(SETS))
    parser.add_argument("--mutants", action="store_true", help="also grade one mutant of each reference")
    options = parser.parse_args()
    right = True
    with sandbox.open_pool(options.slots, options.backend) as pool, tempfile.TemporaryDirectory() as cache:
        grader = Grader(pool, references=References(pool, Path(cache)))
        for name in options.only:
            conformance = SETS[name]
            tasks = load(f"{name}={DATA / conformance.file}")
            result = grade_references(tasks, grader)
            right &= as_expected(result, conformance)
            wrong = f", buggy {result.buggy_passed}/{result.total} pass" if conformance.buggy else ""
            print(
                f"{name}: {result.passed}/{result.total} pass{wrong}; "
                f"{result.tests_passed} tests passed, {result.inputs} inputs, {result.isolated} isolated verdicts, {result.seconds:.1f} s on {pool.backend}"
            )
            for verdict in result.failures:
                failed = next((test for test in verdict.tests if not test.passed), None)
                print(f"  {verdict.task_id}: {verdict.phase} {verdict.error or failed or verdict.detail}")
            if options.mutants:
                print(validate(tasks, grader))
            sys.stdout.flush()
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
