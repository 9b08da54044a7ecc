"""What the learner makes of a batch: rows, minibatches of them, rows without repeats, and tensors.

Shape suffixes: B completions, T their tokens, right-padded.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from coderl.config.objective import ObjectiveConfig
from coderl.learning.credit import advantages
from coderl.model.packing import TokenRow
from coderl.rollouts.batch import Batch

Tokens = tuple[tuple[int, ...], tuple[int, ...]]  # a prompt's and a completion's


@dataclass(frozen=True, slots=True)
class Row(TokenRow):
    """A prompt and its completion with all that the learner needs to know of it.

    `logprobs`: the sampler's, nats, one a token. `advantage` None: not graded, it counts nowhere.
    """

    logprobs: list[float]
    advantage: float | None

    @property
    def tokens(self) -> Tokens:
        """What log-probabilities depend on."""
        return tuple(self.prompt), tuple(self.completion)


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch as the learner sees it, by group. `policy_version`: of the weights that sampled it."""

    step: int
    policy_version: int
    groups: list[list[Row]]

    def __iter__(self) -> Iterator[Row]:
        return (row for group in self.groups for row in group)


def credited(batch: Batch, objective: ObjectiveConfig, *, seed: int, replaced: bool = False) -> Rows:
    """Give each completion its advantage under `objective`.

    Args:
        seed: of the run; shuffled advantages depend on it.
        replaced: prompts without signal were replaced by others (`train.dynamic_sampling`), and count nowhere.
    """
    for group in batch.groups:
        rollouts = group.rollouts
        values = advantages(objective, [r.reward for r in rollouts], [bool(r.passed) for r in rollouts])
        if objective.shuffle_advantages:
            random.Random(f"{seed}/{batch.step}/{group.task.id}").shuffle(values)
        for rollout, value in zip(rollouts, values, strict=True):
            rollout.advantage = None if replaced and not group.has_signal else value
    return rows_of(batch)


def rows_of(batch: Batch) -> Rows:
    """The rows of completions that have their advantages."""
    groups = [
        [Row(r.prompt_tokens, r.tokens, r.logprobs, r.advantage) for r in group.rollouts]
        for group in batch.groups
    ]
    return Rows(batch.step, batch.policy_version, groups)


def split(rows: Rows, parts: int, seed: int) -> list[list[Row]]:
    """Whole groups dealt into `parts` minibatches, in an order that depends on seed and step only."""
    groups = list(rows.groups)
    if parts > 1:
        random.Random(f"{seed}/{rows.step}").shuffle(groups)
    dealt = [groups[i::parts] for i in range(min(parts, len(groups)))]
    return [[row for group in part for row in group] for part in dealt]


def distinct(used: Sequence[tuple[Row, float]]) -> list[tuple[Row, float, int]]:
    """Equal completions as one: its row, the sum of their weights, and how many they are.

    The loss is linear in the weights, and groups concentrate: often over half of a batch's rows are copies.
    """
    merged: dict[tuple[Tokens, float | None], tuple[Row, float, int]] = {}
    for row, weight in used:
        key = (row.tokens, row.advantage)
        first, total, count = merged.get(key, (row, 0.0, 0))
        merged[key] = (first, total + weight, count + 1)
    return list(merged.values())


def padded(rows: Sequence[Sequence[float]], like_BT: torch.Tensor) -> torch.Tensor:
    """A number for each token of each row, and zero beyond them, in the shape and on the device of `like_BT`."""
    out = torch.zeros_like(like_BT, requires_grad=False)
    for b, values in enumerate(rows):
        out[b, : len(values)] = torch.tensor(values, dtype=out.dtype)
    return out
