"""The program image with the compilers of other languages: Debian's packages, from where the program image came.

As with that one, from a Dockerfile, or on a debootstrap root where no registry answers.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from docker.errors import APIError, BuildError, ImageNotFound

from sandbox import image
from sandbox.errors import ImageError
from sandbox.image import REPOSITORY, Report
from sandbox.inside.candidate.languages import LANGUAGES

_DOCKERFILE = """\
FROM {base}
RUN apt-get update && apt-get install --yes --no-install-recommends {packages} && rm -rf /var/lib/apt/lists/*
"""


def ensure(client: Any, languages: Collection[str], report: Report = lambda line: None) -> str:
    """Id of the program image that can also compile `languages`, built first where missing. Raises `ImageError`."""
    if unknown := sorted(set(languages) - LANGUAGES.keys()):
        raise ImageError(f"unknown language {unknown[0]!r}", f"There are: {', '.join(LANGUAGES)}.")
    program = image.ensure(client, report)["program"]
    packages = sorted({package for name in languages for package in LANGUAGES[name].packages})
    if not packages:
        return program
    tag = f"{REPOSITORY}:program-" + hashlib.sha256(f"{program} {packages}".encode()).hexdigest()[:12]
    with image.one_builder(report):
        if not _has(client, tag):
            report(f"building {tag}: the program image with {', '.join(packages)}")
            try:
                _build_with_dockerfile(client, tag, program, packages)
            except (BuildError, APIError) as error:
                report(f"the image's packages cannot be had ({' '.join(str(error).split())[:200]})")
                report("building on a debootstrap root instead")
                with image.debootstrapped(
                    ["python3", *image.debian_packages("program"), *packages], report
                ) as root:
                    image.import_root(root, tag, report)
    return str(client.images.get(tag).id)


def _has(client: Any, tag: str) -> bool:
    try:
        client.images.get(tag)
    except ImageNotFound:
        return False
    return True


def _build_with_dockerfile(client: Any, tag: str, base: str, packages: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="coderl-image-") as folder:
        Path(folder, "Dockerfile").write_text(_DOCKERFILE.format(base=base, packages=" ".join(packages)))
        client.images.build(path=folder, tag=tag, rm=True)
