"""pass@k and the shared statistics, against hand-computed and published values."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest

from analysis.intervals import (
    bootstrap_mean,
    bootstrap_runs,
    difference_of_runs,
    mcnemar,
    paired_difference,
    paired_permutation,
)
from analysis.passk import (
    mean_pass_at_k,
    pass_at_k,
    pass_at_k_intervals,
    powers_of_two,
    stable_ks,
)


def test_pass_at_k_equals_the_share_of_subsets_with_a_right_sample() -> None:
    for n in range(1, 8):
        for c in range(n + 1):
            for k in range(1, n + 1):
                subsets = list(combinations(range(n), k))
                share = sum(min(s) < c for s in subsets) / len(subsets)
                assert pass_at_k(n, c, k) == pytest.approx(share, abs=1e-12)


def test_pass_at_k_is_exact_for_large_n() -> None:
    exact = 1 - comb(9_990, 500) / comb(10_000, 500)
    assert pass_at_k(10_000, 10, 500) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize(("n", "c", "k"), [(4, 5, 1), (4, -1, 1), (4, 1, 5), (4, 1, 0)])
def test_pass_at_k_refuses_impossible_counts(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="pass@k needs"):
        pass_at_k(n, c, k)


def test_mean_pass_at_k_leaves_out_k_that_a_task_has_no_samples_for() -> None:
    assert mean_pass_at_k([(4, 2), (2, 0)], [1, 2, 4]) == {1: 0.25, 2: pytest.approx(5 / 12)}
    assert mean_pass_at_k([], [1]) == {}


def test_intervals_stop_at_half_of_n_and_contain_the_mean() -> None:
    found = pass_at_k_intervals([(16, c) for c in range(17)])
    assert sorted(found) == [1, 2, 4, 8]
    assert found[1].value == pytest.approx(0.5)
    assert found[1].low < 0.5 < found[1].high
    assert powers_of_two(9) == [1, 2, 4, 8]


def test_one_task_that_lost_a_sample_does_not_cut_the_curve() -> None:
    assert stable_ks([16, 16, 15]) == [1, 2, 4, 8]
    assert sorted(pass_at_k_intervals([(16, 3), (16, 4), (15, 2)])) == [1, 2, 4, 8]
    assert stable_ks([1, 1]) == [1]
    assert stable_ks([]) == []


def test_bootstrap_covers_the_truth_about_95_times_in_100() -> None:
    rng = np.random.default_rng(7)
    hits = 0
    for trial in range(300):
        estimate = bootstrap_mean(rng.normal(3.0, 2.0, size=60).tolist(), seed=trial, resamples=500)
        hits += estimate.low <= 3.0 <= estimate.high
    assert 0.90 <= hits / 300 <= 0.98


def test_bootstrap_over_seeds_and_tasks_covers_the_truth() -> None:
    """Six runs on 40 tasks, with an effect of the run and one of the task: 95% intervals, too narrow by a little."""
    rng = np.random.default_rng(11)
    hits = narrow = 0
    for trial in range(120):
        data = 0.5 + rng.normal(0, 0.1, (6, 1)) + rng.normal(0, 0.2, 40) + rng.normal(0, 0.1, (6, 40))
        both = bootstrap_runs(data.tolist(), seed=trial, resamples=200)
        hits += both.low <= 0.5 <= both.high
        tasks_only = bootstrap_mean(data.mean(axis=0).tolist(), seed=trial, resamples=200)
        narrow += tasks_only.low <= 0.5 <= tasks_only.high
    assert 0.85 <= hits / 120 <= 0.99
    assert narrow / 120 < hits / 120 - 0.05  # tasks alone leave the runs' own luck out


def test_one_run_has_the_interval_over_its_tasks() -> None:
    values = np.random.default_rng(2).random(50).tolist()
    one, tasks = bootstrap_runs([values]), bootstrap_mean(values)
    assert one.value == pytest.approx(tasks.value)
    assert (one.low, one.high) == pytest.approx((tasks.low, tasks.high), abs=0.01)
    assert bootstrap_runs([]).tasks == 0


def test_differences_of_runs_pair_the_tasks() -> None:
    """The candidate adds 0.1 on every task: tasks drawn alike leave no spread at all."""
    base = np.random.default_rng(3).random((1, 30))
    found = difference_of_runs(base.tolist(), (base + 0.1).tolist())
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))
    spread = difference_of_runs([[0.0] * 5, [1.0] * 5], [[0.0] * 5, [1.0] * 5])
    assert (spread.low, spread.high) == (-1.0, 1.0)  # the runs of both sides are drawn independently


def test_weighted_bootstrap_is_the_ratio_of_sums() -> None:
    estimate = bootstrap_mean([0.5, 1.0, 0.0], [2.0, 1.0, 0.0])
    assert estimate.value == pytest.approx(2 / 3)
    assert bootstrap_mean([], []).tasks == 0


def test_permutation_enumerates_small_samples_exactly() -> None:
    # Five differences of one sign: only the 2 of 32 patterns with equal signs are as extreme.
    assert paired_permutation([0.0] * 5, [1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2 / 32)
    assert paired_permutation([1.0, 2.0], [1.0, 2.0]) == 1.0


def test_permutation_keeps_its_level_under_the_null_and_sees_an_effect() -> None:
    rng = np.random.default_rng(1)
    rejected = 0
    for _ in range(200):
        pair = rng.normal(size=(2, 40))
        rejected += paired_permutation(pair[0].tolist(), pair[1].tolist(), permutations=400) < 0.05
    assert rejected / 200 < 0.10
    base = rng.normal(size=40)
    assert paired_permutation(base.tolist(), (base + 1).tolist()) < 0.001


def test_paired_difference_is_candidate_minus_base() -> None:
    assert paired_difference([0.0, 1.0], [1.0, 1.0]).value == 0.5


def test_mcnemar_against_a_published_table() -> None:
    """Agresti, Categorical Data Analysis, approval of the Prime Minister: 86 and 150 changed; p < 0.001."""
    assert mcnemar(86, 150) == pytest.approx(3.7e-5, rel=0.1)


def test_mcnemar_against_the_binomial_by_hand() -> None:
    # 1 gained, 6 lost: 2 * (C(7,0) + C(7,1)) / 2^7 = 0.125.
    assert mcnemar(1, 6) == pytest.approx(0.125)
    assert mcnemar(0, 0) == 1.0
