"""Evaluation: n samples a task, unbiased pass@k (Chen et al. 2021), written to the run folder."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from analysis.passk import mean_pass_at_k
from coderl.config.settings import RunConfig
from coderl.model.policy import Policy
from coderl.rollouts.batch import Batch, Group
from coderl.rollouts.collect import Collector
from coderl.runfolder.write import RunFolder
from coderl.sampling.types import Drawing
from tasks.builtin import CONTROL
from tasks.types import Task


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`pass_at_k[k]` over tasks; INFRA results are left out of n, and counted."""

    name: str
    step: int
    tasks: int
    samples: int
    pass_at_k: dict[int, float]
    compile_rate: float
    truncated_rate: float  # cut by max_tokens
    entropy: float
    infra_count: int
    class_mass: dict[str, float]
    metrics: dict[str, float] = field(default_factory=dict)  # means of `metrics.own`, as metric_NAME

    def record(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "tasks": self.tasks,
            "samples": self.samples,
            "pass_at_k": {str(k): v for k, v in self.pass_at_k.items()},
            "compile_rate": self.compile_rate,
            "truncated_rate": self.truncated_rate,
            "entropy": self.entropy,
            "infra_count": self.infra_count,
            "class_mass": self.class_mass,
            **self.metrics,
        }


def evaluate(
    collector: Collector,
    tasks: Sequence[Task],
    samples: int,
    *,
    name: str,
    step: int,
    drawing: Drawing,
    folder: RunFolder | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Sample, grade and summarise; the same (name, step) always draws the same seeds."""
    batch = collector.collect(
        tasks, samples, step=step, stream=f"eval/{name}", drawing=drawing, on_progress=on_progress
    )
    result = summarise(batch, name, samples)
    if folder is not None:
        folder.write_evaluation(name, batch)
        folder.log("eval", step, **asdict(drawing), **result.record())
    return result


def drawing_of(config: RunConfig, policy: Policy) -> Drawing:
    """What `[eval]` says, where it says nothing the model's generation_config.json, else the whole distribution; up to
    `sampler.stop`."""
    own = policy.model.generation_config
    found = asdict(Drawing(1.0)) | {"stop": tuple(config.sampler.stop)}
    for name in ("temperature", "top_p", "top_k", "min_p"):
        given = (getattr(config.eval, name), getattr(own, name, None), found[name])
        found[name] = next(value for value in given if value is not None)
    return Drawing(**found)


def counts_of(batch: Batch) -> list[tuple[int, int]]:
    """Of each task that could be graded: how many completions were, and how many passed."""
    found = [_graded(group) for group in batch.groups]
    return [(len(graded), sum(graded)) for graded in found if graded]


def summarise(batch: Batch, name: str, samples: int) -> Evaluation:
    counts = counts_of(batch)
    smallest = min((n for n, _ in counts), default=0)
    ks = [k for k in (2**i for i in range(12)) if k <= smallest]
    rollouts = batch.rollouts
    classes = Counter(
        r.solution_class for r in rollouts if r.solution_class and not r.task.level.endswith(CONTROL)
    )
    return Evaluation(
        name=name,
        step=batch.step,
        tasks=len(batch.groups),
        samples=samples,
        pass_at_k=mean_pass_at_k(counts, ks),
        compile_rate=compile_rate(batch),
        truncated_rate=truncated_rate(batch),
        entropy=entropy(batch),
        infra_count=sum(r.passed is None for r in rollouts),
        class_mass={name: count / classes.total() for name, count in sorted(classes.items())},
        metrics=metric_means(batch),
    )


def pass_rate(group: Group) -> float:
    """Share of a group's graded completions that pass; 0 where none could be graded."""
    graded = _graded(group)
    return sum(graded) / max(1, len(graded))


def _graded(group: Group) -> list[bool]:
    """Whether each graded completion passes."""
    return [r.passed for r in group.rollouts if r.passed is not None]


def compile_rate(batch: Batch) -> float:
    """Share of completions that hold a program which compiles."""
    broken = sum(r.verdict is not None and r.verdict.phase in ("no_code", "compile") for r in batch.rollouts)
    return 1 - broken / max(1, len(batch.rollouts))


def truncated_rate(batch: Batch) -> float:
    """Share of completions that max_tokens cut."""
    return sum(r.truncated for r in batch.rollouts) / max(1, len(batch.rollouts))


def metric_means(batch: Batch) -> dict[str, float]:
    """Of each of `metrics.own`, over the completions that have it; absent where none has."""
    values: dict[str, list[float]] = defaultdict(list)
    for rollout in batch.rollouts:
        for name, value in rollout.metrics.items():
            values[f"metric_{name}"].append(value)
    return {name: fmean(each) for name, each in values.items()}


def entropy(batch: Batch) -> float:
    """Entropy estimate over all completions, nats a token: minus the sampler's mean log-probability."""
    tokens = sum(len(r.logprobs) for r in batch.rollouts)
    return -sum(sum(r.logprobs) for r in batch.rollouts) / max(1, tokens)
