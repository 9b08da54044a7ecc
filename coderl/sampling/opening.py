"""Which sampler a configuration asks for."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

from coderl.config.settings import SamplerConfig
from coderl.errors import ModelError
from coderl.model.policy import Policy
from coderl.sampling.local import start_engine
from coderl.sampling.processes import ProcessSampler
from coderl.sampling.servers import ServerSampler
from coderl.sampling.types import Sampler


def require_sampler(config: SamplerConfig) -> None:
    """Raises `ModelError` where vLLM is to sample in this process and is not installed."""
    if not config.urls and importlib.util.find_spec("vllm") is None:
        raise ModelError(
            "vLLM is not installed, and no vLLM servers are named in sampler.urls. In coderl's own folder: "
            "`pip install '.[gpu]'` for a GPU; without one `make setup`, which installs [cpu] (docs/install.md)"
        )


def open_sampler(model: Path, policy: Policy, config: SamplerConfig, seed: int) -> Sampler:
    """An engine in this process, on CPUs engines in `sampler.processes` others, or the servers of `sampler.urls`.

    They hold the policy's weights.

    Raises:
        ModelError: vLLM cannot load the model; a server does not answer, or is not set up for training.
        PublishError: a server did not take the weights.
    """
    stop = policy.stop_token_ids
    if not config.urls:
        several = config.processes > 1 and not torch.cuda.is_available()
        start = ProcessSampler if several else start_engine
        return start(model, config, stop_token_ids=stop, dtype=policy.model.dtype, seed=seed)
    servers = ServerSampler(config, stop_token_ids=stop)
    servers.publish(policy.model.state_dict().items(), version=0)
    return servers
