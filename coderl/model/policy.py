"""The policy as files: a transformers folder, loaded and saved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from coderl.config.settings import ModelConfig
from coderl.errors import ModelError
from coderl.model.named import require_model
from coderl.model.packing import TokenRow
from coderl.model.prompts import Prompt, prompt_of, solution_of
from tasks.types import Task


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

    def solution(self, task: Task, program: str) -> TokenRow | None:
        """`task` as it is asked, `program` as it would answer, and its end of turn; None as in `solution_of`."""
        text = solution_of(program, task, self.tokenizer, self.config)
        if text is None:
            return None
        end = self.tokenizer.eos_token_id
        tokens = self.tokenizer.encode(text, add_special_tokens=False)
        return TokenRow(
            self.prompt(task).tokens, [*tokens, self.stop_token_ids[0] if end is None else int(end)]
        )

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
    return Policy(model, tokenizer, _stop_token_ids(model, tokenizer), config)


def load_tokenizer(folder: Path) -> Any:
    """Raises `ModelError` where the folder holds none."""
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the boundary to transformers: errors of any kind
        raise _unloadable(folder, error) from error


def load_config(folder: Path) -> Any:
    """The model's own configuration. Raises `ModelError` where it cannot be read."""
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True)
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
