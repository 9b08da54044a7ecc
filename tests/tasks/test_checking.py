"""Tasks with several right answers and tasks that are dialogues: the checker decides, and cannot be crashed to get away."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

import sandbox
from sandbox.pool.pool import Pool
from sandbox.protocol import Checks, Job, Limits, Outcome, Status
from tasks import native
from tasks.grading.grader import Grader
from tasks.grading.modes import checked
from tasks.types import CallTest, Checker, InteractiveTest, StdioTest, Task

ANY_ORDER = """
def check(input, output, answer):
    wanted, got = sorted(answer.split()), sorted(output.split())
    if any(int(word) > 1000 for word in output.split()):  # raises where a word is no number
        return False, "too large"
    if got and set(got) < set(wanted):
        return len(set(got)) / len(set(wanted)), "some of them"
    return got == wanted, f"{len(got)} numbers"
"""
GUESS = (Path(__file__).parent.parent / "sandbox" / "test_dialogues.py").read_text().split('"""')[3]
TWO = (StdioTest(stdin="2", stdout="1 2"), StdioTest(stdin="3", stdout="1 2 3"))
RIGHT = "n = int(input())\nprint(*range(n, 0, -1))"


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with sandbox.open_pool(2) as pool:
        yield pool


def task(source: str = ANY_ORDER, reference: str | None = None) -> Task:
    return Task(id="t", prompt="", tests=TWO, checker=Checker(source=source), reference=reference)


def dialogue(source: str = GUESS, reference: str | None = None) -> Task:
    tests = (InteractiveTest(input="7"), InteractiveTest(input="1"))
    return Task(
        id="d", prompt="", tests=tests, checker=Checker(source=source, style="testlib"), reference=reference
    )


def test_several_answers_are_right_and_parts_count(pool: Pool) -> None:
    right, wrong, part, crash = Grader(pool).grade(
        task(), [RIGHT, "print(5)", "print(1)", "raise ValueError"]
    )
    assert right.passed and right.score == 1.0 and right.tests[0].expected == "checker: 2 numbers"
    assert (wrong.passed, wrong.score, wrong.phase, wrong.status) == (False, 0.0, "wrong", Status.OK)
    assert (part.passed, part.score) == (False, (1 / 2 + 1 / 3) / 2)
    assert (crash.score, crash.phase, crash.tests[0].status) == (0.0, "call", Status.EXCEPTION)


@pytest.mark.parametrize(
    "program",
    [
        "print('no number')",
        "print('9' * 5000)",
        "import sys\nsys.stdout.write('9 ' * 500_000)",
        "import os\nos.write(1, b'\\xff\\x00\\xfe')",
        "print('../answer.txt /tmp/answer.txt')",
        "print('True')",
        "import sys\nsys.stdout.write('x' * 10_000_000)",
        "import glob\nfor name in ('answer.txt', *glob.glob('/proc/*/cwd/answer.txt')):\n    try: print(open(name).read())\n    except OSError: pass",
    ],
)
def test_no_output_gets_away_by_crashing_the_checker(pool: Pool, program: str) -> None:
    (verdict,) = Grader(pool).grade(task(), [program])
    assert (verdict.passed, verdict.score) == (False, 0.0) and verdict.status is not Status.INFRA, verdict


@pytest.mark.parametrize(
    "source", ["raise ValueError('no checker')", "def check(i, o, a): return 'yes'", "def f("]
)
def test_a_checker_that_fails_on_the_answer_too_is_no_fault_of_the_program(pool: Pool, source: str) -> None:
    (verdict,) = Grader(pool).grade(task(source), [RIGHT])
    assert verdict.status is Status.INFRA and verdict.score is None
    assert verdict.detail.startswith("the checker fails where it must not: ")
    left_out = checked([task(source, RIGHT)], Grader(pool), "needed").left_out
    assert left_out["t"].startswith("its reference cannot be run: the checker fails where it must not")


