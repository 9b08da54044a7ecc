"""Seconds of a whole training step, ours against TRL's GRPOTrainer: same model, tasks, batch and graders.

    python -m tests.bench.trl_step [rounds] [bfloat16 | float32] [model folder]

The demo's warm model, but with fewer wrong demonstrations for a pass rate near 0.6 (made anew, a minute or so,
unless a folder is given), and its batch: 32 prompts x 16 completions of at most 64 tokens. In each round TRL takes a
step, then we take one with GRPO and one with GRPO-N, on the same policy; learning rates are so small that the pass rate
stays where it is. We sample in two processes with `sampler.share_prefixes`, and run prompts once, which computes
what a group has in common once, so the ratio depends on how much that is. TRL samples with transformers' `generate`:
its colocated vLLM loads weights with `model.load_weights`, which vLLM's CPU build cannot after start. So the learner's
part (everything after sampling and grading) is also held apart. Both may use all cores: leave OMP_NUM_THREADS alone.
In bfloat16 both compute in it and keep the weights that they step on in float32: TRL by autocast, we by copies.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from coderl.config import load as configuration
from coderl.training import loop
from coderl.training.display import Display
from coderl.training.opening import open_run
from coderl.training.run import Run
from tasks.extraction.extract import extract
from tests.bench import warm_model

RATE = 1e-9
WRONG_RATE = 0.3


def main(rounds: int, dtype: str, model: Path | None) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = model or warm_model.make(folder, f"warmup.wrong_rate={WRONG_RATE}")
        overrides = [
            f'runs="{folder}"',
            f'model.path="{model}"',
            f"model.dtype={dtype}",
            f"learner.learning_rate={RATE}",
            "sampler.processes=2",
            "sampler.share_prefixes=true",
            f"train.steps={10 * rounds}",
            "train.show_samples_every=0",
        ]
        config = configuration.load(None, overrides)
        with open_run(config, resume=False, display=Display(quiet=True)) as run:
            figures = compare(run, model, rounds)
    print(json.dumps(figures))


def compare(run: Run, model: Path, rounds: int) -> dict[str, Any]:
    arms = {
        name: configuration.load(None, [f"objective.name={name}", "objective.kl_coef=0"]).objective
        for name in ("grpo", "grpo_n")
    }
    wall: dict[str, list[float]] = {name: [] for name in ("trl", *arms)}
    learn: dict[str, list[float]] = {name: [] for name in ("trl", *arms)}
    pass_rates: list[float] = []

    def ours() -> None:
        """One step of each arm, in turn with TRL's."""
        for name, objective in arms.items():
            run.schedule.current = objective
            started = time.monotonic()
            loop.train_step(run)
            wall[name].append(time.monotonic() - started)
            line = run.folder.read_log()[-1]
            learn[name].append(line["seconds_learn"])
            pass_rates.append(line["pass_rate"])

    trainer = trl_trainer(run, model, rounds + 1)
    generate = trainer._generate_and_score_completions
    seconds_sampling = [0.0]

    def timed(*arguments: Any) -> Any:
        started = time.monotonic()
        result = generate(*arguments)
        seconds_sampling[0] = time.monotonic() - started
        return result

    trainer._generate_and_score_completions = timed
    from transformers import TrainerCallback

    class Alternate(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            ours()
            self.started = time.monotonic()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            wall["trl"].append(time.monotonic() - self.started)
            learn["trl"].append(wall["trl"][-1] - seconds_sampling[0])

    trainer.add_callback(Alternate())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.train()

    def medians(values: dict[str, list[float]]) -> dict[str, float]:
        return {name: statistics.median(series[1:]) for name, series in values.items()}  # the first warms up

    of_wall, of_learn = medians(wall), medians(learn)
    for name in wall:
        print(f"{name:<8}{of_wall[name]:>8.2f} s, learner {of_learn[name]:>7.2f} s")
    ratios = {
        f"{kind}_{name}": values["trl"] / values[name]
        for kind, values in (("wall", of_wall), ("learner", of_learn))
        for name in arms
    }
    for name, ratio in ratios.items():
        print(f"TRL / ours, {name}: {ratio:.2f}")
    return {
        "bench": "trl_step",
        "rounds": rounds,
        "dtype": run.config.model.dtype,
        "pass_rate": statistics.fmean(pass_rates),
        "trl_sampling": "transformers generate",
        "seconds": of_wall,
        "learner_seconds": of_learn,
        "trl_over_ours": ratios,
    }


def trl_trainer(run: Run, model: Path, steps: int) -> Any:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    config = run.config
    tasks = {task.id: task for task in run.data.train}

    def rewards(completions: list[str], task_id: list[str], **_: Any) -> list[float]:
        pending = []
        for text, identity in zip(completions, task_id, strict=True):
            found = extract(text, tasks[identity])
            pending.append(
                run.collector.grader.submit(tasks[identity], found.program if found.found else None)
            )
        return [future.result().score or 0.0 for future in pending]

    rows = [{"prompt": task.prompt, "task_id": task.id} for task in run.data.train]
    batch = config.train.prompts_per_step * config.train.samples_per_prompt
    return GRPOTrainer(
        str(model),
        reward_funcs=rewards,
        args=GRPOConfig(
            output_dir=str(run.folder.path / "trl"),
            use_cpu=True,
            bf16=config.model.dtype == "bfloat16",
            max_steps=steps,
            per_device_train_batch_size=batch // 4,
            gradient_accumulation_steps=4,
            num_generations=config.train.samples_per_prompt,
            max_completion_length=config.sampler.max_tokens,
            temperature=config.sampler.temperature,
            learning_rate=RATE,
            beta=0.0,
            loss_type="grpo",
            gradient_checkpointing=False,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=run.policy.tokenizer,
    )


if __name__ == "__main__":
    rounds, dtype, *folder = [*sys.argv[1:], *["5", "bfloat16"][len(sys.argv) - 1 :]]
    main(int(rounds), dtype, Path(folder[0]) if folder else None)
