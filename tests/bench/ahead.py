"""Seconds of a step with and without sampling ahead (`train.lag`), alternating in one run.

    python -m tests.bench.ahead [rounds] [model folder]

The demo's warm model (made anew, a minute or so, unless a folder is given) and batch, GRPO; each round takes
STEPS steps of either kind. The learning rate is so small that the pass rate stays where it is. On a CPU both sides want
the same cores, so this says what there is to win without a GPU.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from coderl.config import load as configuration
from coderl.training import loop
from coderl.training.display import Display
from coderl.training.opening import open_run
from tests.bench import warm_model

STEPS = 3


def main(rounds: int, model: Path | None) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = model or warm_model.make(folder)
        overrides = [
            f'runs="{folder}"',
            f'model.path="{model}"',
            "objective.name=grpo",
            "learner.learning_rate=1e-9",
            "train.lag=1",
            f"train.steps={2 * STEPS * (rounds + 1)}",
            f"train.checkpoint_every={STEPS}",
            "eval.every=0",
            "train.show_samples_every=0",
        ]
        config = configuration.load(None, overrides)
        seconds: dict[int, list[float]] = {0: [], 1: []}
        with open_run(config, resume=False, display=Display(quiet=True)) as run:
            for turn in range(rounds + 1):
                for lag in seconds:
                    run.config = config.model_copy(
                        update={"train": config.train.model_copy(update={"lag": lag})}
                    )
                    started = time.monotonic()
                    for _ in range(STEPS):
                        loop.train_step(run)
                    if turn:  # the first warms up
                        seconds[lag].append((time.monotonic() - started) / STEPS)
    medians = {lag: statistics.median(values) for lag, values in seconds.items()}
    for lag, value in medians.items():
        print(f"lag {lag}: {value:.2f} s a step")
    print(f"lag 0 / lag 1: {medians[0] / medians[1]:.2f}")
    figures = {
        "bench": "ahead",
        "rounds": rounds,
        "steps_a_round": STEPS,
        "seconds": {f"lag_{lag}": value for lag, value in medians.items()},
        "speedup": medians[0] / medians[1],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5, Path(sys.argv[2]) if len(sys.argv) > 2 else None)
