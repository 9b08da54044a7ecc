"""A vLLM engine in this process, one request a completion so that each can be graded the moment it finishes."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from coderl.config.settings import SamplerConfig
from coderl.errors import ModelError, PublishError, SamplerError
from coderl.sampling.publish import Weights, publish
from coderl.sampling.types import Completion, Drawing, Request

if TYPE_CHECKING:
    from vllm import LLM


class EngineSampler:
    """A vLLM engine in this process, and the version of the policy that it holds."""

    def __init__(
        self,
        model: Path,
        config: SamplerConfig,
        *,
        stop_token_ids: Sequence[int],
        dtype: torch.dtype = torch.float32,
        seed: int = 0,
    ) -> None:
        """Start the engine on a transformers folder; `dtype` is the learner's.

        Raises:
            ModelError: vLLM cannot load the model.
        """
        self.config = config
        self.policy_version = 0
        self._stop = list(stop_token_ids)
        self._requested: list[str] = []
        self._llm = _start(model, config, dtype, seed, self._logits_processors)

    def publish(self, weights: Weights, version: int) -> None:
        """Sample from `weights` from now on.

        Raises:
            PublishError: the engine did not take them.
        """
        try:
            publish(self._llm, weights)
        except Exception as error:  # the boundary to vLLM: whatever it raises, it has failed
            raise PublishError(
                f"vLLM did not take the weights of version {version}: {type(error).__name__}: {error}. Compare "
                "its version with those that coderl/sampling/publish.py was tested on; then continue with --resume"
            ) from error
        self.policy_version = version

    def sample(self, requests: Sequence[Request], drawing: Drawing | None = None) -> Iterator[Completion]:
        """Yield completions in the order in which they finish.

        Raises:
            SamplerError: the engine failed.
        """
        try:
            with _failing_as_sampler_error():
                self._begin(requests, drawing or Drawing.training(self.config))
            while self._llm.llm_engine.has_unfinished_requests():
                with _failing_as_sampler_error():
                    finished = self._step()
                yield from finished
        finally:  # an interrupted consumer must not leave requests behind
            self._abandon()

    def _logits_processors(self) -> list[Any]:
        """The classes that vLLM is to start with."""
        return []

    def _begin(self, requests: Sequence[Request], drawing: Drawing) -> None:
        from vllm import SamplingParams, TokensPrompt

        self._requested = [str(request.key) for request in requests]
        for request in requests:
            parameters = SamplingParams(
                **asdict(drawing) | {"stop": list(drawing.stop)},
                max_tokens=self.config.max_tokens,
                seed=request.seed,
                logprobs=0,
                flat_logprobs=True,  # no object for each of them
                detokenize=bool(drawing.stop),
                **self._usual(),
            )
            prompt = TokensPrompt(prompt_token_ids=request.prompt_tokens)
            self._llm.llm_engine.add_request(str(request.key), prompt, parameters)

    def _usual(self) -> dict[str, Any]:
        """What all requests have in common."""
        from vllm.sampling_params import RequestOutputKind

        return {
            "stop_token_ids": self._stop,
            "output_kind": RequestOutputKind.FINAL_ONLY,
        }

    def _step(self) -> list[Completion]:
        return [_completion(done) for done in self._llm.llm_engine.step()]

    def _abandon(self) -> None:
        self._llm.llm_engine.abort_request(self._requested)


@contextlib.contextmanager
def _failing_as_sampler_error() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the boundary to vLLM: whatever it raises, it has failed
        raise SamplerError(
            f"vLLM failed while sampling: {type(error).__name__}: {error}. Continue with --resume"
        ) from error


def _completion(done: Any) -> Completion:
    """From vLLM's RequestOutput."""
    output = done.outputs[0]
    tokens = list(output.token_ids)
    flat = output.logprobs  # of each position the sampled token alone
    assert flat.token_ids == tokens
    return Completion(int(done.request_id), tokens, list(flat.logprobs), output.finish_reason == "length")


def _start(
    model: Path,
    config: SamplerConfig,
    dtype: torch.dtype,
    seed: int,
    logits_processors: Callable[[], list[Any]],
) -> LLM:
    # In-process: the learner's tensors are handed over without a copy between processes.
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", str(config.kv_cache_gib))
    # vLLM would otherwise pin this process, and with it the learner and the sandbox threads.
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    gpu = torch.cuda.is_available()
    options: dict[str, Any] = {"dtype": str(dtype).removeprefix("torch.")}
    if gpu:
        options["gpu_memory_utilization"] = config.gpu_memory_fraction
    else:  # for half a prompt vLLM turns a request's generator back, which those on a CPU cannot be
        options["enable_chunked_prefill"] = False
    try:
        with warnings.catch_warnings():  # of vLLM's own start: nothing that a user of coderl can act on
            warnings.simplefilter("ignore")
            from vllm import LLM

            return LLM(
                str(model),
                enforce_eager=not gpu,
                max_model_len=config.max_prompt_tokens + config.max_tokens,
                max_num_seqs=config.max_sequences,
                logprobs_mode="processed_logprobs",
                logits_processors=logits_processors(),
                disable_log_stats=True,
                use_tqdm_on_load=False,
                seed=seed % 2**31,
                **options,
            )
    except Exception as error:  # the boundary to vLLM: whatever it raises, it has not started
        raise ModelError(
            f"vLLM cannot load the model in {model}: {type(error).__name__}: {error}. See that this vLLM knows the "
            "model's architecture, and that memory suffices (sampler.gpu_memory_fraction, on a CPU kv_cache_gib)"
        ) from error
