"""The pinned list is complete and says nothing about the machine that it was made on."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
LINES = (REPOSITORY / "requirements" / "cpu.lock.txt").read_text().splitlines()
PINNED = dict(line.split("==") for line in LINES if line and not line.startswith("#"))


def test_every_line_is_one_exact_version_and_no_address_or_path() -> None:
    wrong = [
        line
        for line in LINES
        if line and not re.fullmatch(r"#.*|[a-z0-9-]+==[0-9][a-z0-9.]*", line) or "//" in line
    ]
    assert not wrong
    assert list(PINNED) == sorted(PINNED)


def test_it_meets_what_the_project_asks_for() -> None:
    extras = PROJECT["optional-dependencies"]
    for text in [*PROJECT["dependencies"], *extras["cpu"], *extras["dev"]]:
        wanted = Requirement(text)
        version = PINNED.get(canonicalize_name(wanted.name))
        assert version is not None and wanted.specifier.contains(version), f"{text}: pinned is {version}"


def test_it_leaves_out_what_breaks_or_only_weighs() -> None:
    assert not PINNED.keys() & {"torchvision", "torchaudio", "torchcodec", "triton"}
