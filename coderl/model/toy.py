"""The small built-in model, with random weights (coderl/training/warm.py trains it), and its tokenizer."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from coderl.config.settings import WarmupConfig
from coderl.model.policy import Policy

MAX_POSITIONS = 2048  # computed: none is learned


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
