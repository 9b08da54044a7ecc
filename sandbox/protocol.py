"""The types that cross the sandbox's door: a `Job` goes in, an `Outcome` comes out.

A job holds a program and its *inputs*. For `Calls` and `Stdio` it never holds an expected output:
the caller compares. Only `Judge` carries test code, and that goes to a separate, jailed process.

Units are in the names. Everything here is plain data, so that a daemon can serialise it.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Literal, Protocol

from sandbox.errors import (
    SandboxError as SandboxError,
)  # what a runner raises where it can run nothing at all
from sandbox.inside import wire
from sandbox.inside.values import codec

MIB = 1024 * 1024


class Status(StrEnum):
    """What became of a program (or of one of its tests)."""

    OK = "ok"  # ran to its end; says nothing about right or wrong
    EXCEPTION = "exception"
    COMPILE_ERROR = "compile_error"
    CPU_TIMEOUT = "cpu_timeout"
    WALL_TIMEOUT = "wall_timeout"
    MEMORY = "memory"
    OUTPUT_LIMIT = "output_limit"
    KILLED = "killed"  # died by a signal, exited early, or broke the protocol
    INFRA = "infra"  # a fault of ours, with evidence that no program can fake


# Where in a program's life an error arose (run folder, error fingerprints).
Phase = Literal[
    "no_code", "compile", "import", "entry", "call", "timeout", "memory", "wrong", "passed", "infra"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on one program. CPU time comes first; wall time is the backstop for sleepers."""

    cpu_seconds: float = 4.0  # per test
    total_cpu_seconds: float = 600.0  # all tests of the program together
    wall_seconds: float = 30.0  # per test
    memory_bytes: int = 512 * MIB  # program's processes and scratch files together
    output_bytes: int = 1 * MIB  # of stdout, per test; of stderr so much is kept
    value_bytes: int = 16 * MIB  # encoded values returned, per test
    processes: int = 128  # and threads
    open_files: int = 64
    scratch_bytes: int = 64 * MIB


# The most that a daemon grants, and that our own code asks for: stated here alone.
CEILING = Limits(
    cpu_seconds=60.0,
    wall_seconds=300.0,
    memory_bytes=4096 * MIB,
    output_bytes=16 * MIB,
    value_bytes=64 * MIB,
    open_files=256,
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of `function` with plain values: a name, or `Class.method` on a fresh `Class()`.

    A program without that class, or whose class has no such method, may define `method` as a plain function.
    """

    function: str
    args: tuple[object, ...] = ()
    kwargs: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Calls:
    """Calls made in order in one process; a crash or timeout re-forks for the remaining ones."""

    calls: tuple[Call, ...]

    @cached_property
    def encoded(self) -> str:
        """JSON of [function, codec text of (args, kwargs)] for each call; once for all programs of a task."""
        return wire.to_json(
            [(call.function, codec.encode((call.args, dict(call.kwargs)))) for call in self.calls]
        )


@dataclass(frozen=True, slots=True)
class Stdio:
    """Standard inputs; each gets a fresh fork that runs the program as `__main__`."""

    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Test code that drives the program from a separate jailed process, through proxies.

    `kind`: `script` runs `test` top to bottom; `check` then calls `check(<entry_point>)`;
    `unittest` runs its TestCases; `pytest` runs it as a pytest file under pytest-timeout.
    `prompt` is the code of the task's prompt: helpers that it defines run in the judge.
    `in_process`: program and test share one process instead, where a program can forge its outcome.
    """

    kind: Literal["script", "check", "unittest", "pytest"]
    test: str
    entry_point: str | None = None
    prompt: str = ""
    in_process: bool = False


CheckerStyle = Literal["function", "testlib", "printed"]


@dataclass(frozen=True, slots=True)
class Case:
    """What a checker is shown of one test. Texts; a function may be given any plain values."""

    input: object
    output: object
    answer: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """Outputs for the job's program, a checker, to decide on: each case in a fresh process, apart from all candidates.

    `function`: `check(input, output, answer)` returns a bool, a float in [0, 1], or either with a message.
    `testlib`: arguments are the files of input, output and answer; exit status 0 (right), 1, 2, 4, 8 (wrong), 7 (in
    parts: `points NUMBER` on stderr). `printed`: input, answer, output; the last word printed is the score.
    """

    style: CheckerStyle
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogues:
    """The job's program speaks with an interactor: standard streams joined crosswise by pipes, each in its own cell.

    The interactor's arguments and exit status are a `testlib` checker's (its output file is empty). `cases` hold input
    and answer.
    """

    interactor: str
    language: str = "python"  # the interactor's
    cases: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One program and what is done with it. `prelude`, `limits`, `language` and `image` have defaults that fit Python.

    The classes of `work` say what a program is given; `Limits`, in seconds and bytes, what it may use.
    """

    id: str
    program: str
    work: Calls | Stdio | Judge | Checks | Dialogues
    prelude: str = ""  # Python that runs in the program's module before it does
    limits: Limits = Limits()
    language: str = "python"  # or one of inside/candidate/languages.py, for work that runs whole programs
    image: str = ""  # digest of the image to run in; empty: the runner's own


@dataclass(frozen=True, slots=True)
class Frame:
    """A stack frame of the candidate program."""

    line: int  # 1-based line in the program
    function: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorInfo:
    """An exception as data. `frames` are the candidate's own, outermost first."""

    type: str
    message: str
    phase: Phase
    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TestOutcome:
    """One call, one standard input, or one static assert of a judge's test.

    `value` is the returned value of a call, decoded to plain builtin types; where it is not plain, a
    `codec.Opaque`. `passed` is set by judges, checkers and interactors only; a
    judge's entry aggregates every execution of one static assert (or one unittest / pytest test). What a checker or
    interactor decided has its score as `value` and its message as `stderr`; where it failed to, status is `OK`,
    `passed` None and `stderr` says why.
    """

    __test__ = False  # not a pytest class

    status: Status
    name: str = ""
    value: object = None
    stdout: str = ""
    stderr: str = ""
    truncated: bool = False
    passed: bool | None = None
    error: ErrorInfo | None = None
    cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What happened to a job. `tests` has one entry per call / input, in the job's order.

    For a judge `passed` says whether the unmodified test passed *and* reached its end; it is None
    for calls and stdio, which the caller compares.
    """

    job_id: str
    status: Status
    tests: tuple[TestOutcome, ...] = ()
    passed: bool | None = None
    error: ErrorInfo | None = None
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    peak_memory_bytes: int = 0
    backend: str = ""
    image: str = ""
    unenforced: tuple[str, ...] = ()  # by this backend: see sandbox/backends/README.md
    attempts: int = 1
    detail: str = ""  # for INFRA and KILLED: the evidence, for a person


class Runner(Protocol):
    """Anything that executes jobs: the in-process pool here, or the client of a daemon."""

    @property
    def backend(self) -> str:
        """Its name: docker, bubblewrap or confined."""
        ...

    def submit(self, job: Job) -> Future[Outcome]:
        """Queue `job`; the future never raises for a program's failure, only for misuse."""
        ...

    def run(self, job: Job) -> Outcome:
        """`submit`, and wait."""
        ...

    def close(self) -> None:
        """Give back what it holds; jobs that are not done fail with `PoolClosedError`."""
        ...
