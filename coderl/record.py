"""What a step leaves behind: its line in steps.jsonl, its rollouts, its metrics, its line on the screen."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from coderl.evaluate import compile_rate, entropy
from coderl.types import Batch

if TYPE_CHECKING:
    from coderl.learner import Update
    from coderl.probe import Probe
    from coderl.train import Run


def record_step(
    run: Run, batch: Batch, probe: Probe, update: Update, seconds_publish: float, seconds_total: float
) -> None:
    """Write the step down, feed the monitors, and let the schedule choose the next step's objective."""
    fields = {
        **_rewards(batch),
        **_held_back(batch),
        "entropy": entropy(batch),
        "entropy_probe": probe.entropy,
        "kl_warm": probe.kl_warm,
        "kl_step": probe.kl_step,
        "objective": run.learner.objective.name,
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
        "seconds_publish": seconds_publish,
        "seconds_total": seconds_total,
        "policy_version": batch.policy_version,
        **_stage_measures(run, batch),
    }
    run.folder.write_rollouts(batch)
    run.folder.log("step", run.step, **fields)
    run.metrics.add("train", run.step, fields)
    run.monitor.step(
        run.step,
        compile_rate=fields["compile_rate"],
        signal_rate=fields["signal_rate"],
        pass_rate=fields["pass_rate"],
    )
    run.display.step(run.step, run.config.train.steps, fields)
    if run.config.train.show_samples_every and run.step % run.config.train.show_samples_every == 0:
        run.display.samples(batch)
    if run.schedule.step(fields["stage"]):
        detail = f"{run.schedule.current.name}, in stage {fields['stage']}"
        run.folder.log("event", run.step, event="objective", detail=detail)
        run.display.note(f"the objective is now {detail}")


def _rewards(batch: Batch) -> dict[str, Any]:
    rollouts = batch.rollouts
    rewards = [r.reward for r in rollouts if r.reward is not None]
    passed = [r.verdict.passed for r in rollouts if r.verdict is not None and r.verdict.score is not None]
    return {
        "reward_mean": sum(rewards) / max(1, len(rewards)),
        "pass_rate": sum(passed) / max(1, len(passed)),
        "truncated_rate": sum(r.truncated for r in rollouts) / len(rollouts),
        "compile_rate": compile_rate(batch),
        "signal_rate": sum(g.has_signal for g in batch.groups) / len(batch.groups),
        "infra_count": len(rollouts) - len(passed),
        "completion_tokens_mean": sum(len(r.tokens) for r in rollouts) / len(rollouts),
    }


def _held_back(batch: Batch) -> dict[str, Any]:
    """Of the passing completions whose task has tests held back, the share that fails those."""
    passed = [v.passed for r in batch.rollouts if (v := r.held_back_verdict()) is not None]
    return {
        "held_back_count": len(passed),
        "overfit_rate": 1 - sum(passed) / len(passed) if passed else None,
    }


def _stage_measures(run: Run, batch: Batch) -> dict[str, Any]:
    """What the stage monitor reads off a batch, and its verdict (see coderl/stages.py)."""
    shares, distinct, newly = [], [], set()
    for group in batch.groups:
        programs = Counter(r.program for r in group.rollouts)
        shares.append(programs.most_common(1)[0][1] / len(group.rollouts))
        passing = {r.program for r in group.rollouts if r.verdict is not None and r.verdict.passed}
        distinct.append(len(passing))
        if passing and group.task.id not in run.solved:
            newly.add(group.task.id)
    run.solved |= newly
    measures = {
        "top_share": sum(shares) / len(shares),
        "distinct_passing": sum(distinct) / len(distinct),
        "first_solved": len(newly),
    }
    stage = run.stages.step(entropy=entropy(batch), **measures)
    return {**measures, "stage": stage}
