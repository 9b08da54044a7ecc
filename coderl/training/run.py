"""What a training run holds while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from coderl.config.settings import RunConfig
from coderl.learning.learner import Learner
from coderl.model.policy import Policy
from coderl.rollouts.choosing import Posterior
from coderl.rollouts.collect import Collector
from coderl.rollouts.prompts import Data
from coderl.runfolder.dashboards import Metrics
from coderl.runfolder.write import RunFolder
from coderl.sampling.types import Sampler
from coderl.training.ahead import Ahead
from coderl.training.collapse import CollapseMonitor
from coderl.training.display import Display
from coderl.training.stages import ObjectiveSchedule, StageMonitor
from tasks.grading.hold_back import HoldBack


@dataclass(slots=True)
class Run:
    """`step`: optimizer batches done."""

    config: RunConfig
    folder: RunFolder
    data: Data
    learner: Learner
    collector: Collector
    display: Display
    metrics: Metrics
    schedule: ObjectiveSchedule
    hold_back: HoldBack | None = None  # with `grading.hold_back`
    monitor: CollapseMonitor = field(default_factory=CollapseMonitor)
    stages: StageMonitor = field(default_factory=StageMonitor)
    ahead: Ahead = field(default_factory=Ahead)
    solved: set[str] = field(default_factory=set)  # training tasks solved at least once
    posterior: Posterior | None = None  # of each training task's pass rate, with `data.choice = "posterior"`
    step: int = 0
    evaluated_step: int = -1
    saved_step: int = -1
    stop_requested: bool = False

    @property
    def policy(self) -> Policy:
        return self.collector.policy

    @property
    def sampler(self) -> Sampler:
        return self.collector.sampler

    @property
    def finished(self) -> bool:
        return self.step >= self.config.train.steps
