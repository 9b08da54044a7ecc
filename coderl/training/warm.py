"""The built-in model, warmed up and saved, with its progress shown."""

from __future__ import annotations

from pathlib import Path

from coderl.config.settings import RunConfig
from coderl.model import warmup
from coderl.training.display import Display


def warm_up(config: RunConfig, display: Display, warm: Path, control: Path | None = None) -> None:
    """Save the warm model as the transformers folder `warm`; and as `control` what it becomes when its warm-up goes on
    for as many optimizer steps as the run takes."""
    state = warmup.start(config.warmup, config.seed)
    with display.warming(config.warmup.steps) as on_step:
        warmup.train(state, config.warmup.steps, on_step=on_step)
    state.policy.save(warm)
    if control is None:
        return
    updates = config.train.steps * config.learner.minibatches
    with display.warming(updates, "control: warm-up continued") as on_step:
        warmup.train(state, updates, on_step=on_step)
    state.policy.save(control)
