"""Settings of the learner: its updates, its memory, and the adapter that it may train."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field, field_validator

from coderl.config.section import Section

Decay = Annotated[float, Field(ge=0, lt=1)]


class LearnerConfig(Section):
    learning_rate: float = Field(1e-4, gt=0, description="the built-in model's default; 2e-5 with model.path")
    schedule: str = Field(
        "kl:3e-4",
        description="constant (the default with model.path), linear or cosine (to zero), or kl:TARGET: steered so that "
        "a batch's update moves the policy by TARGET nats a token, measured on the next batch; within 1/1000 to 10 "
        "times learning_rate; refused where the model's precision cannot show TARGET",
    )
    warmup_steps: int = Field(0, ge=0, description="linear ramp of the learning rate, in batches")
    weight_decay: float = Field(0.0, ge=0)
    betas: tuple[Decay, Decay] = Field((0.9, 0.95), description="AdamW's")
    gradient_norm: float = Field(1.0, gt=0, description="gradients are clipped to this norm")
    minibatches: int = Field(1, ge=1, description="optimizer steps a batch; more than one is off-policy")
    tokens_per_microbatch: int | None = Field(
        None,
        ge=1,
        description="tokens a forward pass, at most; none: 16384 on a GPU, 2048 on a CPU, for its caches",
    )
    gradient_checkpointing: bool = Field(
        False, description="keep each layer's input only and run it again in the backward pass: less memory"
    )
    probe_rows: int = Field(
        32, ge=1, description="random completions scored each step for entropy, KL, mismatch"
    )
    max_logprob_difference: float | None = Field(
        None,
        gt=0,
        description="mean |sampler - learner|, nats, that stops the run; none: 1e-3 in float32, else 0.1",
    )

    @field_validator("schedule")
    @classmethod
    def _check_schedule(cls, schedule: str) -> str:
        if schedule not in ("constant", "linear", "cosine") and not 0 < _kl_target(schedule) < math.inf:
            raise ValueError("a schedule is constant, linear, cosine or kl:TARGET, such as kl:3e-4")
        return schedule

    @property
    def kl_target(self) -> float:
        """Nats a token; 0: the rate is not steered."""
        return _kl_target(self.schedule)


def _kl_target(schedule: str) -> float:
    kind, _, target = schedule.partition(":")
    try:
        return float(target) if kind == "kl" else 0.0
    except ValueError:
        return 0.0


class LoraConfig(Section):
    """Train low-rank additions to linear layers (peft) and leave the weights themselves as they are."""

    rank: int = Field(16, ge=1)
    alpha: int = Field(32, ge=1, description="the addition is scaled by alpha / rank")
    targets: list[str] = Field(
        [], description="ends of layers' names, such as q_proj; none: all linear layers of the decoder"
    )
