"""Whether a task's tests pass programs that solve nothing (tasks/validation/trivial.py), or a changed reference.

A *hole* is such a program that passes. A trivial program may be the right answer, and a mutant may be its reference's
equal: both are listed for a person, and only trivial programs and known wrong ones make a task `weak`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from sandbox.protocol import Limits, Runner, Status
from tasks.errors import TaskError
from tasks.grading.grader import Grader, compiled, limits_of
from tasks.grading.modes import InProcess, checked
from tasks.grading.reference import References
from tasks.types import ReferenceTests, Task
from tasks.validation.trivial import trivial_programs
from tasks.validation.validate import graded_mutants, graded_references

MUTANT, WRONG = "mutant", "wrong"
CPU_SECONDS = 2.0  # of a trivial program's test: it has nothing to do
_FIRST_TESTS = 8  # which most programs fail already

Progress = Callable[[str, int, int], None]  # what, done, total


@dataclass(frozen=True, slots=True)
class Hole:
    """A program that passes: a `Trivial`'s kind, `wrong` (known to be) or `mutant`."""

    kind: str
    name: str
    program: str


@dataclass(frozen=True, slots=True)
class Audited:
    """`infra`: how many programs could not be graded, by a fault of the sandbox or of the task's reference."""

    task: Task
    holes: tuple[Hole, ...]
    infra: int = 0
    left_out: str = ""  # why no program can pass its tests, as its reference shows: it was not audited

    @property
    def weak(self) -> bool:
        return any(hole.kind != MUTANT for hole in self.holes)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    tasks: tuple[Audited, ...]
    programs: int  # graded

    @property
    def weak(self) -> list[Audited]:
        return [audited for audited in self.tasks if audited.weak]

    @property
    def sound(self) -> list[Task]:
        return [audited.task for audited in self.tasks if not audited.weak]

    @property
    def infra(self) -> int:
        return sum(audited.infra for audited in self.tasks)

    def tasks_by_kind(self) -> dict[str, int]:
        """How many tasks have a hole of each kind."""
        kinds = Counter(kind for one in self.tasks for kind in {hole.kind for hole in one.holes})
        return dict(sorted(kinds.items(), key=lambda item: (-item[1], item[0])))


def audit(
    tasks: Sequence[Task],
    runner: Runner,
    *,
    mutants: int = 4,
    seed: int = 0,
    in_process: InProcess = "never",
    progress: Progress = lambda what, done, total: None,
) -> AuditReport:
    """Grades trivial programs, known wrong ones, and `mutants` mutants of each reference that passes."""
    references = References(runner)
    grader = Grader(runner, references=references)
    decided = checked(tasks, grader, in_process, partial(progress, "references"))
    every, tasks = tasks, decided.tasks
    # Most programs fail a task's first tests, so they meet all tests only once they have passed those.
    few = [_first(task) for task in tasks]
    first = _graded(grader, few, _candidates(tasks, references), progress)
    found = [_graded(grader, tasks, first.passed, progress)]
    if mutants:
        found.append(_graded_mutants(tasks, grader, mutants, seed, progress))
    holes: list[list[Hole]] = [[] for _ in tasks]
    for index, hole in (one for part in found for one in part.passed):
        holes[index].append(hole)
    infra = Counter(index for part in (first, *found) for index in part.infra)
    done = {task.id: Audited(task, tuple(holes[index]), infra[index]) for index, task in enumerate(tasks)}
    return AuditReport(
        tasks=tuple(
            done.get(task.id) or Audited(task, (), left_out=decided.left_out[task.id]) for task in every
        ),
        programs=first.count + sum(part.count for part in found[1:]),
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """`passed` and `infra` by a task's index; of programs that failed only the `count` of all is kept."""

    count: int
    passed: list[tuple[int, Hole]]
    infra: list[int]


def _graded_mutants(
    tasks: Sequence[Task], grader: Grader, mutants: int, seed: int, progress: Progress
) -> _Found:
    place = {id(task): index for index, task in enumerate(tasks)}
    passing = graded_references(tasks, grader, partial(progress, "references"))
    made = graded_mutants(passing, grader, mutants=mutants, seed=seed, progress=partial(progress, "mutants"))
    return _Found(
        len(made),
        [
            (place[id(task)], Hole(MUTANT, f"{mutant.change}, line {mutant.line}", mutant.program))
            for task, mutant, verdict in made
            if verdict.passed
        ],
        [place[id(task)] for task, _, verdict in made if verdict.status is Status.INFRA],
    )


def _candidates(tasks: Sequence[Task], references: References) -> Iterator[tuple[int, Hole]]:
    for index, task in enumerate(tasks):
        for one in trivial_programs(task, _expected(task, references)):
            yield index, Hole(one.kind, one.name, one.program)
        for number, program in enumerate(task.wrong, start=1):
            yield index, Hole(WRONG, f"known wrong program {number}", program)


def _expected(task: Task, references: References) -> Sequence[object]:
    """What the reference returns; nothing where it fails, which is validation's to say."""
    if not isinstance(task.tests, ReferenceTests):
        return ()
    try:
        return references.expected(task, task.tests).result().values
    except TaskError:
        return ()


def _first(task: Task) -> Task:
    """`task` with its first tests only."""
    tests = compiled(task) or task.tests
    if isinstance(tests, ReferenceTests):
        few = replace(tests, inputs=tests.inputs[:_FIRST_TESTS])
        return replace(task, id=f"{task.id}#first", tests=few)
    return replace(task, tests=tests[:_FIRST_TESTS]) if len(tests) > _FIRST_TESTS else task


def _graded(
    grader: Grader, tasks: Sequence[Task], items: Iterable[tuple[int, Hole]], progress: Progress
) -> _Found:
    """Grades `items`, each a task's index and a program; they are made as they are needed."""
    waiting: dict[int, tuple[int, Hole]] = {}
    passed: dict[int, tuple[int, Hole]] = {}
    infra: list[int] = []
    count = 0

    def work() -> Iterator[tuple[Task, str, Limits]]:
        for number, (index, hole) in enumerate(items):
            waiting[number] = index, hole
            progress("trivial programs", index + 1, len(tasks))
            yield tasks[index], hole.program, _limits(tasks[index])

    for number, verdict in grader.grade_all(work()):
        count += 1
        one = waiting.pop(number)
        if verdict.passed:
            passed[number] = one
        elif verdict.status is Status.INFRA:
            infra.append(one[0])
    return _Found(count, [passed[number] for number in sorted(passed)], infra)


def _limits(task: Task) -> Limits:
    limits = limits_of(task, Limits())
    return replace(limits, cpu_seconds=min(limits.cpu_seconds, CPU_SECONDS))
