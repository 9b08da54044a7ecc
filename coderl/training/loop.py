"""The training loop.

data.batch -> Collector.collect -> credited -> Learner.probe -> Learner.update -> Sampler.publish
              (vLLM samples,                     (entropy, KL,    (torch)           (weights into vLLM)
               sandbox grades)                    mismatch)
                             \\______________ run folder: rollouts, steps, checkpoints ______________/

With `train.lag = 1` the first of these runs a step ahead, in a thread (`coderl/training/ahead.py`).
`coderl/training/opening.py` builds what the loop uses, `coderl/training/record.py` writes what it did.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from coderl.config.settings import RunConfig
from coderl.errors import (
    CollapseError,
    ConfigError,
    NonFiniteError,
    RateError,
    SamplerError,
    SandboxOutageError,
    WeakStartError,
)
from coderl.learning.rows import credited
from coderl.rollouts.batch import Batch
from coderl.rollouts.choosing import Posterior
from coderl.runfolder import checkpoint
from coderl.runfolder.layout import HELD_OUT, MODEL
from coderl.training import record
from coderl.training.evaluate import Evaluation, drawing_of, entropy, evaluate
from coderl.training.mismatch import check_mismatch
from coderl.training.run import Run
from coderl.training.stages import stage_measures
from tasks.errors import TaskError

SHOWN = 3  # programs of a run that is stopped because none has signal


def train(run: Run) -> None:
    """Train from `run.step` to the configured number of steps, and evaluate before, on the way, and after.

    Raises:
        TrainingError, SandboxOutageError, RunFolderError, TaskError, ConfigError: the run stops; its last checkpoint
            can be resumed.
    """
    batch = None
    with _keeping_finished_steps(run):
        while True:
            # Before the step's checkpoint, so that a resumed run neither repeats nor misses an evaluation.
            if _evaluation_is_due(run):
                evaluate_held_out(run, _evaluation_samples(run))
            if run.monitor.finding and run.config.train.stop_on_collapse:
                _stop(run, batch)
            if _checkpoint_is_due(run):
                save_checkpoint(run)
            if run.finished or run.stop_requested:
                break
            batch = train_step(run)
    if not run.finished:
        run.folder.log("event", run.step, event="interrupted", detail="resume with --resume")
        raise KeyboardInterrupt


def train_step(run: Run) -> Batch:
    """Sample, grade, learn, publish, record."""
    started = time.monotonic()
    step = run.step + 1
    batch = run.ahead.take() or collect(run, step, run.posterior)
    before, after = run.posterior, run.posterior and run.posterior.observed(batch.groups)
    seconds_publish = 0.0
    if _samples_ahead(run, step):
        seconds_publish += publish(run, version=run.step)
        run.ahead.begin(lambda: collect(run, step + 1, after, lambda *_: run.ahead.proceed()))
    run.learner.objective = run.schedule.current
    rows = credited(
        batch,
        run.schedule.current,
        seed=run.config.seed,
        replaced=run.config.train.dynamic_sampling > 0,
    )
    probe = run.learner.probe(rows, seed=run.config.seed + step)
    check_mismatch(run, probe)
    update = run.learner.update(rows)
    if not run.ahead.busy:
        seconds_publish += publish(run, version=step)
    run.step, run.posterior = step, after
    fields = (
        record.measured(batch, probe, update)
        | record.predicted(batch, before)
        | {
            "objective": run.schedule.current.name,
            **_stage(run, batch),
            "seconds_publish": seconds_publish,
            "seconds_total": time.monotonic() - started,
        }
    )
    record.write(run, batch, fields)
    _advance(run, fields, batch)
    return batch


def _stage(run: Run, batch: Batch) -> dict[str, Any]:
    """What the stage monitor reads off a batch, and its verdict."""
    measures, solved = stage_measures(batch, run.solved)
    run.solved |= solved
    return {**measures, "stage": run.stages.step(entropy=entropy(batch), **measures)}


def _advance(run: Run, fields: dict[str, Any], batch: Batch) -> None:
    """Let the collapse monitor see the step, and the schedule choose the next one's objective."""
    run.monitor.step(
        run.step,
        compile_rate=fields["compile_rate"],
        signal_rate=fields["signal_rate"],
        pass_rate=fields["pass_rate"],
        groups=len(batch.groups),
        completions=len(batch.rollouts),
    )
    if run.schedule.step(fields["stage"]):
        detail = f"{run.schedule.current.name}, in stage {fields['stage']}"
        run.folder.log("event", run.step, event="objective", detail=detail)
        run.display.note(f"the objective is now {detail}")


def publish(run: Run, version: int) -> float:
    """Let the sampler have the learner's weights, unless it has; the seconds that it took."""
    started = time.monotonic()
    if run.sampler.policy_version != version:
        run.sampler.publish(run.learner.named_weights(), version=version)
    return time.monotonic() - started


def _samples_ahead(run: Run, step: int) -> bool:
    """Whether the batch of the step after `step` is sampled while `step` is learned; see coderl/training/ahead.py."""
    train, every = run.config.train, run.config.eval.every
    pause = step % train.checkpoint_every == 0 or (every > 0 and step % every == 0)
    return train.lag > 0 and step < train.steps and not pause and not run.stop_requested


