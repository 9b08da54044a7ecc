"""What programs and tests may import besides the standard library.

Every cell has what the references of the data sets import; a judge's also what runs tests. What a user requires comes
first where both have it: in images of its own on docker (image/extra.py), elsewhere in a folder, kept by its content.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from sandbox.backends.cell import Role
from sandbox.errors import ImageError

_NAME = re.compile(r"[\w.-]+")
_PROGRAM = ("numpy", "pandas", "sortedcontainers")
USUAL: Mapping[Role, tuple[str, ...]] = {
    "program": _PROGRAM,
    "judge": (*_PROGRAM, "pytest", "pytest-asyncio", "pytest-timeout"),
}


def of_our_own(role: Role) -> dict[str, Path]:
    """Files and folders of the usual packages, by name, from our own environment: those, nothing else."""
    found: dict[str, Path] = {}
    for distribution in _with_requirements(USUAL[role]):
        tops = {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}
        found |= {top: Path(str(distribution.locate_file(top))) for top in sorted(tops)}
    return found


def _with_requirements(names: Sequence[str]) -> list[importlib.metadata.Distribution]:
    waiting, found = list(names), dict[str, importlib.metadata.Distribution]()
    while waiting:
        if (name := waiting.pop()) in found:
            continue
        try:
            found[name] = distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # or for another system; importing it fails with its name
        for text in distribution.requires or ():
            if "extra ==" not in text and (name_of := _NAME.match(text)):
                waiting.append(name_of[0])
    return list(found.values())


_GLIBCS = (17, 28, 31, 34)  # of the manylinux tags that are tried: the images' Debian has a newer one


def checked(requirements: Collection[str]) -> list[str]:
    """Sorted, each once. Raises `ImageError` for what names no package."""
    if wrong := [each for each in requirements if not each or each.startswith("-")]:
        raise ImageError(
            f"not a package: {wrong[0]!r}", "Name packages as pip does: scipy, or scipy==1.17.1."
        )
    return sorted(set(requirements))


def fetch(requirements: Sequence[str], version: str, machine: str, target: Path) -> None:
    """Install wheels for a Python of that version on that machine into `target`. Raises `ImageError`."""
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in _GLIBCS]
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--only-binary=:all:", "--implementation=cp", f"--python-version={version}", *platforms),
        *(f"--platform=manylinux2014_{machine}", f"--target={target}", "--", *requirements),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or [done.stderr]
        last = " ".join(" ".join(said).split())[-500:]
        raise ImageError(
            f"pip cannot fetch {', '.join(requirements)} for Python {version}: {last}",
            "Check the name and the version; without wheels for these a package cannot be added.",
        )


def folder_of(requirements: Collection[str]) -> Path | None:
    """Where `requirements` lie for this system's interpreter, fetched once; its name is their digest.

    Raises `ImageError`.
    """
    if not (wanted := checked(requirements)):
        return None
    version, machine = "{}.{}".format(*sys.version_info), platform.machine()
    digest = hashlib.sha256(f"{version} {machine} {wanted}".encode()).hexdigest()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "coderl" / "packages"
    if not (folder := cache / digest).is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as temporary:
            fetched = Path(temporary) / "packages"
            fetch(wanted, version, machine, fetched)
            for path in (fetched, *fetched.rglob("*")):
                path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
            if not folder.is_dir():  # another process may have been quicker
                fetched.rename(folder)
    return folder
