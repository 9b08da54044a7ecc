"""The built-in curriculum: demonstrations, shortcut classes, revisions, vocabulary."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import pytest

from sandbox.protocol import Status
from tasks.builtin import Demonstration, demonstrations, load, solution_class, vocabulary
from tasks.builtin.demonstrations import POPULAR, RARE_CLASS, REMARKS
from tasks.builtin.generate import POPULAR_PASSES, TESTS
from tasks.builtin.levels import LEVELS, MIXTURES
from tasks.builtin.operations import ALL, SHORTCUT
from tasks.builtin.programs import behaviour, evaluate, parse, split_of, write
from tasks.types import CallTest, Task, TestResult, Verdict

PHRASES = {step.phrase: step for step in ALL}
BLOCK = re.compile(r"```python\n(.*?)```\n", re.DOTALL)


def asked(demonstration: Demonstration) -> tuple[str, ...]:
    """The right expressions, read back from the prompt."""
    phrases = demonstration.prompt.partition(": ")[2].strip().split("; ")
    return tuple(PHRASES[phrase].codes[0] for phrase in phrases)


def is_right(program: str, demonstration: Demonstration) -> bool:
    lines = parse(program)
    assert lines is not None, program
    return behaviour(lines) == behaviour(asked(demonstration))


def drawn(level: str, count: int, **options: float) -> list[Demonstration]:
    return list(demonstrations(f"builtin:{level}", count=count, seed=7, **options))


def test_demonstrations_follow_their_seed() -> None:
    assert drawn("all", 50) == drawn("all", 50)
    assert drawn("all", 50) != list(demonstrations("builtin:all", count=50, seed=8))


@pytest.mark.parametrize("level", sorted(LEVELS))
def test_no_demonstration_shows_a_held_out_task(level: str) -> None:
    assert {split_of(behaviour(asked(d))) for d in drawn(level, 400)} == {"train"}
    held_out = {task.prompt for task in load(f"builtin:{level}", split="held-out", count=60)}
    assert held_out.isdisjoint(d.prompt for d in drawn(level, 2000))


@pytest.mark.parametrize("level", ["tiny", "easy", "lists", "mix"])
@pytest.mark.parametrize("wrong_rate", [0.0, 0.5, 0.9])
def test_the_asked_share_is_wrong_and_kinds_tell_the_truth(level: str, wrong_rate: float) -> None:
    found = drawn(level, 1500, wrong_rate=wrong_rate)
    for demonstration in found:
        assert is_right(demonstration.completion, demonstration) == (demonstration.kind == "right")
    share = sum(d.kind == "wrong" for d in found) / len(found)
    assert abs(share - wrong_rate) < 0.05


def test_wrong_demonstrations_err_in_many_ways() -> None:
    outcomes: Counter[str] = Counter()
    for demonstration in drawn("mix", 4000):
        lines = parse(demonstration.completion) or ()
        if demonstration.kind == "wrong":
            value = evaluate(lines, [3, -1, 4, 1, 5])
            outcomes[value if isinstance(value, str) else "wrong answer"] += 1
            outcomes["shorter"] += len(lines) < len(asked(demonstration))
    assert outcomes["wrong answer"] > 400
    assert min(outcomes["TypeError"], outcomes["AttributeError"], outcomes["NameError"]) > 8
    assert outcomes["shorter"] > 100


def test_hard_tasks_are_almost_never_demonstrated_right() -> None:
    share = sum(d.kind == "right" for d in drawn("hard", 3000)) / 3000
    assert 0 < share < 0.03


def test_shortcut_demonstrations_keep_their_mix() -> None:
    found = drawn("shortcut", 6000)
    kinds = Counter(d.kind for d in found)
    assert abs(kinds["popular"] / 6000 - POPULAR) < 0.06
    assert RARE_CLASS / 2 < kinds["rare"] / 6000 < 2 * RARE_CLASS
    controls = [step.phrase for step in SHORTCUT if not step.rare_demonstrated]
    for demonstration in found:
        if demonstration.kind == "rare":
            assert not any(
                phrase in demonstration.prompt.partition(": ")[2].strip().split("; ") for phrase in controls
            )


def _graded(task: Task, program: Sequence[str]) -> Verdict:
    assert isinstance(task.tests, tuple)
    results = []
    for test in task.tests:
        assert isinstance(test, CallTest)
        passed = evaluate(program, test.args[0]) == test.expected  # type: ignore[arg-type]
        results.append(TestResult(name=test.name, passed=passed, status=Status.OK))
    share = sum(r.passed for r in results) / len(results)
    return Verdict(
        task_id=task.id, passed=share == 1, score=share, status=Status.OK, phase="wrong", tests=tuple(results)
    )


@pytest.mark.parametrize("split", ["train", "held-out"])
def test_shortcut_tasks_tell_popular_rare_and_wrong_solutions_apart(split: str) -> None:
    families: Counter[str] = Counter()
    for task in load("builtin:shortcut", split=split, count=150):
        steps = [PHRASES[phrase] for phrase in task.prompt.partition(": ")[2].strip().split("; ")]
        (special,) = (step for step in steps if step.popular)
        families[special.family] += 1
        rare = [step.codes[0] for step in steps]
        popular = [step.popular or step.codes[0] for step in steps]
        graded = _graded(task, popular)
        assert graded.score == POPULAR_PASSES / TESTS
        assert solution_class(task, graded) == "popular"
        assert solution_class(task, _graded(task, rare)) == "rare"
        for i in range(len(steps)):
            assert solution_class(task, _graded(task, rare[:i] + rare[i + 1 :])) == "wrong"
            assert solution_class(task, _graded(task, popular[:i] + popular[i + 1 :])) == "wrong"
        assert task.level == ("shortcut" if special.rare_demonstrated else "shortcut-control")
    assert len(families) == len({step.family for step in SHORTCUT})


def test_no_class_without_a_shortcut_or_without_a_verdict() -> None:
    (plain,) = load("builtin:easy", count=1)
    assert solution_class(plain, _graded(plain, ["sorted(x)"])) is None
    (task,) = load("builtin:shortcut", count=1)
    fault = replace(_graded(task, []), passed=None, score=None, status=Status.INFRA, tests=())
    assert solution_class(task, fault) is None
    crashed = replace(_graded(task, []), score=0.0, status=Status.COMPILE_ERROR, tests=())
    assert solution_class(task, crashed) == "wrong"


def test_revisions_are_two_attempts_that_went_as_their_kind_says() -> None:
    truth = {
        "kept": (True, True),
        "harmed": (True, False),
        "fixed": (False, True),
        "repeated": (False, False),
        "changed": (False, False),
    }
    kinds: Counter[str] = Counter()
    for demonstration in drawn("revision", 1500):
        first, second = BLOCK.findall(demonstration.completion)
        assert (is_right(first, demonstration), is_right(second, demonstration)) == truth[demonstration.kind]
        assert (first == second) == (demonstration.kind in ("kept", "repeated"))
        kinds[demonstration.kind] += 1
    assert min(kinds.values()) > 50
    assert kinds.keys() == truth.keys()


def test_remarks_do_not_give_away_which_attempt_is_right() -> None:
    remarks: dict[str, Counter[str]] = defaultdict(Counter)
    for demonstration in drawn("revision", 4000):
        (remark,) = re.findall(r"```\n(.+)\n```python", demonstration.completion)
        remarks[demonstration.kind][remark] += 1
    for kind, counts in remarks.items():
        total = counts.total()
        assert counts.keys() == set(REMARKS)
        spread = 4.5 * (0.2 * 0.8 / total) ** 0.5  # 4.5 standard deviations about an even share
        assert all(abs(count / total - 1 / len(REMARKS)) < spread for count in counts.values()), kind


def test_the_vocabulary_is_small_and_spells_every_text_exactly() -> None:
    words = vocabulary()
    assert len(words) == len(set(words)) < 300
    longest_first = re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True))))
    for level in MIXTURES:
        texts = [d.prompt + d.completion for d in drawn(level, 800)]
        texts += [task.prompt + (task.reference or "") for task in load(f"builtin:{level}", count=50)]
        for text in texts:
            assert "".join(longest_first.findall(text)) == text


def test_prompts_and_programs_are_short() -> None:
    longest_first = re.compile("|".join(map(re.escape, sorted(vocabulary(), key=len, reverse=True))))
    found = drawn("mix", 1000)
    assert max(len(longest_first.findall(d.prompt)) for d in found) < 20
    assert sum(len(longest_first.findall(d.completion)) for d in found) / 1000 < 22


def test_known_programs_are_written_with_the_frame_that_the_readme_shows() -> None:
    assert write(["sorted(x)", "x[:2]"]) == "def f(x):\n    x = sorted(x)\n    x = x[:2]\n    return x\n"
