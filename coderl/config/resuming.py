"""What a resumed run may do otherwise than before: what changes no number that is compared, and more steps.

Of anything else a run's curve would be of two runs, so it takes `--allow-changes`. Either way the run records it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

from coderl.config.load import load
from coderl.config.section import Section
from coderl.config.settings import RunConfig
from coderl.errors import ConfigError, RunFolderError

# How the work is done and shown, and where. Any key that is not here counts.
FREE = (
    *("train.steps", "train.checkpoint_every", "train.keep_checkpoints", "train.show_samples_every"),
    *("train.stop_on_collapse", "eval.every", "sandbox.*", "metrics.*"),
    *("sampler.max_sequences", "sampler.kv_cache_gib", "sampler.processes", "sampler.share_prefixes"),
    *("sampler.gpu_memory_fraction", "sampler.urls", "sampler.transfer"),
    *("learner.tokens_per_microbatch", "learner.gradient_checkpointing"),
    *("learner.probe_rows", "learner.max_logprob_difference"),
)
PLACE = ("runs", "name")  # of the run folder, which may have moved


class Change(NamedTuple):
    """A setting of a resumed run; None: it is not set."""

    key: str
    before: Any
    after: Any

    def __str__(self) -> str:
        before, after = ("none" if value is None else value for value in (self.before, self.after))
        return f"{self.key}: {before} -> {after}"


def changes(before: RunConfig, after: RunConfig) -> list[Change]:
    """What `after` sets otherwise, but for the run folder's place."""
    old, new = _flat(before), _flat(after)
    keys = [key for key in (old | new) if key not in PLACE]
    return [Change(key, old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)]


def resumed(folder: Path, overrides: Sequence[str], *, allow_changes: bool) -> RunConfig:
    """The configuration that the run in `folder` goes on with.

    Raises:
        RunFolderError: `folder` holds no run.
        ConfigError: wrong overrides, changes that are not allowed, or fewer steps than were done.
    """
    config = folder / "config.toml"
    if not config.is_file():
        raise RunFolderError(
            f"{folder} is not a run folder (it has no config.toml); give one made by `coderl train`"
        )
    folder = Path(os.path.abspath(folder))
    place = [f'runs="{folder.parent}"', f'name="{folder.name}"']
    before, after = load(config), load(config, [*overrides, *place])
    steps = [int(path.name.rpartition("-")[2]) for path in folder.glob("checkpoints/step-*")]
    spoiling = [change for change in changes(before, after) if _spoils(change, after)]
    if steps and spoiling and not allow_changes:
        raise ConfigError(
            f"--resume {folder}: what follows could not be compared with what was, by {'; '.join(map(str, spoiling))}. "
            "Leave that out, start a new run, or give --allow-changes: the run then records the change"
        )
    if after.train.steps < (done := max(steps, default=0)):
        raise ConfigError(
            f"train.steps = {after.train.steps}: the run in {folder} has done {done} steps already. Give more, or "
            f"evaluate an earlier policy: coderl eval --model {folder}/checkpoints/step-..."
        )
    return after


def _spoils(change: Change, config: RunConfig) -> bool:
    if change.key == "train.steps":  # a rate that falls to zero at the end falls otherwise
        return config.learner.schedule in ("linear", "cosine")
    return not any(fnmatch(change.key, free) for free in FREE)


def _flat(config: RunConfig) -> dict[str, Any]:
    """Each setting by its key."""
    found: dict[str, Any] = {}
    for name, value in config:
        if isinstance(value, Section):
            found |= {f"{name}.{key}": each for key, each in value}
        else:
            found[name] = value
    return found
