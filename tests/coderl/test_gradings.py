"""Passing completions are graded again on the tests held back, once a program, and nobody else is."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from analysis import report
from coderl.config.settings import RunConfig
from coderl.model.prompts import Prompt
from coderl.rollouts import collect
from coderl.rollouts.batch import Batch, Group
from coderl.runfolder.write import RunFolder, _record
from coderl.sampling.types import Completion, Drawing, Request
from coderl.training.evaluate import evaluate
from coderl.training.record import _held_back
from sandbox.protocol import Runner, Status
from tasks.grading.grader import Grader
from tasks.grading.hold_back import HoldBack
from tasks.types import CallTest, Task, TestResult, Verdict
from tests.coderl.batches import run_config

# Programs by what they pass: the rewarded tests and the held-back ones, the rewarded ones only, or neither.
RIGHT, OVERFIT, WRONG, LOST = "right = 1\n", "overfit = 1\n", "wrong = 1\n", "lost = 1\n"


class FakeGrader:
    """Passes what the tables above say; the sandbox loses `LOST` on the held-back tests."""

    def __init__(self) -> None:
        self.ran: Counter[tuple[str, str]] = Counter()

    def submit(self, task: Task, program: str) -> Future[Verdict]:
        self.ran[task.id, program] += 1
        held = task.id.endswith("#held-back")
        passed = program == RIGHT or (program in (OVERFIT, LOST) and not held)
        score: float | None = float(passed)
        if held and program == LOST:
            score = None
        future: Future[Verdict] = Future()
        tests = tuple(TestResult(name=t.name, passed=passed, status=Status.OK) for t in task.tests)  # type: ignore[union-attr]
        status = Status.INFRA if score is None else Status.OK
        future.set_result(
            Verdict(
                task_id=task.id,
                passed=None if score is None else passed,
                score=score,
                status=status,
                phase="call",
                tests=tests,
            )
        )
        return future


def task(name: str, tests: int) -> Task:
    calls = tuple(CallTest(function="f", args=(n,), expected=n, name=f"test {n}") for n in range(tests))
    return Task(id=name, prompt="", tests=calls, entry_point="f")


def collector(grader: FakeGrader, texts: list[str]) -> collect.Collector:
    def sample(requests: list[Request], *_: Any) -> list[Completion]:
        return [Completion(r.key, [r.key % len(texts)], [-1.0], False) for r in requests]

    parts: list[Any] = [
        SimpleNamespace(prompt=lambda task: Prompt("", [1]), text=lambda tokens: texts[tokens[0]]),
        SimpleNamespace(sample=sample, policy_version=0),
        grader,
        lambda graded: graded.verdict.score,
    ]
    return collect.Collector(run_config(), *parts)


def test_only_passing_programs_are_graded_again_and_each_once() -> None:
    grader, texts = FakeGrader(), [RIGHT, OVERFIT, OVERFIT, WRONG, LOST]
    tasks = [task("many", 4), task("single", 1)]
    batch = collector(grader, texts).collect(tasks, 5, step=1, stream="train", hold_back=HoldBack(0.5, 0))
    assert max(grader.ran.values()) == 1
    again = {program for name, program in grader.ran if name == "many#held-back"}
    assert again == {RIGHT, OVERFIT, LOST} and ("single#held-back", RIGHT) not in grader.ran
    many, single = batch.groups
    passed = [_record(1, rollout)["held_back_passed"] for rollout in many.rollouts]
    assert passed == [True, False, False, None, None]
    assert {_record(1, rollout)["held_back_passed"] for rollout in single.rollouts} == {None}
    failed = _record(1, many.rollouts[1])["held_back_failed"]
    assert len(failed) == 2 and {test["passed"] for test in failed} == {False}
    names = {test["name"] for test in failed} | {t.name for t in many.rollouts[1].verdict.tests}  # type: ignore[union-attr]
    assert names == {f"test {n}" for n in range(4)}
    assert [r.reward for r in many.rollouts] == [1.0, 1.0, 1.0, 0.0, 1.0]  # the reward sees nothing of it
    assert _held_back(batch) == {"held_back_count": 3, "overfit_rate": pytest.approx(2 / 3)}


def test_nothing_is_held_back_unless_asked_for_nor_in_evaluations() -> None:
    grader = FakeGrader()
    collecting = collector(grader, [RIGHT, OVERFIT])
    evaluate(collecting, [task("many", 4)], 2, name="held-out", step=0, drawing=Drawing(1.0))
    batch = collecting.collect([task("many", 4)], 2, step=1, stream="train")
    assert {name for name, _ in grader.ran} == {"many"}
    assert _held_back(batch) == {"held_back_count": 0, "overfit_rate": None}


def test_a_policy_that_learnt_the_rewarded_tests_by_heart_is_found_out(pool: Runner, tmp_path: Path) -> None:
    calls = tuple(CallTest(function="f", args=(n,), expected=3 * n, name=f"test {n}") for n in range(6))
    whole, hold_back = Task(id="triple", prompt="", tests=calls, entry_point="f"), HoldBack(0.5, 0)
    split = hold_back.split(whole)
    assert split is not None
    seen = {test.args[0]: test.expected for test in split.rewarded.tests}  # type: ignore[union-attr]
    table, right = f"def f(x):\n    return {seen}.get(x)\n", "def f(x):\n    return x * 3\n"
    collecting = collector(Grader(pool), [table, right, "def f(x):\n    return 1\n", table])  # type: ignore[arg-type]
    batch = collecting.collect([whole], 4, step=1, stream="train", hold_back=hold_back)
    assert [r.reward for r in batch.rollouts] == [1.0, 1.0, 0.0, 1.0]
    fields = _held_back(batch)
    assert fields == {"held_back_count": 3, "overfit_rate": pytest.approx(2 / 3)}
    folder = RunFolder.create(RunConfig(name="games", runs=str(tmp_path)), [])
    folder.write_rollouts(batch)
    folder.log("step", 1, **fields)
    page = json.loads(report.write(folder.path).with_suffix(".json").read_text())
    (part,) = page["overfitting"]
    (entry,) = part["programs"]
    assert (part["failed"], entry["program"], entry["count"]) == (2, table, 2)
    assert {test["name"] for test in entry["tests"]} == {f"test {n}" for n in range(6)} - {
        f"test {n}" for n in seen
    }
    assert {test["actual"] for test in entry["tests"]} == {"None"}


def test_what_the_grader_raises_reaches_whoever_waits() -> None:
    class Broken(FakeGrader):
        def submit(self, task: Task, program: str) -> Future[Verdict]:
            if task.id.endswith("#held-back"):
                raise ValueError("no")
            return super().submit(task, program)

    batch = collector(Broken(), [RIGHT]).collect(
        [task("many", 4)], 2, step=1, stream="train", hold_back=HoldBack(0.5, 0)
    )
    with pytest.raises(ValueError, match="no"):
        _held_back(Batch(1, [Group(task("many", 4), batch.rollouts)]))
