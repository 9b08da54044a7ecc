"""The learner alone, on recorded rollouts with a pass rate of 0.6 and no all-equal group: GRPO and GRPO-N.

    python -m tests.bench.learner_speed [rounds]

Each round takes one update of each arm, in turn; GRPO-N also with the KL term that training adds to it. The demo's model and batch: 32 prompts x 16 completions, 10 of which pass. Ratios are of CPU
seconds, on one thread, which other work on the machine does not change much; wall-clock seconds stand beside them.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

import torch

from coderl.config import load as configuration
from coderl.config.settings import RunConfig
from coderl.learning.learner import Learner
from coderl.learning.rows import rows_of
from coderl.rollouts.batch import Batch
from coderl.training.warm import cold_policy
from tests.bench.recorded import assign, recorded_batch

PASS_RATE = 0.6
GRPO, GRPO_N = (
    ("objective.name=grpo", "objective.kl_coef=0"),
    ("objective.name=grpo_n", "objective.kl_coef=0"),
)
ARMS = {
    "grpo": GRPO,
    "grpo_n": GRPO_N,
    "grpo_n_kl": ("objective.name=grpo_n",),
}


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    arms: dict[str, tuple[Learner, RunConfig, Batch]] = {}
    seconds: dict[str, list[float]] = {}
    cpu: dict[str, list[float]] = {}
    rows: dict[str, int] = {}
    for arm, overrides in ARMS.items():
        config = configuration.load(None, overrides)
        policy = cold_policy(config)
        learner = Learner(policy, config, warm=cold_policy(config).model)
        arms[arm] = (learner, config, recorded_batch(policy, config, PASS_RATE))
        seconds[arm], cpu[arm] = [], []
    for turn in range(rounds + 1):
        for arm, (learner, config, batch) in arms.items():
            assign(batch, config)
            started = time.process_time()
            update = learner.update(rows_of(batch))
            rows[arm] = update.rows
            if turn:  # the first warms up
                seconds[arm].append(update.seconds)
                cpu[arm].append(time.process_time() - started)
    medians = {arm: statistics.median(values) for arm, values in cpu.items()}
    wall = {arm: statistics.median(values) for arm, values in seconds.items()}
    rollouts = arms["grpo"][2].rollouts
    for arm, value in medians.items():
        print(f"{arm:<14}{rows[arm]:>5} rows {value:>8.3f} CPU s {wall[arm]:>8.3f} s")
    print(f"GRPO-N / GRPO: {medians['grpo_n'] / medians['grpo']:.2f} (goal: at most 0.5)")
    figures = {
        "bench": "learner_speed",
        "rounds": rounds,
        "pass_rate": PASS_RATE,
        "prompt_tokens_mean": statistics.fmean(len(r.prompt_tokens) for r in rollouts),
        "completion_tokens_mean": statistics.fmean(len(r.tokens) for r in rollouts),
        "cpu_seconds": medians,
        "seconds": wall,
        "grpo_n_over_grpo": medians["grpo_n"] / medians["grpo"],
        "kl_cost": medians["grpo_n_kl"] / medians["grpo_n"],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
