"""A softmax policy over a few actions, trained by the same objectives as a model.

One action is popular and partly right, one rare and right, the others likely and wrong (the toy of
arXiv 2510.04028). All P prompts of a batch share one policy, as tasks share a model; with many of them a
step comes close to the expected one. A completion is one token, so gspo differs from grpo by its
clipping range only. Plain gradient descent, so that a step is what Theorem 1 speaks of.

Shape suffixes: P prompts, G completions of a prompt, B = P G completions, V actions.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from coderl.config.objective import ObjectiveConfig
from coderl.learning import credit, objectives
from coderl.learning.objectives import LossStats

WINDOW, MOVED = 20, 0.01  # steps, and probability: what counts as a stage

POPULAR, RARE = 0, 1  # actions; the others are wrong


class Options(BaseModel):
    """One simulated run. With `reward_popular = 0` rewards are 0/1: a partial solution counts as wrong."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    objective: ObjectiveConfig = ObjectiveConfig(name="grpo")
    popular: float = Field(default=0.55, gt=0, lt=1, description="initial probability of the popular action")
    rare: float = Field(default=0.005, gt=0, lt=1, description="initial probability of the optimal action")
    wrong_actions: int = Field(default=1, ge=1, description="wrong actions that share the rest")
    reward_popular: float = Field(default=0.8, ge=0, le=1)
    reward_rare: float = Field(default=1.0, ge=0, le=1)
    group_size: int = Field(default=16, ge=2, description="completions a prompt, G")
    prompts: int = Field(default=32, ge=1, description="groups in a batch; they share one policy")
    steps: int = Field(default=700, ge=1, description="batches")
    inner_steps: int = Field(
        default=1, ge=1, description="updates on each batch; more than one is off-policy"
    )
    learning_rate: float = Field(default=1.0, gt=0)
    large_k: int = Field(default=64, ge=1, description="k of pass@k")
    seed: int = 0

    @model_validator(mode="after")
    def _check_mass(self) -> Options:
        if self.popular + self.rare >= 1:
            raise ValueError("popular + rare must leave some probability for the wrong actions")
        return self

    @property
    def probabilities(self) -> list[float]:
        """Of each action, at the start."""
        wrong = (1 - self.popular - self.rare) / self.wrong_actions
        return [self.popular, self.rare] + [wrong] * self.wrong_actions

    @property
    def rewards(self) -> list[float]:
        """Of each action."""
        return [self.reward_popular, self.reward_rare] + [0.0] * self.wrong_actions


@dataclass(frozen=True, slots=True)
class Step:
    """The policy before a batch (probability mass, entropy in nats, exact pass@k), and what the batch shows.

    top_share: share of a group's most frequent action, mean over groups. distinct_passing: different
    actions of a group that earn the full reward, mean. first_solved: prompts whose optimal action was
    sampled for the first time.
    """

    step: int
    popular: float
    rare: float
    wrong: float
    entropy: float
    pass_at_k: float
    top_share: float
    distinct_passing: float
    first_solved: int
    clip_fraction_positive: float
    clip_fraction_negative: float


def simulate(
    options: Options, objective_after: Callable[[Step], ObjectiveConfig] | None = None
) -> Iterator[Step]:
    """Yield the policy before each of `steps` batches and what the batch shows; once more at the end.

    `objective_after` chooses the next batch's objective from a step; without it `options.objective` stays.
    """
    generator = torch.Generator().manual_seed(options.seed)
    logits_V = torch.tensor(options.probabilities, dtype=torch.float64).log().requires_grad_()
    start_V = torch.log_softmax(logits_V.detach(), 0)
    solved_P = torch.zeros(options.prompts, dtype=torch.bool)
    for step in range(options.steps + 1):
        before_V = torch.log_softmax(logits_V.detach(), 0)
        action_B = torch.multinomial(
            before_V.exp(), options.prompts * options.group_size, replacement=True, generator=generator
        )
        action_PG = action_B.view(options.prompts, options.group_size)
        stats = update(options, logits_V, start_V, action_PG)
        solved_now_P = (action_PG == RARE).any(1) & ~solved_P
        solved_P |= solved_now_P
        measured = _measure(options, step, before_V, action_PG, int(solved_now_P.sum()), stats)
        if objective_after is not None:
            options = options.model_copy(update={"objective": objective_after(measured)})
        yield measured


