"""What programs and tests may import besides the standard library.

Every cell has what the references of the data sets import; a judge's also what runs tests.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.cell import Role

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
    from packaging.requirements import Requirement

    waiting, found = list(names), dict[str, importlib.metadata.Distribution]()
    while waiting:
        if (name := waiting.pop()) in found:
            continue
        try:
            found[name] = distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # who imports it fails, by its name
        for text in distribution.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return list(found.values())
