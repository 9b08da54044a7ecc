"""Memory of one learner step at a vocabulary of 151,936 and 2,000 completion tokens, ours and TRL's.

    python -m tests.bench.learner_memory

Each side is a process of its own: forward and backward of GRPO's loss on one completion, on a Llama of two
layers (hidden size 128, tied embeddings). Reported is how far the process's peak rises above what it held
with model and gradients in place. TRL 1.16 does not keep full logits either: it works in tiles (fused_lm_head); the
plain way is a side of its own, with full logits. `kl`: with GRPO-N's default KL term over the whole vocabulary, and with
what is measured before each update, both against frozen copies that it holds before. `deep`: sixteen layers, with and
without gradient checkpointing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

VOCABULARY, PROMPT, COMPLETION = 151_936, 48, 2000
SIDES = ("coderl", "coderl_kl", "trl", "full_logits", "coderl_deep", "coderl_deep_checkpointing")


def main() -> None:
    peaks = {}
    for side in SIDES:
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.learner_memory", side],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks[side] = float(done.stdout.splitlines()[-1])
        print(f"{side:<26}{peaks[side]:>8.0f} MiB")
    print(f"ours / TRL: {peaks['coderl'] / peaks['trl']:.2f} (goal: at most 0.5)")
    print(
        json.dumps(
            {
                "bench": "learner_memory",
                "vocabulary": VOCABULARY,
                "completion_tokens": COMPLETION,
                "mib": peaks,
                "ours_over_trl": peaks["coderl"] / peaks["trl"],
                "ours_with_kl_over_trl": peaks["coderl_kl"] / peaks["trl"],
                "checkpointing_over_deep": peaks["coderl_deep_checkpointing"] / peaks["coderl_deep"],
                "ours_over_full_logits": peaks["coderl"] / peaks["full_logits"],
            }
        )
    )


def measure(side: str) -> float:
    """MiB that a step of `side` needs at its peak, over model and gradients."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=16 if "deep" in side else 2,
            num_attention_heads=4,
            max_position_embeddings=4096,
            tie_word_embeddings=True,
        )
    )
    prompt, completion = torch.arange(PROMPT) + 5, torch.arange(COMPLETION) + 100
    if "checkpointing" in side:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    make = {"trl": _trl, "full_logits": _full, "coderl_kl": _ours_with_kl}.get(side, _ours)
    step = make(model, prompt, completion)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _status("VmRSS")
    step()
    return (_status("VmHWM") - before) / 1024


def _ours(model: Any, prompt: Any, completion: Any) -> Any:
    import torch

    from coderl.config.objective import ObjectiveConfig
    from coderl.learning import objectives
    from coderl.model.packing import TokenRow
    from coderl.model.scoring import score

    objective = ObjectiveConfig(name="grpo")

    def step() -> None:
        scores = score(model, [TokenRow(prompt.tolist(), completion.tolist())])
        logp = scores.logp_BT
        loss, _ = objectives.policy_loss(
            objective,
            objectives.LossInputs(
                logp, logp.detach(), scores.mask_BT, torch.ones(1), torch.ones(1) / COMPLETION
            ),
        )
        loss.backward()

    return step


def _ours_with_kl(model: Any, prompt: Any, completion: Any) -> Any:
    import copy

    import torch

    from coderl.config.objective import ObjectiveConfig
    from coderl.learning import objectives
    from coderl.model.packing import TokenRow
    from coderl.model.scoring import score

    objective = ObjectiveConfig(name="grpo", kl_coef=0.1, kl_kind="full")
    warm, previous = (copy.deepcopy(model).requires_grad_(False) for _ in range(2))
    rows = [TokenRow(prompt.tolist(), completion.tolist())]

    def step() -> None:
        with torch.no_grad():
            score(model, rows, entropy=True, references=[warm, previous])
        scores = score(model, rows, references=[warm])
        loss, _ = objectives.policy_loss(
            objective,
            objectives.LossInputs(
                scores.logp_BT,
                scores.logp_BT.detach(),
                scores.mask_BT,
                torch.ones(1),
                torch.ones(1) / COMPLETION,
                kl_full_BT=scores.kls_BT[0],
            ),
        )
        loss.backward()

    return step


def _trl(model: Any, prompt: Any, completion: Any) -> Any:
    import torch
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    from coderl.config.settings import RunConfig
    from coderl.training.warm import cold_policy

    tokenizer = cold_policy(RunConfig()).tokenizer
    trainer = GRPOTrainer(
        model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=GRPOConfig(
            output_dir="/tmp/none",
            use_cpu=True,
            bf16=False,
            beta=0.0,
            loss_type="grpo",
            gradient_checkpointing=False,
            per_device_train_batch_size=2,
            num_generations=2,
            report_to="none",
            save_strategy="no",
        ),
        train_dataset=Dataset.from_dict({"prompt": ["x", "y"]}),
        processing_class=tokenizer,
    )
    trainer.current_gradient_accumulation_steps = 1
    inputs = {
        "prompt_ids": prompt[None],
        "prompt_mask": torch.ones(1, PROMPT, dtype=torch.long),
        "completion_ids": completion[None],
        "completion_mask": torch.ones(1, COMPLETION, dtype=torch.long),
        "advantages": torch.ones(1),
        "num_items_in_batch": torch.tensor(COMPLETION),
    }

    def step() -> None:
        trainer._compute_loss(trainer.model, inputs).backward()

    return step


def _full(model: Any, prompt: Any, completion: Any) -> Any:
    import torch

    ids = torch.cat([prompt, completion])[None]

    def step() -> None:
        logits = model(input_ids=ids).logits[0, PROMPT - 1 : -1]
        logp = torch.log_softmax(logits, -1).gather(1, completion[:, None])
        (-logp.mean()).backward()

    return step


def _status(field: str) -> int:
    """KiB of this process, from the kernel."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise KeyError(field)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(measure(sys.argv[1]))
    else:
        main()
