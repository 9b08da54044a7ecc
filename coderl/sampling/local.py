"""The engine of one process, of the kind that a configuration asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from coderl.config.settings import SamplerConfig
from coderl.sampling.branching import BranchingSampler
from coderl.sampling.engine import EngineSampler


def start_engine(model: Path, config: SamplerConfig, **options: Any) -> EngineSampler:
    """An engine in this process, of the kind that `config` asks for."""
    kind = BranchingSampler if config.share_prefixes and not torch.cuda.is_available() else EngineSampler
    return kind(model, config, **options)
