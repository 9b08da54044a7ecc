"""Steering the learning rate by how far a step really moves the policy.

Adam makes the size of a step independent of the gradient's: where little is left to learn, or where
a negative-only objective pushes with no fixed point in sight, the weights move as fast as ever. So
the rate is set by what it does: KL(new policy || old policy), nats a token over the whole vocabulary,
on completions that the new policy sampled after the step. KL grows with the square of the rate, above a floor: what
rounding shows where nothing that matters changed, which in bfloat16 is far more than in float32.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from coderl.config.learner import LearnerConfig
from coderl.errors import RateError

# Of the correction that would meet the target at once; the rest averages out the measurement's noise.
GAIN = 0.5
# Factors a step; a step too long does harm, one too short only costs time.
FASTEST_RISE, FASTEST_FALL = 1.25, 0.25
LEAST, MOST = 1e-3, 10.0  # bounds of `factor`
PATIENCE = 5  # measured steps in a row that ask for a rate beyond its bound
FLOORS = 3  # that a target must be above: the rate is then right within a fifth


@dataclass(slots=True)
class RateController:
    """`factor` times the configured learning rate is the rate that meets `target` nats a token a step.

    `floor`: KL by rounding alone; None: not measured yet. `moved`: whether a step was taken that is not measured yet.
    """

    target: float
    factor: float = 1.0
    floor: float | None = None
    moved: bool = False
    at_bound: int = 0  # measured steps in a row that asked for a rate beyond it

    def calibrate(self, floor: float) -> None:
        """Raises `RateError`: the target cannot be told from `floor`."""
        self.floor = floor
        least = FLOORS * floor
        if not self.target >= least:  # also where the floor is NaN
            raise RateError(
                f"learner.schedule = kl:{self.target:g} cannot be steered by: in the model's precision a change of its "
                f"weights that does not matter measures {floor:.1g} nats a token already, so the smallest target "
                f"that can be seen is {least:.1g}. Give learner.schedule=constant, a target above that, or "
                "model.dtype=float32"
            )

    def measured(self, kl: float) -> None:
        """Take in the KL of the last step; where none was taken, or it is zero or not finite, it says nothing.

        Raises:
            RateError: the rate has been at its bound for `PATIENCE` measured steps.
        """
        moved, self.moved = self.moved, False
        if not (moved and math.isfinite(kl) and kl > 0):
            return
        change = (self.target / kl) ** (GAIN / 2)
        change = min(FASTEST_RISE, max(FASTEST_FALL, change))
        wanted = self.factor * change
        self.factor = min(MOST, max(LEAST, wanted))
        self.at_bound = self.at_bound + 1 if self.factor != wanted else 0
        if self.at_bound >= PATIENCE:
            self.at_bound = 0  # a resumed run may try again
            raise RateError(_stuck(self.factor, self.target, kl))

    def state(self) -> dict[str, Any]:
        return asdict(self)


def _stuck(factor: float, target: float, kl: float) -> str:
    evidence = (
        f"the learning rate has been at {factor:g} times learner.learning_rate, its bound, for {PATIENCE} "
        f"measured steps, of which the last moved the policy by {kl:.1g} nats a token; the target is {target:g}. "
    )
    if factor == LEAST:
        return evidence + (
            "The steps move it further than they should at any rate: learner.learning_rate is far too high, or the KL "
            "is not the rate's doing. Resume with a lower learner.learning_rate, or learner.schedule=constant "
            "(--allow-changes)"
        )
    return evidence + (
        "The steps hardly move it: learner.learning_rate is far too low, or there is hardly anything to learn from. "
        "Resume with a higher learner.learning_rate, a lower target, or learner.schedule=constant (--allow-changes)"
    )


def learning_rate(config: LearnerConfig, batch: int, batches: int) -> float:
    """The rate for a batch (from 0): linear ramp, then linear or cosine decay to zero, or none."""
    ramp = min(1.0, (batch + 1) / (config.warmup_steps + 1))
    progress = min(1.0, batch / max(1, batches))
    decay = {"linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2}
    return config.learning_rate * ramp * decay.get(config.schedule, 1.0)
