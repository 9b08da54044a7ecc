"""The built-in curriculum in real sandboxes: what the generator believes is what grading finds."""

from __future__ import annotations

from collections import Counter

from sandbox.protocol import Runner
from tasks.builtin import demonstrations, load, solution_class
from tasks.builtin.levels import LEVELS
from tasks.builtin.operations import ALL
from tasks.builtin.programs import evaluate, parse, write
from tasks.extraction.extract import extract
from tasks.grading.grader import Grader
from tasks.types import CallTest, Task

PHRASES = {step.phrase: step for step in ALL}


def some_tasks(count: int) -> list[Task]:
    return [
        task for level in LEVELS for task in load(f"builtin:{level}", split="held-out", count=count, seed=5)
    ]


def test_every_reference_passes(pool: Runner) -> None:
    tasks = some_tasks(25)
    verdicts = [
        verdict for _, verdict in Grader(pool).grade_all((task, task.reference, None) for task in tasks)
    ]
    assert len(verdicts) == len(tasks)
    assert {(verdict.passed, verdict.score) for verdict in verdicts} == {(True, 1.0)}


def test_programs_pass_exactly_the_tests_that_the_generator_says(pool: Runner) -> None:
    tasks = load("builtin:mix", count=60, seed=6)
    programs = [d.completion for d in demonstrations("builtin:mix", count=60, seed=6, wrong_rate=0.9)]
    # Mutants of the reference and a stranger's program: some tests pass, some fail.
    for task, stranger in zip(tasks, programs, strict=True):
        lines = parse(task.reference or "")
        assert lines is not None
        for program in (write(lines[:-1]), write(lines[1:]), stranger):
            (verdict,) = Grader(pool).grade(task, [program])
            passed = []
            for test in task.tests if isinstance(task.tests, tuple) else ():
                assert isinstance(test, CallTest)
                value = evaluate(parse(program) or (), test.args[0])  # type: ignore[arg-type]
                passed.append(value == test.expected)
            assert [result.passed for result in verdict.tests] == passed, program


def test_classes_of_shortcut_solutions_are_recognised(pool: Runner) -> None:
    grader = Grader(pool)
    for task in load("builtin:shortcut", split="held-out", count=40, seed=5):
        steps = [PHRASES[phrase] for phrase in task.prompt.partition(": ")[2].strip().split("; ")]
        popular = write([step.popular or step.codes[0] for step in steps])
        bug = write([step.bugs[0] if step.popular else step.codes[0] for step in steps])
        verdicts = grader.grade(task, [popular, task.reference, bug, "def f(x) return x", None])
        assert [solution_class(task, v) for v in verdicts] == ["popular", "rare", "wrong", "wrong", "wrong"]
        assert verdicts[0].score == 0.8


def test_demonstrations_are_extracted_and_graded_as_their_kind_says(pool: Runner) -> None:
    grader = Grader(pool)
    passing = {"right", "rare", "kept", "fixed"}
    graded: Counter[tuple[str, bool]] = Counter()
    for level in ("tiny", "shortcut", "revision"):
        tasks = {task.prompt: task for task in load(f"builtin:{level}", count=60, seed=5)}
        for demonstration in demonstrations(f"builtin:{level}", count=1500, seed=5):
            if task := tasks.get(demonstration.prompt):
                (verdict,) = grader.grade(task, [extract(demonstration.completion, task).program])
                graded[demonstration.kind, bool(verdict.passed)] += 1
    assert not any(graded[kind, False] for kind in passing)
    wrong = sum(count for (kind, _), count in graded.items() if kind not in passing)
    survivors = sum(graded[kind, True] for kind, _ in graded if kind not in passing)
    assert wrong > 100
    assert survivors < 0.02 * wrong  # ten tests kill nearly every mistake that a demonstration makes
