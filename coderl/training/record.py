"""What a step leaves behind: its line in steps.jsonl, its rollouts, its metrics, its line on the screen."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from coderl.learning.learner import Update
from coderl.learning.probe import Probe
from coderl.rollouts.batch import Batch
from coderl.rollouts.choosing import Posterior
from coderl.training.evaluate import compile_rate, entropy, metric_means, pass_rate, truncated_rate
from coderl.training.run import Run


def measured(batch: Batch, probe: Probe, update: Update) -> dict[str, Any]:
    """The fields of a step's line that batch, probe and update say (docs/run-folder.md)."""
    return {
        **_rewards(batch),
        **_held_back(batch),
        **metric_means(batch),
        "entropy": entropy(batch),
        "entropy_probe": probe.entropy,
        "kl_warm": probe.kl_warm,
        "kl_step": probe.kl_step,
        "kl_floor": update.kl_floor,
        "loss": update.loss,
        "grad_norm": update.grad_norm,
        "learning_rate": update.learning_rate,
        **update.stats,
        "learner_rows": update.rows,
        "rows": update.sampled,
        "logprob_diff_mean": probe.logprob_diff_mean,
        "logprob_diff_max": probe.logprob_diff_max,
        "staleness": probe.staleness,
        "seconds_sample": batch.seconds_sample,
        "seconds_grade": batch.seconds_grade,
        "seconds_learn": probe.seconds + update.seconds,
        "policy_version": batch.policy_version,
    }


def predicted(batch: Batch, posterior: Posterior | None) -> dict[str, Any]:
    """The mean pass rate that `posterior` expected of the tasks that it knew, and what it was; none: nothing."""
    if not posterior:
        return {}
    known = [group for group in batch.groups if posterior.has_seen(group.task)]
    expected = [posterior.mean(group.task) for group in known]
    return {
        "known_tasks": len(known),
        "known_pass_rate_expected": fmean(expected) if known else None,
        "known_pass_rate": fmean(map(pass_rate, known)) if known else None,
    }


def write(run: Run, batch: Batch, fields: dict[str, Any]) -> None:
    """Write the step down, wherever it is shown."""
    run.folder.write_rollouts(batch)
    run.folder.log("step", run.step, **fields)
    run.metrics.add("train", run.step, fields)
    run.display.step(run.step, run.config.train.steps, fields)
    if run.config.train.show_samples_every and run.step % run.config.train.show_samples_every == 0:
        run.display.samples(batch)
        run.metrics.samples(run.step, batch.telling)


def _rewards(batch: Batch) -> dict[str, Any]:
    rollouts = batch.rollouts
    rewards = [r.reward for r in rollouts if r.reward is not None]
    passed = [r.passed for r in rollouts if r.passed is not None]
    return {
        "reward_mean": sum(rewards) / max(1, len(rewards)),
        "pass_rate": sum(passed) / max(1, len(passed)),
        "truncated_rate": truncated_rate(batch),
        "compile_rate": compile_rate(batch),
        "signal_rate": sum(g.has_signal for g in batch.groups) / len(batch.groups),
        "infra_count": len(rollouts) - len(passed),
        "completion_tokens_mean": sum(len(r.tokens) for r in rollouts) / len(rollouts),
    }


def _held_back(batch: Batch) -> dict[str, Any]:
    """Of the passing completions whose task has tests held back, the share that fails those."""
    passed = [v.passed is True for r in batch.rollouts if (v := r.held_back_verdict()) is not None]
    return {
        "held_back_count": len(passed),
        "overfit_rate": 1 - sum(passed) / len(passed) if passed else None,
    }
