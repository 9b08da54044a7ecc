"""The KL that `learner.schedule = "kl:..."` steers by, after one optimizer step of a real model, by rate and precision.

    python -m tests.bench.kl_floor [model]

SmolLM2-135M, 8 completions that it sampled, 4 of them rewarded. Each line takes one AdamW step of that rate from the
same weights with the same gradient, then measures as the learner's probe does. KL grows with the square of the rate;
where it does not, it is the rounding of the weights that is measured, and no rate below can be told from another.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

from coderl.config import load as configuration
from coderl.learning.learner import Learner
from coderl.learning.rows import Row, Rows
from coderl.model.named import model_folder
from coderl.model.policy import Policy, load_policy
from tasks.datasets import load

RATES = (0.0, 1e-8, 1e-7, 1e-6, 1e-5)
PROMPTS, SAMPLES, TOKENS = 4, 2, 64


def sampled(policy: Policy) -> list[Row]:
    """Completions of the curriculum's first tasks, every other one rewarded."""
    torch.manual_seed(0)
    rows = []
    model: Any = policy.model
    for task in load("builtin:mix", split="train", limit=PROMPTS):
        prompt = policy.prompt(task).tokens
        with torch.no_grad():
            out = model.generate(
                torch.tensor([prompt]),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                do_sample=True,
                top_k=0,
                num_return_sequences=SAMPLES,
                max_new_tokens=TOKENS,
            )
        for number, tokens in enumerate(out[:, len(prompt) :].tolist()):
            end = next((i + 1 for i, t in enumerate(tokens) if t in policy.stop_token_ids), len(tokens))
            rows.append(Row(prompt, tokens[:end], [-1.0] * end, 1.0 if number % 2 else -1.0))
    return rows


def measured(folder: Path, dtype: str, rows: list[Row]) -> list[dict[str, float]]:
    """For each rate the KL, and the share of the model's weights that the step changed."""
    config = configuration.load(
        None, [f"model.dtype={dtype}", "learner.learning_rate=1e-30", "learner.schedule=constant"]
    )
    learner = Learner(load_policy(folder, config.model), config, warm=load_policy(folder, config.model).model)
    batch = Rows(
        step=1, policy_version=0, groups=[rows[i : i + SAMPLES] for i in range(0, len(rows), SAMPLES)]
    )
    learner.update(batch)  # leaves its gradient; a rate of 1e-30 changes nothing
    floor = learner._kl_floor(batch)
    print(f"{dtype:<10} floor that a run measures: KL {floor:.2e}", flush=True)
    start = [tensor.detach().clone() for tensor in learner.masters.tensors]
    figures = [{"floor": floor}]
    for rate in RATES:
        _step(learner, start, rate)
        kl = learner.probe(batch, seed=0).kl_step
        pairs = list(zip(learner.model.parameters(), learner.references.previous.parameters(), strict=True))
        changed = sum(int((a != b).sum()) for a, b in pairs) / sum(a.numel() for a, _ in pairs)
        figures.append({"rate": rate, "kl": kl, "changed": changed})
        print(f"{dtype:<10}{rate:>8.0e}   KL {kl:>9.2e}   {changed:>7.2%} of the weights changed", flush=True)
    return figures


@torch.no_grad()
def _step(learner: Learner, start: list[torch.Tensor], rate: float) -> None:
    """AdamW's first step of `rate` from `start`, with the gradient that is there."""
    for tensor, value in zip(learner.masters.tensors, start, strict=True):
        tensor.copy_(value)
        for state in learner.optimizer.state[tensor].values():
            state.zero_()
    for group in learner.optimizer.param_groups:
        group["lr"] = rate
    learner.optimizer.step()
    learner.masters.round()


def main(model: str) -> None:
    started = time.monotonic()
    folder = model_folder(model)
    rows = sampled(load_policy(folder, configuration.load(None, ["model.dtype=float32"]).model))
    figures = {dtype: measured(folder, dtype, rows) for dtype in ("float32", "bfloat16")}
    seconds = time.monotonic() - started
    print(json.dumps({"bench": "kl_floor", "model": model, "kl": figures, "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "smollm2-135m")
