"""DAPO's dynamic sampling, what is shown of a batch, and Weights & Biases' door: without vLLM or sandbox."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from coderl.errors import ConfigError
from coderl.learning.rows import credited
from coderl.model.prompts import Prompt
from coderl.rollouts import collect
from coderl.rollouts.batch import Batch, Group, Rollout
from coderl.rollouts.prompts import Data
from coderl.runfolder.dashboards import SAMPLE_COLUMNS, Metrics, require_wandb
from coderl.sampling.types import Completion, Request
from coderl.training import loop
from coderl.training.display import Display, printable
from coderl.training.stages import ObjectiveSchedule
from sandbox.protocol import Status
from tasks.types import StdioTest, Task, Verdict
from tests.coderl.batches import run_config


def task(name: str) -> Task:
    return Task(id=name, prompt=name, tests=(StdioTest(stdin="", stdout=""),))


def rollout(of: Task, sample: int, reward: float, text: str = "") -> Rollout:
    return Rollout(of, sample, [1], [2, 3], [-1.0, -1.0], text, False, 0, reward=reward)


class Collector:
    """Rewards differ for tasks whose name ends in an even digit only."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[str]]] = []

    def collect(self, tasks: list[Task], samples: int, *, step: int, stream: str, **_: Any) -> Batch:
        self.calls.append((stream, [t.id for t in tasks]))
        groups = []
        for each in tasks:
            even = int(each.id[-1]) % 2 == 0
            groups.append(Group(each, [rollout(each, s, float(even and s == 0)) for s in range(samples)]))
        return Batch(step, groups, seconds_sample=1.0)


def run(times: int) -> Any:
    config = run_config(
        train__dynamic_sampling=times,
        train__prompts_per_step=4,
        train__samples_per_prompt=3,
        objective__name="dapo",
    )
    data = Data([task(f"t{i}") for i in range(10)], [], [], [])
    display = SimpleNamespace(sampling=None)
    schedule = ObjectiveSchedule(config.objective, config.stages)
    return SimpleNamespace(
        config=config, data=data, collector=Collector(), display=display, schedule=schedule, hold_back=None
    )


def graded(task: Task, score: float) -> Future[Verdict]:
    verdict: Future[Verdict] = Future()
    verdict.set_result(
        Verdict(task_id=task.id, passed=bool(score), score=score, status=Status.OK, phase="passed")
    )
    return verdict


def collected(run: Any) -> Batch:
    batch = loop.collect(run, 1)
    credited(batch, run.schedule.current, seed=0, replaced=run.config.train.dynamic_sampling > 0)
    return batch


def test_the_same_program_of_a_task_is_run_once_a_batch() -> None:
    texts = ["x = 1\n", "x = 2\n", "x = 1\n", "x = 1\n"]
    ran: list[tuple[str, str]] = []

    def submit(task: Task, program: str) -> Future[Verdict]:
        ran.append((task.id, program))
        return graded(task, float("2" in program))

    def sample(requests: list[Request], *_: Any) -> list[Completion]:
        return [Completion(r.key, [r.key % 4], [-1.0], False) for r in requests]

    tasks = [Task(id=name, prompt="", tests=(StdioTest(stdin="", stdout=""),)) for name in "ab"]
    parts: list[Any] = [
        SimpleNamespace(prompt=lambda task: Prompt("", [1]), text=lambda tokens: texts[tokens[0]]),
        SimpleNamespace(sample=sample, policy_version=0),
        SimpleNamespace(submit=submit),
        lambda graded: graded.verdict.score,
    ]
    collector = collect.Collector(run_config(), *parts)
    batch = collector.collect(tasks, 4, step=1, stream="train")
    assert len(ran) == len(set(ran)) == 4
    assert [[r.reward for r in g.rollouts] for g in batch.groups] == [[0.0, 1.0, 0.0, 0.0]] * 2


def test_a_completion_is_graded_while_others_are_sampled() -> None:
    submitted: list[str] = []

    def submit(task: Task, program: str) -> Future[Verdict]:
        submitted.append(program)
        return graded(task, 1.0)

    def sample(requests: list[Request], *_: Any) -> Iterator[Completion]:
        for done, request in enumerate(requests):
            assert len(submitted) == done
            yield Completion(request.key, [request.key], [-1.0], False)

    policy = SimpleNamespace(prompt=lambda task: Prompt("", [1]), text=lambda tokens: f"x = {tokens[0]}\n")
    sampler = SimpleNamespace(sample=sample, policy_version=0)
    parts: list[Any] = [policy, sampler, SimpleNamespace(submit=submit), lambda graded: graded.verdict.score]
    collect.Collector(run_config(), *parts).collect([task("a")], 3, step=1, stream="train")
    assert len(submitted) == 3