def collect(
    run: Run,
    step: int,
    posterior: Posterior | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Batch:
    """A step's graded batch, of tasks that `posterior` chooses, if any.

    With `train.dynamic_sampling` prompts whose rewards are all equal leave the learner's batch, and others
    take their place, that many times at most (DAPO, arXiv 2503.14476, section 3.2).
    """
    config = run.config.train
    tasks = run.data.batch(step, config.prompts_per_step, run.config.seed, posterior)
    batch = Batch(step, [])
    for turn in range(config.dynamic_sampling + 1):
        more = run.collector.collect(
            tasks,
            config.samples_per_prompt,
            step=step,
            stream=f"train/{turn}" if turn else "train",
            hold_back=run.hold_back,
            on_progress=on_progress or run.display.sampling,
        )
        batch = batch + more
        unfit = [group.task for group in more.groups if not group.has_signal]
        used = {group.task.id for group in batch.groups}
        tasks = run.data.others(unfit, used, f"{run.config.seed}/{step}/{turn}", posterior)
        if not tasks:
            break
    return batch


def evaluate_held_out(run: Run, samples: int, name: str = HELD_OUT) -> Evaluation:
    result = evaluate(
        run.collector,
        run.data.evaluation,
        samples,
        name=name,
        step=run.step,
        drawing=drawing_of(run.config, run.policy),
        folder=run.folder,
        on_progress=run.display.evaluating,
    )
    run.display.evaluation(result)
    shares = {f"pass@{k}": v for k, v in result.pass_at_k.items()}
    run.metrics.add(f"eval/{name}", run.step, shares | result.metrics)
    if name == HELD_OUT:
        run.evaluated_step = run.step
        run.monitor.evaluation(result.pass_at_k.get(1, 0.0), completions=result.tasks * result.samples)
        # Evaluations on the way draw fewer samples than the first: the largest k that all of them have.
        run.stages.evaluation(result.pass_at_k.get(_common_k(run.config)), warm=run.step == 0)
    return result


def _evaluation_is_due(run: Run) -> bool:
    every = run.config.eval.every
    on_the_way = every > 0 and run.step % every == 0
    return run.evaluated_step < run.step and (run.step == 0 or run.finished or on_the_way)


def _evaluation_samples(run: Run) -> int:
    config = run.config.eval
    return config.final_samples if run.step == 0 or run.finished else config.samples


def _common_k(config: RunConfig) -> int:
    """The largest power of two within the samples of every evaluation."""
    return 1 << (min(config.eval.samples, config.eval.final_samples).bit_length() - 1)


def _checkpoint_is_due(run: Run) -> bool:
    on_the_way = run.step % run.config.train.checkpoint_every == 0
    return run.saved_step < run.step and (on_the_way or run.finished or run.stop_requested)


def save_checkpoint(run: Run) -> None:
    folder = run.folder.path / "checkpoints"
    state = {
        "learner": run.learner.state(),
        "monitor": run.monitor.state(),
        "stages": run.stages.state(),
        "schedule": run.schedule.state(),
        "solved": sorted(run.solved),
        "evaluated_step": run.evaluated_step,
    }
    if run.posterior:
        run.folder.write_posterior(run.step, run.posterior.evidence)
    saved = checkpoint.save(folder, run.step, run.learner, state)
    checkpoint.point(run.folder.path / MODEL, saved)
    checkpoint.prune(folder, run.config.train.keep_checkpoints, protect=_last_healthy(run))
    run.saved_step = run.step


@contextlib.contextmanager
def _keeping_finished_steps(run: Run) -> Iterator[None]:
    """Where sampling, grading or rewarding fails, or learning before it changed anything, the weights are those of the
    last step: save them.

    Not so where learning or publishing fails later: from there the last regular checkpoint is resumed.
    """
    try:
        yield
    except (SamplerError, SandboxOutageError, TaskError, ConfigError, RateError, NonFiniteError) as error:
        half_learned = isinstance(error, NonFiniteError) and error.half_learned
        if run.saved_step < run.step and not half_learned:
            save_checkpoint(run)
        raise


def _last_healthy(run: Run) -> Path | None:
    steps = run.folder.path.glob("checkpoints/step-*")
    healthy = [path for path in steps if int(path.name.rpartition("-")[2]) <= run.monitor.healthy_step]
    return max(healthy, default=None)


def _stop(run: Run, batch: Batch | None) -> NoReturn:
    """End a run whose monitor has found something. `batch`: of the last step, unless that was before a resumption."""
    weak = run.monitor.never_began
    run.folder.log("event", run.step, event="weak start" if weak else "collapse", detail=run.monitor.finding)
    if weak:
        raise WeakStartError(_weak_start(run, batch))
    raise CollapseError(
        f"step {run.step}: {run.monitor.finding}: the policy collapsed. The last healthy checkpoint is "
        f"{_last_healthy(run) or 'the warm model'}; lower learner.learning_rate or raise objective.kl_coef"
    )


def _weak_start(run: Run, batch: Batch | None) -> str:
    """What there is to say of a start without signal; shows some programs, too."""
    rollouts = batch.rollouts if batch else []
    graded = [r for r in rollouts if r.reward is not None]
    run.display.programs(graded[:: max(1, len(graded) // SHOWN)][:SHOWN])
    passed, cut = sum(r.passed is True for r in rollouts), sum(r.truncated for r in rollouts)
    return (
        f"nothing to learn from in {run.step} steps: in no group do rewards differ. Of the last {len(rollouts)} "
        f"completions {passed} passed, and {cut} were cut by sampler.max_tokens = {run.config.sampler.max_tokens}. The "
        "tasks are too hard for the model as it is: give easier ones (data.train), more sampler.max_tokens where many "
        "were cut, more train.samples_per_prompt, or a supervised start (coderl warmup --model ... --dataset ...)"
    )
