"""Sampling a step ahead (`train.lag = 1`): a thread samples and grades the next batch while this one is learned from.

    learning   |  ...     | publish n | learn n+1            | publish n+1 | learn n+2
    sampling   | batch n+1|           | batch n+2, policy n  |             | batch n+3, policy n+1

Weights are published while nothing is sampled. Nothing is sampled ahead of an evaluation or a regular checkpoint, so
these find an idle sampler, and a checkpoint needs no half-made batch to go on from exactly.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from coderl.rollouts.batch import Batch


class Ahead:
    """At most one batch under way."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._batch: Future[Batch] | None = None
        self._closing = threading.Event()

    @property
    def busy(self) -> bool:
        return self._batch is not None

    def begin(self, collect: Callable[[], Batch]) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # the weights just published are in place
        self._batch = self._thread.submit(_on_its_own_stream, collect)

    def take(self) -> Batch | None:
        """The batch under way, once it is done; none: nothing was begun. Raises what `collect` raised."""
        future, self._batch = self._batch, None
        return future.result() if future else None

    def proceed(self) -> None:
        """Called by `collect` now and then, so that closing need not wait for all of a batch."""
        if self._closing.is_set():
            raise Abandoned

    def close(self) -> None:
        self._closing.set()
        self._thread.shutdown(wait=True)


class Abandoned(Exception):
    """The run ends without this batch."""


def _on_its_own_stream(collect: Callable[[], Batch]) -> Batch:
    if not torch.cuda.is_available():
        return collect()
    with torch.cuda.stream(torch.cuda.Stream()):
        return collect()
