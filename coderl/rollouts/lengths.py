"""How long completions and prompts may be, where that is left to the model and the tasks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from coderl.config.settings import RunConfig
from coderl.errors import ConfigError
from coderl.model.policy import load_config, load_tokenizer
from tasks.types import Task

SHORTEST, LONGEST = 256, 1024  # tokens of a completion
LONGEST_PROMPT = 2048  # tokens; vLLM reserves memory for a whole sequence
WORDS = 2  # a completion is words as well as code: times the tokens of a reference
USUAL = 0.95  # share of references that fit


def with_lengths(config: RunConfig, folder: Path, tasks: Iterable[Task]) -> RunConfig:
    """`config` whose lengths that are 0 are what `tasks` and the model in `folder` suggest.

    Raises:
        ModelError: the folder is damaged.
        ConfigError: `sampler.max_tokens` leaves no room for prompts.
    """
    sampler = config.sampler
    if sampler.max_tokens and sampler.max_prompt_tokens:
        return config
    tokenizer = load_tokenizer(folder)
    context = getattr(
        load_config(folder).get_text_config(), "max_position_embeddings", LONGEST_PROMPT + LONGEST
    )
    references = sorted(len(tokenizer.encode(task.reference)) for task in tasks if task.reference)
    usual = references[int(USUAL * (len(references) - 1))] if references else LONGEST
    fitting = min(max(WORDS * usual, SHORTEST), LONGEST, context // 2)
    max_tokens = sampler.max_tokens or fitting
    if max_tokens >= context and not sampler.max_prompt_tokens:
        raise ConfigError(
            f"sampler.max_tokens {max_tokens} leaves no room for a prompt: the model reads {context} tokens; lower it"
        )
    prompt = sampler.max_prompt_tokens or max(1, min(context - max_tokens, LONGEST_PROMPT))
    lengths = {"max_tokens": max_tokens, "max_prompt_tokens": prompt}
    return config.model_copy(update={"sampler": sampler.model_copy(update=lengths)})
