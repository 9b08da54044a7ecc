"""The training loop.

data.batch -> Collector.collect -> advantages -> Learner.probe -> Learner.update -> Sampler.publish
              (vLLM samples,                     (entropy, KL,    (torch)           (weights into vLLM)
               sandbox grades)                    mismatch)
                             \\______________ run folder: rollouts, steps, checkpoints ______________/
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch

import sandbox
from coderl import checkpoint, warmup
from coderl.collapse import CollapseMonitor
from coderl.config import RunConfig
from coderl.data import Data, fitting, load_data, within
from coderl.display import Display
from coderl.errors import CollapseError, MismatchError
from coderl.evaluate import Evaluation, compile_rate, entropy, evaluate, pass_rate
from coderl.learner import Learner, Probe, Update
from coderl.metrics import Metrics
from coderl.model import Policy, load_policy, require_model
from coderl.rollouts import Collector
from coderl.runfolder import RunFolder
from coderl.sampler import Sampler
from coderl.stages import StageMonitor
from coderl.types import Batch
from tasks.grade import Grader
from tasks.rewards import load_reward

FLOAT32_MISMATCH = 1e-3  # nats a token; in float32 vLLM and transformers agree to 1e-6
REDUCED_MISMATCH = 0.1


@dataclass(slots=True)
class Run:
    """Everything a training run holds while it runs."""

    config: RunConfig
    folder: RunFolder
    data: Data
    policy: Policy
    learner: Learner
    sampler: Sampler
    collector: Collector
    display: Display
    metrics: Metrics
    monitor: CollapseMonitor = field(default_factory=CollapseMonitor)
    stages: StageMonitor = field(default_factory=StageMonitor)
    solved: set[str] = field(default_factory=set)  # training tasks solved at least once
    step: int = 0
    stop_requested: bool = False


def train(run: Run) -> None:
    """Train from `run.step` to the configured number of steps, and evaluate the outcome.

    Raises:
        CollapseError, NonFiniteError, MismatchError, SandboxOutageError, RunFolderError: the run stops,
            and its last checkpoint can be resumed.
    """
    config = run.config
    while run.step < config.train.steps and not run.stop_requested:
        started = time.monotonic()
        step = run.step + 1
        tasks = run.data.batch(step, config.train.prompts_per_step, config.seed)
        batch = run.collector.collect(
            tasks,
            config.train.samples_per_prompt,
            step=step,
            stream="train",
            on_progress=run.display.sampling,
        )
        run.collector.assign_advantages(batch)
        probe = run.learner.probe(batch, seed=config.seed + step)
        check_mismatch(run, probe)
        update = run.learner.update(batch)
        published = time.monotonic()
        run.sampler.publish(run.learner.named_weights(), version=step)
        published = time.monotonic() - published
        run.step = step
        _record(run, batch, probe, update, published, started)
        # Before the step's checkpoint, so that a resumed run neither repeats nor misses an evaluation.
        if step == config.train.steps:
            evaluate_held_out(run, config.eval.final_samples)
        elif config.eval.every and step % config.eval.every == 0:
            evaluate_held_out(run, config.eval.samples)
        if run.monitor.finding and config.train.stop_on_collapse:
            _stop_collapsed(run)
        if step % config.train.checkpoint_every == 0 or step == config.train.steps or run.stop_requested:
            save_checkpoint(run)
    if run.stop_requested and run.step < config.train.steps:
        run.folder.log("event", run.step, event="interrupted", detail="resume with --resume")
        raise KeyboardInterrupt


def evaluate_held_out(run: Run, samples: int, name: str = "held-out") -> Evaluation:
    result = evaluate(
        run.collector,
        run.data.evaluation,
        samples,
        name=name,
        step=run.step,
        temperature=run.config.eval.temperature,
        folder=run.folder,
        on_progress=run.display.evaluating,
    )
    run.display.evaluation(result)
    run.metrics.add(f"eval/{name}", run.step, {f"pass@{k}": v for k, v in result.pass_at_k.items()})
    if name == "held-out":
        run.monitor.evaluation(result.pass_at_k.get(1, 0.0))
        # Evaluations on the way draw fewer samples than the first: the largest k that all of them have.
        run.stages.evaluation(result.pass_at_k.get(_common_k(run.config), 0.0))
    return result


def _common_k(config: RunConfig) -> int:
    """The largest power of two within the samples of every evaluation."""
    return 1 << (min(config.eval.samples, config.eval.final_samples).bit_length() - 1)


def check_mismatch(run: Run, probe: Probe) -> None:
    """Stop when sampler and learner disagree on the same tokens: a stale or wrong weight publish."""
    limit = run.config.learner.max_logprob_difference
    if limit is None:
        limit = FLOAT32_MISMATCH if run.policy.model.dtype == torch.float32 else REDUCED_MISMATCH
    if not probe.logprob_diff_mean <= limit:  # also catches NaN
        raise MismatchError(
            f"step {run.step + 1}: sampler and learner differ by {probe.logprob_diff_mean:.2g} nats a token "
            f"(limit {limit:g}): the sampler holds other weights than the learner. Resume from the last checkpoint; "
            "if it recurs, compare versions with those that coderl/publish.py was tested on, or raise "
            "learner.max_logprob_difference"
        )


def save_checkpoint(run: Run) -> None:
    folder = run.folder.path / "checkpoints"
    state = {
        "learner": run.learner.state(),
        "monitor": run.monitor.state(),
        "stages": run.stages.state(),
        "solved": sorted(run.solved),
    }
    checkpoint.save(folder, run.step, run.policy, state)
    checkpoint.prune(folder, run.config.train.keep_checkpoints, protect=_last_healthy(run))


def _last_healthy(run: Run) -> Path | None:
    steps = run.folder.path.glob("checkpoints/step-*")
    healthy = [path for path in steps if int(path.name.rpartition("-")[2]) <= run.monitor.healthy_step]
    return max(healthy, default=None)


def _stop_collapsed(run: Run) -> None:
    kept = _last_healthy(run)
    run.folder.log("event", run.step, event="collapse", detail=run.monitor.finding)
    raise CollapseError(
        f"the policy collapsed at step {run.step}: {run.monitor.finding}. The last healthy checkpoint is "
        f"{kept or 'the warm model'}; lower learner.learning_rate or raise objective.kl_coef"
    )


def _record(run: Run, batch: Batch, probe: Probe, update: Update, published: float, started: float) -> None:
    rewards = [r.reward for r in batch.rollouts if r.reward is not None]
    passed = [
        r.verdict.passed for r in batch.rollouts if r.verdict is not None and r.verdict.score is not None
    ]
    fields: dict[str, Any] = {
        "reward_mean": sum(rewards) / max(1, len(rewards)),
        "pass_rate": sum(passed) / max(1, len(passed)),
        "entropy": entropy(batch),
        "entropy_probe": probe.entropy,
        "kl_warm": probe.kl_warm,
        "kl_step": probe.kl_step,
        "loss": update.loss,
        "grad_norm": update.grad_norm,
        "learning_rate": update.learning_rate,
        **update.stats,
        "truncated_rate": sum(r.truncated for r in batch.rollouts) / len(batch.rollouts),
        "compile_rate": compile_rate(batch),
        "signal_rate": sum(g.has_signal for g in batch.groups) / len(batch.groups),
        "infra_count": len(batch.rollouts) - len(passed),
        "completion_tokens_mean": sum(len(r.tokens) for r in batch.rollouts) / len(batch.rollouts),
        "learner_rows": update.rows,
        "rows": update.sampled,
        "logprob_diff_mean": probe.logprob_diff_mean,
        "logprob_diff_max": probe.logprob_diff_max,
        "seconds_sample": batch.seconds_sample,
        "seconds_grade": batch.seconds_grade,
        "seconds_learn": update.seconds,
        "seconds_publish": published,
        "seconds_total": time.monotonic() - started,
        "policy_version": batch.rollouts[0].policy_version,
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


@contextlib.contextmanager
def open_run(config: RunConfig, *, resume: bool, display: Display) -> Iterator[Run]:
    """Build (or reload) everything a run needs; closes the sandbox at the end.

    What can be wrong is tried first: sandbox, model folder and data, before a run folder is made.
    """
    with sandbox.open_pool(slots=config.sandbox.slots, backend=config.sandbox.backend) as pool:
        if config.model.path is not None:
            require_model(Path(config.model.path))
        data = load_data(config)
        folder = RunFolder(config.folder) if resume else RunFolder.create(config, sys.argv)
        last = checkpoint.latest(folder.path / "checkpoints") if resume else None
        warm = _warm_model(config, folder, display, rebuild=last is None)
        start = last or warm
        policy = load_policy(start, config.model)
        data = fitting(data, lambda task: len(policy.prompt_tokens(task)), config.sampler.max_prompt_tokens)
        display.start(config, data, pool.backend)
        sampler = Sampler(start, config.sampler, stop_token_ids=policy.stop_token_ids, seed=config.seed)
        learner = Learner(policy, config, warm=load_policy(warm, config.model).model)
        collector = Collector(config, policy, sampler, Grader(pool), load_reward(config.reward.kind))
        metrics = Metrics(
            folder.path / "tensorboard", after=int(last.name.rpartition("-")[2]) if last else None
        )
        run = Run(config, folder, data, policy, learner, sampler, collector, display, metrics)
        with metrics, _graceful_stop(run):
            if config.data.prefilter_samples:
                _prefilter(run)
            if last is None:
                _begin(run)
            else:
                _reload(run, last)
            yield run


def _warm_model(config: RunConfig, folder: RunFolder, display: Display, *, rebuild: bool) -> Path:
    """The model that training starts from: the user's folder, or the built-in one, warmed up."""
    if config.model.path is not None:
        return Path(config.model.path)
    warm = folder.path / "warm"
    if rebuild:
        state = warmup.start(config.warmup, config.seed)
        with display.warming(config.warmup.steps) as on_step:
            warmup.train(state, config.warmup.steps, on_step=on_step)
        state.policy.save(warm)
        if config.train.control:
            updates = config.train.steps * config.learner.minibatches
            with display.warming(updates, "control: warm-up continued") as on_step:
                warmup.train(state, updates, on_step=on_step)
            state.policy.save(folder.path / "control")
    return warm


