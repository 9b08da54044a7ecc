"""Noticing that a policy has collapsed, by three rules, each of which must hold 5 times in a row.

- `pass@1`: held-out pass@1 below half of its running best (per evaluation);
- `compile`: programs that do not compile above twice the warm model's share (per step), and by more
  than 5 points, since twice a share near zero is noise;
- `signal`: under 10% of groups with any reward difference (per step), unless nearly everything passes:
  a solved training set gives no signal either, and is no collapse.

Each must also be more than chance shows in so few samples. Where no group ever had any signal, that is no collapse but
a weak start, the rule `start`.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field

PATIENCE = 5
SOLVED = 0.95
ERRORS = 3.0  # standard errors by which a share must have changed
LEAST_GROUPS = 30  # where none of them has signal, fewer than a tenth of all have, 19 times in 20


@dataclass(slots=True)
class CollapseMonitor:
    """Feed it every step and every evaluation; `finding` is set once a rule has held for long enough."""

    warm_failure_rate: float | None = None  # share of the warm model's programs that do not compile
    best_pass_at_1: float = 0.0
    healthy_step: int = 0  # newest step at which no rule held
    strikes: dict[str, int] = field(default_factory=dict)
    had_signal: bool = False
    quiet_groups: int = 0  # of steps in a row with little signal
    finding: str | None = None

    def step(
        self,
        step: int,
        *,
        compile_rate: float,
        signal_rate: float,
        pass_rate: float,
        groups: int,
        completions: int,
    ) -> None:
        """Take in one training step: three shares, and of how many groups and completions they are."""
        failure = 1 - compile_rate
        if self.warm_failure_rate is None:
            self.warm_failure_rate = failure
        warm = self.warm_failure_rate
        self._strike(
            "compile",
            failure > warm + max(warm, 0.05, ERRORS * _error(warm, completions)),
            f"{failure:.0%} of programs do not compile (warm model: {warm:.0%})",
        )
        self.had_signal |= signal_rate > 0
        quiet = signal_rate < 0.1 and pass_rate < SOLVED
        self.quiet_groups = self.quiet_groups + groups if quiet else 0
        enough = self.quiet_groups >= LEAST_GROUPS
        text = f"{signal_rate:.0%} of groups have any signal"
        self._strike("signal", quiet and self.had_signal, text, enough=enough)
        self._strike("start", quiet and not self.had_signal, text, enough=enough)
        if not any(self.strikes.values()):
            self.healthy_step = step

    def evaluation(self, pass_at_1: float, *, completions: int) -> None:
        best = self.best_pass_at_1 = max(self.best_pass_at_1, pass_at_1)
        text = f"held-out pass@1 {pass_at_1:.3f} is below half of its best, {best:.3f}"
        drop = max(best / 2, ERRORS * _error(best, completions))
        self._strike("pass@1", best - pass_at_1 > drop, text)

    @property
    def never_began(self) -> bool:
        return self.finding is not None and not self.had_signal and self.strikes["start"] >= PATIENCE

    def _strike(self, rule: str, broken: bool, text: str, *, enough: bool = True) -> None:
        self.strikes[rule] = self.strikes.get(rule, 0) + 1 if broken else 0
        if self.strikes[rule] >= PATIENCE and enough and self.finding is None:
            self.finding = f"{rule}: {text}, {self.strikes[rule]} times in a row"

    def state(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, object]) -> CollapseMonitor:
        return cls(**state)  # type: ignore[arg-type]


def _error(share: float, count: int) -> float:
    """Standard error of the difference of two shares of `count`, as if both outcomes had been seen once more."""
    share = (share * count + 1) / (count + 2)
    return math.sqrt(2 * share * (1 - share) / count)
