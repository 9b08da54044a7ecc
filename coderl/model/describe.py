"""What a model folder holds, without loading its weights."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from coderl.errors import ModelError
from coderl.model.policy import load_config, load_tokenizer, require_fitting_tokenizer


def describe(folder: Path) -> dict[str, str]:
    """Facts by name, for people.

    Raises:
        ModelError: the folder is damaged, or its tokenizer is not of its model.
    """
    tokenizer, config = load_tokenizer(folder), load_config(folder)
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except Exception as error:  # the boundary to transformers: errors of any kind
        raise ModelError(f"the model in {folder} cannot be read: {type(error).__name__}: {error}") from error
    require_fitting_tokenizer(tokenizer, config.vocab_size, folder)
    generation = GenerationConfig()
    if (folder / "generation_config.json").is_file():
        generation = GenerationConfig.from_pretrained(folder)
    sampling = {name: getattr(generation, name) for name in ("temperature", "top_p", "top_k", "min_p")}
    sampling = {name: value for name, value in sampling.items() if value is not None}
    return {
        "folder": str(folder),
        "architecture": ", ".join(config.architectures or [type(model).__name__]),
        "parameters": f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M, kept as {config.dtype}",
        "context": f"{getattr(config, 'max_position_embeddings', '?')} tokens",
        "vocabulary": f"{len(tokenizer)} tokens, {config.vocab_size} rows",
        "end of a turn": str(tokenizer.eos_token),
        "chat template": "yes" if tokenizer.chat_template else "none: it is asked by completion",
        "sampling": " ".join(f"{name}={value}" for name, value in sampling.items()) or "it names no defaults",
    }
