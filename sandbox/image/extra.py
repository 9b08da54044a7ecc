"""Images with more Python packages, for programs and judges: wheels fetched by pip here, copied onto the usual images.

The images themselves need neither pip nor a network, and get no build tools: only packages with wheels can be added.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from docker.errors import APIError, BuildError, ContainerError, ImageNotFound

from sandbox import image
from sandbox.backends import packages
from sandbox.backends.cell import Role
from sandbox.errors import ImageError
from sandbox.image import REPOSITORY, Report

_ASK = (
    "import platform, sys, sysconfig; "
    "print('%d.%d' % sys.version_info[:2], platform.machine(), sysconfig.get_path('purelib'))"
)


def ensure(client: Any, requirements: Collection[str], report: Report = lambda line: None) -> dict[Role, str]:
    """Image ids by role with `requirements` (as pip names them), built first where missing. Raises `ImageError`."""
    usual = image.ensure(client, report)
    wanted = packages.checked(requirements)
    if not wanted:
        return usual
    names = {role: _tag(role, base, wanted) for role, base in usual.items()}
    with image.one_builder(report):
        if not all(_has(client, name) for name in names.values()):
            _build(client, usual, names, wanted, report)
    return {role: str(client.images.get(name).id) for role, name in names.items()}


def _build(
    client: Any, usual: dict[Role, str], names: dict[Role, str], wanted: Sequence[str], report: Report
) -> None:
    version, machine, target = _ask(client, usual["program"])
    with tempfile.TemporaryDirectory(prefix="coderl-image-") as folder:
        report(f"fetching {', '.join(wanted)} for Python {version} on {machine}")
        packages.fetch(wanted, version, machine, Path(folder) / "packages")
        for role, name in names.items():
            (Path(folder) / "Dockerfile").write_text(f"FROM {usual[role]}\nCOPY packages/ {target}/\n")
            report(f"building {name}")
            try:
                client.images.build(path=folder, tag=name, rm=True)
            except (BuildError, APIError) as error:
                raise ImageError(f"the engine cannot build the image: {error}") from error


def _tag(role: Role, base: str, wanted: Sequence[str]) -> str:
    return f"{REPOSITORY}:{role}-" + hashlib.sha256(f"{base} {wanted}".encode()).hexdigest()[:12]


def _has(client: Any, name: str) -> bool:
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


def _ask(client: Any, image: str) -> list[str]:
    """[Python's version, machine, folder of packages] of an image."""
    try:
        told = client.containers.run(
            image, ["python3", "-c", _ASK], remove=True, network_mode="none", entrypoint=""
        )
    except (ContainerError, APIError) as error:
        raise ImageError(f"the program image does not run: {error}") from error
    return str(told.decode()).split()
