"""Outcomes of the sandbox become verdicts: every status attributed, nothing forged, nothing lost."""

from __future__ import annotations

import dataclasses
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.inside.values.codec import Opaque
from sandbox.protocol import ErrorInfo, Frame, Outcome, Status, TestOutcome
from tasks.grading.judge_outcomes import call_verdict, judge_verdict, no_code, stdio_verdict
from tasks.types import CallTest, StdioTest

TESTS = [CallTest(function="add", args=(n, n), expected=2 * n) for n in range(3)]
ERROR = ErrorInfo(type="KeyError", message="'x'", phase="call")
OK = Status.OK


def returned(*values: object) -> Outcome:
    return Outcome(job_id="t", status=OK, tests=tuple(TestOutcome(status=OK, value=v) for v in values))


def judged(passed: bool | None, *parts: TestOutcome, status: Status = OK) -> Outcome:
    return Outcome(job_id="t", status=status, passed=passed, tests=parts)


def part(name: str, passed: bool) -> TestOutcome:
    return TestOutcome(status=OK if passed else Status.EXCEPTION, name=name, passed=passed)


def test_all_right_passes() -> None:
    verdict = call_verdict("t", TESTS, returned(0, 2, 4))
    assert verdict.passed and verdict.score == 1.0
    assert (verdict.status, verdict.phase, verdict.trust) == (OK, "passed", "isolated")


def test_a_wrong_value_fails_its_test_and_shows_it() -> None:
    verdict = call_verdict("t", TESTS, returned(0, 3, 4))
    assert not verdict.passed and verdict.score == pytest.approx(2 / 3)
    assert verdict.phase == "wrong"
    assert [t.passed for t in verdict.tests] == [True, False, True]
    assert (verdict.tests[1].actual, verdict.tests[1].expected) == ("3", "2")


def test_an_opaque_value_is_wrong() -> None:
    verdict = call_verdict("t", TESTS, returned(0, Opaque("E", "E"), 4))
    assert [t.passed for t in verdict.tests] == [True, False, True]


@pytest.mark.parametrize("values", [(), (0,), (0, 2), (0, 2, None)])
def test_missing_results_are_failed_tests(values: tuple[object, ...]) -> None:
    verdict = call_verdict("t", TESTS, returned(*values))
    assert not verdict.passed and len(verdict.tests) == 3
    assert verdict.score == len([v for v in values if v is not None]) / 3


def test_surplus_results_count_for_nothing() -> None:
    assert call_verdict("t", TESTS, returned(1, 1, 1, 0, 2, 4)).score == 0.0


@pytest.mark.parametrize(
    ("status", "error", "phase"),
    [
        (Status.EXCEPTION, ERROR, "call"),
        (Status.EXCEPTION, ErrorInfo(type="NameError", message="", phase="import"), "import"),
        (Status.EXCEPTION, ErrorInfo(type="AttributeError", message="", phase="entry"), "entry"),
        (Status.COMPILE_ERROR, ErrorInfo(type="SyntaxError", message="", phase="compile"), "compile"),
        (Status.CPU_TIMEOUT, None, "timeout"),
        (Status.WALL_TIMEOUT, None, "timeout"),
        (Status.MEMORY, None, "memory"),
        (Status.KILLED, None, "call"),
        (Status.OUTPUT_LIMIT, None, "call"),
    ],
)
def test_a_program_that_fails_as_a_whole(status: Status, error: ErrorInfo | None, phase: str) -> None:
    verdict = call_verdict("t", TESTS, Outcome(job_id="t", status=status, error=error))
    assert (verdict.passed, verdict.score, verdict.status, verdict.phase) == (False, 0.0, status, phase)
    assert verdict.error == error and len(verdict.tests) == 3


def test_the_first_failure_speaks_for_the_program() -> None:
    tests = (
        TestOutcome(status=OK, value=0),
        TestOutcome(status=Status.EXCEPTION, error=ERROR),
        TestOutcome(status=Status.CPU_TIMEOUT),
    )
    verdict = call_verdict("t", TESTS, Outcome(job_id="t", status=Status.CPU_TIMEOUT, tests=tests))
    assert (verdict.status, verdict.phase, verdict.error) == (Status.EXCEPTION, "call", ERROR)
    assert verdict.tests[1].actual == "KeyError: 'x'"


def test_what_a_program_writes_can_be_written_to_a_file() -> None:
    odd = "\ud800"
    error = ErrorInfo(type=odd, message=odd, phase="call", frames=(Frame(line=1, function=odd, source=odd),))
    whole = call_verdict("t", TESTS, Outcome(job_id="t", status=Status.EXCEPTION, error=error))
    values = call_verdict("t", TESTS, returned(odd, {odd: [odd]}, Opaque(odd, odd)))
    printed = Outcome(job_id="t", status=OK, tests=(TestOutcome(status=OK, stdout=odd),))
    output = stdio_verdict("t", [StdioTest(stdin="", stdout="")], printed)
    for verdict in (whole, values, output):
        assert odd not in json.dumps(dataclasses.asdict(verdict), ensure_ascii=False)
    assert whole.tests[0].actual == "\\ud800: \\ud800"


def test_infra_scores_none_never_zero() -> None:
    whole = Outcome(job_id="t", status=Status.INFRA, detail="container lost")
    one = Outcome(job_id="t", status=OK, tests=(TestOutcome(status=Status.INFRA),) * 3)
    for outcome in (whole, one):
        for verdict in (call_verdict("t", TESTS, outcome), judge_verdict("t", [judged(True), outcome])):
            assert (verdict.score, verdict.passed, verdict.phase) == (None, None, "infra")
    assert call_verdict("t", TESTS, whole).detail == "container lost"


