"""Runs a study's shards, some at a time, each in its own process, then writes the report."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from coderl.config.settings import RunConfig
from coderl.errors import ConfigError, StudyError
from coderl.rollouts.opening import open_sandbox
from coderl.runfolder.files import make_folder
from coderl.runfolder.layout import STUDY_SCHEMA
from coderl.sampling.opening import require_sampler
from coderl.study import simulate
from coderl.study.config import StudyConfig, to_toml
from coderl.study.jobs import Shard, cost, plan, work
from tasks.files import write_text


def reproduce(config: StudyConfig) -> Path:
    """Run what is left of the study and return its report's path. Call it again to resume.

    Raises:
        ConfigError: the folder holds a study of another configuration.
        ModelError, SandboxError: vLLM or a sandbox is missing.
        StudyError: a shard failed; what others finished stays.
    """
    folder, console = config.folder, Console(stderr=True, highlight=False)
    _claim(config)
    from analysis import study  # plotting and statistics: not before they are needed
    from analysis.study import power

    left = [[shard for shard in phase if not shard.done(folder)] for phase in plan(config)]
    if any(left):
        _require_tools(config.shared(), console)
    progress = Progress(sum(cost(config, shard) for phase in left for shard in phase))
    models, controls, arms = left
    _run(config, models, console, progress)
    _run(config, controls, console, progress)
    write_text(folder / "study.json", json.dumps(_description(config), indent=1) + "\n")
    console.print(power.state(folder, config.final.samples))
    _run(config, arms, console, progress)
    simulate.write(config)
    return study.write(folder)


def _claim(config: StudyConfig) -> None:
    """Make the folder, or see that it is this study's."""
    path = config.folder / "study.toml"
    if path.exists():
        if path.read_text() != to_toml(config):
            raise ConfigError(
                f"{config.folder} holds a study of another configuration ({path}); resume it with that file, or "
                "give this one another name"
            )
        return
    make_folder(config.folder, "the study's folder")
    write_text(path, to_toml(config))


def _require_tools(config: RunConfig, console: Console) -> None:
    """What the first shard can do without and all others need: sooner missed than after its warm-up."""
    require_sampler(config.sampler)
    open_sandbox(config, [], slots=1, report=console.print).close()


@dataclass(slots=True)
class Progress:
    """Work done of the work that was left, and since when."""

    total: int
    done: int = 0
    started: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        elapsed = time.monotonic() - self.started
        left = elapsed / self.done * (self.total - self.done)
        return f"{self.done / self.total:.0%}, {elapsed / 60:.0f} min; about {left / 60:.0f} min left"


def _run(config: StudyConfig, shards: Sequence[Shard], console: Console, progress: Progress) -> None:
    if not shards:
        return
    threads = max(1, (os.cpu_count() or 1) // min(config.jobs, len(shards)))
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read by the children when torch and vLLM start
    context = multiprocessing.get_context("spawn")
    failed: list[str] = []
    with ProcessPoolExecutor(config.jobs, mp_context=context, max_tasks_per_child=1) as pool:
        running: dict[Future[float], Shard] = {
            pool.submit(work, config, shard, threads): shard for shard in shards
        }
        try:
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    shard = running.pop(future)
                    failed += _outcome(config, shard, future, console)
                    progress.done += cost(config, shard)
                console.print(str(progress), style="dim")
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)  # running shards got the signal too, and end at a checkpoint
            console.print("stopped; the same command continues the study where it is", style="yellow")
            raise
    if failed:
        raise StudyError("; ".join(failed) + ". The same command tries again; finished shards are kept")


def _outcome(config: StudyConfig, shard: Shard, future: Future[float], console: Console) -> list[str]:
    error = future.exception()
    if error is None:
        console.print(f"{shard.kind} {shard.name}: {future.result():.0f} s")
        return []
    log = config.folder / "logs" / f"{shard.kind}-{shard.name}.log"
    console.print(f"{shard.kind} {shard.name}: failed: {error}", style="red")
    return [f"{shard.kind} {shard.name} failed ({type(error).__name__}: {error}; see {log})"]


def _description(config: StudyConfig) -> dict[str, object]:
    """What analysis has to know of the design."""
    return {
        "schema": STUDY_SCHEMA,
        "name": config.name,
        "seeds": config.seeds,
        "jobs": config.jobs,
        "arms": config.arms,
        "once": config.once,
        "controls": config.controls,
        "final": config.final.model_dump(),
        "objectives": {arm: config.arm(arm, config.seeds[0]).objective.name for arm in config.arms},
    }
