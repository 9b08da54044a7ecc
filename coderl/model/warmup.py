"""Warm-up: supervised training of the built-in model on imperfect demonstrations.

The demonstrations are wrong about half of the time (`warmup.wrong_rate`), so the model that comes out is
right some of the time, which is where reinforcement learning has something to learn.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from coderl.config.settings import WarmupConfig
from coderl.model.policy import Policy
from coderl.model.scoring import TokenRow, score
from coderl.model.toy import build_policy
from tasks.builtin import Demonstration, demonstrations, vocabulary


@dataclass(slots=True)
class Warmup:
    """The state of a warm-up, so that it can be continued (the demo's control does)."""

    policy: Policy
    config: WarmupConfig
    optimizer: torch.optim.Optimizer
    source: Iterator[Demonstration]
    steps: int = 0


def start(config: WarmupConfig, seed: int) -> Warmup:
    """Build the model and its tokenizer, and open the stream of demonstrations."""
    policy = build_policy(config, vocabulary(), seed)
    optimizer = torch.optim.AdamW(policy.model.parameters(), lr=config.learning_rate, betas=(0.9, 0.95))
    return Warmup(policy, config, optimizer, _forever(config, seed))


def train(warmup: Warmup, steps: int, *, on_step: Callable[[int, float], None] | None = None) -> None:
    """Take `steps` optimizer steps of maximum likelihood on completion tokens.

    The rate ramps up, then follows a cosine to a tenth of its peak; when a finished warm-up is
    continued, it stays at that tenth.
    """
    config, model = warmup.config, warmup.policy.model
    model.train()
    for _ in range(steps):
        rate = config.learning_rate * _schedule(warmup.steps, config.steps)
        for group in warmup.optimizer.param_groups:
            group["lr"] = rate
        rows = [_row(warmup.policy, next(warmup.source)) for _ in range(config.batch_size)]
        scores = score(model, rows)
        loss = -scores.logp_BT.sum() / scores.mask_BT.sum()
        warmup.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        warmup.optimizer.step()
        warmup.steps += 1
        if on_step:
            on_step(warmup.steps, float(loss.detach()))


def _schedule(step: int, steps: int) -> float:
    ramp = min(1.0, (step + 1) / 20)
    return ramp * (0.55 + 0.45 * math.cos(math.pi * min(1.0, step / steps)))


def _row(policy: Policy, demonstration: Demonstration) -> TokenRow:
    encode = policy.tokenizer.encode
    return TokenRow(
        encode(demonstration.prompt), [*encode(demonstration.completion), policy.stop_token_ids[0]]
    )


def _stream(config: WarmupConfig, seed: int, count: int) -> Iterator[Demonstration]:
    return iter(demonstrations(config.level, count=count, seed=seed, wrong_rate=config.wrong_rate))


def _forever(config: WarmupConfig, seed: int) -> Iterator[Demonstration]:
    """Fresh demonstrations without end, in blocks, each with a seed of its own."""
    for block in itertools.count():
        yield from _stream(config, seed * 100_003 + block + 1, config.batch_size * 50)
