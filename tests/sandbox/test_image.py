"""The docker backend's image, which may be built in two ways."""

from __future__ import annotations

from pathlib import Path

from sandbox import image


def test_both_ways_of_building_the_image_take_the_same_debian() -> None:
    """From the Dockerfile's base where a registry answers, by debootstrap elsewhere."""
    dockerfile = Path(image.__file__).with_name("Dockerfile").read_text()
    (base,) = [line for line in dockerfile.splitlines() if line.startswith("ARG BASE=")]
    assert base.endswith(f"-{image._SUITE}")
