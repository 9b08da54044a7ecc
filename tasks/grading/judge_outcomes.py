"""Turns what happened in the sandbox (`Outcome`) into a `Verdict` on the program.

Every comparison with an expected value is made here, on the host. Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sandbox.protocol import ErrorInfo, Outcome, Phase, Status, TestOutcome
from tasks.grading.compare import matches, same_output
from tasks.grading.hints import hint
from tasks.grading.shorten import encodable, short, shortened
from tasks.types import CallTest, InteractiveTest, StdioTest, TestResult, Verdict

_TIMEOUTS = (Status.CPU_TIMEOUT, Status.WALL_TIMEOUT)


@dataclass(frozen=True, slots=True)
class _Graded:
    """A test's result with what a failure of it says of the whole program."""

    result: TestResult
    error: ErrorInfo | None = None
    part: float = 0.0  # what a checker gives a test that did not pass


def no_code(task_id: str) -> Verdict:
    """The verdict on a completion that holds no program."""
    return Verdict(
        task_id=task_id,
        passed=False,
        score=0.0,
        status=Status.COMPILE_ERROR,
        phase="no_code",
    )


def infra(task_id: str, detail: str) -> Verdict:
    """A fault of ours: nothing is known of the program."""
    return Verdict(
        task_id=task_id,
        passed=None,
        score=None,
        status=Status.INFRA,
        phase="infra",
        detail=detail,
    )


def why(verdict: Verdict) -> str:
    """What a failed verdict says of its program, in one line."""
    if verdict.error:
        return f"{verdict.error.type}: {verdict.error.message}"
    failed = next((test for test in verdict.tests if not test.passed), None)
    if failed is None:
        return verdict.detail
    if failed.expected:
        told = f" ({verdict.detail})" if verdict.detail else ""
        return f"{failed.name}: {failed.actual} instead of {failed.expected}{told}"
    return ": ".join(filter(None, (failed.name, failed.actual)))


def call_verdict(task_id: str, tests: Sequence[CallTest], outcome: Outcome) -> Verdict:
    """Compares returned values with expected ones. Tests of one name are one unit (a static assert)."""
    graded = [
        _graded_call(test, test.name or f"call {number}", got)
        for number, (test, got) in enumerate(zip(tests, _padded(outcome, len(tests)), strict=True), start=1)
    ]
    verdict = _verdict(task_id, list(_units(graded)), [outcome])
    if verdict.phase != "wrong" or verdict.detail:
        return verdict
    return replace(verdict, detail=_hint(tests, graded, outcome))


def _hint(tests: Sequence[CallTest], graded: Sequence[_Graded], outcome: Outcome) -> str:
    """What the first wrong value has otherwise than the expected one, where that is little."""
    for test, part, got in zip(tests, graded, outcome.tests, strict=False):
        if not part.result.passed:
            return hint(got.value, test.expected) if test.compare.kind in ("equal", "close") else ""
    return ""


def stdio_verdict(task_id: str, tests: Sequence[StdioTest], outcome: Outcome) -> Verdict:
    """Compares printed output with the expected one."""
    graded = [
        _graded_output(test, test.name or f"input {number}", got)
        for number, (test, got) in enumerate(zip(tests, _padded(outcome, len(tests)), strict=True), start=1)
    ]
    return _verdict(task_id, graded, [outcome])


def judge_verdict(task_id: str, outcomes: Sequence[Outcome]) -> Verdict:
    """Takes over judges' results; a test that never reached its end is a failed unit of its own."""
    graded: list[_Graded] = []
    for outcome in outcomes:
        parts = [_graded_assert(f"test {n}", got, outcome) for n, got in enumerate(outcome.tests, start=1)]
        if outcome.passed:  # the unmodified test decides: it may catch a failed assert
            parts = [_passed(part.result.name) for part in parts] or [_passed("test")]
        elif all(part.result.passed for part in parts):
            parts.append(_failed("end of test", _status(outcome), outcome.error))
        graded += parts
    return _verdict(task_id, graded, outcomes)


def decided_verdict(
    task_id: str,
    tests: Sequence[CallTest | StdioTest | InteractiveTest],
    outcome: Outcome,
    decisions: Mapping[int, TestOutcome],
) -> Verdict:
    """Takes over what a checker or interactor decided; what it was not shown, or could not decide, has failed."""
    graded = []
    for number, (test, got) in enumerate(zip(tests, _padded(outcome, len(tests)), strict=True)):
        name = test.name or f"test {number + 1}"
        decided = decisions.get(number)
        if got.status is not Status.OK or decided is None:
            graded.append(_failed(name, got.status, got.error))
            continue
        result = TestResult(
            name=name,
            passed=decided.passed is True,
            status=Status.OK,
            actual="" if isinstance(test, InteractiveTest) else _shown(test, got),
            expected=shortened(f"checker: {decided.stderr}") if decided.stderr else "",
        )
        score = decided.value if isinstance(decided.value, float) else 0.0
        graded.append(_Graded(result, part=min(max(score, 0.0), 1.0)))
    return _verdict(task_id, graded, [outcome])


