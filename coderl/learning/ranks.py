"""One training run on several processes, under torchrun.

rank 0   samples, grades, records, evaluates, checkpoints;  learner ──command──> every rank's learner
rank 1.. nothing but learn: `follow` does what rank 0's learner is asked, in the same order, until it is told to stop

So training reads as on one process (training/loop.py), and what is drawn at random, written or shown happens once.
Commands travel by gloo in a group of their own, which waits for as long as sampling and evaluating take; gradients and
shards by NCCL on GPUs (collectives.py). All ranks read the model's and the run's folder: a file system that they share.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import signal
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from coderl.config.settings import RunConfig
from coderl.errors import ConfigError, TrainingError
from coderl.learning.learner import Learner, Update
from coderl.learning.probe import Probe
from coderl.learning.rows import Rows
from coderl.model.policy import Policy, load_policy

LONGEST_SILENCE = datetime.timedelta(days=7)  # between two commands


@contextlib.contextmanager
def joined() -> Iterator[int]:
    """This process's rank; among torchrun's processes, with torch.distributed set up while it lasts.

    Leaving it on rank 0, for whatever reason, ends the other ranks.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield 0
        return
    gpu = torch.cuda.is_available()
    if gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo")
    _Commands.group = dist.new_group(backend="gloo", timeout=LONGEST_SILENCE)
    try:
        yield dist.get_rank()
    finally:
        if dist.get_rank() == 0 and not _Commands.running:
            _Commands.send(None)
    dist.destroy_process_group()


class _Commands:
    """(method, objective, arguments) from rank 0 to the others; None: stop."""

    group: dist.ProcessGroup | None = None
    running = False  # rank 0 is within a command, or failed there: the others fail too, or torchrun ends them

    @classmethod
    def send(cls, command: tuple[Any, ...] | None) -> None:
        dist.broadcast_object_list([command], src=0, group=cls.group)

    @classmethod
    def receive(cls) -> tuple[Any, ...] | None:
        box: list[Any] = [None]
        dist.broadcast_object_list(box, src=0, group=cls.group)
        command: tuple[Any, ...] | None = box[0]
        return command


def make_learner(policy: Policy, config: RunConfig, *, start: Path, warm: Path) -> Learner:
    """The learner of a policy that was loaded from `start`, on all ranks where there are several."""
    reference = None if config.lora else load_policy(warm, config.model).model
    if _Commands.group is None:
        return Learner(policy, config, warm=reference)
    _Commands.send(("open", config, start, warm))
    _Commands.running = True
    learner = LeadingLearner(policy, config, warm=reference)
    _Commands.running = False
    return learner


class LeadingLearner(Learner):
    """Rank 0's learner: what it is asked, all ranks do."""

    def probe(self, rows: Rows, seed: int) -> Probe:
        with self._leading("probe", rows, seed):
            return super().probe(rows, seed)

    def update(self, rows: Rows) -> Update:
        with self._leading("update", rows):
            return super().update(rows)

    def named_weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        with self._leading("named_weights"):
            return iter(list(super().named_weights()))

    def save_tensors(self, folder: Path) -> None:
        with self._leading("save_tensors", folder):
            super().save_tensors(folder)

    def load(self, folder: Path, state: dict[str, Any]) -> None:
        with self._leading("load", folder, state):
            super().load(folder, state)

    @contextlib.contextmanager
    def _leading(self, method: str, *arguments: Any) -> Iterator[None]:
        nested = _Commands.running
        if not nested:
            _Commands.send((method, self.objective, arguments))
        _Commands.running = True
        yield
        _Commands.running = nested


def follow() -> None:
    """What ranks other than 0 do. Whether to stop is rank 0's to decide: signals are ignored.

    Raises:
        TrainingError: rank 0 is gone.
    """
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    try:
        opening = _Commands.receive()
        if opening is None:
            return
        _, config, start, warm = opening
        learner = Learner(
            load_policy(start, config.model), config, warm=load_policy(warm, config.model).model
        )
        while (command := _Commands.receive()) is not None:
            method, learner.objective, arguments = command
            result = getattr(learner, method)(*arguments)
            if method == "named_weights":
                deque(result, maxlen=0)
    except (TrainingError, OSError):
        return  # a loss that is not finite, a full disk: rank 0 has it too, and says so
    except RuntimeError as error:
        raise TrainingError(f"rank {dist.get_rank()} lost the others: {error}") from error


def require_fitting(config: RunConfig) -> None:
    """Raises `ConfigError` for what cannot run on several processes."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return
    if not config.sampler.urls:  # vLLM in this process would take torch.distributed's group for its own
        raise ConfigError(
            "under torchrun sampling is done by vLLM servers: start some and name them in sampler.urls "
            "(docs/multi-node.md), or start coderl without torchrun"
        )
    if config.lora:
        raise ConfigError("lora is trained on one process: start coderl without torchrun")
