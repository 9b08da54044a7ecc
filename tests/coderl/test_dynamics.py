"""The simulation against theory: Theorem 1, exact enumeration, sampled updates; and the two stages themselves."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from coderl.config.objective import ObjectiveConfig
from coderl.dynamics import Options, run, sweep
from coderl.dynamics.expected import compositions, convergence, exact_update, limit_advantages, theorem_1
from coderl.dynamics.simulate import Step, group_advantages, runs_of, simulate, true_stages, update
from coderl.learning.objectives import LossInputs, policy_loss


def options(name: str = "grpo", *, objective: dict[str, Any] | None = None, **others: Any) -> Options:
    config = ObjectiveConfig.model_validate({"name": name} | (objective or {}))
    return Options.model_validate({"objective": config, **others})


def updated(chosen: Options, groups: list[list[int]]) -> Tensor:
    """The change of the logits by one step of learning rate 1 on these groups."""
    logits_V = torch.tensor(chosen.probabilities, dtype=torch.float64).log().requires_grad_()
    before_V = logits_V.detach().clone()
    update(chosen, logits_V, torch.log_softmax(before_V, 0), torch.tensor(groups))
    return logits_V.detach() - before_V


# ---- the expected update ---------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-3, 3)), min_size=2, max_size=6))
def test_theorem_1_is_the_objective_s_gradient_for_fixed_advantages(
    actions: list[tuple[float, float]],
) -> None:
    """All actions once, each weighed by its probability; and one on-policy step of any clipped objective."""
    logits_V = torch.tensor([z for z, _ in actions], dtype=torch.float64, requires_grad=True)
    advantage_V = torch.tensor([a for _, a in actions], dtype=torch.float64)
    logp_V = torch.log_softmax(logits_V, 0)
    p_V = logp_V.detach().exp()
    loss, _ = policy_loss(
        ObjectiveConfig(name="gspo"),
        LossInputs(logp_V[:, None], logp_V.detach()[:, None], torch.ones(len(actions), 1), advantage_V, p_V),
    )
    (gradient_V,) = torch.autograd.grad(loss, logits_V)
    expected = theorem_1(p_V.numpy(), advantage_V.numpy())
    np.testing.assert_allclose(-gradient_V.numpy(), expected, atol=1e-12)


def test_theorem_1_by_hand() -> None:
    """pi = (1/2, 1/4, 1/4), A = (1, -1, 0): E A = 1/4, dz_v = pi_v (A_v - E A)."""
    actual = theorem_1(np.array([0.5, 0.25, 0.25]), np.array([1.0, -1.0, 0.0]))
    np.testing.assert_allclose(actual, [3 / 8, -5 / 16, -1 / 16])


@pytest.mark.parametrize(
    "name", ["grpo", "gspo", "grpo_n", "gspo_n", "dr_grpo", "rloo", "nsr", "psr", "w_reinforce"]
)
def test_exact_update_is_the_mean_of_the_simulation_s_updates_over_all_groups(name: str) -> None:
    chosen = options(name, rare=0.1, group_size=4, prompts=1)
    p = chosen.probabilities
    expected = sum(
        math.prod(p[a] for a in group) * updated(chosen, [list(group)])
        for group in itertools.product(range(3), repeat=4)
    )
    assert isinstance(expected, Tensor)
    actual = exact_update(chosen, np.array(p), 4)
    np.testing.assert_allclose(actual, expected.numpy(), atol=1e-12)


@pytest.mark.parametrize("name", ["grpo", "grpo_n"])
def test_sampled_updates_agree_with_the_exact_one(name: str) -> None:
    chosen = options(name, rare=0.05, group_size=8)
    groups = torch.multinomial(
        torch.tensor(chosen.probabilities),
        8 * 2000,
        replacement=True,
        generator=torch.Generator().manual_seed(0),
    ).view(-1, 8)
    single = torch.stack([updated(chosen, [group]) for group in groups[:200].tolist()])
    deviation = single.std(0) / math.sqrt(len(groups))
    mean = updated(chosen, groups.tolist())  # a batch of many groups is their mean
    exact = torch.tensor(exact_update(chosen, np.array(chosen.probabilities), 8))
    assert ((mean - exact).abs() < 4 * deviation).all()


def test_compositions_count_every_group_once() -> None:
    all_counts = list(compositions(5, 3))
    assert len(all_counts) == len(set(all_counts)) == math.comb(7, 2)
    assert {sum(counts) for counts in all_counts} == {5}


@pytest.mark.parametrize("name", ["grpo", "grpo_n", "dr_grpo", "rloo"])
def test_theorem_1_fails_at_finite_groups_and_holds_in_the_limit(name: str) -> None:
    """Its relative error falls as 1/G where it is not zero: rloo's expected update is exact at any G."""
    errors = [row.relative_error for row in convergence(options(name, rare=0.05), (8, 16, 32))]
    if name == "rloo":
        assert max(errors) < 1e-12
        return
    assert errors[0] > 0.03
    assert 1.7 < errors[0] / errors[1] < 2.6 and 1.7 < errors[1] / errors[2] < 2.6


def test_limit_advantages_are_those_of_a_very_large_group() -> None:
    for name in ("grpo", "grpo_n", "dr_grpo"):
        chosen = options(name, popular=0.5, rare=0.2)
        group = [0] * 5000 + [1] * 2000 + [2] * 3000
        values = group_advantages(chosen, group)
        actual = limit_advantages(chosen, np.array(chosen.probabilities))
        np.testing.assert_allclose(actual, [values[0], values[5000], values[-1]], rtol=1e-3)
    with pytest.raises(ValueError, match="no group baseline"):
        limit_advantages(options("nsr"), np.array(options().probabilities))


# ---- the two stages --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grpo() -> list[Step]:
    return list(simulate(options()))


