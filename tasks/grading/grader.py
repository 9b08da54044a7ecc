"""Grades programs: chooses the sandbox's work for a task's tests, and turns outcomes into verdicts.

    task.tests          sandbox work        expected outputs
    CallTest...         Calls               held here, compared here
    ReferenceTests      Calls               from the reference (tasks/grading/reference.py), compared here
    StdioTest...        Stdio               held here, compared here
    InteractiveTest...  Dialogues           the interactor decides (tasks/grading/checking.py)
    with a checker      then Checks         given to the checker, which decides
    JudgeTest...        Calls, where all its asserts are literal (tasks/grading/compile_asserts.py)
                        Judge otherwise     in the judge's process

No expected output is ever part of a job for `Calls` or `Stdio`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sandbox.protocol import (
    CEILING,
    Call,
    Calls,
    Dialogues,
    Job,
    Judge,
    Limits,
    Outcome,
    Runner,
    SandboxError,
    Stdio,
)
from tasks.grading import checking
from tasks.grading.compile_asserts import compile_asserts
from tasks.grading.futures import as_finished, ready, then, together
from tasks.grading.judge_outcomes import call_verdict, infra, judge_verdict, no_code, stdio_verdict
from tasks.grading.reference import Expected, ReferenceFailed, References
from tasks.types import CallTest, InteractiveTest, JudgeTest, ReferenceTests, StdioTest, Task, Verdict

_log = logging.getLogger(__name__)
Work = Calls | Stdio | Judge | Dialogues
T = TypeVar("T")
OUTPUT_FACTOR = 2  # a right program's output may be longer than the expected one: other spaces, more digits
_MAX_PREPARED = 4096  # tasks


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What the programs of a task share, made once."""

    task: Task
    works: tuple[Work, ...]
    calls: tuple[CallTest, ...]  # none where a reference or a judge has the expected values


class Preparations:
    """What the programs of each task share, kept by the task's identity. Several graders may share them."""

    def __init__(self) -> None:
        self._kept: dict[int, _Prepared] = {}

    def of(self, task: Task) -> _Prepared:
        """By its identity, which lasts as long as we hold it. From any thread: made twice, it is the same."""
        prepared = self._kept.get(id(task))
        if prepared is None:
            if len(self._kept) >= _MAX_PREPARED:
                self._kept.clear()
            prepared = self._kept[id(task)] = _Prepared(task, works_of(task), _calls(task))
        return prepared


