"""The three rules of collapse, and what is no collapse."""

from __future__ import annotations

from coderl.training.collapse import CollapseMonitor


def feed(monitor: CollapseMonitor, steps: int, **fields: float) -> None:
    values = {"compile_rate": 0.95, "signal_rate": 0.6, "pass_rate": 0.5} | fields
    for _ in range(steps):
        monitor.step(monitor.healthy_step + 1, **values)


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
    monitor.evaluation(0.8)
    for _ in range(4):
        monitor.evaluation(0.39)
    again = CollapseMonitor.from_state(monitor.state())
    assert again == monitor and again.finding is None
    again.evaluation(0.39)
    assert again.finding is not None and "0.390" in again.finding