def test_grpo_first_exploits_then_explores(grpo: list[Step]) -> None:
    stages = [(stage, length) for stage, length in runs_of(true_stages(grpo)) if length >= 10]
    assert [s for s, _ in stages] == ["exploitation", "saturated/unknown", "exploration", "saturated/unknown"]
    start, shrunk, end = grpo[0], grpo[40], grpo[-1]
    assert (
        shrunk.popular > 0.98 and shrunk.pass_at_k < start.pass_at_k / 3
    )  # stopping here shows only shrinkage
    assert end.rare > 0.99 and end.pass_at_k > 0.99
    assert shrunk.entropy < start.entropy / 10


def test_negative_only_keeps_more_entropy_but_does_not_explore_once_the_popular_action_saturates(
    grpo: list[Step],
) -> None:
    """Its push on a likely action's logit falls as 1 - pi: near saturation nothing moves the rare one."""
    negative = list(simulate(options("grpo_n", steps=300)))
    assert negative[10].entropy > grpo[10].entropy and negative[10].pass_at_k > grpo[10].pass_at_k
    assert "exploration" not in true_stages(negative)
    rare = [s.rare for s in negative]
    assert rare[300] < rare[40] < rare[10] < rare[0]
    assert grpo[-1].rare > 0.99  # while GRPO comes back from its shrinkage


def test_binary_rewards_leave_no_exploitation() -> None:
    """With 0/1 rewards the popular action is worth nothing: only the optimal one ever gains."""
    steps = list(simulate(options(reward_popular=0.0, steps=120)))
    assert "exploitation" not in true_stages(steps)
    assert steps[-1].rare > 0.99


def test_clipping_binds_only_when_a_batch_is_used_more_than_once() -> None:
    once, often = (list(simulate(options("gspo", steps=8, inner_steps=n))) for n in (1, 4))
    assert {s.clip_fraction_positive for s in once} | {s.clip_fraction_negative for s in once} == {0.0}
    assert max(s.clip_fraction_positive for s in often) > 0.5 < max(s.clip_fraction_negative for s in often)


def test_kl_holds_the_policy_near_its_start() -> None:
    free, held = (
        list(simulate(options(objective={"kl_coef": c, "kl_kind": "full"}, steps=60)))[-1] for c in (0.0, 2.0)
    )
    assert free.popular > 0.98 > 0.9 > held.popular
    assert held.rare > 2 * free.rare


def test_truth_needs_both_masses() -> None:
    def at(step: int, popular: float, rare: float) -> Step:
        return Step(step, popular, rare, 1 - popular - rare, 0, 0, 0, 0, 0, 0, 0)

    both = [at(i, 0.3 + i * 0.01, 0.1 + i * 0.01) for i in range(21)]
    assert true_stages(both)[10] == "saturated/unknown"
    assert true_stages([at(i, 0.3 + i * 0.01, 0.1) for i in range(21)])[10] == "exploitation"
    assert true_stages([at(i, 0.5 - i * 0.01, 0.1 + i * 0.01) for i in range(21)])[10] == "exploration"


def test_run_writes_json_lines_and_a_plot(tmp_path: Path) -> None:
    chosen = options(steps=30, prompts=4)
    path = run(chosen, tmp_path / "out", group_sizes=(2, 4))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["options"] + ["step"] * 31 + ["convergence"] * 2
    assert Options.model_validate({k: v for k, v in lines[0].items() if k != "kind"}) == chosen
    assert lines[1]["popular"] == pytest.approx(0.55) and lines[1]["true_stage"] == "exploitation"
    assert lines[-1]["group_size"] == 4
    assert "<svg" in (tmp_path / "out" / "dynamics.svg").read_text()[:1000]
    again = run(chosen, tmp_path / "again", group_sizes=(2, 4))
    assert again.read_text() == path.read_text()


# ---- sweeps ----------------------------------------------------------------------------------------


def test_every_setting_of_every_sweep_is_an_option() -> None:
    base: dict[str, Any] = {"objective": {"name": "grpo", "kl_coef": 0.5}, "steps": 3, "group_size": 4}
    for _, change in itertools.chain.from_iterable(sweep.SWEEPS.values()):
        chosen = Options.model_validate(sweep.merged(base, change))
        assert chosen.steps == 3
    no_kl = Options.model_validate(sweep.merged(base, dict(sweep.SWEEPS["kl"])["KL coefficient 0"]))
    assert (no_kl.objective.name, no_kl.objective.kl_coef, no_kl.group_size) == ("grpo", 0.0, 4)
    clipped = Options.model_validate(sweep.merged(base, sweep.SWEEPS["clip"][1][1]))
    assert (clipped.objective.kl_coef, clipped.objective.eps_high, clipped.inner_steps) == (0.5, 0.28, 4)


def test_a_sweep_writes_a_panel_a_setting_and_a_row_of_numbers(tmp_path: Path) -> None:
    said: list[str] = []
    rows = sweep.run({"steps": 40, "prompts": 4}, ["rewards"], tmp_path, report=said.append)
    graded, binary = rows[0], rows[1]
    assert (graded.label, graded.exploration_at) == ("grpo, graded 0.8", None)
    assert graded.exploitation_steps > 10 and graded.lowest_pass_at_k < 0.15 < binary.lowest_pass_at_k
    assert binary.exploitation_steps == 0
    assert [json.loads(line)["label"] for line in (tmp_path / "sweeps.jsonl").read_text().splitlines()] == [
        row.label for row in rows
    ]
    svg = (tmp_path / "sweep-rewards.svg").read_text()
    assert all(f">{label}<" in svg for label, _ in sweep.SWEEPS["rewards"]) and len(svg) < 100_000
    assert said[0].count("\n") == 6 and "| never |" in said[0]