class Grader:
    """Grades programs on `runner`; owns neither it nor any thread. Safe to call from several threads."""

    def __init__(
        self,
        runner: Runner,
        *,
        limits: Limits | None = None,
        references: References | None = None,
        preparations: Preparations | None = None,
    ) -> None:
        self._runner = runner
        self._limits = limits or Limits()
        self._references = references or References(runner)
        self._preparations = preparations or Preparations()

    def submit(self, task: Task, program: str | None, limits: Limits | None = None) -> Future[Verdict]:
        """Starts grading `program`, the whole program taken from a completion; None or blank: no code.

        `limits` replace the grader's and the task's. The future raises only `SandboxError`: the sandbox is closed, or
        refuses everybody. Any other fault is `INFRA`, for this program alone: a task whose arguments the sandbox cannot
        carry, a job that a daemon does not take, a bug of ours.
        """
        verdict: Future[Verdict] = Future()

        def deliver(done: Future[Verdict]) -> None:
            try:
                verdict.set_result(done.result())
            except ReferenceFailed as error:
                verdict.set_result(infra(task.id, str(error)))
            except (SandboxError, CancelledError) as error:
                verdict.set_exception(error)
            except Exception as error:  # noqa: BLE001  # the boundary
                _log.warning("%s cannot be graded", task.id, exc_info=error)
                verdict.set_result(infra(task.id, f"it cannot be graded: {type(error).__name__}: {error}"))

        try:
            started = self._submit(task, program, limits)
        except Exception as error:  # noqa: BLE001  # told apart there
            started = Future()
            started.set_exception(error)
        started.add_done_callback(deliver)
        return verdict

    def _submit(self, task: Task, program: str | None, limits: Limits | None) -> Future[Verdict]:
        if not program or not program.strip():
            return ready(no_code(task.id))
        limits = limits or limits_of(task, self._limits)
        prepared = self._preparations.of(task)
        if isinstance(task.tests, ReferenceTests):
            return self._submit_referenced(task, task.tests, prepared.works[0], program, limits)
        if not prepared.works:
            return ready(infra(task.id, "the task has no tests"))
        outcomes = [
            self._runner.submit(
                Job(
                    id=task.id,
                    program=program,
                    work=w,
                    prelude=task.prelude,
                    limits=limits,
                    language=task.language,
                )
            )
            for w in prepared.works
        ]
        if task.checker is not None:
            return then(outcomes[0], lambda outcome: self._decided(task, prepared.calls, outcome, limits))
        return then(together(outcomes), lambda all_of_them: _verdict(task, prepared.calls, all_of_them))

    def _decided(
        self, task: Task, calls: Sequence[CallTest], outcome: Outcome, limits: Limits
    ) -> Future[Verdict]:
        """What the task's checker or interactor decides."""
        if _only(task.tests, InteractiveTest):
            return checking.concluded(task, outcome, self._runner, limits)
        tests: Sequence[CallTest | StdioTest] = calls or _only(task.tests, StdioTest)
        return checking.check(task, tests, outcome, self._runner)

    def _submit_referenced(
        self, task: Task, tests: ReferenceTests, work: Work, program: str, limits: Limits
    ) -> Future[Verdict]:
        """Runs `program` once the reference has answered: only then is known how much it may return."""

        def run(expected: Expected) -> Future[Verdict]:
            most = min(expected.encoded_bytes // 2, CEILING.value_bytes)
            room = replace(limits, value_bytes=max(limits.value_bytes, most))
            job = Job(id=task.id, program=program, work=work, prelude=task.prelude, limits=room)
            answers = _answers(tests, expected)
            return then(self._runner.submit(job), lambda outcome: call_verdict(task.id, answers, outcome))

        return then(self._references.expected(task, tests), run)

    def submit_each(self, task: Task, programs: Iterable[str | None]) -> Future[list[Verdict]]:
        """Starts grading `programs`; the verdicts on them, in their order, once all are there."""
        return together([self.submit(task, program) for program in programs])

    def grade(self, task: Task, programs: Iterable[str | None]) -> list[Verdict]:
        """The verdicts on `programs`, in their order."""
        return self.submit_each(task, programs).result()

    def grade_all(
        self, items: Iterable[tuple[Task, str | None, Limits | None]], *, window: int = 256
    ) -> Iterator[tuple[int, Verdict]]:
        """Pairs of an item's index and its verdict, as they finish; at most `window` items wait at a time."""
        yield from as_finished((self.submit(*item) for item in items), window)


def works_of(task: Task) -> tuple[Work, ...]:
    """What the sandbox has to do for one program of `task`."""
    tests = task.tests
    if isinstance(tests, ReferenceTests):
        return (Calls(tuple(Call(tests.function, args) for args in tests.inputs)),)
    if calls := _calls(task):
        return (Calls(tuple(Call(test.function, test.args, test.kwargs) for test in calls)),)
    if (spoken := _only(tests, InteractiveTest)) and task.checker:
        return (checking.dialogues(task.checker, spoken),)
    if inputs := _only(tests, StdioTest):
        return (Stdio(tuple(test.stdin for test in inputs)),)
    return tuple(
        Judge(
            kind=test.kind,
            test=test.source,
            entry_point=task.entry_point,
            prompt=task.context,
            in_process=task.trust == "in-process",
        )
        for test in _only(tests, JudgeTest)
    )


def limits_of(task: Task, limits: Limits) -> Limits:
    """`limits`, with what the task's data set states or needs; never more than `CEILING`."""
    limits = _with_room(task, limits)
    if task.memory_bytes is not None:
        limits = replace(limits, memory_bytes=min(task.memory_bytes, CEILING.memory_bytes))
    if task.cpu_seconds is None:
        return limits
    seconds = min(task.cpu_seconds, CEILING.cpu_seconds)
    return replace(limits, cpu_seconds=seconds, wall_seconds=max(limits.wall_seconds, 4 * seconds))


def _with_room(task: Task, limits: Limits) -> Limits:
    """`limits` that let a program print `OUTPUT_FACTOR` times the longest expected output."""
    inputs = _only(task.tests, StdioTest)
    longest = max((len(test.stdout) for test in inputs), default=0)
    if OUTPUT_FACTOR * 4 * longest <= limits.output_bytes:  # a character has at most four bytes
        return limits
    needed = OUTPUT_FACTOR * max(len(test.stdout.encode("utf-8", "surrogatepass")) for test in inputs)
    return replace(limits, output_bytes=max(limits.output_bytes, min(needed, CEILING.output_bytes)))


def _verdict(task: Task, calls: Sequence[CallTest], outcomes: Sequence[Outcome]) -> Verdict:
    if calls:
        return call_verdict(task.id, calls, outcomes[0])
    if inputs := _only(task.tests, StdioTest):
        return stdio_verdict(task.id, inputs, outcomes[0])
    return replace(judge_verdict(task.id, outcomes), trust=task.trust)


def _answers(tests: ReferenceTests, expected: Expected) -> list[CallTest]:
    return [
        CallTest(function=tests.function, args=args, expected=value, compare=tests.compare)
        for args, value in zip(tests.inputs, expected.values, strict=True)
    ]


def _calls(task: Task) -> tuple[CallTest, ...]:
    return _only(task.tests, CallTest) or compiled(task)


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


def _only(tests: Any, kind: type[T]) -> tuple[T, ...]:
    """`tests` where they are of this `kind` (those of a task are all of one kind), else nothing."""
    return tests if isinstance(tests, tuple) and tests and isinstance(tests[0], kind) else ()
