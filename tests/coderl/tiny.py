"""A tiny random Qwen2 with a chat template, as a stand-in for a user's own model folder."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from coderl.config.settings import WarmupConfig
from coderl.model.policy import Policy
from coderl.model.toy import build_policy

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def save_tiny_qwen2(folder: Path, seed: int = 0) -> Path:
    """Write a 2-layer Qwen2 (random weights, byte-level tokenizer, chat template) to `folder`."""
    base = build_policy(WarmupConfig(vocabulary=300, layers=1, hidden_size=32), ["def f(x): return x"], seed)
    torch.manual_seed(seed)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=300,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=512,
            eos_token_id=base.tokenizer.eos_token_id,
            pad_token_id=base.tokenizer.pad_token_id,
            bos_token_id=None,
        )
    )
    base.tokenizer.chat_template = TEMPLATE
    Policy(model, base.tokenizer, base.stop_token_ids).save(folder)
    return folder
