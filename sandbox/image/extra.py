"""Images with more Python packages for programs: wheels fetched by pip here, copied onto the program image.

The image itself needs neither pip nor a network, and gets no build tools: only packages that have wheels can be added.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from docker.errors import APIError, BuildError, ContainerError

from sandbox.errors import ImageError
from sandbox.image import REPOSITORY, Report, ensure

_ASK = (
    "import platform, sys, sysconfig; "
    "print('%d.%d' % sys.version_info[:2], platform.machine(), sysconfig.get_path('purelib'))"
)
_GLIBCS = (17, 28, 31, 34)  # of the manylinux tags that are tried: the image's Debian has a newer one


def build(client: Any, packages: Sequence[str], report: Report = lambda line: None) -> str:
    """The id of the program image with `packages` (pip's requirements, versions included). Raises `ImageError`."""
    if wrong := [each for each in packages if not each or each.startswith("-")]:
        raise ImageError(f"not a package: {wrong[0]!r}", "Name packages as pip does: numpy, or numpy==2.3.1.")
    base = ensure(client, report)["program"]
    version, machine, target = _ask(client, base)
    tag = f"{REPOSITORY}:program-" + hashlib.sha256(f"{base} {sorted(packages)}".encode()).hexdigest()[:12]
    with tempfile.TemporaryDirectory(prefix="coderl-image-") as folder:
        report(f"fetching {', '.join(packages)} for Python {version} on {machine}")
        _fetch(packages, version, machine, Path(folder) / "packages")
        (Path(folder) / "Dockerfile").write_text(f"FROM {base}\nCOPY packages/ {target}/\n")
        report(f"building {tag}")
        try:
            image, _ = client.images.build(path=folder, tag=tag, rm=True)
        except (BuildError, APIError) as error:
            raise ImageError(f"the engine cannot build the image: {error}") from error
    return str(image.id)


def _ask(client: Any, image: str) -> list[str]:
    """[Python's version, machine, folder of packages] of an image."""
    try:
        told = client.containers.run(
            image, ["python3", "-c", _ASK], remove=True, network_mode="none", entrypoint=""
        )
    except (ContainerError, APIError) as error:
        raise ImageError(f"the program image does not run: {error}") from error
    return str(told.decode()).split()


def _fetch(packages: Sequence[str], version: str, machine: str, target: Path) -> None:
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in _GLIBCS]
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--only-binary=:all:", "--implementation=cp", f"--python-version={version}", *platforms),
        *(f"--platform=manylinux2014_{machine}", f"--target={target}", "--", *packages),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        last = " ".join(done.stderr.split())[-500:]
        raise ImageError(f"pip cannot fetch {', '.join(packages)}: {last}")
