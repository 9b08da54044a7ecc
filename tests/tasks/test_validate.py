"""Mutants are changed references; validation counts those that tests let live."""

from __future__ import annotations

import ast

import pytest

from sandbox.protocol import Runner
from tasks.grading.grader import Grader
from tasks.types import CallTest, Task
from tasks.validation.mutants import Mutant, make_mutants
from tasks.validation.validate import validate

PROGRAM = '''
"""Docs."""
import math

unused = 7


def helper(x: int) -> int:
    """Docs."""
    return x * 2


def f(xs: list[int], strict: bool = True) -> int:
    total = 0
    for x in xs:
        if x < 0 and strict:
            continue
        total += helper(x)
    return total
'''


def test_the_same_seed_makes_the_same_mutants() -> None:
    assert make_mutants(PROGRAM, "f", seed=1) == make_mutants(PROGRAM, "f", seed=1)
    first = [make_mutants(PROGRAM, "f", seed=seed, limit=1)[0] for seed in range(8)]
    assert len(set(first)) > 3


def test_a_mutant_compiles_and_differs_by_its_one_change() -> None:
    original = ast.unparse(ast.parse(PROGRAM)).splitlines()
    for mutant in make_mutants(PROGRAM, "f"):
        compile(mutant.program, "<mutant>", "exec")
        changed = [(a, b) for a, b in zip(original, mutant.program.splitlines(), strict=True) if a != b]
        assert len(changed) == 1, mutant


def test_every_kind_of_change_is_made_once() -> None:
    changes = sorted(mutant.change for mutant in make_mutants(PROGRAM, "f"))
    assert changes == [
        "Add to Sub",
        "And to Or",
        "Assign left out",
        "AugAssign left out",
        "Continue left out",
        "Lt to GtE",
        "Mult to Add",
        "condition negated",
        "constant 0",
        "constant 0",
        "constant 2",
        "constant True",
        "returns None",
        "returns None",
    ]


def test_only_what_the_entry_point_reaches_is_changed() -> None:
    assert all("unused = 7" in mutant.program for mutant in make_mutants(PROGRAM, "f"))
    assert any("unused = 8" in mutant.program for mutant in make_mutants(PROGRAM))


@pytest.mark.parametrize(
    "program",
    [
        'def f(x: "int") -> "str":\n    "docs"\n    ...\n',
        "def f(x):\n    pass\n",
        "def f(x:\n",
        "def f(x):\n    return f'{x!r}'\n"[:12],
        "",
    ],
)
def test_nothing_is_made_of_what_cannot_be_changed(program: str) -> None:
    assert make_mutants(program, "f") == []


def test_a_change_that_leaves_the_bytecode_is_not_made() -> None:
    program = "def f(x):\n    if False:\n        x = 1 + 2\n    return x\n"
    mutants = make_mutants(program, "f")
    assert {mutant.change for mutant in mutants} == {"condition negated", "constant False", "returns None"}


def _task(
    *cases: tuple[int, int], identity: str = "t", reference: str | None, wrong: tuple[str, ...] = ()
) -> Task:
    tests = tuple(CallTest(function="f", args=(x,), expected=y) for x, y in cases)
    return Task(id=identity, prompt="", tests=tests, entry_point="f", reference=reference, wrong=wrong)


DOUBLE = "def f(x):\n    return x * 2\n"
LOOPS = "def f(x):\n    while x > 0:\n        x -= 1\n    return x\n"


def test_validation_counts_failed_references_known_wrong_programs_and_survivors(pool: Runner) -> None:
    strong = _task((1, 2), (3, 6), identity="strong", reference=DOUBLE, wrong=("def f(x):\n    return x\n",))
    weak = _task((2, 4), identity="weak", reference=DOUBLE, wrong=("def f(x):\n    return x ** 2\n",))
    broken = _task((1, 3), identity="broken", reference=DOUBLE)
    without = _task((1, 3), identity="without", reference=None)
    seen: list[tuple[int, int]] = []
    report = validate(
        [strong, weak, broken, without], Grader(pool), mutants=9, progress=lambda *done: seen.append(done)
    )
    assert report.tasks == 4 and len(report.references) == 3
    assert [verdict.task_id for verdict in report.failed] == ["broken"]
    assert (report.wrong, report.wrong_passed) == (2, ("weak",))
    # Of x * 2: the operator, the constant, and None; 2 + 2 == 4 lets the first live in "weak".
    assert report.mutants == 6 and report.infra == 0
    assert [(s.task_id, s.mutant) for s in report.survivors] == [
        ("weak", Mutant("def f(x):\n    return x + 2\n", "Mult to Add", 2))
    ]
    assert report.kill_rate == pytest.approx(5 / 6) and not report.ok
    assert seen[-1] == (6, 6)
    text = str(report)
    for part in (
        "references: 2/3 pass",
        "broken: wrong: call 1: 2 instead of 3",
        "mutants: 5/6",
        "weak, line 2: Mult",
    ):
        assert part in text


def test_a_mutant_that_loops_for_ever_is_killed_early(pool: Runner) -> None:
    report = validate([_task((3, 0), (4, 0), reference=LOOPS)], Grader(pool), mutants=20)
    assert not report.failed and report.infra == 0
    assert report.mutants > 5 and {s.mutant.change for s in report.survivors} <= {"constant 1"}
