"""Validates problems without a model: references must pass, wrong programs and mutants must fail.

A survivor is a mutant that passes. It is either equivalent to its reference or shows what the tests do not ask; the two
cannot be told apart in general, so every survivor counts against the kill rate and is listed for a person.
Mutants whose change leaves the bytecode as it was are not made (tasks/validation/mutants.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sandbox.protocol import Limits, Status
from tasks.grading.grader import Grader, limits_of
from tasks.grading.judge_outcomes import why
from tasks.types import Task, Verdict
from tasks.validation.mutants import Mutant, make_mutants

KILL_RATE = 0.95  # of all mutants, at least

Progress = Callable[[int, int], None]  # done, total


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutant of the task's reference that its tests let pass."""

    task_id: str
    mutant: Mutant


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationReport:
    """What validation found. `references` has a verdict for each task that has a reference."""

    tasks: int
    references: tuple[Verdict, ...]
    wrong_passed: tuple[str, ...]  # tasks with a known wrong program that passes
    wrong: int
    mutants: int  # graded; INFRA is not counted
    survivors: tuple[Survivor, ...]
    infra: int

    @property
    def failed(self) -> tuple[Verdict, ...]:
        return tuple(v for v in self.references if v.passed is False)

    @property
    def kill_rate(self) -> float | None:
        """Share of mutants that fail; None where there were none."""
        return 1 - len(self.survivors) / self.mutants if self.mutants else None

    @property
    def ok(self) -> bool:
        rate = self.kill_rate
        return (
            bool(self.references)
            and not self.failed
            and not self.wrong_passed
            and not self.infra
            and (rate is None or rate >= KILL_RATE)
        )

    def __str__(self) -> str:
        passed = sum(verdict.passed is True for verdict in self.references)
        lines = [f"references: {passed}/{len(self.references)} pass ({self.tasks} tasks)"]
        lines += [f"  {v.task_id}: {v.phase}: {why(v)}" for v in self.failed]
        if self.wrong:
            lines.append(f"known wrong programs: {len(self.wrong_passed)}/{self.wrong} pass")
            lines += [f"  {task_id}" for task_id in self.wrong_passed]
        if self.kill_rate is not None:
            killed = self.mutants - len(self.survivors)
            lines.append(
                f"mutants: {killed}/{self.mutants} fail ({self.kill_rate:.1%}; needed: {KILL_RATE:.0%})"
            )
            lines += [
                f"  survives: {s.task_id}, line {s.mutant.line}: {s.mutant.change}" for s in self.survivors
            ]
        if self.infra:
            lines.append(f"not graded, the sandbox failed: {self.infra}; see `coderl sandbox doctor`")
        return "\n".join(lines)

    def next_step(self, spec: str) -> str:
        """What to do now, as commands on the tasks of `spec`."""
        if self.infra:
            return "next: coderl sandbox doctor, then validate again"
        if not self.references:
            return "next: give the tasks references, whole programs that pass"
        if broken := [v.task_id for v in self.failed] or list(self.wrong_passed):
            return f"next: mend tests or programs of the tasks above; coderl tasks show {spec} {broken[0]}"
        if not self.ok:
            return "next: add tests that tell the surviving mutants from their references, unless these do the same"
        return f"next: coderl tasks audit {spec} (do programs that solve nothing pass?), then coderl train"


def validate(
    tasks: Sequence[Task],
    grader: Grader,
    *,
    mutants: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> ValidationReport:
    """Grades every task's reference, its known wrong programs, and `mutants` mutants of it.

    Only a reference that passes is mutated. A mutant may take ten times its reference's CPU time: one that
    loops for ever need not use up the limits of honest programs.
    """
    references = graded_references(tasks, grader, progress)
    verdicts = [verdict for _, _, verdict in references]
    wrong = [(task, program, None) for task in tasks for program in task.wrong]
    wrong_verdicts = _grade(grader, wrong, progress)
    made = graded_mutants(references, grader, mutants=mutants, seed=seed, progress=progress)
    mutant_verdicts = [verdict for _, _, verdict in made]
    everything = [*verdicts, *wrong_verdicts, *mutant_verdicts]
    return ValidationReport(
        tasks=len(tasks),
        references=tuple(verdicts),
        wrong_passed=tuple(verdict.task_id for verdict in wrong_verdicts if verdict.passed),
        wrong=len(wrong),
        mutants=sum(verdict.status is not Status.INFRA for verdict in mutant_verdicts),
        survivors=tuple(Survivor(task.id, mutant) for task, mutant, verdict in made if verdict.passed),
        infra=sum(verdict.status is Status.INFRA for verdict in everything),
    )


def graded_references(
    tasks: Sequence[Task], grader: Grader, progress: Progress | None = None
) -> list[tuple[Task, str, Verdict]]:
    """Every reference with its verdict."""
    found = [(task, task.reference) for task in tasks if task.reference is not None]
    verdicts = _grade(grader, [(task, program, None) for task, program in found], progress)
    return [(task, program, verdict) for (task, program), verdict in zip(found, verdicts, strict=True)]


def graded_mutants(
    references: Sequence[tuple[Task, str, Verdict]],
    grader: Grader,
    *,
    mutants: int,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[tuple[Task, Mutant, Verdict]]:
    """Mutants of those `references` that pass, with their verdicts."""
    made = [
        (task, mutant, _mutant_limits(task, verdict))
        for task, program, verdict in references
        if verdict.passed
        for mutant in make_mutants(program, task.entry_point, seed=seed, limit=mutants)
    ]
    verdicts = _grade(grader, [(task, mutant.program, limits) for task, mutant, limits in made], progress)
    return [(task, mutant, verdict) for (task, mutant, _), verdict in zip(made, verdicts, strict=True)]


def _mutant_limits(task: Task, reference: Verdict) -> Limits:
    limits = limits_of(task, Limits())
    seconds = 1 + 10 * reference.cpu_seconds
    return replace(
        limits,
        cpu_seconds=min(limits.cpu_seconds, seconds),
        total_cpu_seconds=min(limits.total_cpu_seconds, seconds),
    )


def _grade(
    grader: Grader, items: Sequence[tuple[Task, str, Limits | None]], progress: Progress | None
) -> list[Verdict]:
    verdicts: dict[int, Verdict] = {}
    for index, verdict in grader.grade_all(items):
        verdicts[index] = verdict
        if progress:
            progress(len(verdicts), len(items))
    return [verdicts[index] for index in range(len(items))]
