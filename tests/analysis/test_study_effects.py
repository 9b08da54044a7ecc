"""A study's intervals and verdicts, against values worked out by hand and against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.study.effects import Effect, over_seeds, over_seeds_and_tasks, smallest_detectable, verdict


def effect(low: float, high: float, *by_seed: float) -> Effect:
    return Effect((low + high) / 2, low, high, by_seed, 10)


def test_the_same_difference_everywhere_has_no_spread() -> None:
    found = over_seeds_and_tasks(np.full((3, 5), 0.25))
    assert (found.value, found.low, found.high) == (0.25, 0.25, 0.25)
    assert found.by_seed == (0.25, 0.25, 0.25) and found.tasks == 5


def test_tasks_without_a_value_are_left_out() -> None:
    found = over_seeds_and_tasks(np.array([[1.0, np.nan, np.nan], [3.0, np.nan, 1.0]]))
    assert found.value == pytest.approx(5 / 3)
    assert found.by_seed == (1.0, 2.0) and found.tasks == 2


def test_nothing_measured_is_no_effect() -> None:
    assert over_seeds_and_tasks(np.full((3, 4), np.nan)).by_seed == ()


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Tasks differ (sd 0.3), seeds do not: 40 tasks, so a standard error of about 0.047."""
    rng = np.random.default_rng(1)
    covered = sum(
        found.low <= 0.1 <= found.high
        for found in (
            over_seeds_and_tasks(np.tile(rng.normal(0.1, 0.3, 40), (3, 1)), seed=n) for n in range(60)
        )
    )
    assert 50 <= covered <= 60


def test_the_interval_over_seeds_is_students() -> None:
    found = over_seeds([1.0, 2.0, 3.0])
    assert found.value == 2.0
    assert found.high - found.value == pytest.approx(4.302653 / np.sqrt(3), rel=1e-6)  # t(0.975, 2)
    assert over_seeds([1.0]).high == np.inf


@pytest.mark.parametrize(
    ("found", "expected", "says"),
    [
        (effect(0.01, 0.2, 0.1, 0.1, 0.1), "up", "holds"),
        (effect(0.01, 0.2, 0.1, 0.1, 0.1), "down", "does not hold"),
        (effect(-0.2, -0.01, -0.1, -0.1, -0.1), "down", "holds"),
        (effect(-0.01, 0.2, 0.1, 0.1, 0.1), "up", "undecided"),
        (effect(0.01, 0.2, 0.3, 0.1, -0.01), "up", "undecided"),
        (effect(0.01, 0.2, 0.1, 0.1), "up", "undecided"),
        (effect(-0.01, 0.015, 0.0, 0.0, 0.01), "same", "holds"),
        (effect(-0.01, 0.05, 0.0, 0.0, 0.05), "same", "undecided"),
        (effect(0.03, 0.05, 0.04, 0.04, 0.04), "same", "does not hold"),
    ],
)
def test_verdicts(found: Effect, expected: str, says: str) -> None:
    assert verdict(found, expected) == says  # type: ignore[arg-type]


def test_the_smallest_detectable_difference() -> None:
    """(1.96 + 0.842) times the standard error: sd 2 (n - 1), 4 values."""
    values = np.array([-1.0, 1.0, np.nan, -1.0, 1.0])
    assert smallest_detectable(values) == pytest.approx(2.802 * np.sqrt(4 / 3) / 2, rel=1e-6)
