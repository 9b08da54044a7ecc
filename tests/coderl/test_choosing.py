"""Which tasks a step samples: by the posterior of their pass rates, and of several training sets in proportion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from coderl.cli.train import _datasets
from coderl.config.load import load
from coderl.errors import ConfigError, RunFolderError
from coderl.rollouts.batch import Batch, Group, Rollout
from coderl.rollouts.choosing import Posterior
from coderl.rollouts.prompts import Data, _drawn, fitting, load_data
from coderl.runfolder.write import RunFolder
from coderl.training import record
from sandbox.protocol import Status
from tasks import native
from tasks.types import StdioTest, Task, Verdict


def task(name: str) -> Task:
    return Task(id=name, prompt=name, tests=(StdioTest(stdin="", stdout=""),))


def group(of: Task, passed: Sequence[bool | None]) -> Group:
    rollouts = []
    for sample, one in enumerate(passed):
        verdict = Verdict(task_id=of.id, passed=one, score=one and 1.0, status=Status.OK, phase="passed")
        rollouts.append(Rollout(of, sample, [1], [2], [-1.0], "", False, 0, verdicts=[verdict]))
    return Group(of, rollouts)


TASKS = [task(name) for name in ("easy", "half", "hopeless", "new")]
EASY, HALF, HOPELESS, NEW = TASKS


def seen(start: Posterior) -> Posterior:
    rates = ((EASY, 16), (HALF, 8), (HOPELESS, 0))
    return start.observed([group(of, [True] * n + [False] * (16 - n)) for of, n in rates])


def times_chosen(posterior: Posterior, draws: int = 400) -> Counter[str]:
    return Counter(posterior.choose(TASKS, 1, str(seed))[0].id for seed in range(draws))


def test_tasks_that_pass_about_half_are_chosen_and_unknown_ones_explored() -> None:
    posterior = seen(Posterior.before_training(TASKS))
    chosen = times_chosen(posterior)
    assert chosen["half"] > 2 * chosen["new"] > 40
    assert chosen["easy"] + chosen["hopeless"] < 4
    assert posterior.choose(TASKS, 3, "a") == posterior.choose(TASKS, 3, "a")
    assert len({posterior.choose(TASKS, 1, str(seed))[0].id for seed in range(9)}) > 1
    assert [t.id for t in posterior.choose(TASKS, 9, "a")[:4]] != [t.id for t in TASKS]
    assert Counter(t.id for t in posterior.choose(TASKS, 8, "a")) == {t.id: 2 for t in TASKS}


def test_old_evidence_fades_so_that_no_task_is_given_up_for_ever() -> None:
    posterior = seen(Posterior.before_training(TASKS))
    means = [posterior.mean(HOPELESS)]
    for _ in range(90):
        posterior = posterior.observed([])
        means.append(posterior.mean(HOPELESS))
    assert means[0] == pytest.approx(1 / 18) and all(a < b for a, b in pairwise(means))
    assert times_chosen(posterior)["hopeless"] > 20


def test_what_could_not_be_graded_says_nothing_and_a_posterior_does_not_change() -> None:
    before = Posterior.before_training(TASKS)
    after = before.observed([group(HALF, [None, None]), group(EASY, [True, None])])
    assert not after.has_seen(HALF) and after.mean(EASY) == pytest.approx(2 / 3)
    assert before == Posterior.before_training(TASKS)


def test_a_step_says_what_was_expected_of_the_tasks_that_were_known() -> None:
    batch = Batch(2, [group(HALF, [True, True, False, False]), group(NEW, [True] * 4)])
    fields = record.predicted(batch, seen(Posterior.before_training(TASKS)))
    assert fields == {"known_tasks": 1, "known_pass_rate_expected": 0.5, "known_pass_rate": 0.5}
    unknown = record.predicted(batch, Posterior.before_training(TASKS))
    assert unknown == {"known_tasks": 0, "known_pass_rate_expected": None, "known_pass_rate": None}
    assert record.predicted(batch, None) == {}


def sets(**sizes: int) -> Data:
    names = {name: [task(f"{name}{i}") for i in range(size)] for name, size in sizes.items()}
    own = {each.id: name for name, tasks in names.items() for each in tasks}
    weights = dict(zip(sizes, (2.0, 1.0), strict=True))
    train = [each for tasks in names.values() for each in tasks]
    return Data(train, [task("held out")], [], [], weights=weights, set_of=own)


def test_each_training_set_has_its_share_of_the_prompts_and_its_own_epochs() -> None:
    data = sets(a=8, b=3)
    batches = [[t.id for t in data.batch(step, 4, seed=5)] for step in range(1, 10)]
    for ids in batches:
        assert 2 <= sum(name.startswith("a") for name in ids) <= 3
    drawn = [name for ids in batches for name in ids]
    a, b = ([name for name in drawn if name[0] == own] for own in "ab")
    assert (len(a), len(b)) == (24, 12)
    for own, size in ((a, 8), (b, 3)):
        epochs = [own[i : i + size] for i in range(0, len(own), size)]
        assert all(sorted(epoch) == sorted(set(own)) for epoch in epochs) and epochs[0] != epochs[1]
    chosen = data.batch(1, 6, 5, Posterior.before_training(data.train))
    assert Counter(t.id[0] for t in chosen) == {"a": 4, "b": 2}


@pytest.mark.parametrize("weights", [[1.0], [2, 1], [1, 1, 1], [0.001, 5, 0.3, 2]])
def test_shares_are_exact_to_a_prompt_and_never_taken_back(weights: list[float]) -> None:
    counts = [_drawn(total, weights) for total in range(200)]
    for total, each in enumerate(counts):
        assert sum(each) == total
        assert all(
            abs(n - total * w / sum(weights)) < len(weights) for n, w in zip(each, weights, strict=True)
        )
    assert all(n <= later for a, b in pairwise(counts) for n, later in zip(a, b, strict=True))


def test_a_prompt_without_signal_is_replaced_by_one_of_its_set() -> None:
    data = sets(a=8, b=3)
    for posterior in (None, Posterior.before_training(data.train)):
        others = data.others([task("a0"), task("b0"), task("b1"), task("b0")], {"a0", "b0"}, "x", posterior)
        assert Counter(t.id[0] for t in others) == {"a": 1, "b": 2}
        assert not {"a0", "b0"} & {t.id for t in others}


def test_a_set_of_which_nothing_is_left_is_named() -> None:
    with pytest.raises(ConfigError, match="data.train: b: no task is left: every prompt is over 8 tokens"):
        fitting(sets(a=8, b=3), lambda t: 9 if t.id[0] == "b" else 1, 8)


def test_training_sets_are_read_by_name_and_hold_no_task_twice(tmp_path: Path) -> None:
    native.dump([task("x"), task("y")], tmp_path / "one.jsonl")
    native.dump([task("z")], tmp_path / "two.jsonl")
    native.dump([task("y")], tmp_path / "three.jsonl")
    native.dump([task("held out")], tmp_path / "held.jsonl")

    def loaded(*names: str) -> Data:
        files = [str(tmp_path / f"{name}.jsonl") for name in names]
        return load_data(load(None, _datasets(files, str(tmp_path / "held.jsonl"))))

    assert [[t.id for t in own] for own in loaded("one", "two").sets()] == [["x", "y"], ["z"]]
    assert [[t.id for t in own] for own in loaded("one").sets()] == [["x", "y"]]
    with pytest.raises(ConfigError, match=r"task y is in .*one.jsonl and in .*three.jsonl .1 such"):
        loaded("one", "three")
    with pytest.raises(ConfigError, match="several --dataset: name the tasks to evaluate on"):
        _datasets(["a", "b"], None)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("{}", "one training set is its name, several are"),
        ("3", "one training set is its name, several are"),
        ('["mbpp"]', "one training set is its name, several are"),
        ("{mbpp = 0}", "the weight of mbpp is to be a finite number above 0"),
        ("{mbpp = 1, humaneval = inf}", "the weight of humaneval is to be a finite number above 0"),
        ('{mbpp = "2"}', "the weight of mbpp is to be a finite number above 0"),
    ],
)
def test_a_wrong_weight_is_one_clear_error(train: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^the command line: data.train[^;]*: {message}[^;]*$"):
        load(None, [f"data.train={train}"])


def test_several_training_sets_survive_the_run_folder(tmp_path: Path) -> None:
    config = load(None, ['data.train={mbpp = 2, "humaneval=a/b.jsonl" = 0.5}'])
    (tmp_path / "config.toml").write_text(config.to_toml())
    assert load(tmp_path / "config.toml") == config
    assert config.data.weights == {"mbpp": 2, "humaneval=a/b.jsonl": 0.5}


def test_the_posterior_of_a_checkpoint_is_read_back_and_later_ones_are_forgotten(tmp_path: Path) -> None:
    folder, posterior = RunFolder(tmp_path), seen(Posterior.before_training(TASKS)).observed([])
    for step in (2, 4):
        folder.write_posterior(step, posterior.evidence)
    assert Posterior(folder.read_posterior(2)) == posterior
    folder.rewind(2)
    with pytest.raises(RunFolderError, match="step-000004.json is missing or damaged"):
        folder.read_posterior(4)
    (tmp_path / "posterior" / "step-000002.json").write_text('{"a": 1}')
    with pytest.raises(
        RunFolderError, match="remove the folder .*checkpoints/step-000002, and --resume takes"
    ):
        folder.read_posterior(2)
