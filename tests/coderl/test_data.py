"""Which prompts a step gets, and keeping evaluation tasks out of training."""

from __future__ import annotations

import json
import random
from collections.abc import MutableSequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from coderl.config import load as configuration
from coderl.config.settings import RunConfig
from coderl.errors import ConfigError
from coderl.rollouts.prompts import Data, fitting, load_data, overlapping, passable
from coderl.runfolder.write import RunFolder
from coderl.training import opening
from coderl.training.display import Display
from sandbox.protocol import Job, Outcome, Status
from tasks.grading.grader import Grader
from tasks.grading.modes import Found, key
from tasks.types import CallTest, JudgeTest, Task


def task(name: str, prompt: str) -> Task:
    return Task(id=name, prompt=prompt, tests=(CallTest(function="f", expected=1),))


LONG = " ".join(f"word{i}" for i in range(20))


def test_overlap_is_the_same_words_or_a_shared_run_of_thirteen() -> None:
    train = [
        task("same", "Add two  numbers!"),
        task("other", "Add three numbers"),
        task("part", "Now: " + " ".join(LONG.split()[3:17]) + " and so on"),
        task("little", " ".join(LONG.split()[:12]) + " something else entirely"),
    ]
    assert overlapping(train, [task("e1", "add two numbers"), task("e2", LONG)]) == {"same", "part"}


def test_built_in_splits_do_not_overlap() -> None:
    config = RunConfig.model_validate({"data": {"train_count": 300, "evaluation_count": 100}})
    data = load_data(config)
    assert (len(data.train), len(data.evaluation), data.overlapping) == (300, 100, [])


def test_each_epoch_uses_every_task_once_in_a_new_order() -> None:
    data = Data([task(str(i), str(i)) for i in range(10)], [], [], [])
    steps = [[t.id for t in data.batch(step, 5, seed=1)] for step in (1, 2, 3, 4)]
    first, second = steps[0] + steps[1], steps[2] + steps[3]
    assert sorted(first) == sorted(second) == [str(i) for i in range(10)]
    assert first != second
    assert [t.id for t in data.batch(3, 5, seed=1)] == steps[2]
    assert [t.id for t in data.batch(1, 5, seed=2)] != steps[0]
    assert len({t.id for t in data.batch(2, 7, seed=1)}) <= 7  # a batch may cross into the next epoch


def test_a_batch_is_the_next_tasks_of_shuffled_epochs_each_shuffled_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shuffled: list[str] = []

    class Counting(random.Random):
        def __init__(self, seed: str) -> None:
            super().__init__(seed)
            self._named = seed

        def shuffle(self, x: MutableSequence[Any]) -> None:
            shuffled.append(self._named)
            super().shuffle(x)

    def nth(n: int) -> str:
        order = list(range(10))
        random.Random(f"3/{n // 10}").shuffle(order)
        return str(order[n % 10])

    data = Data([task(str(i), str(i)) for i in range(10)], [], [], [])
    expected = [nth(n) for n in range(24 * 3)]
    monkeypatch.setattr(random, "Random", Counting)
    for step in (1, 2, 3):  # of 24 tasks, over parts of three epochs each
        assert [t.id for t in data.batch(step, 24, seed=3)] == expected[24 * step - 24 : 24 * step]
    assert shuffled == ["3/0", "3/1", "3/2", "3/2", "3/3", "3/4", "3/4", "3/5", "3/6", "3/7"]


def test_filters_say_what_they_left_out_and_refuse_to_leave_nothing() -> None:
    data = Data([task("a", "x"), task("b", "xxxx")], [task("c", "x")], [], [])
    kept = fitting(data, lambda t: len(t.prompt), 2)
    assert ([t.id for t in kept.train], kept.too_long) == (["a"], ["b"])
    with pytest.raises(ConfigError, match="raise sampler.max_prompt_tokens"):
        fitting(data, lambda t: 9, 2)


def test_tasks_that_no_program_could_pass_are_left_out_with_their_reasons() -> None:
    judged = replace(task("a", "x"), tests=(JudgeTest(kind="script", source="assert f"),), reference="f = 1")
    other = replace(judged, id="b", tests=(JudgeTest(kind="script", source="assert f.g"),))
    found = {
        key(judged): Found("in-process", "its globals"),
        key(other): Found("none", "its reference fails"),
    }
    data = Data([task("c", "x"), judged, other], [other, task("d", "x")], ["c"], [])
    kept = passable(data, found, "never")
    assert ([t.id for t in kept.train], [t.id for t in kept.evaluation]) == (["c"], ["d"])
    assert set(kept.left_out) == {"a", "b"} and kept.overlapping == ["c"]
    assert [(t.id, t.trust) for t in passable(data, found, "needed").train] == [
        ("c", "isolated"),
        ("a", "in-process"),
    ]
    with pytest.raises(
        ConfigError, match="data.evaluation: no task is left: 1 are left out: 1 .such as b.: its ref"
    ):
        passable(replace(data, evaluation=[other]), found, "needed")


def test_what_references_showed_is_kept_in_the_run_folder(tmp_path: Path) -> None:
    judged = replace(
        task("a", "x"), tests=(JudgeTest(kind="script", source="got = f\nassert got"),), reference="f = 1"
    )
    data, jobs = Data([judged], [task("c", "x")], [], []), []

    class Runner:
        backend = "scripted"

        def submit(self, job: Job) -> Future[Outcome]:
            jobs.append(job)
            future: Future[Outcome] = Future()
            future.set_result(Outcome(job_id=job.id, status=Status.OK, passed=True))
            return future

    config, grader = configuration.load(None), Grader(Runner())  # type: ignore[arg-type]
    for _ in range(2):
        kept = opening._checked(data, grader, config, RunFolder(tmp_path), Display(quiet=True))
        assert kept.train == [judged] and len(jobs) == 1
    assert json.loads((tmp_path / "references.json").read_text()) == {
        key(judged): {"mode": "apart", "reason": ""}
    }