def update(options: Options, logits_V: Tensor, start_V: Tensor, action_PG: Tensor) -> LossStats:
    """Take `inner_steps` gradient steps, in place, on one batch; the statistics are those of the last."""
    advantages = [group_advantages(options, group) for group in action_PG.tolist()]
    advantage_PG = torch.tensor(advantages, dtype=torch.float64)
    old_V = torch.log_softmax(logits_V.detach(), 0)
    stats = LossStats()
    for _ in range(options.inner_steps):
        loss, stats = batch_loss(
            options, logits_V, old_V, start_V, action_PG.flatten(), advantage_PG.flatten()
        )
        (gradient_V,) = torch.autograd.grad(loss, logits_V)
        with torch.no_grad():
            logits_V -= options.learning_rate * gradient_V
    return stats


def group_advantages(options: Options, actions: Sequence[int]) -> list[float]:
    """The advantage of each completion of one group."""
    rewards = [options.rewards[a] for a in actions]
    values = credit.advantages(options.objective, rewards, [r >= 1 for r in rewards])
    return [0.0 if a is None else a for a in values]


def batch_loss(
    options: Options, logits_V: Tensor, old_V: Tensor, start_V: Tensor, action_B: Tensor, advantage_B: Tensor
) -> tuple[Tensor, LossStats]:
    """The objective's loss of a batch, from `coderl.learning.objectives`.

    Args:
        logits_V: being trained.
        old_V, start_V: log-probabilities of the policy that sampled, and of the reference policy.
    """
    config, size = options.objective, len(action_B)
    weight_B = credit.row_weights(config, advantage_B.tolist(), [1] * size, n_sampled=size, max_tokens=1)
    logp_V = torch.log_softmax(logits_V, 0)
    p_V = logp_V.exp()

    def column(values_B: Tensor) -> Tensor:
        return values_B.expand(size)[:, None]

    return objectives.policy_loss(
        config,
        objectives.LossInputs(
            column(logp_V[action_B]),
            column(old_V[action_B]),
            torch.ones(size, 1, dtype=torch.bool),
            advantage_B,
            torch.tensor(weight_B, dtype=torch.float64),
            logp_sampler_BT=column(old_V[action_B]),
            logp_ref_BT=column(start_V[action_B]),
            kl_full_BT=column((p_V * (logp_V - start_V)).sum()),
            entropy_BT=column(-(p_V * logp_V).sum()),
        ),
    )


def _measure(
    options: Options, step: int, logp_V: Tensor, action_PG: Tensor, first_solved: int, stats: LossStats
) -> Step:
    p_V = logp_V.exp()
    popular, rare = p_V[POPULAR].item(), p_V[RARE].item()
    counts_PV = torch.stack([(action_PG == v).sum(1) for v in range(len(p_V))], 1)
    passing_V = torch.tensor(options.rewards) >= 1
    return Step(
        step=step,
        popular=popular,
        rare=rare,
        wrong=p_V[RARE + 1 :].sum().item(),
        entropy=-(p_V * logp_V).sum().item(),
        pass_at_k=1 - (1 - rare) ** options.large_k,
        top_share=(counts_PV.amax(1) / options.group_size).mean().item(),
        distinct_passing=((counts_PV > 0) & passing_V).sum(1).double().mean().item(),
        first_solved=first_solved,
        clip_fraction_positive=stats.summary()["clip_fraction_positive"],
        clip_fraction_negative=stats.summary()["clip_fraction_negative"],
    )


def true_stages(steps: list[Step]) -> list[str]:
    """What really happens around each step, told by the masses themselves.

    exploitation: the popular action gains at least `MOVED` over `WINDOW` steps, the optimal one less than
    a tenth of that. exploration: the optimal one gains at least `MOVED` and the popular one falls.
    Anything else is "saturated/unknown": nothing moves, or both gain at the expense of wrong actions.
    """
    stages = []
    for i in range(len(steps)):
        a, b = steps[max(0, i - WINDOW // 2)], steps[min(len(steps) - 1, i + WINDOW // 2)]
        popular, rare = b.popular - a.popular, b.rare - a.rare
        if popular >= MOVED and abs(rare) < popular / 10:
            stages.append("exploitation")
        elif rare >= MOVED and popular < 0:
            stages.append("exploration")
        else:
            stages.append("saturated/unknown")
    return stages


def runs_of(stages: list[str]) -> list[tuple[str, int]]:
    """Consecutive equal stages, with how many steps each lasts."""
    return [(stage, len(list(group))) for stage, group in itertools.groupby(stages)]
