"""A GGUF file, with its weights made plain numbers again, as a transformers folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoTokenizer

from coderl.errors import ModelError

MAGIC = b"GGUF"


def from_gguf(file: Path, folder: Path) -> None:
    """Write the model in `file` to `folder`, in float32: exactly the numbers that the file stands for.

    Raises:
        ModelError: the file is damaged, or of an architecture that transformers cannot read.
    """
    with file.open("rb") as opened:
        if opened.read(len(MAGIC)) != MAGIC:
            raise ModelError(f"{file} is no GGUF file, or a damaged one; fetch it again")
    try:
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        model: Any = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
    except Exception as error:  # the boundary to transformers and gguf: errors of any kind
        raise ModelError(
            f"{file} cannot be read: {type(error).__name__}: {error}. A damaged file: fetch it again; another "
            "architecture: give the model's transformers folder in its place"
        ) from error
    # The weights are plain by now. Without this the folder would claim to be quantized, and not load.
    del model.config.quantization_config
    model.is_quantized = False
    model.hf_quantizer = None
    try:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    except Exception as error:  # safetensors has errors of its own for a full disk
        raise ModelError(
            f"{folder} cannot be written: {error}; free disk space there, or name another folder in CODERL_CACHE"
        ) from error
