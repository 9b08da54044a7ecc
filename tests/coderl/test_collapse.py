"""The three rules of collapse, and what is no collapse."""

from __future__ import annotations

from coderl.training.collapse import CollapseMonitor


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
