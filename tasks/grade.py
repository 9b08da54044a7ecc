"""Grades programs: chooses the sandbox's work for a task's tests, and turns outcomes into verdicts.

    task.tests          sandbox work        expected outputs
    CallTest...         Calls               held here, compared here
    ReferenceTests      Calls               from the reference (tasks/reference.py), compared here
    StdioTest...        Stdio               held here, compared here
    JudgeTest...        Calls, where all its asserts are literal (tasks/compile_asserts.py)
                        Judge otherwise     in the judge's process

No expected output is ever part of a job for `Calls` or `Stdio`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from threading import Lock
from typing import Any, TypeVar

from sandbox.protocol import Call, Calls, Job, Judge, Limits, Outcome, Runner, Stdio
from tasks.compile_asserts import compile_asserts
from tasks.reference import Expected, ReferenceFailed, References
from tasks.types import CallTest, JudgeTest, ReferenceTests, StdioTest, Task, Verdict
from tasks.verdicts import call_verdict, infra, judge_verdict, no_code, stdio_verdict

Work = Calls | Stdio | Judge
T = TypeVar("T")


class Grader:
    """Grades programs on `runner`; owns neither it nor any thread. Safe to call from several threads."""

    def __init__(
        self,
        runner: Runner,
        *,
        limits: Limits | None = None,
        references: References | None = None,
    ) -> None:
        self._runner = runner
        self._limits = limits or Limits()
        self._references = references or References(runner)

    def submit(self, task: Task, program: str | None) -> Future[Verdict]:
        """Starts grading `program`, the whole program taken from a completion; None or blank: no code.

        The future's verdict is the program's; it raises only for misuse (tests that the sandbox refuses).
        """
        if not program or not program.strip():
            return _done(no_code(task.id))
        tests = task.tests
        if isinstance(tests, ReferenceTests):
            return self._submit_referenced(task, tests, program)
        if not tests:
            return _done(infra(task.id, "the task has no tests"))
        calls = _only(tests, CallTest) or compiled(task)
        if calls:
            works: list[Work] = [Calls(tuple(Call(t.function, t.args, t.kwargs) for t in calls))]
            return self._run(task, program, works, lambda got: call_verdict(task.id, calls, got[0]))
        if inputs := _only(tests, StdioTest):
            works = [Stdio(tuple(test.stdin for test in inputs))]
            return self._run(task, program, works, lambda got: stdio_verdict(task.id, inputs, got[0]))
        works = [
            Judge(
                kind=test.kind,
                test=test.source,
                entry_point=task.entry_point,
                prompt=task.context,
            )
            for test in _only(tests, JudgeTest)
        ]
        return self._run(task, program, works, lambda got: judge_verdict(task.id, got))

    def grade(self, task: Task, programs: Iterable[str | None]) -> list[Verdict]:
        """The verdicts on `programs`, in their order."""
        futures = [self.submit(task, program) for program in programs]
        return [future.result() for future in futures]

    def _submit_referenced(self, task: Task, tests: ReferenceTests, program: str) -> Future[Verdict]:
        work = Calls(tuple(Call(tests.function, args) for args in tests.inputs))
        outcome = self._runner.submit(self._job(task, program, work))

        def finish() -> Verdict:
            try:
                values = expected.result()
            except ReferenceFailed as error:
                return infra(task.id, str(error))
            return call_verdict(task.id, _call_tests(tests, values), outcome.result())

        expected = self._references.expected(task, tests)
        return _when_done([outcome, expected], finish)

    def _run(
        self,
        task: Task,
        program: str,
        works: Sequence[Work],
        verdict: Callable[[Sequence[Outcome]], Verdict],
    ) -> Future[Verdict]:
        futures = [self._runner.submit(self._job(task, program, work)) for work in works]
        return _when_done(futures, lambda: verdict([future.result() for future in futures]))

    def _job(self, task: Task, program: str, work: Work) -> Job:
        return Job(id=task.id, program=program, work=work, limits=self._limits_of(task, work))

    def _limits_of(self, task: Task, work: Work) -> Limits:
        """The grader's limits, save what the task's data set states; then all its tests may use it up."""
        limits = self._limits
        if task.memory_bytes is not None:
            limits = replace(limits, memory_bytes=task.memory_bytes)
        if task.cpu_seconds is not None:
            count = (
                len(work.inputs)
                if isinstance(work, Stdio)
                else len(work.calls)
                if isinstance(work, Calls)
                else 1
            )
            limits = replace(
                limits,
                cpu_seconds=task.cpu_seconds,
                total_cpu_seconds=max(limits.total_cpu_seconds, task.cpu_seconds * count),
                wall_seconds=max(limits.wall_seconds, 4 * task.cpu_seconds),
            )
        return limits


def compiled(task: Task) -> tuple[CallTest, ...]:
    """The call tests that `task`'s judge tests amount to; none where a judge is needed for one of them."""
    calls: list[CallTest] = []
    if isinstance(task.tests, ReferenceTests):
        return ()
    for number, test in enumerate(task.tests, start=1):
        part = compile_asserts(test, task.entry_point, task.context) if isinstance(test, JudgeTest) else None
        if part is None:
            return ()
        prefix = f"test {number} " if len(task.tests) > 1 else ""
        calls += [replace(call, name=prefix + call.name) for call in part]
    return tuple(calls)


def _call_tests(tests: ReferenceTests, values: Expected) -> list[CallTest]:
    return [
        CallTest(function=tests.function, args=args, expected=value, compare=tests.compare)
        for args, value in zip(tests.inputs, values, strict=True)
    ]


def _only(tests: Sequence[Any], kind: type[T]) -> tuple[T, ...]:
    """`tests`, all of one kind by their type, where that is `kind`."""
    return tuple(test for test in tests if isinstance(test, kind))


def _done(verdict: Verdict) -> Future[Verdict]:
    future: Future[Verdict] = Future()
    future.set_result(verdict)
    return future


def _when_done(futures: Sequence[Future[Any]], function: Callable[[], Verdict]) -> Future[Verdict]:
    """A future of `function()`, called in the thread that finishes the last of `futures`."""
    result: Future[Verdict] = Future()
    lock = Lock()
    waiting = len(futures)

    def one_done(_: Future[Any]) -> None:
        nonlocal waiting
        with lock:
            waiting -= 1
            if waiting:
                return
        try:
            result.set_result(function())
        except Exception as error:  # noqa: BLE001  # delivered to whoever waits
            result.set_exception(error)

    for future in futures:
        future.add_done_callback(one_done)
    return result
