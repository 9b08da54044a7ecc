"""What is asked of a sampler, and what comes back.

Every completion has its own seed, derived from (run seed, step, task, sample): a resumed run
samples exactly what the uninterrupted one would have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from coderl.config.settings import SamplerConfig
from coderl.sampling.publish import Weights


@dataclass(frozen=True, slots=True)
class Request:
    """One completion to sample. `key` comes back with it."""

    key: int
    prompt_tokens: list[int]
    seed: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """From which part of the distribution a token is drawn, and which strings end a completion. `temperature` 0: the
    likeliest; `top_k` 0: of all."""

    temperature: float
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    stop: tuple[str, ...] = ()

    @classmethod
    def training(cls, config: SamplerConfig) -> Drawing:
        return cls(config.temperature, stop=tuple(config.stop))

    @property
    def whole(self) -> bool:
        return self == Drawing(self.temperature) and self.temperature > 0

    def __str__(self) -> str:
        numbers = asdict(self)
        stop = "".join(f", until {text!r}" for text in numbers.pop("stop"))
        return ", ".join(f"{name} {value:g}" for name, value in numbers.items()) + stop


@dataclass(frozen=True, slots=True)
class Completion:
    """`logprobs[t]`, nats, under the distribution sampled from; `truncated`: cut by max_tokens."""

    key: int
    tokens: list[int]
    logprobs: list[float]
    truncated: bool


def completion_seed(*parts: object) -> int:
    """A seed that depends on all `parts` and on nothing else, in [0, 2^62)."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 2


def by_prompt(requests: Sequence[Request]) -> list[list[Request]]:
    """The requests of each prompt together, prompts in the order in which they first come."""
    prompts: dict[tuple[int, ...], list[Request]] = {}
    for request in requests:
        prompts.setdefault(tuple(request.prompt_tokens), []).append(request)
    return list(prompts.values())


class Sampler(Protocol):
    """Samples from the version of the policy that was published last; without `drawing` as training does."""

    policy_version: int

    def publish(self, weights: Weights, version: int) -> None: ...

    def sample(self, requests: Sequence[Request], drawing: Drawing | None = None) -> Iterator[Completion]: ...