def test_calls_of_one_assert_are_one_unit() -> None:
    tests = [CallTest(function="f", args=(n,), expected=n, name=f"assert {n % 2}") for n in range(4)]
    verdict = call_verdict("t", tests, returned(0, 1, 2, 99))
    assert [(t.name, t.passed) for t in verdict.tests] == [("assert 0", True), ("assert 1", False)]
    assert verdict.score == 0.5 and verdict.tests[1].actual == "99"


def test_output_is_compared_whole_and_truncated_output_is_wrong() -> None:
    tests = [StdioTest(stdin="", stdout="1\n2\n")] * 3
    outcome = Outcome(
        job_id="t",
        status=OK,
        tests=(
            TestOutcome(status=OK, stdout="1\n2"),
            TestOutcome(status=OK, stdout="1\n"),
            TestOutcome(status=OK, stdout="1\n2\n", truncated=True),
        ),
    )
    assert [t.passed for t in stdio_verdict("t", tests, outcome).tests] == [True, False, False]


def test_right_output_before_a_crash_is_not_a_pass() -> None:
    crashed = TestOutcome(status=Status.EXCEPTION, stdout="1\n", error=ERROR)
    verdict = stdio_verdict(
        "t", [StdioTest(stdin="", stdout="1\n")], Outcome(job_id="t", status=OK, tests=(crashed,))
    )
    assert not verdict.passed and verdict.phase == "call"


class TestJudge:
    def test_asserts_are_the_units(self) -> None:
        verdict = judge_verdict("t", [judged(False, part("a", True), part("b", False))])
        assert (verdict.passed, verdict.score) == (False, 0.5)
        assert [t.name for t in verdict.tests] == ["a", "b"]

    def test_the_unmodified_test_decides(self) -> None:
        verdict = judge_verdict("t", [judged(True, part("tried", False), part("b", True))])
        assert verdict.passed and verdict.score == 1.0

    def test_an_end_that_was_not_reached_is_a_failed_unit(self) -> None:
        verdict = judge_verdict("t", [judged(False, part("a", True), status=Status.KILLED)])
        assert not verdict.passed and verdict.score == 0.5
        assert verdict.tests[-1].name == "end of test"

    @pytest.mark.parametrize("passed", [False, None])
    def test_an_empty_result_is_never_a_pass(self, passed: bool | None) -> None:
        verdict = judge_verdict("t", [judged(passed)])
        assert not verdict.passed and verdict.score == 0.0

    def test_a_part_without_a_word_is_not_a_pass(self) -> None:
        verdict = judge_verdict("t", [judged(None, TestOutcome(status=OK, name="a", passed=None))])
        assert not verdict.passed and verdict.score == 0.0

    def test_asserts_that_were_not_reached_fail_as_the_program_did(self) -> None:
        never = TestOutcome(status=OK, name="a", passed=False)
        outcome = Outcome(job_id="t", status=Status.EXCEPTION, error=ERROR, passed=False, tests=(never,))
        verdict = judge_verdict("t", [outcome])
        assert (verdict.status, verdict.phase, verdict.error) == (Status.EXCEPTION, "call", ERROR)

    def test_a_wrong_value_is_no_exception(self) -> None:
        wrong = ErrorInfo(type="AssertionError", message="f() == 2", phase="wrong")
        got = TestOutcome(status=OK, name="a", passed=False, value=1, error=wrong)
        verdict = judge_verdict(
            "t", [Outcome(job_id="t", status=OK, passed=False, error=wrong, tests=(got,))]
        )
        assert (verdict.phase, verdict.error, verdict.tests[0].actual) == ("wrong", None, "1")

    def test_every_test_must_pass(self) -> None:
        verdict = judge_verdict("t", [judged(True, part("a", True)), judged(False, part("b", False))])
        assert not verdict.passed and verdict.score == 0.5


def test_no_code() -> None:
    verdict = no_code("t")
    assert (verdict.score, verdict.phase) == (0.0, "no_code")


statuses = st.sampled_from(list(Status))
outcomes = st.builds(
    Outcome,
    job_id=st.just("t"),
    status=statuses,
    passed=st.sampled_from([True, False, None]),
    tests=st.lists(
        st.builds(
            TestOutcome,
            status=statuses,
            value=st.integers(0, 4),
            passed=st.sampled_from([True, False, None]),
            error=st.sampled_from([None, ERROR]),
        ),
        max_size=4,
    ).map(tuple),
)


@given(outcomes)
def test_a_pass_needs_every_value_and_no_fault(outcome: Outcome) -> None:
    verdict = call_verdict("t", TESTS, outcome)
    faulty = outcome.status is Status.INFRA or any(t.status is Status.INFRA for t in outcome.tests)
    right = [t.status is OK and t.value == 2 * n for n, t in enumerate(outcome.tests[:3])]
    assert (verdict.score is None) == (verdict.passed is None) == faulty
    if not faulty:
        assert verdict.score == sum(right) / 3
        assert verdict.passed == (right == [True] * 3) == (verdict.phase == "passed")
    for other, same in itertools.pairwise([verdict, judge_verdict("t", [outcome])]):
        assert (other.score is None) == (same.score is None)
