"""The three rules of collapse, and what is no collapse."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from coderl.errors import CollapseError, WeakStartError
from coderl.rollouts.batch import Batch, Group, Rollout
from coderl.training.collapse import CollapseMonitor
from coderl.training.display import Display
from coderl.training.loop import _stop
from sandbox.protocol import Status
from tasks.types import StdioTest, Task, Verdict
from tests.coderl.batches import run_config


def feed(monitor: CollapseMonitor, steps: int, **fields: float) -> None:
    values = {"compile_rate": 0.95, "signal_rate": 0.6, "pass_rate": 0.5} | fields
    for _ in range(steps):
        monitor.step(monitor.healthy_step + 1, groups=32, completions=512, **values)


def test_programs_that_stop_compiling() -> None:
    monitor = CollapseMonitor()
    feed(monitor, 3)  # warm: 5% do not compile
    feed(monitor, 4, compile_rate=0.85)
    assert monitor.finding is None
    feed(monitor, 1, compile_rate=0.85)
    assert monitor.finding is not None and monitor.finding.startswith("compile: 15%")
    assert monitor.healthy_step == 3


def test_strikes_must_come_in_a_row() -> None:
    monitor = CollapseMonitor()
    for _ in range(5):
        feed(monitor, 4, signal_rate=0.05)
        feed(monitor, 1)
    assert monitor.finding is None
    feed(monitor, 5, signal_rate=0.05)
    assert monitor.finding is not None and monitor.finding.startswith("signal")


def test_a_solved_training_set_is_no_collapse() -> None:
    monitor = CollapseMonitor()
    feed(monitor, 20, signal_rate=0.0, pass_rate=0.99)
    assert monitor.finding is None


def test_held_out_pass_at_1_below_half_its_best_and_state_round_trip() -> None:
    monitor = CollapseMonitor()
    monitor.evaluation(0.8, completions=400)
    for _ in range(4):
        monitor.evaluation(0.39, completions=400)
    again = CollapseMonitor.from_state(monitor.state())
    assert again == monitor and again.finding is None
    again.evaluation(0.39, completions=400)
    assert again.finding is not None and "0.390" in again.finding


def test_a_start_without_signal_is_no_collapse() -> None:
    monitor = CollapseMonitor()
    feed(monitor, 4, signal_rate=0.0, pass_rate=0.0)
    assert monitor.finding is None
    feed(monitor, 1, signal_rate=0.0, pass_rate=0.0)
    assert monitor.finding is not None and monitor.finding.startswith("start") and monitor.never_began


def test_little_signal_from_the_start_is_learned_from_until_it_is_gone() -> None:
    monitor = CollapseMonitor()
    feed(monitor, 1, signal_rate=0.05, pass_rate=0.02)
    feed(monitor, 5, signal_rate=0.0, pass_rate=0.0)
    assert monitor.finding is not None and monitor.finding.startswith("signal") and not monitor.never_began


def test_what_few_samples_show_by_chance_is_no_finding() -> None:
    monitor = CollapseMonitor()
    for _ in range(7):  # 4 groups a step: 28 without signal
        few(monitor, signal_rate=0.0, compile_rate=0.75)
    assert monitor.finding is None
    few(monitor, signal_rate=0.0, compile_rate=0.75)
    assert monitor.finding is not None
    monitor = CollapseMonitor()
    few(monitor, compile_rate=15 / 16)
    for _ in range(10):
        few(monitor, compile_rate=12 / 16)
    monitor.evaluation(0.05, completions=80)
    for _ in range(10):
        monitor.evaluation(0.0, completions=80)
    assert monitor.finding is None


def few(monitor: CollapseMonitor, **fields: float) -> None:
    values = {"compile_rate": 0.95, "signal_rate": 0.6, "pass_rate": 0.5} | fields
    monitor.step(1, groups=4, completions=16, **values)


@pytest.mark.parametrize("weak", [True, False])
def test_a_stop_says_what_was_seen_what_it_is_and_what_helps(weak: bool, tmp_path: Path) -> None:
    monitor = CollapseMonitor(had_signal=not weak)
    feed(monitor, 5, signal_rate=0.0, pass_rate=0.0)
    task = Task(id="t1", prompt="p", tests=(StdioTest(stdin="", stdout=""),))
    verdict = Verdict(task_id="t1", passed=False, score=0.0, status=Status.OK, phase="wrong")
    rollouts = [
        Rollout(task, i, [1], [2], [-1.0], f"program{i}", i < 6, 0, verdicts=[verdict], reward=0.0)
        for i in range(8)
    ]
    display = Display()
    display.console = Console(file=io.StringIO(), width=200)
    logged: list[dict[str, Any]] = []
    run: Any = SimpleNamespace(
        monitor=monitor,
        step=5,
        config=run_config(),
        display=display,
        folder=SimpleNamespace(path=tmp_path, log=lambda kind, step, **fields: logged.append(fields)),
    )
    said = "0 passed, and 6 were cut by sampler.max_tokens = 64.*easier ones.*coderl warmup"
    collapsed = "signal: 0% of groups.*collapsed.*lower learner.learning_rate"
    with pytest.raises(WeakStartError if weak else CollapseError, match=said if weak else collapsed):
        _stop(run, Batch(5, [Group(task, rollouts)]))
    shown = display.console.file.getvalue()  # type: ignore[attr-defined]
    expected = 3 if weak else 0
    assert shown.count("t1, reward 0.00, wrong") == shown.count("program") == expected
    assert [fields["event"] for fields in logged] == ["weak start" if weak else "collapse"]
