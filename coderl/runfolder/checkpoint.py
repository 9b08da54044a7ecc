"""Checkpoints: written aside, synced, renamed; so a folder named `step-N` is always whole.

`step-N/` holds a transformers folder (model and tokenizer, with LoRA `adapter/`), `learner/` (the optimizer and all
else that grows with the model, see tensor_files.py) and `state.pt` (random states, position in the data, monitors).
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError

from coderl.errors import RunFolderError
from tasks.files import replacing


class Savable(Protocol):
    """A policy or a learner: writes a transformers folder."""

    def save(self, folder: Path) -> None: ...


def save(folder: Path, step: int, model: Savable, state: dict[str, Any]) -> Path:
    """Write `folder/step-N` atomically.

    Raises:
        RunFolderError: the disk is full or not writable; earlier checkpoints are untouched.
    """
    final = folder / f"step-{step:06d}"
    try:
        with replacing(final, sync=True) as temporary:
            temporary.mkdir(parents=True)
            model.save(temporary)
            torch.save({"step": step, **state}, temporary / "state.pt")
    except (OSError, RuntimeError, SafetensorError) as error:  # torch reports a failed write as RuntimeError
        raise RunFolderError(
            f"checkpoint {final} could not be written: {error}; the previous one is intact. "
            "Free disk space, then continue with --resume"
        ) from error
    return final


def point(link: Path, newest: Path) -> None:
    """Let `link`, beside the folder of checkpoints, name the newest one; nothing where the file system has no links."""
    temporary = link.with_name(f".tmp-{link.name}")
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(newest.relative_to(link.parent))
        temporary.replace(link)


def latest(folder: Path) -> Path | None:
    """The newest whole checkpoint, if any."""
    return max(folder.glob("step-*"), default=None)


def load_state(checkpoint: Path) -> dict[str, Any]:
    """Raises `RunFolderError` where the state is missing or damaged."""
    file = checkpoint / "state.pt"
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises nearly anything on a damaged file, with pages of advice
        what = (
            "is missing" if isinstance(error, FileNotFoundError) else f"is damaged ({type(error).__name__})"
        )
        raise unusable(checkpoint, f"{file} {what}") from error
    return state


def unusable(checkpoint: Path, why: str) -> RunFolderError:
    return RunFolderError(
        f"{why}; remove the folder {checkpoint}, and --resume takes the checkpoint before it"
    )


def prune(folder: Path, keep: int, protect: Path | None = None) -> None:
    """Delete all but the newest `keep` checkpoints, and never `protect`."""
    for old in sorted(folder.glob("step-*"))[:-keep]:
        if protect is None or old != protect:
            shutil.rmtree(old)
