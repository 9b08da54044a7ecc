"""A task's reference decides how it is run, before any program is graded; no task stays on which all get 0."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace

import pytest

import sandbox
from sandbox.pool.pool import Pool
from sandbox.protocol import Job, Judge, Outcome, Status
from tasks.grading import grader, modes
from tasks.grading.grader import Grader
from tasks.grading.modes import APART, Found, check, checked, gradable
from tasks.types import CallTest, JudgeTest, Task

GLOBALS = JudgeTest(
    kind="check", source="def check(f):\n    assert f.__globals__['n'] == 1\n    assert f() == 1"
)
APART_TEST = JudgeTest(kind="script", source="got = f()\nassert got == 1")
WRONG = JudgeTest(kind="script", source="got = f()\nassert got == 2")
RIGHT = "n = 1\ndef f(): return n\n"


def task(name: str, *tests: JudgeTest, reference: str | None = RIGHT) -> Task:
    return Task(id=name, prompt="", tests=tests, entry_point="f", reference=reference)


TASKS = [
    task("apart", APART_TEST),
    task("together", GLOBALS),
    task("wrong", WRONG),
    task("unknown", GLOBALS, reference=None),
    task("broken", JudgeTest(kind="script", source="this is no test"), reference=None),
    replace(task("calls"), tests=(CallTest(function="f", expected=2),)),
    task("literal", JudgeTest(kind="script", source="assert f() == 2")),
]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with sandbox.open_pool(2) as pool:
        yield pool


class Counting:
    """A runner that counts the references that it is given."""

    def __init__(self, pool: Pool) -> None:
        self.backend, self.jobs, self._pool = pool.backend, 0, pool

    def submit(self, job: Job) -> Future[Outcome]:
        self.jobs += 1
        return self._pool.submit(job)

    def run(self, job: Job) -> Outcome:
        return self.submit(job).result()

    def close(self) -> None:
        pass


class Failing(Counting):
    def submit(self, job: Job) -> Future[Outcome]:
        future: Future[Outcome] = Future()
        future.set_result(Outcome(job_id=job.id, status=Status.INFRA, detail="no container"))
        return future


def test_references_decide(pool: Pool) -> None:
    seen: list[tuple[int, int]] = []
    found = check(TASKS, Grader(pool), progress=lambda *at: seen.append(at))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    by_id = {each.id: found.get(modes.key(each)) for each in TASKS}
    assert by_id["apart"] == APART
    assert by_id["together"] is not None and by_id["together"].mode == "in-process"
    assert by_id["wrong"] is not None and by_id["wrong"].mode == "none"
    assert "AssertionError" in by_id["wrong"].reason or "line 2" in by_id["wrong"].reason
    assert [name for name, each in by_id.items() if each is None] == ["unknown", "broken", "calls", "literal"]

    never = gradable(TASKS, found, "never")
    assert [each.id for each in never.tasks] == ["apart", "unknown", "calls", "literal"]
    assert set(never.left_out) == {"together", "wrong", "broken"}
    assert never.left_out["together"].startswith("its test cannot be run apart from the program: ")
    assert "not Python" in never.left_out["broken"]

    needed = gradable(TASKS, found, "needed")
    assert [(each.id, each.trust) for each in needed.tasks][:2] == [
        ("apart", "isolated"),
        ("together", "in-process"),
    ]
    assert set(needed.left_out) == {"wrong", "broken"}


@pytest.mark.parametrize("source", ["this is no test", "assert f() == 1\0", "assert f() == 1  # \ud800"])
def test_a_test_that_is_not_python_is_nobodys_failure_also_where_there_is_a_reference(
    pool: Pool, source: str
) -> None:
    broken = task("broken", JudgeTest(kind="pytest", source=source))
    found = checked([broken, task("wrong", WRONG)], Grader(pool), "never", failing="graded")
    assert "not Python" in found.left_out["broken"]
    assert [each.id for each in found.tasks] == ["wrong"]  # its reference may be what is wrong


def test_a_task_that_runs_in_process_says_so_in_every_verdict(pool: Pool) -> None:
    (together,) = checked([task("together", GLOBALS)], Grader(pool), "needed").tasks
    right, wrong = Grader(pool).grade(together, [RIGHT, "n = 1\ndef f(): return 2\n"])
    assert (
        right.passed
        and right.trust == wrong.trust == "in-process"
        and not wrong.passed
        and wrong.score == 0.5
    )


def test_what_is_known_is_not_run_again_and_content_decides_not_names(pool: Pool) -> None:
    runner = Counting(pool)
    found = check([task("a", APART_TEST)], Grader(runner))
    assert runner.jobs == 1
    assert check([task("b", APART_TEST)], Grader(runner), found) == found and runner.jobs == 1
    assert len(check([task("a", WRONG)], Grader(runner), found)) == 2 and runner.jobs == 3


def test_time_is_bounded_and_what_was_not_reached_is_judged(pool: Pool) -> None:
    found = check(TASKS, Grader(pool), seconds=-1)
    assert found == {} and "wrong" in [each.id for each in gradable(TASKS, found, "never").tasks]


def test_a_sandbox_that_fails_decides_nothing_for_good(pool: Pool) -> None:
    result = checked([task("a", APART_TEST)], Grader(Failing(pool)), "needed")
    assert result.tasks == [] and result.left_out == {"a": "its reference cannot be run: no container"}
    assert set(check([task("a", APART_TEST)], Grader(Failing(pool))).values()) == {
        Found("unknown", "its reference cannot be run: no container")
    }


def test_a_verdict_on_what_is_left_out_is_no_zero() -> None:
    verdict = modes.left_out("a", "why")
    assert (verdict.score, verdict.status, verdict.detail) == (None, Status.INFRA, "left out: why")


def test_reasons_are_summed_up() -> None:
    reasons = {"a": "one", "b": "two", "c": "one"}
    assert modes.summary(reasons) == "2 (such as a): one; 1 (such as b): two"


def test_the_work_of_a_task_in_process_is_one_job_with_its_test() -> None:
    assert grader.works_of(replace(task("a", GLOBALS), trust="in-process")) == (
        Judge(kind="check", test=GLOBALS.source, entry_point="f", in_process=True),
    )
