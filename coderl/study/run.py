"""Runs a study's shards, some at a time, each in a process of its own, then writes its report."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

from rich.console import Console

from coderl.errors import ConfigError, StudyError
from coderl.study.config import StudyConfig, to_toml
from coderl.study.shards import Shard, plan, work


def reproduce(config: StudyConfig) -> Path:
    """Run what is left of the study and return its report's path. Call it again to resume.

    Raises:
        ConfigError: the folder holds a study of another configuration.
        StudyError: a shard failed; what others finished stays.
    """
    folder, console = config.folder, Console(stderr=True, highlight=False)
    _claim(config)
    first, others = plan(config)
    started = time.monotonic()
    _run(config, [first], console, started)
    _run(config, others, console, started)
    (folder / "study.json").write_text(json.dumps(_description(config), indent=1) + "\n")
    from analysis import study  # plotting and statistics: not before they are needed

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
    config.folder.mkdir(parents=True, exist_ok=True)
    path.write_text(to_toml(config))


def _run(config: StudyConfig, shards: Iterable[Shard], console: Console, started: float) -> None:
    left = [shard for shard in shards if not shard.done(config.folder)]
    total = len(left)
    threads = max(1, (os.cpu_count() or 1) // config.jobs)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read by the children when torch and vLLM start
    context = multiprocessing.get_context("spawn")
    failed: list[str] = []
    with ProcessPoolExecutor(config.jobs, mp_context=context, max_tasks_per_child=1) as pool:
        running: dict[Future[float], Shard] = {
            pool.submit(work, config, shard, threads): shard for shard in left
        }
        try:
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    shard = running.pop(future)
                    failed += _outcome(config, shard, future, console)
                _say_what_is_left(console, total - len(running), total, started)
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


def _say_what_is_left(console: Console, done: int, total: int, started: float) -> None:
    elapsed = time.monotonic() - started
    left = elapsed / done * (total - done)
    console.print(
        f"{done}/{total} shards, {elapsed / 60:.0f} min; about {left / 60:.0f} min left", style="dim"
    )


def _description(config: StudyConfig) -> dict[str, object]:
    """What analysis has to know of the design."""
    return {
        "schema": 1,
        "name": config.name,
        "seeds": config.seeds,
        "arms": config.arms,
        "final": config.final.model_dump(),
        "objectives": {arm: config.arm(arm, config.seeds[0]).objective.name for arm in config.arms},
    }
