"""`coderl train --dry-run`: build everything, go through one step of full size, and train nothing.

The step samples and grades for real. The learner then runs every completion forward and backward, which is
the most that a step can cost it (completions of zero weight are left out in training), and forgets the
gradients. The built-in model is measured with random weights, so its completions are as long as any.
"""

from __future__ import annotations

import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from coderl.config.settings import RunConfig
from coderl.learning.rows import rows_of
from coderl.runfolder.write import require_free
from coderl.sampling.processes import ProcessSampler
from coderl.training.display import Display
from coderl.training.opening import open_run
from coderl.training.run import Run
from coderl.training.warm import cold_policy

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds of a step's phases and of the whole run; GiB; learner figures are upper bounds."""

    seconds_sample: float
    seconds_grade: float  # after the last completion was sampled
    seconds_learn: float
    seconds_publish: float
    hours_total: float  # all steps and evaluations, without the built-in model's warm-up
    memory_gib: float  # at its highest
    device_memory_gib: float | None  # the same of the GPU, vLLM's share included
    checkpoint_gib: float
    parameters: int
    completion_tokens_mean: float

    def __str__(self) -> str:
        step = self.seconds_sample + self.seconds_grade + self.seconds_learn + self.seconds_publish
        device = "" if self.device_memory_gib is None else f", {self.device_memory_gib:.1f} GiB on the GPU"
        return (
            f"model: {self.parameters / 1e6:.1f} M parameters, checkpoints of {self.checkpoint_gib:.2f} GiB\n"
            f"a step: at most {step:.1f} s (sample {self.seconds_sample:.1f}, grade +{self.seconds_grade:.1f}, learn "
            f"{self.seconds_learn:.1f}, publish {self.seconds_publish:.1f}), {self.completion_tokens_mean:.0f} tokens "
            f"a completion\n"
            f"the run: at most {self.hours_total:.2f} h with its evaluations\n"
            f"memory: {self.memory_gib:.1f} GiB{device}"
        )


def dry_run(config: RunConfig, *, resume: bool) -> Estimate:
    """Load everything into a temporary run folder and measure a step.

    Raises:
        CoderlError, TaskError, SandboxError: what the run itself would stop at.
    """
    if not resume:
        require_free(config.folder)
    with tempfile.TemporaryDirectory(prefix="coderl-dry-run-") as temporary:
        updates: dict[str, Any] = {
            "runs": temporary,
            "metrics": config.metrics.model_copy(update={"wandb_project": None}),
        }
        if config.model.path is None:
            model = Path(temporary) / "model"
            cold_policy(config).save(model)
            config = config.with_model(model)
        with open_run(config.model_copy(update=updates), resume=False, display=Display()) as run:
            return _measure(run, evaluations=_evaluation_samples(config, len(run.data.evaluation)))


def _measure(run: Run, evaluations: int) -> Estimate:
    config, learner = run.config, run.learner
    batch = run.collector.collect(
        run.data.batch(1, config.train.prompts_per_step, config.seed),
        config.train.samples_per_prompt,
        step=1,
        stream="train",
        hold_back=run.hold_back,
        on_progress=run.display.sampling,
    )
    for rollout in batch.rollouts:
        rollout.advantage = -1.0
    started = time.monotonic()
    rows = rows_of(batch)
    learner.probe(rows, seed=config.seed)
    learner.rehearse(rows)
    learned = time.monotonic()
    run.sampler.publish(learner.named_weights(), version=0)
    published = time.monotonic()
    parameters = sum(p.numel() for p in learner.model.parameters())
    weights = sum(p.numel() * p.element_size() for p in learner.model.parameters())
    step = batch.seconds_sample + batch.seconds_grade + published - started
    sampled = (batch.seconds_sample + batch.seconds_grade) / len(batch.rollouts)
    gpu = torch.cuda.is_available()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    memory += run.sampler.memory_bytes if isinstance(run.sampler, ProcessSampler) else 0
    return Estimate(
        seconds_sample=batch.seconds_sample,
        seconds_grade=batch.seconds_grade,
        seconds_learn=learned - started,
        seconds_publish=published - learned,
        hours_total=(config.train.steps * step + evaluations * sampled) / 3600,
        memory_gib=memory / GIB,
        device_memory_gib=_device_bytes() / GIB if gpu else None,
        checkpoint_gib=(weights + sum(t.nbytes for t in learner.tensors().values())) / GIB,
        parameters=parameters,
        completion_tokens_mean=sum(len(r.tokens) for r in batch.rollouts) / len(batch.rollouts),
    )


def _evaluation_samples(config: RunConfig, tasks: int) -> int:
    """Completions of all the run's evaluations."""
    ends = 3 if config.train.control and config.model.path is None else 2
    between = (config.train.steps - 1) // config.eval.every if config.eval.every else 0
    return tasks * (ends * config.eval.final_samples + between * config.eval.samples)


def _device_bytes() -> int:
    free, total = torch.cuda.mem_get_info()
    return total - free - torch.cuda.memory_reserved() + torch.cuda.max_memory_allocated()
