"""Steering the learning rate by how far a step really moves the policy.

Adam makes the size of a step independent of the gradient's: where little is left to learn, or where
a negative-only objective pushes with no fixed point in sight, the weights move as fast as ever. So
the rate is set by what it does: KL(new policy || old policy), nats a token over the whole vocabulary,
on completions that the new policy sampled after the step. KL grows with the square of the rate.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from coderl.config.settings import LearnerConfig

# Of the correction that would meet the target at once; the rest averages out the measurement's noise.
GAIN = 0.5
# Factors a step; a step too long does harm, one too short only costs time.
FASTEST_RISE, FASTEST_FALL = 1.25, 0.25
LEAST, MOST = 1e-3, 10.0  # bounds of `factor`


@dataclass(slots=True)
class RateController:
    """`factor` times the configured learning rate is the rate that meets `target` nats a token a step."""

    target: float
    factor: float = 1.0

    def measured(self, kl: float) -> None:
        """Take in the KL of the last step; zero (no step was taken) and non-finite values say nothing."""
        if not (math.isfinite(kl) and kl > 0):
            return
        change = (self.target / kl) ** (GAIN / 2)
        change = min(FASTEST_RISE, max(FASTEST_FALL, change))
        self.factor = min(MOST, max(LEAST, self.factor * change))

    def state(self) -> dict[str, Any]:
        return asdict(self)


def learning_rate(config: LearnerConfig, batch: int, batches: int) -> float:
    """The rate for a batch (from 0): linear ramp, then linear or cosine decay to zero, or none."""
    ramp = min(1.0, (batch + 1) / (config.warmup_steps + 1))
    progress = min(1.0, batch / max(1, batches))
    decay = {"linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2}
    return config.learning_rate * ramp * decay.get(config.schedule, 1.0)