@pytest.mark.parametrize(
    ("settings", "rewards"),
    [
        ({}, [1.0, 1.0, 1.0]),
        ({"truncated": "zero"}, [1.0, 1.0, 0.0]),
        ({"truncated": "mask"}, [1.0, 1.0, None]),
        ({"overlong_buffer": 4}, [1.0, 0.75, 0.0]),  # of 10 tokens the last four cost a quarter each
        ({"overlong_buffer": 4, "truncated": "zero"}, [1.0, 0.75, 0.0]),
        ({"overlong_buffer": 4, "truncated": "mask"}, [1.0, 0.75, None]),
    ],
)
def test_long_and_truncated_completions_are_rewarded_as_configured(
    settings: dict[str, Any], rewards: list[float | None]
) -> None:
    lengths = [6, 7, 10]  # the last one is cut off

    def sample(requests: list[Request], *_: Any) -> list[Completion]:
        return [
            Completion(r.key, [r.key] * n, [-1.0] * n, n == 10)
            for r, n in zip(requests, lengths, strict=True)
        ]

    policy = SimpleNamespace(prompt=lambda task: Prompt("", [1]), text=lambda tokens: f"x = {tokens[0]}\n")
    sampler = SimpleNamespace(sample=sample, policy_version=0)
    grader = SimpleNamespace(submit=lambda task, program: graded(task, 1.0))
    parts: list[Any] = [policy, sampler, grader, lambda graded: graded.verdict.score]
    config = run_config(
        sampler__max_tokens=10, **{f"reward__{key}": value for key, value in settings.items()}
    )
    batch = collect.Collector(config, *parts).collect([task("a")], 3, step=1, stream="train")
    assert [r.reward for r in batch.rollouts] == rewards


def test_without_dynamic_sampling_a_step_is_its_prompts() -> None:
    batch = collected(run(0))
    assert len(batch.groups) == 4 and {r.advantage is None for r in batch.rollouts} == {False}


def test_prompts_without_signal_are_replaced_and_leave_the_learner() -> None:
    running = run(9)
    batch = collected(running)
    signal = [g for g in batch.groups if g.has_signal]
    ids = [g.task.id for g in batch.groups]
    assert len(signal) == 4 and len(set(ids)) == len(ids) > 4
    assert all((r.advantage is None) != g.has_signal for g in batch.groups for r in g.rollouts)
    assert batch.seconds_sample == len(running.collector.calls)
    assert [stream for stream, _ in running.collector.calls][:2] == ["train", "train/1"]
    again = run(9)
    loop.collect(again, 1)
    assert again.collector.calls == running.collector.calls  # a resumed run samples the same


def test_dynamic_sampling_ends_with_the_tasks_or_its_limit() -> None:
    odd = run(2)
    odd.data = Data([task(f"t{i}1") for i in range(9)], [], [], [])
    batch = collected(odd)
    assert len(odd.collector.calls) == 3 and len(batch.groups) == 9
    assert all(r.advantage is None for r in batch.rollouts)


def test_samples_are_shown_without_what_steers_a_terminal() -> None:
    assert printable("a\x1b[2Jb\nc\u202e") == "a\\x1b[2Jb\nc\\u202e"
    display = Display()
    display.console = Console(file=io.StringIO(), width=200)
    of = task("[red]t")
    group = Group(
        of, [rollout(of, i, r, f"[b]p{i}\x07\n" + "line\n" * 50) for i, r in enumerate((0.5, 1, 0))]
    )
    display.samples(Batch(1, [group]))
    shown = display.console.file.getvalue()  # type: ignore[attr-defined]
    assert "[red]t, reward 0.00" in shown and "[b]p2\\x07" in shown and "[b]p1\\x07" in shown
    assert "p0" not in shown and "\x07" not in shown and shown.count("line") == 2 * 19


def test_wandb_is_asked_for_by_configuration_and_missed_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    require_wandb(run_config())
    config = run_config(metrics__wandb_project="mine")
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match=r"pip install 'coderl\[wandb\]'"):
        require_wandb(config)


def test_the_dashboards_get_completions_that_steer_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    logged: list[dict[str, Any]] = []
    wandb = SimpleNamespace(
        init=lambda **_: SimpleNamespace(
            log=lambda fields, step: logged.append(fields), finish=lambda exit_code: None
        ),
        Table=lambda columns, data: (columns, data),
    )
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    (tmp_path / "run.json").write_text("{}")
    of = task("a|b")
    text = "<script>1</script>\nx | y"
    with Metrics(tmp_path, run_config(metrics__wandb_project="mine")) as metrics:
        metrics.samples(4, Group(of, [rollout(of, 0, 0.5, text)]))
    assert logged == [{"samples": (SAMPLE_COLUMNS, [["a|b", "0.5", "", text]])}]
    accumulator = EventAccumulator(str(tmp_path / "tensorboard"))
    accumulator.Reload()
    (event,) = accumulator.Tensors("samples/text_summary")
    row = event.tensor_proto.string_val[0].decode().split("\n")[-1]
    assert row == "a&#124;b|0.5||&lt;script&gt;1&lt;/script&gt;<br>x &#124; y" and event.step == 4


def test_wandb_gets_the_numbers_and_a_resumed_run_the_same_id(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a stand-in: the package is no dependency of the tests."""
    started: list[dict[str, Any]] = []
    logged: list[tuple[dict[str, float], int]] = []
    ended: list[int] = []

    def init(**options: Any) -> Any:
        started.append(options)
        return SimpleNamespace(
            log=lambda fields, step: logged.append((fields, step)),
            finish=lambda exit_code: ended.append(exit_code),
        )

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    (tmp_path / "run.json").write_text("{}")
    config = run_config(metrics__wandb_project="mine")
    for after in (None, 3):
        with Metrics(tmp_path, config, after=after) as metrics:
            metrics.add("train", 4, {"loss": 0.5, "stage": "exploration", "kl_step": None})
    assert logged == [({"train/loss": 0.5}, 4)] * 2 and ended == [0, 0]
    assert started[0]["project"] == "mine" and started[0]["id"] == started[1]["id"]
    assert list((tmp_path / "tensorboard").iterdir())
