"""LoRA (arXiv 2106.09685), with peft: low-rank additions to linear layers are trained, all else is frozen.

The sampler gets the sum of both, under the names that the model has without an adapter. With the adapter switched off
the model is the warm one, so no copy of that is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from transformers import PreTrainedModel

from coderl.config.learner import LoraConfig
from coderl.errors import ModelError
from coderl.learning import collectives

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
                yield name.replace(".base_layer", ""), collectives.whole(tensor)

    def weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        """The adapter's own, by name; unlike `merged`, what is added is not rounded to the model's precision."""
        for name, parameter in self._model.named_parameters():
            if ".lora_" in name:
                yield name, parameter.detach()

    @property
    def off(self) -> PreTrainedModel:
        """The model without the adapter, for scoring; it is never scored and trained at the same time."""
        return cast(PreTrainedModel, _Changed(self._model, self._disabled))

    def earlier(self) -> PreTrainedModel:
        """The model with a copy of the adapter as it is now, for scoring; loads others from `weights`."""
        return cast(PreTrainedModel, _Earlier(self._model, dict(self.weights())))

    @contextmanager
    def _disabled(self) -> Iterator[None]:
        self._peft.base_model.disable_adapter_layers()
        try:
            yield
        finally:
            self._peft.base_model.enable_adapter_layers()

    def save(self, folder: Path) -> None:
        """In peft's format."""
        self._peft.save_pretrained(folder, state_dict=collectives.whole(self._peft.state_dict()))


class _Changed:
    """What scoring needs of a model, whose decoder is changed while it runs."""

    def __init__(self, model: PreTrainedModel, change: Callable[[], AbstractContextManager[None]]) -> None:
        self._model = model
        self._change = change

    def get_decoder(self) -> Any:
        decoder = self._model.get_decoder()

        def run(**inputs: Any) -> Any:
            with self._change():
                return decoder(**inputs)

        return run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


class _Earlier(_Changed):
    """With other weights in the adapter."""

    def __init__(self, model: PreTrainedModel, weights: dict[str, torch.Tensor]) -> None:
        super().__init__(model, self._swapped)
        self._parameters = {name: model.get_parameter(name) for name in weights}
        self.load_state_dict(weights)

    def named_parameters(self) -> Iterable[tuple[str, torch.Tensor]]:
        return self._weights.items()

    def load_state_dict(self, weights: dict[str, torch.Tensor]) -> None:
        self._weights = {name: tensor.clone() for name, tensor in weights.items()}

    @contextmanager
    def _swapped(self) -> Iterator[None]:
        present = {name: parameter.data for name, parameter in self._parameters.items()}
        try:
            for name, parameter in self._parameters.items():
                parameter.data = self._weights[name]
            yield
        finally:
            for name, parameter in self._parameters.items():
                parameter.data = present[name]
