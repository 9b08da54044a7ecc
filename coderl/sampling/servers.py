"""Sampling from vLLM servers, on this machine or others.

requests ─> a queue for each server ─workers, one request each─> /v1/completions ─> completions as they finish
                  └── an idle worker takes from the longest queue

The completions of one prompt go to one server, so that it computes the prompt once. Servers are started with
VLLM_SERVER_DEV_MODE=1 (its paths replace the weights: keep them off public networks) and
--logprobs-mode processed_logprobs; see docs/multi-node.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import httpx
from safetensors import SafetensorError

from coderl.config.settings import SamplerConfig
from coderl.errors import ModelError, PublishError, SamplerError
from coderl.sampling.publish import FolderTransfer, NcclTransfer, Servers, Transfer, Weights
from coderl.sampling.types import Completion, Drawing, Request, by_prompt

TIMEOUT = httpx.Timeout(
    3600.0, connect=10.0
)  # seconds; a server that takes longer for one completion has failed


class ServerSampler:
    """vLLM servers that all hold one version of the policy."""

    def __init__(self, config: SamplerConfig, *, stop_token_ids: Sequence[int]) -> None:
        """Raises `ModelError`: a server does not answer, or is not set up for training."""
        self.config = config
        self.policy_version = 0
        self._stop = list(stop_token_ids)
        token = os.environ.get("VLLM_API_KEY")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._servers = Servers(config.urls, self._headers)
        self._model = _check(self._servers, config)
        self._transfer: Transfer = (
            NcclTransfer(self._servers)
            if config.transfer == "nccl"
            else FolderTransfer(self._servers, Path(config.transfer))
        )

    def publish(self, weights: Weights, version: int) -> None:
        """Sample from `weights` from now on. Raises `PublishError`: a server did not take them."""
        try:
            self._transfer.send(weights)
        except (httpx.HTTPError, OSError, RuntimeError, SafetensorError, ValueError) as error:
            raise PublishError(
                f"a vLLM server did not take the weights of version {version}: {type(error).__name__}: {error}. "
                f"Servers must see the folder of sampler.transfer ({self.config.transfer}) and hold the same "
                "architecture; compare vLLM's version with coderl/sampling/publish.py's; then continue with --resume"
            ) from error
        self.policy_version = version

    def sample(self, requests: Sequence[Request], drawing: Drawing | None = None) -> Iterator[Completion]:
        """Yield completions in the order in which they finish.

        Raises:
            SamplerError: a server failed.
        """
        done: queue.SimpleQueue[Completion | None] = queue.SimpleQueue()
        work = _Work(requests, len(self.config.urls))
        chosen = drawing or Drawing.training(self.config)
        loop = asyncio.new_event_loop()
        task = loop.create_task(self._ask_all(work, chosen, done))
        task.add_done_callback(lambda _: done.put(None))
        thread = threading.Thread(
            target=loop.run_until_complete, args=(asyncio.wait([task]),), name="sampling"
        )
        thread.start()
        try:
            while (completion := done.get()) is not None:
                yield completion
        finally:  # an interrupted consumer must not leave requests behind
            loop.call_soon_threadsafe(work.stop)
            thread.join()
            loop.close()
        if error := task.exception():
            raise _failure(error)

    async def _ask_all(
        self, work: _Work, drawing: Drawing, done: queue.SimpleQueue[Completion | None]
    ) -> None:
        async def worker(server: int) -> None:
            while request := work.take(server):
                done.put(await self._ask(clients[server], request, drawing))

        try:
            async with contextlib.AsyncExitStack() as later, asyncio.TaskGroup() as group:
                clients = [await later.enter_async_context(self._client(url)) for url in self.config.urls]
                for _ in range(min(self.config.max_sequences, work.count)):
                    for server in range(len(clients)):
                        work.workers.append(group.create_task(worker(server)))
        finally:
            await asyncio.sleep(0)  # for connections to close

    def _client(self, url: str) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=self.config.max_sequences)
        return httpx.AsyncClient(base_url=url, headers=self._headers, limits=limits, timeout=TIMEOUT)

    async def _ask(self, http: httpx.AsyncClient, request: Request, drawing: Drawing) -> Completion:
        response = await http.post(
            "/v1/completions",
            json={
                "model": self._model,
                "prompt": request.prompt_tokens,
                **asdict(
                    drawing
                ),  # all of it: a server's own defaults are the model's generation_config.json
                "repetition_penalty": 1.0,
                "max_tokens": self.config.max_tokens,
                "seed": request.seed,
                "logprobs": 0,
                "return_token_ids": True,
                "stop_token_ids": self._stop,
            },
        )
        if response.status_code != 200:
            raise ValueError(f"{response.url}: {response.status_code}: {response.text[:500]}")
        choice = response.json()["choices"][0]
        return Completion(
            request.key,
            choice["token_ids"],
            choice["logprobs"]["token_logprobs"],
            choice["finish_reason"] == "length",
        )


class _Work:
    """Requests that wait, in a queue for each server; all of a prompt's in one of them."""

    def __init__(self, requests: Sequence[Request], servers: int) -> None:
        self.count = len(requests)
        self.workers: list[asyncio.Task[None]] = []
        self._queues: list[deque[Request]] = [deque() for _ in range(servers)]
        for number, same in enumerate(by_prompt(requests)):
            self._queues[number % servers].extend(same)

    def take(self, server: int) -> Request | None:
        source = self._queues[server] or max(self._queues, key=len)
        return source.popleft() if source else None

    def stop(self) -> None:
        for waiting in self._queues:
            waiting.clear()
        for worker in self.workers:
            worker.cancel()


def _failure(error: BaseException) -> SamplerError:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return SamplerError(
        f"a vLLM server failed while sampling: {type(error).__name__}: {error}. Continue with --resume"
    )


def _check(servers: Servers, config: SamplerConfig) -> str:
    """The name of the servers' model. Raises `ModelError`."""
    start = "start it with VLLM_SERVER_DEV_MODE=1 and --logprobs-mode processed_logprobs (docs/multi-node.md)"
    try:
        served = [answer["data"][0] for answer in servers.get("/v1/models")]
        settings = [
            answer["vllm_config"]["model_config"] for answer in servers.get("/server_info?config_format=json")
        ]
    except (httpx.HTTPError, httpx.InvalidURL, LookupError, ValueError) as error:
        raise ModelError(f"a vLLM server of sampler.urls does not answer: {error}; {start}") from None
    longest = config.max_prompt_tokens + config.max_tokens
    for url, model, setting in zip(servers.urls, served, settings, strict=True):
        if model["max_model_len"] < longest:
            raise ModelError(
                f"the vLLM server at {url} takes {model['max_model_len']} tokens: start it with --max-model-len "
                f"{longest}, or lower sampler.max_prompt_tokens or max_tokens"
            )
        if setting["logprobs_mode"] != "processed_logprobs":
            raise ModelError(
                f"the vLLM server at {url} does not say log-probs of the distribution sampled from; {start}"
            )
    if len({model["id"] for model in served}) > 1:
        raise ModelError("the vLLM servers of sampler.urls serve models of different names")
    return str(served[0]["id"])
