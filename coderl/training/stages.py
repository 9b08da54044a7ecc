"""Which of the two stages of arXiv 2510.04028 a training run is in, told from what a run can see.

exploitation: likely programs gain. Groups concentrate on one program, and pass@k at large k is at or
    below the warm model's.
exploration: rare programs gain. Groups find more distinct passing programs, or solve tasks for the
    first time, without concentrating; or they concentrate on what the warm model hardly found: pass@k
    at large k is above its.
saturated/unknown: nothing moves, or what moves fits neither (entropy that rises while nothing new
    passes is no exploration: negative-only updates collapse that way).

The masses of programs cannot be seen in a run, so this is a judgement. On the simulation
(`coderl.dynamics`) the truth is known: `tests/coderl/test_stages.py` says how far the two agree. With
no evaluation, concentrating always counts as exploitation.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from coderl.config.objective import ObjectiveConfig, StagesConfig
from coderl.rollouts.batch import Batch

Stage = Literal["exploitation", "exploration", "saturated/unknown"]

WINDOW = 20  # steps that a trend is read from
SIGNIFICANT = 3.0  # slope over its standard error
LEAST_SHARE = 0.01  # of the most frequent program: a smaller change over the window is no trend
LEAST_ENTROPY = 0.05  # the same, relative to the first entropy seen
LEAST_DISCOVERY = 0.05  # distinct passing programs a group, or tasks solved for the first time a step
MARGIN = 0.02  # pass@k above the warm model's by less is not above it


@dataclass(slots=True)
class StageMonitor:
    """Feed it every step and every evaluation; `stage` is the verdict on the last `WINDOW` steps."""

    stage: Stage = "saturated/unknown"
    warm_entropy: float | None = None
    warm_pass_at_k: float | None = None
    pass_at_k: float | None = None
    entropy: list[float] = field(default_factory=list)
    top_share: list[float] = field(default_factory=list)
    distinct_passing: list[float] = field(default_factory=list)
    first_solved: list[float] = field(default_factory=list)

    def evaluation(self, pass_at_k: float | None, *, warm: bool) -> None:
        """Pass@k at one large k, of the warm model or of a later policy; None where too few samples were graded."""
        if warm:
            self.warm_pass_at_k = pass_at_k
        elif pass_at_k is not None:
            self.pass_at_k = pass_at_k

    def step(
        self, *, entropy: float, top_share: float, distinct_passing: float, first_solved: float
    ) -> Stage:
        """Take in one training step.

        Args:
            entropy: nats (a token), over all completions.
            top_share: share of a group's most frequent program, mean over groups.
            distinct_passing: different programs of a group that pass all tests, mean over groups.
            first_solved: tasks of this step that were solved for the first time in the run.
        """
        if self.warm_entropy is None:
            self.warm_entropy = entropy
        for series, value in (
            (self.entropy, entropy),
            (self.top_share, top_share),
            (self.distinct_passing, distinct_passing),
            (self.first_solved, first_solved),
        ):
            series.append(value)
            del series[:-WINDOW]
        self.stage = self._judge() if len(self.entropy) == WINDOW else "saturated/unknown"
        return self.stage

    def _judge(self) -> Stage:
        least_entropy = LEAST_ENTROPY * (self.warm_entropy or 0.0)
        concentrating = trend(self.top_share, LEAST_SHARE) > 0 or trend(self.entropy, least_entropy) < 0
        discovering = (
            trend(self.distinct_passing, LEAST_DISCOVERY) > 0 or trend(self.first_solved, LEAST_DISCOVERY) > 0
        )
        if concentrating:
            return "exploration" if self.expanded else "exploitation"
        return "exploration" if discovering else "saturated/unknown"

    @property
    def expanded(self) -> bool:
        """Whether pass@k at large k was above the warm model's at the last evaluation."""
        if self.pass_at_k is None or self.warm_pass_at_k is None:
            return False
        return self.pass_at_k > self.warm_pass_at_k + MARGIN

    def state(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> StageMonitor:
        return cls(**state)


def stage_measures(batch: Batch, solved: set[str]) -> tuple[dict[str, float], set[str]]:
    """What `StageMonitor.step` reads off a batch, and the tasks solved in it that are not in `solved`."""
    shares, distinct, newly = [], [], set()
    for group in batch.groups:
        programs = Counter(r.program for r in group.rollouts)
        shares.append(programs.most_common(1)[0][1] / len(group.rollouts))
        passing = {r.program for r in group.rollouts if r.passed}
        distinct.append(len(passing))
        if passing and group.task.id not in solved:
            newly.add(group.task.id)
    measures = {
        "top_share": sum(shares) / len(shares),
        "distinct_passing": sum(distinct) / len(distinct),
        "first_solved": len(newly),
    }
    return measures, newly


class ObjectiveSchedule:
    """Which objective is trained: `start`, until a stage that has one of its own (`[stages]`) has lasted."""

    def __init__(self, start: ObjectiveConfig, config: StagesConfig) -> None:
        self.current = self._start = start
        self._by_stage = config.objectives(start)
        self._patience = config.patience
        self._row: list[str] = []  # the last verdicts, all of them the same stage

    def step(self, stage: Stage) -> bool:
        """Take in a step's stage; whether the objective is another one from the next step on."""
        self._row = [*self._row, stage] if self._row[-1:] == [stage] else [stage]
        chosen = self._by_stage.get(stage)
        if chosen is None or chosen == self.current or len(self._row) < self._patience:
            return False
        self.current = chosen
        return True

    def state(self) -> dict[str, Any]:
        return {"current": self.current.name, "row": self._row[-self._patience :]}

    def load_state(self, state: dict[str, Any]) -> None:
        """An objective that the configuration does not name any more gives its place to the start's."""
        current = state["current"]
        name = current["name"] if isinstance(current, dict) else current  # older checkpoints hold all options
        known = {each.name: each for each in self._by_stage.values()} | {self._start.name: self._start}
        self.current = known.get(name, self._start)
        self._row = list(state["row"])


def trend(values: Sequence[float], least: float) -> int:
    """1, -1 or 0: the sign of the slope, where it is significant and amounts to `least` over the window."""
    n = len(values)
    slope, intercept = statistics.linear_regression(range(n), values)
    if abs(slope) * (n - 1) < least or slope == 0:
        return 0
    residual = sum((y - intercept - slope * x) ** 2 for x, y in enumerate(values))
    error = math.sqrt(residual / (n - 2) * 12 / (n * (n * n - 1)))
    return int(math.copysign(1, slope)) if abs(slope) > SIGNIFICANT * error else 0
