"""Sampling from several vLLM engines on this machine's processors, each in a process of its own.

requests ─by prompt─> the processes, each an engine (worker.py) ─> completions as they finish
policy ─a file in sampler.transfer─> all of them

One engine keeps about one processor busy, so two sample nearly twice as fast on two; and they leave this process's
interpreter lock to grading.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import weakref
from collections.abc import Collection, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from coderl.config.settings import SamplerConfig
from coderl.errors import CoderlError, ModelError, PublishError, SamplerError
from coderl.sampling.publish import Weights, make_weights_folder, save_weights
from coderl.sampling.types import Completion, Drawing, Request, by_prompt

END_SECONDS = 10.0  # for a process to end once its connection is closed


class ProcessSampler:
    """Engines that all hold one version of the policy. Their processes end with it, and with this process."""

    def __init__(
        self,
        model: Path,
        config: SamplerConfig,
        *,
        stop_token_ids: Sequence[int],
        dtype: torch.dtype,
        seed: int,
    ) -> None:
        """Start `config.processes` engines on a transformers folder, side by side.

        Raises:
            ConfigError: the folder of `config.transfer` cannot be used.
            ModelError: vLLM cannot load the model.
        """
        self.policy_version = 0
        self._folder = make_weights_folder(Path(config.transfer))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._engines = [_Engine(config.processes) for _ in range(config.processes)]
        options = {"stop_token_ids": list(stop_token_ids), "dtype": dtype, "seed": seed}
        for engine in self._engines:
            engine.send(model, config, options)
        _finish(self._engines, ModelError)

    @property
    def memory_bytes(self) -> int:
        """Of the processes together, each at its highest."""
        return sum(engine.memory_bytes for engine in self._engines)

    def publish(self, weights: Weights, version: int) -> None:
        """Sample from `weights` from now on. Raises `PublishError`: an engine did not take them."""
        try:
            file = save_weights(weights, self._folder)
        except (OSError, SafetensorError) as error:
            raise PublishError(
                f"the weights of version {version} cannot be written to {self._folder} (sampler.transfer): "
                f"{error}. Make room or name another folder, then continue with --resume"
            ) from error
        for engine in self._engines:
            engine.send("publish", file, version)
        _finish(self._engines, PublishError)
        self.policy_version = version

    def sample(self, requests: Sequence[Request], drawing: Drawing | None = None) -> Iterator[Completion]:
        """Yield completions in the order in which they finish.

        Raises:
            SamplerError: an engine failed.
        """
        working: dict[Any, _Engine] = {}
        try:
            for engine, share in zip(self._engines, _shares(requests, len(self._engines)), strict=True):
                engine.send("sample", share, drawing)
                working[engine.connection] = engine
            while working:
                for ready in wait(list(working)):
                    engine = working.pop(ready)
                    if (completion := engine.take(SamplerError)) is not None:
                        working[ready] = engine
                        yield completion
        finally:  # an interrupted consumer must not leave requests behind
            _stop(working.values())


class _Engine:
    """A process with an engine, which ends when this is gone."""

    def __init__(self, processes: int) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            threads = max(1, len(os.sched_getaffinity(0)) // processes)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "coderl.sampling.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),
                env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            )
        self.connection = Connection(ours.detach())
        weakref.finalize(self, _end, self._process, self.connection)

    @property
    def memory_bytes(self) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    def send(self, *message: Any) -> None:
        with contextlib.suppress(OSError):  # it has ended: its answer will say so
            self.connection.send(message)

    def take(self, error: type[CoderlError]) -> Completion | None:
        """A completion; or None where it has done what it was told.

        Raises what it raised, after which it says no more, or `error` where it ended.
        """
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            code = self._process.wait(END_SECONDS)
            raise error(
                f"a sampling process ended by itself, with exit status {code}: see what it printed above; 137 or -9 is "
                "mostly lack of memory (sampler.kv_cache_gib and the model, once for each of sampler.processes)"
            ) from None
        if isinstance(message, CoderlError):
            raise message
        completion: Completion | None = message
        return completion


def _shares(requests: Sequence[Request], engines: int) -> list[list[Request]]:
    """The completions of one prompt go to one engine, so that it computes the prompt once."""
    shares: list[list[Request]] = [[] for _ in range(engines)]
    for same in by_prompt(requests):
        min(shares, key=len).extend(same)
    return shares


def _finish(engines: Collection[_Engine], error: type[CoderlError]) -> None:
    """Wait until all have done what they were told. Raises what one of them raised, or `error` where it ended."""
    raised: list[CoderlError] = []
    for engine in engines:
        try:
            while engine.take(error) is not None:
                continue
        except CoderlError as problem:
            raised.append(problem)
    if raised:
        raise raised.pop()  # nothing here keeps it: with its traceback it would keep the processes


def _stop(engines: Collection[_Engine]) -> None:
    """Make engines that are sampling forget about it, and wait until they have."""
    for engine in engines:
        engine.send("stop")
    with contextlib.suppress(CoderlError):  # another one is on its way
        _finish(engines, SamplerError)


def _end(process: subprocess.Popen[bytes], connection: Connection) -> None:
    connection.close()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
