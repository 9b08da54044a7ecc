"""Where commands write to: made before there is anything to write."""

from __future__ import annotations

import tempfile
from pathlib import Path

from coderl.errors import ConfigError


def make_folder(path: Path, name: str) -> None:
    """Make the folder `path`, which the user knows as `name`, and see that files can be written into it.

    Raises:
        ConfigError: they cannot.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise ConfigError(
            f"{name} {path} cannot be written ({error.strerror}: {error.filename}); name another folder, of yours"
        ) from error
