"""What backends share whose programs run with the host's own interpreter."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path


class ProcessHandle:
    """A cell whose supervisor is a child of ours; it takes all others in the cell with it."""

    def __init__(self, process: subprocess.Popen[bytes], errors: Path, name: str) -> None:
        self._process = process
        self._errors = errors  # what it writes to stderr
        self._name = name

    def destroy(self) -> None:
        self._process.kill()
        self._process.wait()
        self._errors.unlink(missing_ok=True)

    def autopsy(self) -> tuple[str, bool]:
        try:
            status: object = self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            status = "none yet"
        said = self._errors.read_text(errors="replace").strip()[-500:] if self._errors.exists() else ""
        return f"{self._name} exit status {status}{': ' if said else ''}{said}", False


def interpreter() -> str:
    """The interpreter behind the running one's virtual environment."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def interpreter_name(packages: Path | None) -> str:
    """What programs find, `packages` being the folder of those that the user requires."""
    name = f"{platform.python_implementation()} {platform.python_version()} of the host"
    return f"{name}, packages sha256:{packages.name}" if packages else name
