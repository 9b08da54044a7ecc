"""The built-in model, warmed up on imperfect demonstrations and saved, with its progress shown.

The demonstrations are wrong about half of the time (`warmup.wrong_rate`), so the model that comes out is
right some of the time, which is where reinforcement learning has something to learn.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from coderl.config.settings import RunConfig, WarmupConfig
from coderl.learning.supervised import Trainer
from coderl.model.packing import TokenRow
from coderl.model.policy import Policy
from coderl.model.toy import build_policy
from coderl.training.display import Display
from tasks.builtin import Demonstration, demonstrations, vocabulary

RAMP = 20


def warm_up(config: RunConfig, display: Display, warm: Path, control: Path | None = None) -> None:
    """Save the warm model as the transformers folder `warm`; and as `control` what it becomes when its warm-up goes on
    for as many optimizer steps as the run takes."""
    policy = cold_policy(config)
    demonstrated = _forever(config.warmup, config.seed)
    steps, rate = config.warmup.steps, config.warmup.learning_rate
    trainer = Trainer(policy.model, learning_rate=rate, steps=steps, ramp=RAMP)

    def train(steps: int, what: str) -> None:
        with display.warming(steps, what) as on_step:
            for _ in range(steps):
                batch = itertools.islice(demonstrated, config.warmup.batch_size)
                loss = trainer.step([[_row(policy, one) for one in batch]])
                on_step(trainer.steps, loss)

    train(steps, "warm-up")
    policy.save(warm)
    if control is not None:
        train(config.train.steps * config.learner.minibatches, "control: warm-up continued")
        policy.save(control)


def cold_policy(config: RunConfig) -> Policy:
    """The built-in model before its warm-up."""
    return build_policy(config.warmup, vocabulary(), config.seed)


def _row(policy: Policy, demonstration: Demonstration) -> TokenRow:
    encode = policy.tokenizer.encode
    return TokenRow(
        encode(demonstration.prompt), [*encode(demonstration.completion), policy.stop_token_ids[0]]
    )


def _forever(config: WarmupConfig, seed: int) -> Iterator[Demonstration]:
    """Fresh demonstrations without end, in blocks, each with a seed of its own."""
    for block in itertools.count(1):
        count = config.batch_size * 50
        yield from demonstrations(
            config.level, count=count, seed=seed * 100_003 + block, wrong_rate=config.wrong_rate
        )