def _shown(test: CallTest | StdioTest, got: TestOutcome) -> str:
    return shortened(got.stdout) if isinstance(test, StdioTest) else short(got.value)


def _padded(outcome: Outcome, count: int) -> Iterator[TestOutcome]:
    """One entry a test: what the program's early end left out has failed as the program did."""
    yield from outcome.tests[:count]
    for _ in range(count - len(outcome.tests)):
        yield TestOutcome(status=_status(outcome), error=outcome.error)


def _status(outcome: Outcome) -> Status:
    """How a program fared that did not deliver: `OK` would be no explanation."""
    return Status.KILLED if outcome.status is Status.OK and outcome.error is None else outcome.status


def _graded_call(test: CallTest, name: str, got: TestOutcome) -> _Graded:
    if got.status is not Status.OK:
        return _failed(name, got.status, got.error, expected=short(test.expected))
    return _Graded(
        TestResult(
            name=name,
            passed=matches(got.value, test.expected, test.compare, test.args),
            status=got.status,
            actual=short(got.value),
            expected=short(test.expected),
        )
    )


def _graded_output(test: StdioTest, name: str, got: TestOutcome) -> _Graded:
    if got.status is not Status.OK:
        return _failed(name, got.status, got.error, expected=shortened(test.stdout))
    return _Graded(
        TestResult(
            name=name,
            passed=not got.truncated and _prints(got.stdout, test),
            status=got.status,
            actual=shortened(got.stdout),
            expected=shortened(test.stdout),
        )
    )


def _prints(stdout: str, test: StdioTest) -> bool:
    """Whether it is right; what goes wrong in comparing is the output's fault."""
    try:
        return same_output(stdout, test.stdout, test.float_tolerance, test.rule)
    except Exception:  # noqa: BLE001
        return False


def _graded_assert(name: str, got: TestOutcome, outcome: Outcome) -> _Graded:
    name = got.name or name
    if got.passed and got.status is Status.OK:
        return _passed(name)
    if got.status is Status.OK and got.error is None:  # never reached: the program failed elsewhere
        return _failed(name, outcome.status, outcome.error)
    error = None if got.error and got.error.phase == "wrong" else got.error  # a wrong value raised nothing
    failed = _failed(name, got.status, error)
    if error is None and got.value is not None:
        failed = replace(failed, result=replace(failed.result, actual=short(got.value)))
    return failed


def _passed(name: str) -> _Graded:
    return _Graded(TestResult(name=name, passed=True, status=Status.OK))


def _failed(name: str, status: Status, error: ErrorInfo | None, expected: str = "") -> _Graded:
    actual = shortened(f"{error.type}: {error.message}") if error else ""
    result = TestResult(name=name, passed=False, status=status, actual=actual, expected=expected)
    return _Graded(result, _encodable(error) if error else None)


def _encodable(error: ErrorInfo) -> ErrorInfo:
    frames = (replace(f, function=encodable(f.function), source=encodable(f.source)) for f in error.frames)
    return replace(error, type=encodable(error.type), message=encodable(error.message), frames=tuple(frames))


def _units(graded: Iterable[_Graded]) -> Iterator[_Graded]:
    """The executions of each unit as one: its first failure, else its first execution."""
    units: dict[str, _Graded] = {}
    for part in graded:
        first = units.setdefault(part.result.name, part)
        if first.result.passed and not part.result.passed:
            units[part.result.name] = part
    yield from units.values()


def _verdict(task_id: str, graded: Sequence[_Graded], outcomes: Sequence[Outcome]) -> Verdict:
    faults = [
        o for o in outcomes if o.status is Status.INFRA or any(t.status is Status.INFRA for t in o.tests)
    ]
    if faults:
        return infra(task_id, faults[0].detail or "the sandbox could not run the program")
    failures = [part for part in graded if not part.result.passed]
    passed = bool(graded) and not failures
    failure = failures[0] if failures else None
    status = failure.result.status if failure else Status.OK
    error = failure.error if failure else None
    return Verdict(
        task_id=task_id,
        passed=passed,
        score=sum(1.0 if part.result.passed else part.part for part in graded) / len(graded)
        if graded
        else 0.0,
        status=status,
        phase="passed" if passed else _phase(status, error),
        tests=tuple(part.result for part in graded),
        error=error,
        cpu_seconds=sum(outcome.cpu_seconds for outcome in outcomes),
        backend=outcomes[0].backend,
        image=outcomes[0].image,
        detail=next((outcome.detail for outcome in outcomes if outcome.detail), ""),
    )


def _phase(status: Status, error: ErrorInfo | None) -> Phase:
    if status is Status.OK:
        return "wrong"
    if status in _TIMEOUTS:
        return "timeout"
    if status is Status.MEMORY:
        return "memory"
    if status is Status.COMPILE_ERROR:
        return "compile"
    return error.phase if error else "call"