def test_values_are_checked_as_values_and_what_is_not_plain_fails(pool: Pool) -> None:
    tests = (CallTest(function="f", args=(4,), expected=[2, 2]),)
    factors = "def check(args, got, answer): return got[0] * got[1] == args[0]"
    factoring = Task(id="f", prompt="", tests=tests, entry_point="f", checker=Checker(source=factors))
    programs = ["def f(n): return (1, n)", "def f(n): return [n, n]", "def f(n): return 3"]
    programs.append("class P:\n    def __getitem__(self, i): return 2\ndef f(n): return P()")
    verdicts = Grader(pool).grade(factoring, programs)
    assert [verdict.passed for verdict in verdicts] == [True, False, False, False]
    assert all(verdict.score is not None for verdict in verdicts)


def test_dialogues_are_graded(pool: Pool) -> None:
    bisect = "a, b = 1, 1000\nwhile 1:\n    m = (a + b) // 2\n    print(m, flush=True)\n    s = input()\n    if s == '=': break\n    a, b = (a, m - 1) if s == '<' else (m + 1, b)"
    right, half, bad = Grader(pool).grade(
        dialogue(), [bisect, "print(1, flush=True)\ninput()", "raise ValueError"]
    )
    assert right.passed and right.score == 1.0
    assert (half.score, half.passed) == (0.5, False) and "checker: no guess" in half.tests[0].expected
    assert (bad.score, bad.phase) == (0.0, "call")


def test_an_interactor_that_fails_is_blamed_only_where_the_reference_meets_that_too(pool: Pool) -> None:
    fragile = "import sys\nif int(input()) == 1: sys.exit(0)\nsys.exit(1)"
    silent = "import time\n"
    endless = "import sys\nwhile True: sys.stdout.write('1' * 100_000)"
    limits = Limits(cpu_seconds=1.0, wall_seconds=5.0, memory_bytes=128 << 20)
    for reference in (None, "print(1)"):
        grader = Grader(pool, limits=limits)
        right, *crashing = grader.grade(dialogue(fragile, reference), ["print(1)", silent, endless])
        assert right.passed, right
        for verdict in crashing:
            assert (verdict.passed, verdict.score) == (False, 0.0), verdict
    (broken,) = Grader(pool).grade(dialogue("raise ValueError", "print(1)"), ["print(1)"])
    assert broken.status is Status.INFRA and "the interactor fails where it must not" in broken.detail


def test_large_outputs_go_to_the_checker_in_several_jobs(pool: Pool) -> None:
    jobs: list[Job] = []

    class Counting:
        backend = "counting"

        def submit(self, job: Job) -> Future[Outcome]:
            jobs.append(job)
            return pool.submit(job)

    tests = tuple(StdioTest(stdin=str(n), stdout="x" * 1_000_000) for n in range(6))
    large = Task(
        id="l", prompt="", tests=tests, checker=Checker(source="def check(i, o, a): return o.strip() == a")
    )
    (verdict,) = Grader(Counting()).grade(large, ["print('x' * 1_000_000)"])  # type: ignore[arg-type]
    assert verdict.passed
    assert [len(job.work.cases) for job in jobs if isinstance(job.work, Checks)] == [2, 2, 2]


def test_no_answer_enters_the_programs_job() -> None:
    jobs: list[Job] = []

    def infra(job: Job) -> Future[Outcome]:
        jobs.append(job)
        future: Future[Outcome] = Future()
        future.set_result(Outcome(job_id=job.id, status=Status.INFRA, detail="no cell"))
        return future

    class Runner:
        backend, submit = "scripted", staticmethod(infra)

    secret = (StdioTest(stdin="2", stdout="a secret answer"),)
    asked = Task(id="t", prompt="", tests=secret, checker=Checker(source=ANY_ORDER))
    (verdict,) = Grader(Runner()).grade(asked, ["print()"])  # type: ignore[arg-type]
    assert verdict.status is Status.INFRA and verdict.detail == "no cell"
    assert [job.program for job in jobs] == ["print()"] and "secret" not in repr(jobs)


def test_a_checker_in_a_file_of_tasks(pool: Pool, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    native.dump([task(reference=RIGHT), dialogue()], path)
    ordered, spoken = native.load(path)
    assert checked([ordered], Grader(pool), "never").tasks == [ordered]
    assert Grader(pool).grade(spoken, ["print(7, flush=True)"])[0].score == 0.5
