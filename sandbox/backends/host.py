"""What backends share whose programs run with the host's own interpreter."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

_JUDGE_DISTRIBUTIONS = ("numpy", "pytest", "pytest-timeout", "pluggy", "iniconfig", "packaging", "pygments")


class ProcessKeeper:
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


def interpreter_name() -> str:
    return f"{platform.python_implementation()} {platform.python_version()} of the host"


def judge_packages() -> dict[str, Path]:
    """Files and folders of what test programs import, by name, from our own environment: those, nothing else."""
    found: dict[str, Path] = {}
    for name in _JUDGE_DISTRIBUTIONS:
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # its tests will fail to import it, by name
        tops = {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}
        found |= {top: Path(str(distribution.locate_file(top))) for top in sorted(tops)}
    return found
