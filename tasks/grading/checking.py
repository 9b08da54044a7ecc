"""Several right answers, and dialogues: the task's own checker or interactor decides, in another cell.

    program -> Stdio, Calls -> outputs -> Checks (the checker, in a judge's cell) -> verdict
    program -> Dialogues (program and interactor, joined by pipes)                -> verdict

If it fails to decide on a program's output, it is shown the expected output, or the reference's dialogue. If it fails
on that too it is broken, and the verdict is INFRA. If not, the program broke it, which is the program's failure;
otherwise a policy would learn to crash checkers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from sandbox.inside.values.codec import Opaque
from sandbox.protocol import MIB, Case, Checks, Dialogues, Job, Limits, Outcome, Runner, Status, TestOutcome
from tasks.grading.futures import ready, then, together
from tasks.grading.judge_outcomes import decided_verdict, infra
from tasks.types import CallTest, Checker, InteractiveTest, StdioTest, Task, Verdict

Test = CallTest | StdioTest
Decisions = dict[int, TestOutcome]

# Of a checker, for each output.
LIMITS = Limits(cpu_seconds=10.0, total_cpu_seconds=600.0, wall_seconds=60.0, output_bytes=64 * 1024)
_JOB_CHARS = 4 * MIB  # of texts that one job shows to a checker


def check(task: Task, tests: Sequence[Test], outcome: Outcome, runner: Runner) -> Future[Verdict]:
    """The verdict on a program that did `outcome`. The future raises only for misuse."""
    assert task.checker is not None
    checker = task.checker
    shown = {
        number: _case(test, got)
        for number, (test, got) in enumerate(zip(tests, outcome.tests, strict=False))
        if got.status is Status.OK and not got.truncated and not _is_opaque(got.value)
    }

    def answers(undecided: Decisions) -> Future[Decisions]:
        cases = {
            number: Case(shown[number].input, _answer(tests[number]), shown[number].answer)
            for number in undecided
        }
        return _decide(task.id, checker, cases, runner)

    return _concluded(task, tests, outcome, _decide(task.id, checker, shown, runner), answers)


def concluded(task: Task, outcome: Outcome, runner: Runner, limits: Limits) -> Future[Verdict]:
    """The verdict on a program whose dialogues ended in `outcome`."""
    assert task.checker is not None
    tests: tuple[Any, ...] = task.tests if isinstance(task.tests, tuple) else ()
    spoke = enumerate(outcome.tests)
    decided = ready({number: got for number, got in spoke if got.status is Status.OK})

    def reference(undecided: Decisions) -> Future[Decisions]:
        """What the interactor says of the reference; without one it is not known to be broken."""
        numbers = list(undecided)
        if task.reference is None:
            return ready({number: TestOutcome(status=Status.OK, passed=False) for number in numbers})
        work = dialogues(task.checker, [tests[number] for number in numbers])  # type: ignore[arg-type]
        job = Job(
            id=f"{task.id}#reference",
            program=task.reference,
            work=work,
            limits=limits,
            language=task.language,
            prelude=task.prelude,
        )
        return then(runner.submit(job), lambda done: dict(zip(numbers, done.tests, strict=True)))

    return _concluded(task, tests, outcome, decided, reference)


def dialogues(interactor: Checker, tests: Sequence[InteractiveTest]) -> Dialogues:
    cases = tuple((test.input, test.answer) for test in tests)
    return Dialogues(interactor=interactor.source, language=interactor.language, cases=cases)


def _concluded(
    task: Task,
    tests: Sequence[Any],
    outcome: Outcome,
    decided: Future[Decisions],
    confirm: Callable[[Decisions], Future[Decisions]],
) -> Future[Verdict]:
    def conclude(decisions: Decisions) -> Verdict | Future[Verdict]:
        undecided = {number: each for number, each in decisions.items() if each.passed is None}
        if faults := [each for each in decisions.values() if each.status is Status.INFRA]:
            return infra(task.id, faults[0].stderr)
        if outcome.status is Status.INFRA or not undecided:
            return decided_verdict(task.id, tests, outcome, decisions)
        return then(confirm(undecided), lambda known: _blamed(task, tests, outcome, decisions, known))

    return then(decided, conclude)


def _blamed(
    task: Task, tests: Sequence[Any], outcome: Outcome, decisions: Decisions, known: Decisions
) -> Verdict:
    """`known`: what became of those that were undecided, on what has to be decided."""
    for number, each in known.items():
        if each.passed is None:
            kind = "interactor" if isinstance(tests[number], InteractiveTest) else "checker"
            reason = each.stderr or (each.error.message if each.error else each.status.value)
            return infra(task.id, f"the {kind} fails where it must not: {reason}")
    return decided_verdict(task.id, tests, outcome, decisions)


def _decide(task_id: str, checker: Checker, cases: Mapping[int, Case], runner: Runner) -> Future[Decisions]:
    """What the checker says of each case, in jobs that run side by side."""
    chunks = list(_chunks(cases))
    jobs = [
        Job(
            id=f"{task_id}#checker",
            program=checker.source,
            work=Checks(style=checker.style, cases=tuple(cases[number] for number in numbers)),
            limits=LIMITS,
            language=checker.language,
        )
        for numbers in chunks
    ]

    def gathered(outcomes: Sequence[Outcome]) -> Decisions:
        decisions: Decisions = {}
        for numbers, outcome in zip(chunks, outcomes, strict=True):
            decisions |= zip(numbers, _taken(outcome, len(numbers)), strict=True)
        return decisions

    return then(together([runner.submit(job) for job in jobs]), gathered)


def _taken(outcome: Outcome, count: int) -> Sequence[TestOutcome]:
    """What became of the cases of one job."""
    if outcome.status is Status.INFRA:
        reason = f"the checker could not be run: {outcome.detail}"
        return [TestOutcome(status=Status.INFRA, stderr=reason)] * count
    if outcome.status is not Status.OK:  # it took its cell along, again and again
        reason = f"it failed: {outcome.detail or outcome.status.value}"
        return [TestOutcome(status=Status.OK, stderr=reason)] * count
    return outcome.tests


def _chunks(cases: Mapping[int, Case]) -> Iterator[list[int]]:
    chunk: list[int] = []
    size = 0
    for number, case in cases.items():
        own = sum(len(text) for text in (case.input, case.output, case.answer) if isinstance(text, str))
        if chunk and size + own > _JOB_CHARS:
            yield chunk
            chunk, size = [], 0
        chunk.append(number)
        size += own
    if chunk:
        yield chunk


def _case(test: Test, got: TestOutcome) -> Case:
    if isinstance(test, StdioTest):
        return Case(test.stdin, got.stdout, test.stdout)
    given = (*test.args, dict(test.kwargs)) if test.kwargs else test.args
    return Case(given, got.value, test.expected)


def _answer(test: Test) -> object:
    return test.stdout if isinstance(test, StdioTest) else test.expected


def _is_opaque(value: object) -> bool:
    """Whether a value, or anything in it, is not plain: nothing that could be shown to a checker."""
    if isinstance(value, Opaque):
        return True
    if isinstance(value, dict):
        return any(_is_opaque(each) for pair in value.items() for each in pair)
    return isinstance(value, (list, tuple, set, frozenset)) and any(map(_is_opaque, value))
