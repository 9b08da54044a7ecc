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
from threading import Lock
from typing import Any, TypeVar

from sandbox.inside.values.codec import Opaque
from sandbox.protocol import MIB, Case, Checks, Dialogues, Job, Limits, Outcome, Runner, Status, TestOutcome
from tasks.grading.judge_outcomes import decided_verdict, infra
from tasks.types import CallTest, Checker, InteractiveTest, StdioTest, Task, Verdict

T = TypeVar("T")
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
    decided: Future[Decisions] = Future()
    spoke = enumerate(outcome.tests)
    decided.set_result({number: got for number, got in spoke if got.status is Status.OK})

    def reference(undecided: Decisions) -> Future[Decisions]:
        """What the interactor says of the reference; without one it is not known to be broken."""
        numbers = list(undecided)
        found: Future[Decisions] = Future()
        if task.reference is None:
            found.set_result({number: TestOutcome(status=Status.OK, passed=False) for number in numbers})
            return found
        work = dialogues(task.checker, [tests[number] for number in numbers])  # type: ignore[arg-type]
        job = Job(
            id=f"{task.id}#reference",
            program=task.reference,
            work=work,
            limits=limits,
            language=task.language,
            prelude=task.prelude,
        )
        _then(runner.submit(job), found, lambda done: dict(zip(numbers, done.tests, strict=True)))
        return found

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
    verdict: Future[Verdict] = Future()

    def conclude(decisions: Decisions) -> Verdict | None:
        undecided = {number: each for number, each in decisions.items() if each.passed is None}
        if faults := [each for each in decisions.values() if each.status is Status.INFRA]:
            return infra(task.id, faults[0].stderr)
        if outcome.status is Status.INFRA or not undecided:
            return decided_verdict(task.id, tests, outcome, decisions)
        _then(confirm(undecided), verdict, lambda known: _blamed(task, tests, outcome, decisions, known))
        return None

    _then(decided, verdict, conclude)
    return verdict


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
    decisions: Decisions = {}
    found: Future[Decisions] = Future()
    chunks = list(_chunks(cases))
    lock, waiting = Lock(), len(chunks)
    if not chunks:
        found.set_result(decisions)

    def take(numbers: list[int], done: Future[Outcome]) -> None:
        nonlocal waiting
        try:
            outcome = done.result()
            if outcome.status is Status.INFRA:
                fault = TestOutcome(
                    status=Status.INFRA, stderr=f"the checker could not be run: {outcome.detail}"
                )
                got: Sequence[TestOutcome] = [fault] * len(numbers)
            elif outcome.status is not Status.OK:  # it lost its cell in every attempt
                lost = TestOutcome(
                    status=Status.OK, stderr=f"it failed: {outcome.detail or outcome.status.value}"
                )
                got = [lost] * len(numbers)
            else:
                got = outcome.tests
            with lock:
                decisions.update(zip(numbers, got, strict=True))
                waiting -= 1
                last = not waiting
            if last and not found.done():
                found.set_result(decisions)
        except Exception as error:  # noqa: BLE001  # delivered to the caller
            with lock:
                if not found.done():
                    found.set_exception(error)

    for numbers in chunks:
        work = Checks(style=checker.style, cases=tuple(cases[number] for number in numbers))
        job = Job(
            id=f"{task_id}#checker",
            program=checker.source,
            work=work,
            limits=LIMITS,
            language=checker.language,
        )
        runner.submit(job).add_done_callback(lambda done, numbers=numbers: take(numbers, done))  # type: ignore[misc]
    return found


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


def _then(done: Future[T], to: Future[Any], function: Callable[[T], Any]) -> None:
    """Sets `to` to what `function` makes of `done`; a function that returns None sees to it itself."""

    def go_on(finished: Future[T]) -> None:
        try:
            result = function(finished.result())
        except Exception as error:  # noqa: BLE001  # delivered to the caller
            to.set_exception(error)
        else:
            if result is not None:
                to.set_result(result)

    done.add_done_callback(go_on)