def _begin(run: Run) -> None:
    run.folder.rewind(-1)
    control = run.folder.path / "control"
    if control.is_dir():
        model = load_policy(control, run.config.model).model
        run.sampler.publish(model.state_dict().items(), version=-1)
        evaluate_held_out(run, run.config.eval.final_samples, name="control")
        run.sampler.publish(run.learner.named_weights(), version=0)
    evaluate_held_out(run, run.config.eval.final_samples)
    save_checkpoint(run)


def _prefilter(run: Run) -> None:
    """Leave out training tasks that the warm model nearly always or nearly never solves.

    Measured once; a resumed run reads what was measured then.
    """
    config = run.config.data
    record = run.folder.path / "prefilter.json"
    if record.exists():
        rates = json.loads(record.read_text())
    else:
        batch = run.collector.collect(
            run.data.train,
            config.prefilter_samples,
            step=0,
            stream="prefilter",
            on_progress=run.display.sampling,
        )
        rates = {group.task.id: pass_rate(group) for group in batch.groups}
        run.folder.write_text(record.name, json.dumps(rates))
    run.data = within(run.data, rates, config.prefilter_low, config.prefilter_high)
    run.display.note(f"{len(run.data.train)} of {len(rates)} training tasks have a useful pass rate")


def _reload(run: Run, last: Path) -> None:
    state = checkpoint.load_state(last)
    run.step = int(state["step"])
    run.learner.load_state(state["learner"])
    run.monitor = CollapseMonitor.from_state(state["monitor"])
    run.stages = StageMonitor.from_state(state["stages"])
    run.solved = set(state["solved"])
    run.sampler.policy_version = run.step
    run.folder.rewind(run.step)
    run.folder.log("event", run.step, event="resume", detail=last.name)


@contextlib.contextmanager
def _graceful_stop(run: Run) -> Iterator[None]:
    """First SIGINT or SIGTERM: finish the step, checkpoint, leave. Second: leave now."""

    def handler(signum: int, frame: FrameType | None) -> None:
        if run.stop_requested:
            raise KeyboardInterrupt
        run.stop_requested = True
        run.display.note("stopping after this step, with a checkpoint; press Ctrl-C again to stop at once")

    previous = {s: signal.signal(s, handler) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signum, old in previous.items():
            signal.signal(signum, old)
