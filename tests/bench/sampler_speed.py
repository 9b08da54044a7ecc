"""Sampling alone: each completion a sequence of its own against `sampler.share_prefixes`, in float32 and in bfloat16.

    python -m tests.bench.sampler_speed [rounds] [model folder]

The model and half the batch of trl_step.py (what one of two processes samples there): 16 prompts x 16 completions, which
each arm samples in turn. Once at the usual temperature and once at twice as much, where groups have next to nothing in
common. CPU seconds on one thread; medians; the first round warms up.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

from coderl.config import load as configuration
from coderl.config.settings import RunConfig
from coderl.model.policy import Policy, load_policy
from coderl.rollouts.prompts import load_data
from coderl.sampling.local import start_engine
from coderl.sampling.types import Drawing, Request, completion_seed
from tests.bench import warm_model
from tests.bench.trl_step import WRONG_RATE

PROMPTS, SAMPLES = 16, 16
TEMPERATURES = (1.0, 2.0)
DTYPES = (torch.float32, torch.bfloat16)


def main(rounds: int, model: Path | None) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        model = model or warm_model.make(Path(temporary), f"warmup.wrong_rate={WRONG_RATE}")
        print(json.dumps(compare(model, rounds)))


def compare(model: Path, rounds: int) -> dict[str, object]:
    config = configuration.load(None)
    policy = load_policy(model, config.model)
    samplers = {
        (dtype, share): start_engine(
            model,
            config.sampler.model_copy(update={"share_prefixes": share}),
            stop_token_ids=policy.stop_token_ids,
            dtype=dtype,
        )
        for dtype in DTYPES
        for share in (False, True)
    }
    figures: dict[str, object] = {"bench": "sampler_speed", "rounds": rounds}
    for temperature in TEMPERATURES:
        seconds: dict[tuple[torch.dtype, bool], list[float]] = {arm: [] for arm in samplers}
        distinct, tokens = [], []
        for turn in range(rounds + 1):
            requests = batch(config, policy, turn)
            for arm, sampler in samplers.items():
                started = time.process_time()
                completions = list(sampler.sample(requests, Drawing(temperature)))
                seconds[arm].append(time.process_time() - started)
                distinct.append(len({(c.key // SAMPLES, *c.tokens) for c in completions}) / len(completions))
                tokens.append(statistics.fmean(len(c.tokens) for c in completions))
        medians = {arm: statistics.median(values[1:]) for arm, values in seconds.items()}
        print(
            f"temperature {temperature}: {statistics.fmean(distinct):.0%} of completions distinct,", end=" "
        )
        print(f"{statistics.fmean(tokens):.1f} tokens each")
        for dtype in DTYPES:
            name = str(dtype).removeprefix("torch.")
            plain, shared = medians[dtype, False], medians[dtype, True]
            print(f"  {name:<10}{plain:>7.3f} CPU s, shared {shared:>7.3f}, ratio {plain / shared:.2f}")
            figures[f"{name}_{temperature:g}"] = {"plain": plain, "shared": shared, "ratio": plain / shared}
        figures[f"distinct_{temperature:g}"] = statistics.fmean(distinct)
    return figures


def batch(config: RunConfig, policy: Policy, turn: int) -> list[Request]:
    tasks = load_data(config).batch(turn + 1, PROMPTS, seed=0)
    prompts = [policy.prompt(task).tokens for task in tasks for _ in range(SAMPLES)]
    return [Request(i, prompt, completion_seed(turn, i)) for i, prompt in enumerate(prompts)]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8, Path(sys.argv[2]) if len(sys.argv) > 2 else None)
