"""The demo's warm model, made anew for a benchmark that was given none; a minute or so."""

from __future__ import annotations

from pathlib import Path

from coderl.config import load as configuration
from coderl.model import warmup


def make(folder: Path, *overrides: str) -> Path:
    """Where it is saved, in transformers format; `overrides` as on the command line."""
    config = configuration.load(None, overrides)
    state = warmup.start(config.warmup, config.seed)
    warmup.train(state, config.warmup.steps)
    state.policy.save(folder / "warm")
    return folder / "warm"
