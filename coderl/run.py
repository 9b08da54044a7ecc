"""What a training run holds while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from coderl.ahead import Ahead
from coderl.collapse import CollapseMonitor
from coderl.config import RunConfig
from coderl.data import Data
from coderl.display import Display
from coderl.learner import Learner
from coderl.metrics import Metrics
from coderl.model import Policy
from coderl.rollouts import Collector
from coderl.runfolder import RunFolder
from coderl.sampler import Sampler
from coderl.stages import ObjectiveSchedule, StageMonitor
from tasks.hold_back import HoldBack


@dataclass(slots=True)
class Run:
    """`step`: optimizer batches done."""

    config: RunConfig
    folder: RunFolder
    data: Data
    policy: Policy
    learner: Learner
    sampler: Sampler
    collector: Collector
    display: Display
    metrics: Metrics
    schedule: ObjectiveSchedule
    hold_back: HoldBack | None = None  # with `grading.hold_back`
    monitor: CollapseMonitor = field(default_factory=CollapseMonitor)
    stages: StageMonitor = field(default_factory=StageMonitor)
    ahead: Ahead = field(default_factory=Ahead)
    solved: set[str] = field(default_factory=set)  # training tasks solved at least once
    step: int = 0
    evaluated_step: int = -1
    saved_step: int = -1
    stop_requested: bool = False

    @property
    def finished(self) -> bool:
        return self.step >= self.config.train.steps
