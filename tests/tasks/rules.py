"""The generator's rejection rules, checked again on finished tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.builtin.generate import mutants
from tasks.builtin.programs import behaviour, evaluate, parse, split_of
from tasks.types import CallTest, Task

BEST_CONSTANT = 0.3  # share of the tests that the best constant may pass


@dataclass(frozen=True, slots=True)
class Violation:
    task_id: str
    rule: str
    detail: str


@dataclass(frozen=True, slots=True)
class RuleReport:
    """`violations` is empty where all `tasks` keep all rules."""

    tasks: int
    held_out: int
    best_constant: float  # highest over the tasks
    mutant_score: float  # highest over echoes and programs with one operation left out
    violations: tuple[Violation, ...]

    @property
    def ok(self) -> bool:
        return not self.violations


def check_rules(tasks: Sequence[Task]) -> RuleReport:
    """Check built-in tasks against the rules; tasks of both splits may be given together.

    Rules: `reference` (passes its tests), `constant`, `echo`, `omission` (a mutant passes all tests), `split`
    (its name does not follow from the behaviour), `duplicate` (a behaviour occurs twice).
    Raises ValueError for a task that is not built in.
    """
    violations: list[Violation] = []
    best_constant = mutant_score = 0.0
    seen: dict[str, str] = {}
    for task in tasks:
        lines, tests = _parts(task)

        def score(program: tuple[str, ...], tests: Sequence[CallTest] = tests) -> float:
            return sum(_passes(program, test) for test in tests) / len(tests)

        def violated(rule: str, detail: str, task: Task = task) -> None:
            violations.append(Violation(task.id, rule, detail))

        if score(lines) < 1:
            violated("reference", f"scores {score(lines):.2f}")
        constant = max(Counter(repr(test.expected) for test in tests).values()) / len(tests)
        best_constant = max(best_constant, constant)
        if constant > BEST_CONSTANT:
            violated("constant", f"the best constant scores {constant:.2f}")
        for mutant in mutants(lines):
            mutant_score = max(mutant_score, score(mutant))
            if score(mutant) == 1:
                violated("omission" if mutant else "echo", f"passes every test: {'; '.join(mutant) or 'x'}")
        digest = behaviour(lines)
        if task.metadata.get("split") != split_of(digest):
            violated("split", f"labelled {task.metadata.get('split')}, behaves as {split_of(digest)}")
        if digest in seen:
            violated("duplicate", f"behaves as {seen[digest]}")
        seen[digest] = task.id
    held_out = sum(task.metadata.get("split") == "held-out" for task in tasks)
    return RuleReport(len(tasks), held_out, best_constant, mutant_score, tuple(violations))


def _parts(task: Task) -> tuple[tuple[str, ...], list[CallTest]]:
    lines = parse(task.reference or "")
    tests = (
        [test for test in task.tests if isinstance(test, CallTest)] if isinstance(task.tests, tuple) else []
    )
    if lines is None or not tests:
        raise ValueError(
            f"{task.id} is not a task of the built-in curriculum: its reference or tests are unknown"
        )
    return lines, tests


def _passes(lines: tuple[str, ...], test: CallTest) -> bool:
    (argument,) = test.args
    assert isinstance(argument, list)
    return evaluate(lines, argument) == test.expected
