"""How a task that needs a judge or a checker can be run: its reference decides, once, before programs are graded.

    the reference passes in a judge             the task is judged, apart from the program
    only where test and program are one process `trust = "in-process"`, where the user allows it; else left out
    nowhere                                     left out of training: every program may get 0 there

Tasks that need neither, and those without a reference, are taken as they are. Where programs are brought to be graded,
a reference that fails everywhere decides nothing (`failing = "graded"`): the reference may be wrong.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Literal

from sandbox.parsing import parse
from sandbox.protocol import Judge, Status
from tasks.grading.futures import as_finished, then
from tasks.grading.grader import Grader, Work, works_of
from tasks.grading.judge_outcomes import infra, why
from tasks.types import JudgeTest, Task, Verdict

InProcess = Literal["never", "needed"]
Failing = Literal["left out", "graded"]  # what becomes of tasks whose reference passes nowhere
Progress = Callable[[int, int], None]  # done, total

CHECK_SECONDS = 1800.0  # for all tasks together; those not reached by then are judged unchecked
LEFT_OUT = "left out: "  # how the detail of such a verdict begins
_WINDOW = 256  # references that wait at a time


@dataclass(frozen=True, slots=True)
class Found:
    """What a task's reference showed; `unknown`: the sandbox failed. `reason`: why it is not judged apart."""

    mode: Literal["apart", "in-process", "none", "unknown"]
    reason: str = ""


APART = Found("apart")


@dataclass(frozen=True, slots=True)
class Gradable:
    """Tasks that a right program can pass; why the others are left out, by id."""

    tasks: list[Task]
    left_out: dict[str, str] = field(default_factory=dict)


def key(task: Task) -> str:
    """Names what decides: the reference and its tests, not the task's id, which another data set may use too."""
    parts = (task.reference, task.entry_point, task.context, task.tests, task.checker)
    return hashlib.sha256(repr(parts).encode(errors="surrogatepass")).hexdigest()[:32]


def needs_check(task: Task, works: Sequence[Work]) -> bool:
    """Whether it is in doubt that a right program passes, and there is a reference to ask. `works`: the task's."""
    if task.reference is None:
        return False
    return task.checker is not None or any(isinstance(work, Judge) for work in works)


def _has_judge_tests(task: Task) -> bool:
    return isinstance(task.tests, tuple) and bool(task.tests) and isinstance(task.tests[0], JudgeTest)


def _is_doubtful(task: Task) -> bool:
    return task.checker is not None or _has_judge_tests(task)


def find(task: Task, grader: Grader) -> Future[Found]:
    """Runs the task's reference: in a judge, and where it fails there in one process with the test."""

    def judged(apart: Verdict) -> Found | Future[Found]:
        if apart.passed:
            return APART
        if not _has_judge_tests(task):
            return _found(apart, apart)
        together = grader.submit(replace(task, trust="in-process"), task.reference)
        return then(together, lambda verdict: _found(apart, verdict))

    return then(grader.submit(task, task.reference), judged)


def _found(apart: Verdict, together: Verdict) -> Found:
    if together.passed:
        return Found("in-process", why(apart))
    if Status.INFRA in (apart.status, together.status):
        return Found("unknown", f"its reference cannot be run: {why(apart)}")
    return Found("none", f"its reference fails: {why(apart)}")


def check(
    tasks: Iterable[Task],
    grader: Grader,
    known: Mapping[str, Found] | None = None,
    *,
    seconds: float = CHECK_SECONDS,
    progress: Progress | None = None,
) -> dict[str, Found]:
    """What the references of those `tasks` show that need it, by `key`; `known` ones are not run again."""
    found = dict(known or {})
    named = {key(task): task for task in tasks if _is_doubtful(task)}
    doubtful = [
        task for name, task in named.items() if name not in found and needs_check(task, works_of(task))
    ]
    for number, (task, result) in enumerate(_each(doubtful, grader, time.monotonic() + seconds), start=1):
        found[key(task)] = result
        if progress:
            progress(number, len(doubtful))
    return found


def _each(tasks: Sequence[Task], grader: Grader, deadline: float) -> Iterator[tuple[Task, Found]]:
    """As they are found; at most `_WINDOW` at a time, none begun after the deadline."""
    in_time = itertools.takewhile(lambda _: time.monotonic() <= deadline, tasks)
    for number, found in as_finished((find(task, grader) for task in in_time), _WINDOW):
        yield tasks[number], found


def checked(
    tasks: Sequence[Task],
    grader: Grader,
    allowed: InProcess,
    progress: Progress | None = None,
    *,
    failing: Failing = "left out",
) -> Gradable:
    """Of `tasks` those that a right program can pass, found out now."""
    return gradable(tasks, check(tasks, grader, progress=progress), allowed, failing)


def gradable(
    tasks: Iterable[Task], found: Mapping[str, Found], allowed: InProcess, failing: Failing = "left out"
) -> Gradable:
    """`tasks` as their references want them to be run."""
    result = Gradable([])
    for task in tasks:
        showed = found.get(key(task), APART) if _is_doubtful(task) else APART
        task, reason = decided(task, showed, allowed, failing)
        if reason:
            result.left_out[task.id] = reason
        else:
            result.tasks.append(task)
    return result


def decided(task: Task, found: Found, allowed: InProcess, failing: Failing = "left out") -> tuple[Task, str]:
    """The task as it is to be run, and why it cannot be (empty: it can)."""
    if found.mode in ("none", "unknown"):
        if failing == "left out":
            return task, found.reason
        return task, _broken(task) if found.mode == "none" else ""  # else the reference may be what is wrong
    if found.mode == "in-process":
        if allowed == "needed":
            return replace(task, trust="in-process"), ""
        return task, f"its test cannot be run apart from the program: {found.reason}"
    return task, "" if task.reference is not None else _broken(task)


def summary(left_out: Mapping[str, str]) -> str:
    """The most common reasons, each with how many tasks it holds for and one of them."""
    by_reason: dict[str, list[str]] = {}
    for task_id, reason in left_out.items():
        by_reason.setdefault(" ".join(reason.split())[:200], []).append(task_id)
    most = sorted(by_reason.items(), key=lambda item: -len(item[1]))[:3]
    return "; ".join(f"{len(ids)} (such as {ids[0]}): {reason}" for reason, ids in most)


def left_out(task_id: str, reason: str) -> Verdict:
    """The verdict on a program of a task that is left out: nothing is known of it."""
    return infra(task_id, LEFT_OUT + reason)


def _broken(task: Task) -> str:
    """Why no program can pass, independent of any reference."""
    if not _has_judge_tests(task):
        return ""
    for test in task.tests if isinstance(task.tests, tuple) else ():
        if isinstance(test, JudgeTest):
            try:
                parse(test.source)
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                return f"its test is not Python: {type(error).__name__}: {error}"
    return ""
