"""Getting a trained model out of its run folder: to a folder of its own, to a GGUF file, to the hub, or its adapter."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from coderl.errors import ModelError
from coderl.model import llama_cpp
from coderl.runfolder.layout import MODEL
from tasks.files import replacing

ADAPTER = "adapter"  # of a checkpoint, where one is trained
TRAINING_ONLY = ("state.pt", "warmup.jsonl", "done.json")  # and all folders


def newest(run: Path) -> Path:
    """The model's folder in a run folder, or `run` itself where it holds a model.

    Raises:
        ModelError: neither.
    """
    for folder in (run / MODEL, run):
        if (folder / "config.json").is_file():
            return folder.resolve()
    raise ModelError(
        f"{run} holds no model: give a run folder with a checkpoint, one of its checkpoints/step-N, or "
        "another transformers folder"
    )


def to_folder(model: Path, out: str) -> str:
    """Copy what transformers and vLLM read; returns the line that serves it.

    Raises:
        ModelError: `out` is there already, or cannot be written.
    """
    _copy(
        model,
        Path(out),
        [each.name for each in model.iterdir() if each.is_dir() or each.name in TRAINING_ONLY],
    )
    return f"vllm serve {out}"


def to_lora(model: Path, out: str) -> str:
    """Copy the adapter alone; returns the line that serves it. Raises `ModelError` where there is none."""
    adapter = model / ADAPTER
    if not adapter.is_dir():
        raise ModelError(f"{model} has no adapter: its run trained all weights. Take --to folder")
    _copy(adapter, Path(out), [])
    base = json.loads((adapter / "adapter_config.json").read_text()).get("base_model_name_or_path")
    return f"vllm serve {base} --enable-lora --lora-modules {Path(out).name}={out}"


def to_gguf(model: Path, out: str) -> str:
    """Write a GGUF file; returns the line that serves it.

    Raises:
        ModelError: as `to_folder`, or llama.cpp has no such model.
    """
    with _new(Path(out)) as unfinished:
        llama_cpp.convert(model, unfinished)
    return f"llama-server -m {out}"


def to_hub(model: Path, out: str) -> str:
    """Upload to the hub's repository `out`, made private where it is new; returns the line that serves it.

    Raises:
        ModelError: no hub answers, or it refuses.
    """
    from huggingface_hub import HfApi

    try:
        api = HfApi()
        api.create_repo(out, private=True, exist_ok=True)
        api.upload_folder(repo_id=out, folder_path=model, ignore_patterns=["*/*", *TRAINING_ONLY])
    except Exception as error:  # the boundary to the hub: errors of any kind
        raise ModelError(
            f"{out} cannot be uploaded: {type(error).__name__}: {error}. Log in with `hf auth login`, or take --to "
            "folder"
        ) from error
    return f"vllm serve {out}"


TARGETS: dict[str, Callable[[Path, str], str]] = {
    "folder": to_folder,
    "gguf": to_gguf,
    "lora": to_lora,
    "hub": to_hub,
}


def _copy(source: Path, out: Path, without: list[str]) -> None:
    with _new(out) as unfinished:
        shutil.copytree(source, unfinished, ignore=shutil.ignore_patterns(*without))


@contextlib.contextmanager
def _new(out: Path) -> Iterator[Path]:
    """Where to write what becomes `out`; raises `ModelError` where that is there already or cannot be written."""
    if out.exists():
        raise ModelError(f"{out} is there already; remove it, or give another name")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as unfinished:
            yield unfinished
    except (OSError, shutil.Error) as error:
        raise ModelError(f"{out} cannot be written: {error}; free disk space there") from error
