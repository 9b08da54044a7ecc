"""Trajectories, equal pass@1, arms over seeds: on counts whose answers are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis import compare
from analysis.intervals import Estimate
from analysis.measures.boundary import Point, arms, at_pass_at_1, common_k, trajectory
from analysis.measures.cohorts import last_column, load

RunMaker = Callable[..., Path]


def point(step: int, kl: float | None, **shares: float) -> Point:
    nan = float("nan")
    return Point(step, kl, {int(k[1:]): Estimate(share, nan, nan, 1) for k, share in shares.items()})


PATH = [point(0, 0.0, k1=0.2, k8=0.6), point(10, 0.1, k1=0.4, k8=0.7), point(20, 0.3, k1=0.6, k8=0.5)]


@pytest.mark.parametrize(
    ("level", "step", "kl", "value"),
    [(0.2, 0, 0.0, 0.6), (0.3, 5, 0.05, 0.65), (0.5, 15, 0.2, 0.6), (0.6, 20, 0.3, 0.5)],
)
def test_equal_pass_at_1_is_interpolated(level: float, step: float, kl: float, value: float) -> None:
    at = at_pass_at_1(PATH, level, 8)
    assert at and (at.step, at.kl, at.value) == pytest.approx((step, kl, value))


def test_a_pass_at_1_out_of_reach_is_none() -> None:
    assert at_pass_at_1(PATH, 0.7, 8) is None
    assert at_pass_at_1(PATH, 0.1, 8) is None  # passed before it began
    assert at_pass_at_1([], 0.1, 8) is None


def test_the_common_k_is_one_that_every_point_has() -> None:
    assert common_k([PATH, [point(0, None, k1=0.1, k2=0.2, k8=0.3)]]) == 8
    assert common_k([PATH, [point(0, None, k1=0.1, k2=0.2)]]) == 1
    assert common_k([]) == 1


def test_a_trajectory_has_the_kl_of_each_evaluated_policy(tmp_path: Path, run_maker: RunMaker) -> None:
    """The fixture logs 0.01 s at step s, the KL of the policy that s - 1 updates made; five are averaged."""
    source = load(run_maker(tmp_path / "run"))
    first, last = trajectory(source)
    assert (first.step, first.kl, last.step) == (0, 0.0, 12)
    assert last.kl == pytest.approx((0.11 + 0.12) / 2)
    assert sorted(last.pass_at_k) == [1, 2, 4]
    (tmp_path / "run" / "evals" / "held-out-step-000012.parquet").unlink()
    logged = trajectory(load(tmp_path / "run"))[-1]
    assert logged.pass_at_k[1].value == pytest.approx(0.7)
    assert 8 not in logged.pass_at_k  # of 8 samples: no more than half of them


def test_runs_that_differ_in_the_seed_alone_are_one_arm(tmp_path: Path, run_maker: RunMaker) -> None:
    folders = [run_maker(tmp_path / name, gain=0.1 * n) for n, name in enumerate("abcd")]
    for number, folder in enumerate(folders):
        objective = "grpo" if number < 2 else "grpo_n"
        config = f'name = "{folder.name}"\nseed = {number}\n[objective]\nname = "{objective}"\n'
        (folder / "config.toml").write_text(config)
    columns = [column for folder in folders if (column := last_column(load(folder)))]
    assert [(arm.label, len(arm.columns)) for arm in arms(columns)] == [("name grpo", 2), ("name grpo_n", 2)]

    out = compare.write(folders[0], folders[1:], tmp_path / "c.html")
    page = json.loads(out.with_suffix(".json").read_text())
    base, other = page["arms"]
    assert base["runs"] == ["a, step 12", "b, step 12"] and base["differences"] == {}
    gap = other["pass_at_k"]["1"]["value"] - base["pass_at_k"]["1"]["value"]
    assert other["differences"]["1"]["value"] == pytest.approx(gap) and gap > 0.1
    assert page["equal_pass_at_1"]["k"] == 4 and len(page["equal_pass_at_1"]["rows"]) >= 2
    html, text = out.read_text(), out.with_suffix(".md").read_text()
    assert "Configurations over seeds" in html and "## Configurations over seeds" in text
    assert "At equal pass@1" in html and "against KL from the warm model" in html


@pytest.mark.parametrize("what", ["no configuration", "evaluated only"])
def test_runs_that_no_configuration_trained_stand_alone(
    what: str, tmp_path: Path, run_maker: RunMaker
) -> None:
    folders = [run_maker(tmp_path / name) for name in "ab"]
    for folder in folders:
        if what == "no configuration":
            (folder / "config.toml").unlink()
        else:
            log = (folder / "steps.jsonl").read_text().splitlines(keepends=True)
            (folder / "steps.jsonl").write_text("".join(line for line in log if '"eval"' in line))
    columns = [column for folder in folders if (column := last_column(load(folder)))]
    assert [arm.label for arm in arms(columns)] == ["a", "b"]
