"""Finds and removes folders whose owner, a process named in them, was killed."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sandbox.backends.host import interpreter
from sandbox.inside.supervisor import scratch

_REMOVE_SECONDS = 60.0

_log = logging.getLogger(__name__)


def process_start_time(pid: int) -> str | None:
    """A mark that tells this process from a later one of the same number; None if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return None


def this_process() -> str:
    """A name for this process, by which others can tell whether it has ended."""
    return f"{_process_space()}-{os.getpid()}-{process_start_time(os.getpid())}"


def has_ended(process: str) -> bool:
    """Whether the process of that name has. False where it cannot be known from here."""
    space, _, rest = process.partition("-")
    pid, _, started = rest.partition("-")
    return space == _process_space() and pid.isdigit() and process_start_time(int(pid)) != started


def remove_orphans(place: Path, prefix: str, owner_of: Callable[[Path], str]) -> None:
    """Remove this user's folders of that prefix whose owner has ended.

    One that cannot be read, or has no owner yet, is being made or removed by another process.
    """
    for folder in place.glob(f"{prefix}*"):
        with suppress(OSError):
            found = folder.lstat()
            mine = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
            if mine and has_ended(owner_of(folder)):
                remove(folder)


def remove(folder: Path) -> None:
    """Works at any depth, and on folders that a program closed."""
    # In a process of its own: emptying changes the working directory.
    command = [interpreter(), "-I", scratch.__file__, str(folder)]
    try:
        subprocess.run(command, check=False, stderr=subprocess.DEVNULL, timeout=_REMOVE_SECONDS)
        folder.rmdir()
    except FileNotFoundError:
        return  # another process was quicker
    except (OSError, subprocess.TimeoutExpired) as error:
        _log.warning("folder %s is left behind: %s", folder, error)


def _process_space() -> str:
    """Where process numbers mean the same: one pid namespace. Folders may be shared by pods, and by machines."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    return hashlib.sha256((boot + os.readlink("/proc/self/ns/pid")).encode()).hexdigest()[:16]
