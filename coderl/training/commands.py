"""What the training commands do, once their configuration is known."""

from __future__ import annotations

import contextlib
import errno
import os
import textwrap
from collections.abc import Iterator
from pathlib import Path

import torch

from coderl.config.effects import without_effect
from coderl.config.settings import RunConfig
from coderl.errors import ConfigError, RunFolderError, TrainingError
from coderl.learning import ranks
from coderl.runfolder.files import make_folder
from coderl.runfolder.layout import CONTROL, HELD_OUT
from coderl.runfolder.write import RunFolder
from coderl.training.display import Display
from coderl.training.dryrun import dry_run
from coderl.training.loop import train
from coderl.training.opening import open_run
from coderl.training.supervised import Source, fine_tune
from coderl.training.warm import warm_up

UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


def run_training(config: RunConfig, *, resume: bool) -> None:
    """Train, write the report, and print before and after beside the control."""
    ranks.require_fitting(config)
    with ranks.joined() as rank:
        if rank == 0:
            _lead(config, resume=resume)
        else:
            ranks.follow()


def _lead(config: RunConfig, *, resume: bool) -> None:
    display = Display()
    try:
        _warn(config, display)
        with explained(config), open_run(config, resume=resume, display=display) as run:
            train(run)
    except KeyboardInterrupt:
        display.note(f"stopped; continue with: coderl train --resume {config.folder}")
        raise
    from analysis import report  # loads plotting and statistics libraries: not before they are needed

    path = report.write(config.folder)
    print(outcome(run.folder, warmed_up=config.model.path is None))
    print(f"report: {path}")


def _warn(config: RunConfig, display: Display) -> None:
    for line in without_effect(config, on_gpu=torch.cuda.is_available()):
        display.note(line)


@contextlib.contextmanager
def explained(config: RunConfig, *, dry: bool = False) -> Iterator[None]:
    """What the system refuses as an error that names the remedy; everything written so far is whole."""
    then = "try again" if dry else f"continue with `coderl train --resume {config.folder}`"
    try:
        yield
    except OSError as error:
        if error.errno is None or error.errno not in UNWRITABLE:
            raise TrainingError(
                f"the run in {config.folder} stopped: {type(error).__name__}: {error}. Mend that, then {then}"
            ) from error
        place = "the temporary run folder" if dry else f"run folder {config.folder}"
        file = f" ({error.filename})" if error.filename else ""
        raise RunFolderError(
            f"{place} cannot be written: {os.strerror(error.errno)}{file}; free disk space, or allow writing there, "
            f"then {then}"
        ) from error


def run_dry(config: RunConfig, *, resume: bool) -> None:
    """Print the resolved configuration, then what a step of it costs, as comments: all of it is TOML."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("--dry-run measures one process; start it without torchrun")
    print(config.to_toml())
    _warn(config, Display())
    with explained(config, dry=True):
        estimate = dry_run(config, resume=resume)
    print(textwrap.indent(str(estimate), "# "))


def outcome(folder: RunFolder, *, warmed_up: bool) -> str:
    """Held-out pass@1 before and after training, and the control's, as a few lines of text."""
    evaluations = [line for line in folder.read_log() if line["kind"] == "eval"]
    held_out = [e for e in evaluations if e["name"] == HELD_OUT]
    rows = [("warm model" if warmed_up else "before training", held_out[0]), ("trained", held_out[-1])]
    rows += [("control: warm-up continued", e) for e in evaluations if e["name"] == CONTROL]
    lines = [f"held-out tasks: {held_out[0]['tasks']}, samples a task: {held_out[0]['samples']}"]
    for name, e in rows:
        curve = "  ".join(f"pass@{k} {v:.3f}" for k, v in e["pass_at_k"].items())
        lines.append(f"  {name:<28}{curve}  compiles {e['compile_rate']:.1%}")
    return "\n".join(lines)


def run_warmup(config: RunConfig, out: Path, source: Source, samples: int) -> None:
    """Train the built-in model on demonstrations, or a named one on solutions; save it as a transformers folder."""
    make_folder(out, "--out")
    if any(out.iterdir()):
        raise ConfigError(f"{out} exists and is not empty; choose another --out")
    if config.model.path is None:
        warm_up(config, Display(), out)
    else:
        fine_tune(config, out, Display(), source, samples)
    print(f"warm model: {out}")
