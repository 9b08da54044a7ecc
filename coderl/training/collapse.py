"""Noticing that a policy has collapsed, by three rules, each of which must hold 5 times in a row.

- `pass@1`: held-out pass@1 below half of its running best (per evaluation);
- `compile`: programs that do not compile above twice the warm model's share (per step), and by more
  than 5 points, since twice a share near zero is noise;
- `signal`: under 10% of groups with any reward difference (per step), unless nearly everything passes:
  a solved training set gives no signal either, and is no collapse.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

PATIENCE = 5
SOLVED = 0.95


@dataclass(slots=True)
class CollapseMonitor:
    """Feed it every step and every evaluation; `finding` is set once the policy has collapsed."""

    warm_failure_rate: float | None = None  # share of the warm model's programs that do not compile
    best_pass_at_1: float = 0.0
    healthy_step: int = 0  # newest step at which no rule held
    strikes: dict[str, int] = field(default_factory=dict)
    finding: str | None = None

    def step(self, step: int, *, compile_rate: float, signal_rate: float, pass_rate: float) -> None:
        failure = 1 - compile_rate
        if self.warm_failure_rate is None:
            self.warm_failure_rate = failure
        limit = max(2 * self.warm_failure_rate, self.warm_failure_rate + 0.05)
        self._strike(
            "compile",
            failure > limit,
            f"{failure:.0%} of programs do not compile (warm model: {self.warm_failure_rate:.0%})",
        )
        self._strike(
            "signal", signal_rate < 0.1 and pass_rate < SOLVED, f"{signal_rate:.0%} of groups have any signal"
        )
        if not any(self.strikes.values()):
            self.healthy_step = step

    def evaluation(self, pass_at_1: float) -> None:
        self.best_pass_at_1 = max(self.best_pass_at_1, pass_at_1)
        text = f"held-out pass@1 {pass_at_1:.3f} is below half of its best, {self.best_pass_at_1:.3f}"
        self._strike("pass@1", pass_at_1 < self.best_pass_at_1 / 2, text)

    def _strike(self, rule: str, broken: bool, text: str) -> None:
        self.strikes[rule] = self.strikes.get(rule, 0) + 1 if broken else 0
        if self.strikes[rule] >= PATIENCE and self.finding is None:
            self.finding = f"{rule}: {text}, {PATIENCE} times in a row"

    def state(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, object]) -> CollapseMonitor:
        return cls(**state)  # type: ignore[arg-type]
