"""The built-in curriculum: tasks, their rejection rules, splits."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.builtin import load
from tasks.builtin.generate import KILLS, TESTS, mutants
from tasks.builtin.levels import LEVELS, MIXTURES
from tasks.builtin.operations import ALL
from tasks.builtin.programs import Failure, behaviour, evaluate, known_expressions, parse, random_input, write
from tasks.types import CallTest, Task
from tests.tasks.rules import check_rules


def run(program: str, argument: list[int]) -> object:
    """What the text of a program of our own tables returns: a second opinion on `evaluate`."""
    namespace: dict[str, object] = {}
    exec(program, namespace)  # our own text, never a model's
    return namespace["f"](list(argument))  # type: ignore[operator]


def calls(task: Task) -> list[CallTest]:
    assert isinstance(task.tests, tuple)
    return [test for test in task.tests if isinstance(test, CallTest)]


def score(program: str, task: Task) -> float:
    passed = 0
    for test in calls(task):
        with suppress(TypeError, ValueError, IndexError, AttributeError):  # a crash fails the test
            passed += run(program, test.args[0]) == test.expected  # type: ignore[arg-type]
    return passed / len(calls(task))


@pytest.fixture(scope="module", params=sorted(LEVELS))
def level_tasks(request: pytest.FixtureRequest) -> list[Task]:
    spec = f"builtin:{request.param}"
    return load(spec, count=60) + load(spec, split="held-out", count=40)


@given(st.lists(st.sampled_from(sorted(known_expressions())), max_size=4), st.integers(0, 2**32))
@settings(max_examples=400, deadline=None)
@example(lines=["[v % 2 == 0 for v in x]", "max(x)"], seed=0)
def test_evaluating_expressions_is_running_the_text_of_the_program(lines: list[str], seed: int) -> None:
    argument = random_input(random.Random(seed))
    value = evaluate(lines, argument)
    try:
        actual = run(write(lines), argument)
    except (TypeError, ValueError, IndexError, AttributeError, NameError) as error:
        assert value == type(error).__name__
        return
    if isinstance(value, Failure):
        assert value == "not plain"
        assert not isinstance(actual, int)
        assert not (isinstance(actual, list) and all(isinstance(v, int) for v in actual))
    else:
        assert actual == value


@given(st.lists(st.sampled_from(sorted(known_expressions())), max_size=4))
def test_parse_is_the_inverse_of_write(lines: list[str]) -> None:
    assert parse(write(lines)) == tuple(lines)


@pytest.mark.parametrize(
    "program",
    [
        "def f(x):\n    x = __import__('os').getcwd()\n    return x\n",
        "def f(x):\n    x = sorted(x)\n    return x\nprint(1)\n",
        "def f(x):\n    x = sorted(x)\n    return x",
        "def f(x):\n    x = sorted(x); y = 1\n    return x\n",
        "def f(x):\nsorted(x)\n    return x\n",
        "",
    ],
)
def test_text_outside_the_tables_is_unknown(program: str) -> None:
    assert parse(program) is None


def test_only_expressions_of_the_tables_are_ever_evaluated() -> None:
    with pytest.raises(ValueError, match="not an expression of the built-in curriculum"):
        evaluate(["__import__('os').getcwd()"], [1])


def test_the_bugs_and_popular_solutions_of_every_step_differ_from_its_right_code() -> None:
    for step in ALL:
        digest = behaviour((step.codes[0],))
        assert {behaviour((code,)) for code in step.codes} == {digest}, step.phrase
        wrong = [*step.bugs, *step.near, *([step.popular] if step.popular else [])]
        assert digest not in {behaviour((code,)) for code in wrong}, step.phrase


def test_references_pass_and_constants_echoes_and_omissions_fail(level_tasks: list[Task]) -> None:
    for task in level_tasks:
        assert task.reference is not None
        assert len(calls(task)) == TESTS
        assert score(task.reference, task) == 1
        assert max(Counter(repr(test.expected) for test in calls(task)).values()) <= 0.3 * TESTS
        lines = parse(task.reference)
        assert lines is not None
        for mutant in mutants(lines):
            assert score(write(mutant), task) <= 1 - KILLS / TESTS, (task.prompt, mutant)


def test_mutants_are_the_echo_and_every_omission() -> None:
    assert mutants(("a", "b", "c")) == [(), ("b", "c"), ("a", "c"), ("a", "b")]
    assert mutants(("a",)) == [()]


def test_splits_differ_in_behaviour_on_the_hidden_inputs() -> None:
    for spec in ("builtin:mix", "builtin:all"):
        train, held_out = (load(spec, count=400, seed=1), load(spec, split="held-out", count=256, seed=2))
        digests = [behaviour(parse(task.reference or "") or ()) for task in held_out]
        assert len(set(digests)) == len(held_out) == 256
        assert set(digests).isdisjoint(behaviour(parse(task.reference or "") or ()) for task in train)
        assert {task.prompt for task in train}.isdisjoint(task.prompt for task in held_out)


def test_loading_is_deterministic_and_a_longer_list_begins_with_the_shorter() -> None:
    assert load("builtin:lists", count=30, seed=3) == load("builtin:lists", count=50, seed=3)[:30]
    assert load("builtin:lists", count=30, seed=3) != load("builtin:lists", count=30, seed=4)


def test_a_task_is_the_same_whichever_seed_finds_it() -> None:
    one = {task.id: task for task in load("builtin:tiny", count=200, seed=0)}
    two = {task.id: task for task in load("builtin:tiny", count=200, seed=1)}
    common = one.keys() & two.keys()
    assert len(common) > 20
    assert all(one[key] == two[key] for key in common)


def test_mixtures_keep_their_shares() -> None:
    levels = Counter(task.level for task in load("builtin:mix", count=500))
    assert levels.keys() == MIXTURES["mix"].keys()
    assert 0.3 < levels["easy"] / 500 < 0.5


def test_misuse_is_explained() -> None:
    with pytest.raises(ValueError, match="unknown built-in level 'builtin:easiest'; known: builtin:tiny"):
        load("builtin:easiest")
    with pytest.raises(ValueError, match="unknown split 'test'"):
        load("builtin:easy", split="test")
    with pytest.raises(ValueError, match=r"builtin:tiny has only about \d+ distinct held-out tasks"):
        load("builtin:tiny", split="held-out", count=5000)


def test_check_rules_accepts_what_load_returns(level_tasks: list[Task]) -> None:
    report = check_rules(level_tasks)
    assert report.ok, report.violations[:3]
    assert (report.tasks, report.held_out) == (100, 40)
    assert 0 < report.best_constant <= 0.3
    assert 0 < report.mutant_score <= 1 - KILLS / TESTS


def _task(reference: str, arguments: list[list[int]]) -> Task:
    tests = tuple(CallTest(function="f", args=(a,), expected=run(reference, a)) for a in arguments)
    return replace(load("builtin:easy", count=1)[0], id="t", reference=reference, tests=tests)


def test_check_rules_names_each_violation() -> None:
    good = load("builtin:easy", count=1)[0]
    sort_reverse = write(["sorted(x)", "x[::-1]"])
    ascending = [[1, 2], [1, 3], [0, 4], [2, 5]]
    other_split = {**good.metadata, "split": "held-out" if good.metadata["split"] == "train" else "train"}
    cases = {
        "reference": replace(
            good, tests=tuple(replace(test, expected=[99, n]) for n, test in enumerate(calls(good)))
        ),
        "constant": _task(write(["sum(x)"]), [[1, 2], [3], [2, 1], [5]]),
        "echo": _task(write(["sorted(x)"]), ascending),
        "omission": _task(sort_reverse, ascending),
        "split": replace(good, metadata=other_split),
    }
    for rule, task in cases.items():
        assert rule in {violation.rule for violation in check_rules([task]).violations}, rule
    assert [violation.rule for violation in check_rules([good, good]).violations] == ["duplicate"]


def test_check_rules_refuses_tasks_that_are_not_built_in() -> None:
    foreign = replace(
        load("builtin:easy", count=1)[0], id="mine", reference="def f(x):\n    return eval(x)\n"
    )
    with pytest.raises(ValueError, match="mine is not a task of the built-in curriculum"):
        check_rules([foreign])


def test_the_curriculum_loads_no_torch() -> None:
    code = "import sys, tasks.builtin; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
