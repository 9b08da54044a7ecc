"""The grader: what it sends to the sandbox, what it makes of the answers, on real sandboxes and on a scripted one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.errors import PoolClosedError
from sandbox.protocol import (
    CEILING,
    MIB,
    Calls,
    Job,
    Judge,
    Limits,
    Outcome,
    Runner,
    Status,
    Stdio,
    TestOutcome,
)
from tasks.grading import reference
from tasks.grading.compare import evalplus_compare
from tasks.grading.grader import Grader, limits_of, works_of
from tasks.grading.reference import References
from tasks.types import CallTest, JudgeTest, ReferenceTests, StdioTest, Task

SECRET = "an answer that only the host knows"
LITERAL = JudgeTest(kind="script", source="assert f(1) == 2\nassert f(2) == 3")
JUDGED = JudgeTest(kind="script", source="got = f(1)\nassert got == 2\nassert f(2) == 3")


class Scripted:
    """A runner that keeps its jobs, and answers by a function."""

    backend = "scripted"

    def __init__(self, answer: Callable[[Job], Outcome]) -> None:
        self.jobs: list[Job] = []
        self._answer = answer

    def submit(self, job: Job) -> Future[Outcome]:
        self.jobs.append(job)
        future: Future[Outcome] = Future()
        future.set_result(self._answer(job))
        return future

    def run(self, job: Job) -> Outcome:
        return self.submit(job).result()

    def close(self) -> None:
        pass


def infra(job: Job) -> Outcome:
    return Outcome(job_id=job.id, status=Status.INFRA, detail="container lost twice")


def doubles(job: Job) -> Outcome:
    """As if the program doubled its one argument."""
    assert isinstance(job.work, Calls)
    tests = tuple(TestOutcome(status=Status.OK, value=call.args[0] * 2) for call in job.work.calls)  # type: ignore
    return Outcome(job_id=job.id, status=Status.OK, tests=tests, backend="scripted")


def doubling(*inputs: int, reference: str | None = "def f(x): return 2 * x") -> Task:
    tests = ReferenceTests(function="f", inputs=tuple((n,) for n in inputs))
    return Task(id="double", prompt="", tests=tests, entry_point="f", reference=reference)


@pytest.fixture
def references(tmp_path: Path) -> Callable[[Runner], References]:
    return lambda runner: References(runner, tmp_path / "cache")


class TestWork:
    @pytest.mark.parametrize(
        "tests",
        [
            (CallTest(function="f", args=(1,), expected=SECRET),),
            (StdioTest(stdin="1\n", stdout=SECRET),),
            (JudgeTest(kind="script", source=f"assert f(1) == {SECRET!r}"),),
            (JudgeTest(kind="check", source=f"def check(c):\n    assert c(1) == {SECRET!r}"),),
        ],
    )
    def test_no_expected_output_enters_a_job(self, tests: tuple[CallTest, ...]) -> None:
        runner = Scripted(infra)
        Grader(runner).grade(Task(id="t", prompt="", tests=tests, entry_point="f"), ["program"])
        assert len(runner.jobs) == 1
        assert isinstance(runner.jobs[0].work, (Calls, Stdio))
        assert SECRET not in repr(runner.jobs)

    def test_one_assert_that_is_not_literal_sends_all_to_judges(self) -> None:
        task = Task(id="t", prompt="", tests=(LITERAL, JUDGED), entry_point="f", context="import math\n")
        works = works_of(task)
        assert [type(work) for work in works] == [Judge, Judge]
        assert works[1] == Judge(kind="script", test=JUDGED.source, entry_point="f", prompt="import math\n")

    def test_literal_tests_become_one_list_of_calls(self) -> None:
        (work,) = works_of(Task(id="t", prompt="", tests=(LITERAL, LITERAL), entry_point="f"))
        assert isinstance(work, Calls) and [call.args for call in work.calls] == [(1,), (2,), (1,), (2,)]

    @pytest.mark.parametrize("program", [None, "", " \n\t"])
    def test_no_code_is_not_run(self, program: str | None) -> None:
        runner = Scripted(infra)
        (verdict,) = Grader(runner).grade(Task(id="t", prompt="", tests=(LITERAL,)), [program])
        assert (verdict.phase, verdict.score) == ("no_code", 0.0) and not runner.jobs

    def test_a_task_without_tests_never_passes(self) -> None:
        (verdict,) = Grader(Scripted(infra)).grade(Task(id="t", prompt="", tests=()), ["x = 1"])
        assert (verdict.score, verdict.passed) == (None, None)

    def test_limits_of_the_data_set_hold_for_each_test(self) -> None:
        tests = tuple(StdioTest(stdin="", stdout="") for _ in range(50))
        task = Task(id="t", prompt="", tests=tests, cpu_seconds=5, memory_bytes=100 * MIB)
        limits = limits_of(task, Limits(cpu_seconds=4, total_cpu_seconds=60, wall_seconds=10))
        assert (limits.cpu_seconds, limits.total_cpu_seconds, limits.memory_bytes) == (5, 60, 100 * MIB)
        asking = replace(task, cpu_seconds=1e6, memory_bytes=1 << 60)
        most = limits_of(asking, Limits())
        assert (most.cpu_seconds, most.memory_bytes) == (CEILING.cpu_seconds, CEILING.memory_bytes)
        assert most.wall_seconds <= CEILING.wall_seconds
        assert limits.wall_seconds == 20
        assert limits_of(Task(id="t", prompt="", tests=tests), Limits()) == Limits()


class TestInfra:
    def test_infra_has_no_score(self) -> None:
        for tests in ((LITERAL,), (JUDGED,), (StdioTest(stdin="", stdout=""),)):
            (verdict,) = Grader(Scripted(infra)).grade(
                Task(id="t", prompt="", tests=tests, entry_point="f"), ["x = 1"]
            )
            assert (verdict.score, verdict.phase, verdict.detail) == (None, "infra", "container lost twice")

    def test_what_goes_wrong_with_one_program_is_its_own_infra(self) -> None:
        def broken(job: Job) -> Outcome:
            if "bug" in job.program:
                return Outcome(job_id=job.id, status=Status.OK, tests=None)  # type: ignore[arg-type]
            if "refused" in job.program:
                raise ValueError("too large for a request")
            return doubles(job)

        task = Task(id="t", prompt="", tests=(LITERAL,), entry_point="f")
        bug, refused, fine = Grader(Scripted(broken)).grade(task, ["bug", "refused", "x = 1"])
        assert (bug.score, refused.score) == (None, None)
        assert "TypeError" in bug.detail and "too large for a request" in refused.detail
        assert fine.score == 0.5

    def test_a_sandbox_that_runs_nothing_any_more_reaches_whoever_waits(self) -> None:
        def closed(job: Job) -> Outcome:
            raise PoolClosedError("closed")

        with pytest.raises(PoolClosedError):
            Grader(Scripted(closed)).grade(Task(id="t", prompt="", tests=(LITERAL,)), ["x = 1"])


class TestReferences:
    def test_a_reference_runs_once_for_all_programs_and_all_later_runs(
        self, references: Callable[[Runner], References]
    ) -> None:
        runner = Scripted(doubles)
        task = doubling(1, 2, 3)
        verdicts = Grader(runner, references=references(runner)).grade(task, ["a", "b", "c"])
        assert all(verdict.passed and len(verdict.tests) == 3 for verdict in verdicts)
        assert [job.program for job in runner.jobs] == [task.reference, "a", "b", "c"]
        later = Scripted(doubles)
        assert Grader(later, references=references(later)).grade(task, ["d"])[0].passed
        assert [job.program for job in later.jobs] == ["d"]

    @pytest.mark.parametrize(
        "other", [doubling(1, 2, 4), doubling(1, 2, 3, reference="def f(x): return x + x")]
    )
    def test_other_content_is_another_entry(
        self, references: Callable[[Runner], References], other: Task
    ) -> None:
        runner = Scripted(doubles)
        grader = Grader(runner, references=references(runner))
        grader.grade(doubling(1, 2, 3), ["a"])
        grader.grade(other, ["a"])
        assert len(runner.jobs) == 4

    def test_a_damaged_cache_is_made_anew(self, tmp_path: Path) -> None:
        runner = Scripted(doubles)
        Grader(runner, references=References(runner, tmp_path)).grade(doubling(1), ["a"])
        (file,) = tmp_path.iterdir()
        for damage in (b"", b"not gzip", file.read_bytes()[:20]):
            file.write_bytes(damage)
            assert Grader(runner, references=References(runner, tmp_path)).grade(doubling(1), ["a"])[0].passed

    def test_memory_holds_what_was_used_last(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reference, "_KEPT_BYTES", 10)
        runner = Scripted(doubles)
        (tmp_path / "file").touch()
        grader = Grader(runner, references=References(runner, tmp_path / "file" / "cache"))  # cannot be made
        tasks = [replace(doubling(10**6), id=name) for name in "ab"]
        for index in (0, 0, 1, 1, 0):
            assert grader.grade(tasks[index], ["x"])[0].passed
        assert [job.id for job in runner.jobs] == [
            "a#reference",
            "a",
            "a",
            "b#reference",
            "b",
            "b",
            "a#reference",
            "a",
        ]

    def test_expected_values_stay_out_of_the_programs_job(
        self, references: Callable[[Runner], References]
    ) -> None:
        def secret(job: Job) -> Outcome:
            tests = (TestOutcome(status=Status.OK, value=SECRET),)
            return Outcome(job_id=job.id, status=Status.OK, tests=tests)

        runner = Scripted(secret)
        assert Grader(runner, references=references(runner)).grade(doubling(1), ["a"])[0].passed
        assert SECRET not in repr(runner.jobs)

    def test_a_failing_reference_is_our_fault_and_names_its_input(
        self, references: Callable[[Runner], References]
    ) -> None:
        def fails(job: Job) -> Outcome:
            tests = (TestOutcome(status=Status.OK, value=2), TestOutcome(status=Status.CPU_TIMEOUT))
            return Outcome(job_id=job.id, status=Status.CPU_TIMEOUT, tests=tests)

        runner = Scripted(fails)
        (verdict,) = Grader(runner, references=references(runner)).grade(doubling(1, 2), ["a"])
        assert verdict.score is None and "reference fails on its input 1 (cpu_timeout)" in verdict.detail
        assert [job.program for job in runner.jobs] == [
            "def f(x): return 2 * x"
        ]  # "a" had nothing to be held against

    def test_a_reference_lost_to_infra_is_tried_again(
        self, references: Callable[[Runner], References]
    ) -> None:
        answers = iter([infra, doubles, doubles])
        runner = Scripted(lambda job: next(answers)(job))
        grader = Grader(runner, references=references(runner))
        assert grader.grade(doubling(1), ["a"])[0].score is None
        assert grader.grade(doubling(1), ["a"])[0].passed

    def test_a_task_without_reference(self, references: Callable[[Runner], References]) -> None:
        runner = Scripted(doubles)
        (verdict,) = Grader(runner, references=references(runner)).grade(doubling(1, reference=None), ["a"])
        assert verdict.score is None and "no reference" in verdict.detail


def test_many_items_wait_in_a_window_and_keep_their_index() -> None:
    most = 0
    waiting: list[tuple[Job, Future[Outcome]]] = []

    class Slow(Scripted):
        def submit(self, job: Job) -> Future[Outcome]:
            nonlocal most
            future: Future[Outcome] = Future()
            waiting.append((job, future))
            most = max(most, len(waiting))
            threading.Timer(0.01, finish_last).start()
            return future

    def finish_last() -> None:
        job, future = waiting.pop()
        future.set_result(doubles(job))

    tests = (CallTest(function="f", args=(1,), expected=2),)
    items = [(Task(id=f"t{n}", prompt="", tests=tests), "x = 1", None) for n in range(20)]
    verdicts = dict(Grader(Slow(doubles)).grade_all(items, window=4))
    assert most <= 4
    assert [verdicts[n].task_id for n in range(20)] == [f"t{n}" for n in range(20)]


class TestRealSandboxes:
    """End to end: right, wrong and broken programs in each kind of work."""

    RIGHT = "def f(x):\n    return x + 1\n"

    @pytest.mark.parametrize("test", [LITERAL, JUDGED])
    def test_asserts(self, pool: Runner, test: JudgeTest) -> None:
        task = Task(id="t", prompt="", tests=(test,), entry_point="f")
        programs = [
            self.RIGHT,
            "def f(x):\n    return 2\n",
            "def f(x:\n",
            "def g(x): return 1",
            "1 / 0",
            "def f(x): return x[0]",
        ]
        verdicts = Grader(pool).grade(task, programs)
        assert [verdict.phase for verdict in verdicts] == [
            "passed",
            "wrong",
            "compile",
            "entry",
            "import",
            "call",
        ]
        assert verdicts[0].score == 1.0 and 0 < (verdicts[1].score or 0) < 1
        assert all(verdict.score == 0 and verdict.error for verdict in verdicts[2:])

    def test_stdio(self, pool: Runner) -> None:
        tests = (StdioTest(stdin="1\n", stdout="2\n"), StdioTest(stdin="5\n", stdout="6\n"))
        programs = ["print(int(input()) + 1)", "print(2)", "print(int(input()) + 1, end='')", "print("]
        verdicts = Grader(pool).grade(Task(id="t", prompt="", tests=tests), programs)
        assert [verdict.score for verdict in verdicts] == [1.0, 0.5, 1.0, 0.0]
        assert [verdict.phase for verdict in verdicts] == ["passed", "wrong", "passed", "compile"]
        assert (verdicts[1].tests[1].actual, verdicts[1].tests[1].expected) == ("2\n", "6\n")

    def test_a_reference_that_changes_its_arguments(self, pool: Runner, tmp_path: Path) -> None:
        shared_input = [3, 1, 2]
        tests = ReferenceTests(function="f", inputs=((shared_input,), (shared_input,), ([],)))
        reference = "def f(x):\n    x.sort()\n    x.append(len(x))\n    return x\n"
        task = Task(id="t", prompt="", tests=tests, entry_point="f", reference=reference)
        grader = Grader(pool, references=References(pool, tmp_path))
        right, wrong = grader.grade(
            task, ["def f(x):\n    return [*sorted(x), len(x)]\n", "def f(x):\n    return sorted(x)\n"]
        )
        assert right.passed and len(right.tests) == 3 and shared_input == [3, 1, 2]
        assert not wrong.passed and wrong.tests[0].expected == "[1, 2, 3, 3]"

    def test_evalplus_rules_reach_the_values(self, pool: Runner, tmp_path: Path) -> None:
        compare = evalplus_compare("mbpp", "check_str", 0)
        tests = ReferenceTests(function="check_str", inputs=(("a",), ("b",)), compare=compare)
        reference = "import re\ndef check_str(s):\n    return re.match('a', s)\n"
        task = Task(id="t", prompt="", tests=tests, entry_point="check_str", reference=reference)
        grader = Grader(pool, references=References(pool, tmp_path))
        programs = [reference, "def check_str(s): return s == 'a'", "def check_str(s): return object()"]
        assert [verdict.passed for verdict in grader.grade(task, programs)] == [True, True, False]


def test_a_fault_of_ours_in_preparing_a_test_is_not_the_programs(
    pool: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise KeyError("a fault of ours")

    monkeypatch.setattr("sandbox.jobs.instrument.plan", broken)
    test = JudgeTest(kind="script", source=f"got = f()  # {pool.backend}\nassert got == 1\n")
    (verdict,) = Grader(pool).grade(
        Task(id="t", prompt="", tests=(test,), entry_point="f"), ["def f(): return 1"]
    )
    assert (verdict.status, verdict.score) == (Status.INFRA, None)
    assert "a fault of ours" in verdict.detail
