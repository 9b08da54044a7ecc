"""LoRA (arXiv 2106.09685), with peft: low-rank additions to linear layers are trained, all else is frozen.

The sampler gets the sum of both, under the names that the model has without an adapter. With the adapter switched off
the model is the warm one, so no copy of that is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from transformers import PreTrainedModel

from coderl import distributed
from coderl.config import LoraConfig
from coderl.errors import ModelError
from coderl.scoring import ATTACHED

NAME = "default"  # peft's for an adapter that was not named


class Adapter:
    """An adapter on `model`, whose layers it changes in place."""

    def __init__(self, model: PreTrainedModel, config: LoraConfig, seed: int) -> None:
        """Add to `model` an adapter that changes nothing yet.

        Raises:
            ModelError: `lora.targets` names no layer, or one that is not linear.
        """
        import peft  # seconds, which runs without an adapter need not spend

        options = peft.LoraConfig(
            r=config.rank,
            lora_alpha=config.alpha,
            target_modules=list(config.targets) or "all-linear",
            task_type="CAUSAL_LM",
        )
        try:
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                self._peft: Any = peft.get_peft_model(model, options, autocast_adapter_dtype=False)
        except ValueError as error:
            raise ModelError(f"lora.targets {list(config.targets)}: {error}") from error
        self._model = model
        self._layers: dict[str, Any] = {
            name: module
            for name, module in model.named_modules()
            if isinstance(module, peft.tuners.lora.LoraLayer)
        }
        head = model.get_output_embeddings()
        for name, layer in self._layers.items():
            if layer is head or not isinstance(layer.get_base_layer(), torch.nn.Linear):
                raise ModelError(f"lora.targets: {name} is not a linear layer of the decoder")

    def merged(self) -> Iterator[tuple[str, torch.Tensor]]:
        """The weights of the model without an adapter that does what this one with it does, by checkpoint name."""
        with torch.no_grad():
            for name, tensor in self._model.state_dict().items():
                if ".lora_" in name:
                    continue
                layer = self._layers.get(name.removesuffix(".base_layer.weight"))
                if layer is not None:
                    tensor = tensor + layer.get_delta_weight(NAME)
                yield name.replace(".base_layer", ""), distributed.whole(tensor)

    @property
    def off(self) -> PreTrainedModel:
        """The model without the adapter, for scoring; it is never scored and trained at the same time."""
        return cast(PreTrainedModel, _WithoutAdapter(self))

    @contextmanager
    def disabled(self) -> Iterator[None]:
        self._peft.base_model.disable_adapter_layers()
        try:
            yield
        finally:
            self._peft.base_model.enable_adapter_layers()

    def save(self, folder: Path) -> None:
        """In peft's format."""
        self._peft.save_pretrained(folder, state_dict=distributed.whole(self._peft.state_dict()))


class _WithoutAdapter:
    """What scoring needs of a model, with the adapter switched off while it runs."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def get_decoder(self) -> Any:
        decoder = self._adapter._model.get_decoder()

        def run(**inputs: Any) -> Any:
            with self._adapter.disabled():
                return decoder(**inputs)

        return run

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._adapter._model, name)
        if name != ATTACHED:
            return value

        def run(*arguments: Any) -> Any:
            with self._adapter.disabled():
                return value(*arguments)

        return run
