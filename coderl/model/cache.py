"""Models that were made here: transformers folders under `$CODERL_CACHE/models`, each there whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from coderl.errors import ModelError

_UNFINISHED = ".unfinished-"


def models() -> Path:
    """`$CODERL_CACHE/models`; without it under `$XDG_CACHE_HOME/coderl`, by default `~/.cache/coderl`."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "coderl"
    return Path(os.environ.get("CODERL_CACHE") or usual) / "models"


def stored(name: str) -> Path | None:
    """The folder of the model kept as `name`."""
    folder = models() / name
    return folder if folder.is_dir() else None


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of the model kept as `name`; where there is none, what `make` leaves in `model` of its folder.

    One process makes at a time. What stops it leaves nothing behind; what a killed one left, the next removes.

    Raises:
        ModelError: the cache cannot be written.
    """
    cache = models()
    try:
        if stored(name) is None:
            cache.mkdir(parents=True, exist_ok=True)
            with (cache / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if stored(name) is None:
                    _make(cache, name, make)
    except OSError as error:
        raise ModelError(
            f"{name} cannot be kept in {cache}: {error.strerror or error}; free disk space there, or name another "
            "folder in CODERL_CACHE"
        ) from error
    return cache / name


def _make(cache: Path, name: str, make: Callable[[Path], None]) -> None:
    for left in cache.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=cache) as temporary:
        make(Path(temporary))
        (Path(temporary) / "model").rename(cache / name)
