"""Rewards and metrics: numbers read off a graded completion; None where nothing is known of it (INFRA).

Each is a function whose parameters are fields of `Graded`, those that it wants to see:

    def short(program, verdict):
        return verdict.score - 0.001 * len(program)
"""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Real

from sandbox.protocol import ErrorInfo, Status
from tasks.errors import TaskError
from tasks.grading.judge_outcomes import no_code
from tasks.own import blamed, load_own
from tasks.types import Task, TestResult, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """A completion with its verdict: what a reward or a metric may name.

    `prompt`: the text that the model was sent, chat template included. `completion`: its whole answer. `program`: what
    was graded, with the task's context; empty where none was found. `tokens`: of the completion. `truncated`: cut by
    `sampler.max_tokens`.
    """

    prompt: str
    completion: str
    program: str
    task: Task
    verdict: Verdict
    tokens: int
    truncated: bool


Measure = Callable[[Graded], float | None]


def all_passed(verdict: Verdict) -> float | None:
    """1 if every test passed, else 0: partial solutions count as wrong, there is no middle level."""
    return None if verdict.passed is None else float(verdict.passed)


def fraction(verdict: Verdict) -> float | None:
    """The share of tests passed, 1 only if the program passed as a whole."""
    return verdict.score


_BY_NAME: dict[str, Callable[..., float | None]] = {"all_passed": all_passed, "fraction": fraction}


def load_reward(kind: str | Mapping[str, float]) -> Measure:
    """`all_passed`, `fraction`, a user's own as `module:function`; or the sum of several, by weight.

    The sum is None where one of them is. Raises `TaskError` as `load_measure`.
    """
    if isinstance(kind, str):
        return load_measure(kind)
    parts = [(load_measure(name), weight) for name, weight in kind.items()]

    def weighted(graded: Graded) -> float | None:
        values = [value for part, _ in parts if (value := part(graded)) is not None]
        if len(values) < len(parts):
            return None
        return math.fsum(weight * value for value, (_, weight) in zip(values, parts, strict=True))

    return weighted


def load_metrics(names: Sequence[str]) -> dict[str, Measure]:
    """Metrics by the name of their function. Raises `TaskError` as `load_measure`, and where two have the same."""
    metrics = {name.rpartition(":")[2]: load_measure(name) for name in names}
    if len(metrics) < len(names):
        raise TaskError(f"metrics {', '.join(names)}: two functions have the same name; rename one")
    return metrics


def load_measure(name: str) -> Measure:
    """The reward or metric of this name, which is never called for INFRA and may return None, too.

    Raises:
        TaskError: here for a name that leads nowhere or a function that wants what there is not; from the measure where
            the function fails, or returns what is no finite number.
    """
    function = load_own(name) if ":" in name else _BY_NAME.get(name)
    if function is None:
        raise TaskError(
            f"reward or metric {name!r}: use one of {', '.join(_BY_NAME)}, or 'module:function' of your own"
        )
    if not callable(function):
        raise TaskError(f"{name}: it is a {type(function).__name__}, not a function")
    wanted = _wanted(function, name)

    def measure(graded: Graded) -> float | None:
        if graded.verdict.passed is None:
            return None
        try:
            value = function(**{field: getattr(graded, field) for field in wanted})
        except Exception as error:  # the user's function: any fault in it is its own
            raise TaskError(f"{name} failed on {graded.task.id}: {blamed(error)}") from error
        if value is None:
            return None
        if not isinstance(value, Real) or not math.isfinite(value):
            raise TaskError(f"{name} returned {value!r} for {graded.task.id}; it is to be a finite number")
        return float(value)

    return measure


def _wanted(function: Callable[..., object], name: str) -> list[str]:
    """The fields of `Graded` that `function` takes. Raises `TaskError` for a parameter that is none."""
    known = [field.name for field in fields(Graded)]
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise TaskError(f"{name}: its parameters cannot be read ({error})") from error
    for each in parameters:
        if each.kind is each.VAR_KEYWORD:
            return known
        if each.name not in known and each.default is each.empty and each.kind is not each.VAR_POSITIONAL:
            near = difflib.get_close_matches(each.name, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise TaskError(f"{name} wants {each.name!r}; {hint}It can have {', '.join(known)}")
    return [each.name for each in parameters if each.name in known]


def rehearse(measures: Sequence[Measure], task: Task) -> None:
    """Call them on made-up completions of `task`, one that passes and two that do not. Raises `TaskError`."""
    for graded in _rehearsals(task):
        for measure in measures:
            measure(graded)


def _rehearsals(task: Task) -> Iterator[Graded]:
    for verdict in (_verdict(task, passed=True), _verdict(task, passed=False), no_code(task.id)):
        program = "" if verdict.phase == "no_code" else task.reference or "pass\n"
        yield Graded(
            prompt=task.prompt,
            completion=f"```python\n{program}```" if program else "",
            program=program,
            task=task,
            verdict=verdict,
            tokens=len(program.split()),
            truncated=False,
        )


def _verdict(task: Task, *, passed: bool) -> Verdict:
    error = ErrorInfo(type="ValueError", message="a rehearsal", phase="call")
    status = Status.OK if passed else Status.EXCEPTION
    return Verdict(
        task_id=task.id,
        passed=passed,
        score=float(passed),
        status=status,
        phase="passed" if passed else "call",
        tests=(TestResult(name="test 1", passed=passed, status=status),),
        error=None if passed else error,
    )
