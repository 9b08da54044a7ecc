"""The demo's warm model, made anew for a benchmark that was given none; a minute or so."""

from __future__ import annotations

from pathlib import Path

from coderl.config import load as configuration
from coderl.training.display import Display
from coderl.training.warm import warm_up


def make(folder: Path, *overrides: str) -> Path:
    """Where it is saved, in transformers format; `overrides` as on the command line."""
    config = configuration.load(None, overrides)
    warm_up(config, Display(quiet=True), folder / "warm")
    return folder / "warm"
