"""What the learner makes of a batch's rollouts: minibatches, rows without repeats, and tensors.

Shape suffixes: B completions, T their tokens, right-padded.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch

from coderl.scoring import TokenRow
from coderl.types import Batch, Rollout

Tokens = tuple[tuple[int, ...], tuple[int, ...]]  # a prompt's and a completion's


def split(batch: Batch, parts: int, seed: int) -> list[list[Rollout]]:
    """Whole groups dealt into `parts` minibatches, in an order that depends on seed and step only."""
    groups = list(batch.groups)
    if parts > 1:
        random.Random(f"{seed}/{batch.step}").shuffle(groups)
    dealt = [groups[i::parts] for i in range(min(parts, len(groups)))]
    return [[r for group in part for r in group.rollouts] for part in dealt]


def tokens_of(rollout: Rollout) -> Tokens:
    """What log-probabilities depend on."""
    return tuple(rollout.prompt_tokens), tuple(rollout.tokens)


def distinct(used: Sequence[tuple[Rollout, float]]) -> list[tuple[Rollout, float, int]]:
    """Equal completions as one: its rollout, the sum of their weights, and how many they are.

    The loss is linear in the weights, and groups concentrate: often over half of a batch's rows are copies.
    """
    merged: dict[tuple[Any, ...], tuple[Rollout, float, int]] = {}
    for r, weight in used:
        key = (tokens_of(r), r.advantage, tuple(r.spared or ()))
        first, total, count = merged.get(key, (r, 0.0, 0))
        merged[key] = (first, total + weight, count + 1)
    return list(merged.values())


def token_row(rollout: Rollout) -> TokenRow:
    return TokenRow(rollout.prompt_tokens, rollout.tokens)


def padded(rows: Sequence[Sequence[float]], like_BT: torch.Tensor) -> torch.Tensor:
    """A number for each token of each row, and zero beyond them, in the shape and on the device of `like_BT`."""
    out = torch.zeros_like(like_BT, requires_grad=False)
    for b, values in enumerate(rows):
        out[b, : len(values)] = torch.tensor(values, dtype=out.dtype)
    return out


def spared(rollouts: Sequence[Rollout], like_BT: torch.Tensor) -> torch.Tensor | None:
    """Which tokens get no push; None where no rollout says."""
    if all(r.spared is None for r in rollouts):
        return None
    return padded([r.spared or [] for r in rollouts], like_BT).bool()
