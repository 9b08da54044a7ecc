"""Building (or reloading) what a training run uses, and closing it."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from coderl.config.load import load
from coderl.config.resuming import changes
from coderl.config.settings import RunConfig
from coderl.learning.learner import TENSORS
from coderl.learning.objectives import rehearse as rehearse_objective
from coderl.learning.ranks import make_learner
from coderl.model.named import model_folder
from coderl.model.policy import load_policy
from coderl.rollouts.choosing import Posterior
from coderl.rollouts.lengths import with_lengths
from coderl.rollouts.opening import open_collector, open_sandbox, rehearse_measures
from coderl.rollouts.prompts import Data, fitting, load_data, passable
from coderl.runfolder import checkpoint
from coderl.runfolder.dashboards import Metrics, require_wandb
from coderl.runfolder.layout import CONTROL, WARM
from coderl.runfolder.write import RunFolder
from coderl.sampling.opening import require_sampler
from coderl.training.collapse import CollapseMonitor
from coderl.training.display import Display
from coderl.training.evaluate import drawing_of
from coderl.training.loop import evaluate_held_out
from coderl.training.run import Run
from coderl.training.stages import ObjectiveSchedule, StageMonitor
from coderl.training.warm import warm_up
from tasks.grading.grader import Grader
from tasks.grading.hold_back import HoldBack
from tasks.grading.modes import Found, check

ONE_SIGNAL_SECONDS = 1.0  # torchrun passes on what its terminal has sent to all processes already


@contextlib.contextmanager
def open_run(config: RunConfig, *, resume: bool, display: Display) -> Iterator[Run]:
    """Build (or reload) everything a run needs; closes the sandbox at the end.

    What can be wrong is tried first: vLLM, data, the user's own functions, sandbox and model folder, before a run
    folder is made.
    """
    require_sampler(config.sampler)
    data = load_data(config)
    rehearse_measures(config, data)
    for objective in (config.objective, *config.stages.objectives(config.objective).values()):
        rehearse_objective(objective)
    if config.model.path is not None:
        model = model_folder(config.model.path)
        config = with_lengths(config.with_model(model), model, [*data.train, *data.evaluation])
    with open_sandbox(config, [*data.train, *data.evaluation]) as runner:
        require_wandb(config)
        folder = RunFolder(config.folder) if resume else RunFolder.create(config, sys.argv)
        last = checkpoint.latest(folder.path / "checkpoints") if resume else None
        step = int(last.name.rpartition("-")[2]) if last else None
        with Metrics(folder.path, config, after=step) as metrics:
            warm = _warm_model(config, folder, display, rebuild=last is None)
            start = last or warm
            policy = load_policy(warm if config.lora else start, config.model)
            data = fitting(
                data, lambda task: len(policy.prompt(task).tokens), config.sampler.max_prompt_tokens
            )
            grader = Grader(runner)
            data = _checked(data, grader, config, folder, display)
            display.start(config, data, drawing_of(config, policy), runner.backend)
            collector = open_collector(config, start, policy, grader, display.note)
            learner = make_learner(policy, config, start=start, warm=warm)
            schedule = ObjectiveSchedule(config.objective, config.stages)
            hold_back = _hold_back(config, data, display)
            run = Run(config, folder, data, learner, collector, display, metrics, schedule, hold_back)
            with _graceful_stop(run), contextlib.closing(run.ahead):
                if config.data.choice == "posterior":
                    run.posterior = Posterior.before_training(data.train)
                if last is None:
                    _begin(run)
                else:
                    _reload(run, last)
                if resume:
                    _record_changes(run)
                yield run


def _checked(data: Data, grader: Grader, config: RunConfig, folder: RunFolder, display: Display) -> Data:
    """Leave out tasks that no program could pass, as their references show; a resumed run decides alike."""
    record = folder.path / "references.json"
    known = {}
    if record.exists():
        known = {name: Found(**fields) for name, fields in json.loads(record.read_text()).items()}
    found = check([*data.train, *data.evaluation], grader, known, progress=display.checking)
    if len(found) > len(known):
        kept = {name: asdict(each) for name, each in found.items() if each.mode != "unknown"}
        folder.write_text(record.name, json.dumps(kept))
    return passable(data, found, config.grading.in_process)


def _warm_model(config: RunConfig, folder: RunFolder, display: Display, *, rebuild: bool) -> Path:
    """The model that training starts from: the user's folder, or the built-in one, warmed up."""
    if config.model.path is not None:
        return Path(config.model.path)
    warm = folder.path / WARM
    if rebuild:
        warm_up(config, display, warm, folder.path / CONTROL if config.train.control else None)
    return warm


def _hold_back(config: RunConfig, data: Data, display: Display) -> HoldBack | None:
    if not config.grading.hold_back:
        return None
    hold_back = HoldBack(config.grading.hold_back, config.seed)
    display.note(hold_back.describe(data.train))
    return hold_back


def _begin(run: Run) -> None:
    run.folder.rewind(-1)
    if too_long := len(run.data.too_long):
        limit = run.config.sampler.max_prompt_tokens
        run.folder.log("event", 0, event="left out", detail=f"{too_long} tasks: prompt over {limit} tokens")
    control = run.folder.path / CONTROL
    if control.is_dir():
        model = load_policy(control, run.config.model).model
        run.sampler.publish(model.state_dict().items(), version=-1)
        evaluate_held_out(run, run.config.eval.final_samples, name=CONTROL)
        run.sampler.publish(run.learner.named_weights(), version=0)


def _reload(run: Run, last: Path) -> None:
    state = checkpoint.load_state(last)
    run.step = run.saved_step = int(state["step"])
    run.evaluated_step = state["evaluated_step"]
    try:
        run.learner.load(last, state["learner"])
    except OSError as error:
        raise checkpoint.unusable(last, f"{last / TENSORS} cannot be read: {error}") from error
    run.monitor = CollapseMonitor.from_state(state["monitor"])
    run.stages = StageMonitor.from_state(state["stages"])
    run.schedule.load_state(state["schedule"])
    run.solved = set(state["solved"])
    if run.posterior:
        run.posterior = Posterior(run.folder.read_posterior(run.step))
    run.sampler.publish(run.learner.named_weights(), version=run.step)
    run.folder.rewind(run.step)
    run.folder.log("event", run.step, event="resume", detail=last.name)


def _record_changes(run: Run) -> None:
    """Say, log and keep what the run does otherwise from here on."""
    changed = changes(load(run.folder.path / "config.toml"), run.config)
    for change in changed:
        run.display.note(f"from step {run.step} on, {change}")
        run.folder.log("event", run.step, event="changed", detail=str(change))
    if changed:
        run.folder.write_text("config.toml", run.config.to_toml())


@contextlib.contextmanager
def _graceful_stop(run: Run) -> Iterator[None]:
    """First SIGINT or SIGTERM: finish the step, checkpoint, leave. Second: leave now."""
    asked = 0.0

    def handler(signum: int, frame: FrameType | None) -> None:
        nonlocal asked
        if run.stop_requested:
            if time.monotonic() - asked > ONE_SIGNAL_SECONDS:
                raise KeyboardInterrupt
            return
        run.stop_requested, asked = True, time.monotonic()
        run.display.note("stopping after this step, with a checkpoint; press Ctrl-C again to stop at once")

    previous = {s: signal.signal(s, handler) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signum, old in previous.items():
            signal.signal(signum, old)
