"""The policy as files: loading a transformers folder, and building the small built-in model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from coderl.config.settings import ModelConfig, WarmupConfig
from coderl.errors import ModelError
from coderl.model import attention
from coderl.model.named import require_model
from coderl.model.prompts import Prompt, prompt_of
from tasks.types import Task

MAX_POSITIONS = 2048  # of the built-in model, whose positions are computed: none is learned


@dataclass(slots=True)
class Policy:
    """A causal language model with its tokenizer, on its device."""

    model: PreTrainedModel
    tokenizer: Any
    stop_token_ids: list[int]
    config: ModelConfig = ModelConfig()

    @property
    def device(self) -> torch.device:
        return self.model.device

    def prompt(self, task: Task) -> Prompt:
        return prompt_of(task, self.tokenizer, self.config)

    def text(self, tokens: list[int]) -> str:
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))

    def save(self, folder: Path, weights: dict[str, torch.Tensor] | None = None) -> None:
        """Write a transformers folder; `weights`, by checkpoint name, instead of the model's own."""
        self.model.save_pretrained(folder, state_dict=weights)
        self.tokenizer.save_pretrained(folder)


def load_policy(folder: Path, config: ModelConfig) -> Policy:
    """Load a transformers folder.

    Raises:
        ModelError: the folder is missing, damaged, or does not hold a causal language model.
    """
    require_model(folder)
    gpu = torch.cuda.is_available()
    dtype = (
        torch.bfloat16 if config.dtype == "bfloat16" or (config.dtype == "auto" and gpu) else torch.float32
    )
    tokenizer = load_tokenizer(folder)
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True)
    except Exception as error:  # the boundary to transformers: errors of any kind
        raise _unloadable(folder, error) from error
    require_fitting_tokenizer(tokenizer, model.config.vocab_size, folder)
    torch.nn.Module.to(model, "cuda" if gpu else "cpu")
    if dtype == torch.bfloat16 and not gpu:
        attention.in_float32(model)
    return Policy(model, tokenizer, _stop_token_ids(model, tokenizer), config)


def load_tokenizer(folder: Path) -> Any:
    """Raises `ModelError` where the folder holds none."""
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the boundary to transformers: errors of any kind
        raise _unloadable(folder, error) from error


def _unloadable(folder: Path, error: Exception) -> ModelError:
    return ModelError(
        f"the model in {folder} cannot be loaded: {type(error).__name__}: {error}. Give a whole transformers "
        "folder of a causal language model; of a run's checkpoints remove the damaged one, and --resume takes the "
        "one before it"
    )


def require_fitting_tokenizer(tokenizer: Any, rows: int, folder: Path) -> None:
    """Raises `ModelError` where the tokenizer has tokens that a model of `rows` tokens has not."""
    largest = max(tokenizer.get_vocab().values(), default=-1)
    if largest >= rows:
        raise ModelError(
            f"the tokenizer in {folder} has {largest + 1} tokens, but the model only {rows} (vocab_size in "
            "config.json): they are not of one model; fetch both again from one place"
        )


def _stop_token_ids(model: PreTrainedModel, tokenizer: Any) -> list[int]:
    generation = model.generation_config.eos_token_id if model.generation_config else None
    ids = generation if isinstance(generation, list) else [generation]
    found = sorted({i for i in [*ids, tokenizer.eos_token_id] if i is not None})
    if not found:
        raise ModelError("the tokenizer names no end-of-sequence token, so completions would never stop")
    return found


def build_policy(config: WarmupConfig, pieces: Sequence[str], seed: int) -> Policy:
    """A small Llama with random weights, and a tokenizer with one token for each of `pieces`.

    The tokenizer is a byte-level BPE cut at the pieces, so any other text encodes too, by its bytes.
    """
    bpe = Tokenizer(models.BPE())
    longest_first = sorted(pieces, key=len, reverse=True)
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex("|".join(map(re.escape, longest_first))), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocabulary,
        special_tokens=["<pad>", "<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(pieces, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token="<pad>", eos_token="<eos>")
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.vocabulary,
            hidden_size=config.hidden_size,
            intermediate_size=config.hidden_size * 8 // 3,
            num_hidden_layers=config.layers,
            num_attention_heads=config.hidden_size // 32,
            max_position_embeddings=MAX_POSITIONS,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id)
    return Policy(model, tokenizer, [int(tokenizer.eos_token_id)])
