"""What a problem is: `Task` and its tests; what grading says of a program: `Verdict`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sandbox.protocol import ErrorInfo, Phase, Status

Trust = Literal["isolated", "in-process"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """How an actual value is compared with the expected one (the rules are in tasks/grading/compare.py).

    `equal`: Python's `==` between plain values. `close`: numbers within `atol + rtol * |expected|`,
    inside containers too. `json`: `==`, but a tuple is as good as the list that JSON makes of it.
    `livecodebench`, `apps`: what those data sets' graders do with returned values (tasks/json_values.py);
    `apps` with the note `wrapped`: an expected list of one may stand for its item.
    `truth`: `bool(actual)` is `expected`, as `assert f(x)` asks. `is`: the very constant (`None`,
    `True`, `False`). `evalplus`: evalplus's own rule, `note` naming the task's special one.
    """

    kind: Literal["equal", "close", "json", "livecodebench", "apps", "truth", "is", "evalplus"] = "equal"
    atol: float = 0.0
    rtol: float = 0.0
    note: str = ""  # evalplus: see `compare.evalplus_compare`; apps: `wrapped`


# How standard output is compared with the expected one (tasks/grading/outputs.py): the whole of it, line by line, or
# by the rule of a data set's own grader.
OutputRule = Literal["lines", "stripped", "livecodebench", "apps", "code_contests", "primeintellect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTest:
    """`function(*args, **kwargs)` must return `expected`."""

    function: str
    args: tuple[object, ...] = ()
    kwargs: Mapping[str, object] = field(default_factory=dict)
    expected: object
    compare: Compare = Compare()
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StdioTest:
    """Given `stdin`, the program must print `stdout`: all of it and no more, as `rule` compares.

    `lines` ignores white space at the end of a line and of the output, and has the `float_tolerance`.
    """

    stdin: str
    stdout: str
    rule: OutputRule = "lines"
    float_tolerance: float | None = None
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeTest:
    """A test program (see `sandbox.protocol.Judge`)."""

    kind: Literal["script", "check", "unittest", "pytest"]
    source: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceTests:
    """Inputs whose expected outputs come from the task's reference, run once in the sandbox."""

    function: str
    inputs: tuple[tuple[object, ...], ...]
    compare: Compare = Compare()


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractiveTest:
    """A dialogue with the task's interactor, which alone is given `input` and `answer`."""

    input: str
    answer: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checker:
    """Decides which outputs are right: `sandbox.protocol.Checks` says how it is called.

    Of a task with `InteractiveTest`s it is the interactor (`sandbox.protocol.Dialogues`).
    """

    source: str
    language: Literal["python", "cpp"] = "python"
    style: Literal["function", "testlib", "printed"] = "function"


Tests = (
    tuple[CallTest, ...]
    | tuple[StdioTest, ...]
    | tuple[JudgeTest, ...]
    | tuple[InteractiveTest, ...]
    | ReferenceTests
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One problem.

    `prompt` is shown to the model. `style` says what a completion is: `complete` continues
    `prompt` (itself the head of a program, as in HumanEval); `instruct` answers it with a program.
    `context` is code that stands before the program (imports, starter code, prompt helpers). `prelude` is what the
    data set's grader runs in the program's module before it; it is not part of the program.
    """

    id: str
    prompt: str
    tests: Tests
    style: Literal["complete", "instruct"] = "instruct"
    entry_point: str | None = None
    context: str = ""
    prelude: str = ""
    language: Literal["python", "cpp"] = "python"  # cpp: with stdio tests only
    reference: str | None = None  # a whole program that passes
    wrong: tuple[str, ...] = ()  # whole programs that must fail (HumanEvalPack's bugs)
    source: str = "native"
    level: str = ""
    cpu_seconds: float | None = None  # per test; None: the grader's default
    memory_bytes: int | None = None
    checker: Checker | None = (
        None  # decides in the place of a comparison; with stdio, call and interactive tests
    )
    trust: Trust = "isolated"  # in-process: its tests share the program's process (tasks/grading/modes.py)
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def languages(self) -> frozenset[str]:
        """Of all that runs for it."""
        return frozenset({self.language, self.checker.language if self.checker else "python"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """One test of a verdict; `actual` and `expected` are shortened `repr`s for people."""

    __test__ = False

    name: str
    passed: bool
    status: Status
    actual: str = ""
    expected: str = ""

    def to_json(self) -> dict[str, Any]:
        """Its fields, as in a verdict's."""
        return {
            "name": self.name,
            "passed": self.passed,
            "status": self.status.value,
            "actual": self.actual,
            "expected": self.expected,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What grading says of one program.

    `score` in [0, 1] is the fraction of tests passed. Where `status` is INFRA, and only there, `passed` and `score` are
    None, never False and 0: nothing is known of the program.
    `trust`: `isolated`, or `in-process` where the test had to share the program's process.
    """

    task_id: str
    passed: bool | None
    score: float | None
    status: Status
    phase: Phase
    trust: Trust = "isolated"
    tests: tuple[TestResult, ...] = ()
    error: ErrorInfo | None = None
    cpu_seconds: float = 0.0
    backend: str = ""
    image: str = ""
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """Its fields, as all rows and answers that hold a verdict have them."""
        return {
            "task_id": self.task_id,
            "passed": self.passed,
            "score": self.score,
            "status": self.status.value,
            "phase": self.phase,
            "trust": self.trust,
            "tests": [test.to_json() for test in self.tests],
            "error": asdict(self.error) if self.error else None,
            "cpu_seconds": self.cpu_seconds,
            "backend": self.backend,
            "image": self.image,
            "detail": self.detail,
        }
