"""Which tests are held back from the reward, and that both parts of a task are still graded as a task is."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sandbox.protocol import Runner
from tasks.grading.grader import Grader
from tasks.grading.hold_back import HoldBack, Split, split
from tasks.types import CallTest, JudgeTest, ReferenceTests, StdioTest, Task, Tests

TRIPLE = "def f(x):\n    return x * 3\n"


def task(tests: Tests, **fields: Any) -> Task:
    return Task(**{"id": "t", "prompt": "", "entry_point": "f", "tests": tests} | fields)


def units(tests: Tests) -> list[Any]:
    return list(tests.inputs if isinstance(tests, ReferenceTests) else tests)


def calls(count: int) -> tuple[CallTest, ...]:
    return tuple(CallTest(function="f", args=(x,), expected=3 * x) for x in range(count))


kinds = st.sampled_from(
    [
        calls,
        lambda n: tuple(StdioTest(stdin=str(i), stdout=str(i)) for i in range(n)),
        lambda n: ReferenceTests(function="f", inputs=tuple((i,) for i in range(n))),
        lambda n: tuple(JudgeTest(kind="unittest", source=f"# {i}") for i in range(n)),
    ]
)


@given(kinds, st.integers(2, 40), st.floats(0, 1, exclude_max=True), st.integers(), st.text(max_size=8))
def test_parts_are_disjoint_and_whole_and_neither_is_empty(
    kind: Any, count: int, share: float, seed: int, name: str
) -> None:
    whole = task(kind(count), id=name)
    parts = split(whole, share, seed)
    assert parts is not None
    rewarded, held = units(parts.rewarded.tests), units(parts.held_back.tests)
    assert rewarded and held
    order = units(whole.tests)
    assert sorted([*rewarded, *held], key=order.index) == order  # each test in one of them, none twice
    assert rewarded == [test for test in order if test in rewarded]
    assert abs(len(held) - share * count) <= 1
    assert split(task(kind(count), id=name), share, seed) == parts  # depends on id, seed and share alone


def test_the_seed_and_the_task_choose() -> None:
    def chosen(seed: int, name: str = "t") -> str:
        parts = split(task(calls(20), id=name), 0.5, seed)
        return repr(parts and parts.held_back.tests)

    assert len({chosen(seed) for seed in range(9)}) == 9
    assert chosen(0, "u") != chosen(0)


def test_too_few_tests_and_shortcut_tasks_are_not_split() -> None:
    assert split(task(calls(1)), 0.5, 0) is None
    assert split(task((JudgeTest(kind="pytest", source="def test_a(): ..."),)), 0.5, 0) is None
    assert split(task(calls(9), metadata={"popular": "111111110"}), 0.5, 0) is None


def test_an_assert_in_a_loop_is_held_back_whole() -> None:
    source = "for x in range(6):\n    assert f(x) == x * 3\nassert f(7) == 21\n".replace("x * 3", "0")
    parts = split(task((JudgeTest(kind="script", source=source),)), 0.5, 0)
    assert parts is not None
    counts = sorted(len(units(part.tests)) for part in (parts.rewarded, parts.held_back))
    assert counts == [1, 6]


def test_tasks_are_split_once_and_counted() -> None:
    holding, whole, single = HoldBack(0.25, 0), task(calls(8)), task(calls(1), id="one")
    assert holding.split(whole) is holding.split(whole)
    text = holding.describe([whole, single])
    assert text.startswith("25% of the tests of 1 training tasks") and "; 1 tasks keep" in text
    again = task(calls(4))  # another task of the same name: not the old one's tests
    parts = holding.split(again)
    assert parts is not None and len(units(parts.rewarded.tests)) == 3


def test_a_program_that_overfits_passes_one_part_and_fails_the_other(pool: Runner) -> None:
    stdio = tuple(StdioTest(stdin=str(x), stdout=str(3 * x)) for x in range(6))
    asserts = "".join(f"assert f({x}) == {3 * x}\n" for x in range(6))
    scripts = tuple(JudgeTest(kind="unittest", source=_unittest(x)) for x in range(6))
    inputs = ReferenceTests(function="f", inputs=tuple((x,) for x in range(6)))
    prints = "print(3 * int(input()))\n"
    for whole, right in [
        (task(calls(6)), TRIPLE),
        (task((JudgeTest(kind="script", source=asserts),), id="script"), TRIPLE),
        (task(scripts, id="judge"), TRIPLE),
        (task(inputs, id="inputs", reference=TRIPLE), TRIPLE),
        (task(stdio, id="stdio", entry_point=None), prints),
    ]:
        parts = split(whole, 0.5, 1)
        assert parts is not None
        grader = Grader(pool)
        overfitted = _table(parts, prints=right is prints)
        for program, passes in [(right, [True, True]), (overfitted, [True, False])]:
            verdicts = [grader.grade(part, [program])[0] for part in (parts.rewarded, parts.held_back)]
            assert [verdict.passed for verdict in verdicts] == passes, whole.id
        assert [test.passed for test in verdicts[1].tests] == [False] * 3


def _unittest(x: int) -> str:
    return (
        "import unittest\nfrom solution import f\nclass T(unittest.TestCase):\n"
        f"    def test_{x}(self):\n        self.assertEqual(f({x}), {3 * x})\n"
    )


def _table(parts: Split, *, prints: bool) -> str:
    """A program that knows the rewarded tests by heart."""
    rewarded = repr(parts.rewarded.tests)
    known = {x: 3 * x for x in range(6) if _mentions(rewarded, x)}
    function = f"def f(x):\n    return {known}.get(x, -1)\n"
    return function + ("print(f(int(input())))\n" if prints else "")


def _mentions(tests: str, x: int) -> bool:
    return any(text in tests for text in (f"args=({x},)", f"stdin='{x}'", f"test_{x}", f"({x},)"))
