"""Sampling in which the completions of a prompt share what they have in common, as the branches of one tree.

To vLLM they are one sequence for as long as they have drawn the same tokens. At each position every completion draws
its own token, by its own random numbers, from the distribution that they share. The sequence goes on with the token
that most of them drew; each other token begins a new request, which has what was drawn so far behind its prompt. So
completions are distributed as if each was a request of its own, and a group that mostly agrees costs little more than
one.

    Branches.begin ─requests─> vLLM ─logits─> Branches.grow ─the token to go on with─> vLLM
                       ^────────── new branches ──┘ └─> finished completions

The draws are made in a logits processor of vLLM's, which leaves it no other token than the one to go on with.
Shape suffixes: B sequences, V vocabulary, M completions of a sequence (padded).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from coderl.config.settings import SamplerConfig
from coderl.sampling.engine import EngineSampler
from coderl.sampling.types import Completion, Drawing, Request, by_prompt

if TYPE_CHECKING:
    from vllm import SamplingParams


@dataclass(slots=True)
class Branch:
    """What the completions `members`, keys of requests, have drawn after `prompt`; log-probabilities in nats."""

    prompt: list[int]
    members: list[int]
    tokens: list[int]
    logprobs: list[float]


class Branches:
    """The completions that are being sampled. `new` branches wait to be requested, `finished` ones to be taken."""

    def __init__(self, stop_token_ids: Sequence[int], max_tokens: int) -> None:
        self._stop = frozenset(stop_token_ids)
        self._max_tokens = max_tokens
        self._temperature = 1.0
        self._uniforms: dict[int, np.ndarray[Any, Any]] = {}
        self.new: list[Branch] = []
        self.finished: list[Completion] = []

    def begin(self, requests: Sequence[Request], temperature: float) -> None:
        """Forget the completions before, and begin with one branch for each prompt."""
        self._temperature = temperature
        self._uniforms = {r.key: _uniforms(r.seed, self._max_tokens) for r in requests}
        self.new = [
            Branch(same[0].prompt_tokens, [r.key for r in same], [], []) for same in by_prompt(requests)
        ]
        self.finished = []

    def grow(self, branches: Sequence[Branch], logits_BV: torch.Tensor) -> list[int]:
        """Let each completion of `branches` draw its next token. Returns: those that the branches go on with."""
        uniforms = [
            torch.tensor([self._uniforms[m][len(b.tokens)] for m in b.members], dtype=torch.float64)
            for b in branches
        ]
        uniforms_BM = torch.nn.utils.rnn.pad_sequence(uniforms, batch_first=True).to(logits_BV.device)
        tokens_BM, logp_BM = draw(logits_BV, uniforms_BM, self._temperature)
        rows = zip(branches, tokens_BM.tolist(), logp_BM.tolist(), strict=True)
        return [self._split(branch, tokens, logprobs) for branch, tokens, logprobs in rows]

    def _split(self, branch: Branch, tokens: list[int], logprobs: list[float]) -> int:
        drawn: dict[int, list[int]] = {}
        for key, token in zip(branch.members, tokens, strict=False):  # the rest is padding
            drawn.setdefault(token, []).append(key)
        main = max(drawn, key=lambda token: (token not in self._stop, len(drawn[token])))
        of = dict(zip(tokens, logprobs, strict=True))
        for token, members in drawn.items():
            if token != main:
                other = Branch(branch.prompt, members, [*branch.tokens, token], [*branch.logprobs, of[token]])
                if not self._finish(other):
                    self.new.append(other)
        branch.members = drawn[main]
        branch.tokens.append(main)
        branch.logprobs.append(of[main])
        if self._finish(branch):
            branch.members = []
        return main

    def _finish(self, branch: Branch) -> bool:
        """Whether its completions are finished, which then go to `finished`."""
        stopped = branch.tokens[-1] in self._stop
        if not stopped and len(branch.tokens) < self._max_tokens:
            return False
        for key in branch.members:
            self.finished.append(Completion(key, list(branch.tokens), list(branch.logprobs), not stopped))
        return True


def _uniforms(seed: int, count: int) -> np.ndarray[Any, Any]:
    """A completion's own random numbers in [0, 1), one for each position."""
    return np.random.Generator(np.random.Philox(key=seed)).random(count)


def draw(
    logits_BV: torch.Tensor, uniforms_BM: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The tokens to which random numbers in [0, 1) lead, and their log-probabilities: inverse transform sampling."""
    logp_BV = torch.log_softmax(logits_BV.float() / temperature, dim=-1)
    sums_BV = logp_BV.double().exp().cumsum(dim=-1)
    # Always under the last sum, where rounding would otherwise lead to a token of no probability.
    points_BM = uniforms_BM * (1 - 2**-50) * sums_BV[:, -1:]
    tokens_BM = torch.searchsorted(sums_BV, points_BM, right=True)
    return tokens_BM, logp_BV.gather(1, tokens_BM)


class BranchingSampler(EngineSampler):
    """A vLLM engine in this process that samples so from whole distributions, and from others as usual.

    On CPUs: where half a prompt can be a step, as by default on GPUs, vLLM would draw after that half too.
    """

    def __init__(
        self, model: Path, config: SamplerConfig, *, stop_token_ids: Sequence[int], **options: Any
    ) -> None:
        """As `EngineSampler`."""
        self._shares = True
        self._branches = Branches(stop_token_ids, config.max_tokens)
        self._running: dict[str, Branch] = {}
        self._names = map(str, itertools.count())
        super().__init__(model, config, stop_token_ids=stop_token_ids, **options)

    def _logits_processors(self) -> list[Any]:
        return [_processor(self._branches, self._running)]

    def _begin(self, requests: Sequence[Request], drawing: Drawing) -> None:
        self._shares = drawing.whole
        if not self._shares:
            super()._begin(requests, drawing)
            return
        self._branches.begin(requests, drawing.temperature)
        self._request()

    def _request(self) -> None:
        from vllm import SamplingParams, TokensPrompt

        for branch in self._branches.new:
            name = next(self._names)
            self._running[name] = branch
            parameters = SamplingParams(
                temperature=0,  # there is one token only that it can take
                max_tokens=self.config.max_tokens - len(branch.tokens),
                detokenize=False,
                extra_args={"branch": name},
                **self._usual(),
            )
            prompt = TokensPrompt(prompt_token_ids=[*branch.prompt, *branch.tokens])
            self._llm.llm_engine.add_request(name, prompt, parameters)
        self._branches.new.clear()

    def _step(self) -> list[Completion]:
        if not self._shares:
            return super()._step()
        done: Any
        for done in self._llm.llm_engine.step():
            if self._running.pop(done.request_id).members:
                raise RuntimeError(
                    f"it ended a sequence by itself, because of {done.outputs[0].finish_reason}"
                )
        self._request()
        finished, self._branches.finished = self._branches.finished, []
        return finished

    def _abandon(self) -> None:
        super()._abandon()
        self._llm.llm_engine.abort_request(list(self._running))
        self._running.clear()


def _processor(branches: Branches, running: dict[str, Branch]) -> type:
    """A logits processor for vLLM; each request names its branch."""
    from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor
    from vllm.v1.sample.logits_processor.builtin import process_dict_updates

    class Draw(LogitsProcessor):
        def __init__(self, *_: Any) -> None:
            self._rows: dict[int, Branch] = {}

        def is_argmax_invariant(self) -> bool:
            return False

        def update_state(self, batch_update: BatchUpdate | None) -> None:
            process_dict_updates(self._rows, batch_update, self._branch)

        def _branch(self, parameters: SamplingParams, *_: Any) -> Branch | None:
            return running.get((parameters.extra_args or {}).get("branch", ""))

        def apply(self, logits_BV: torch.Tensor) -> torch.Tensor:
            rows = [row for row, branch in self._rows.items() if branch.members]
            if rows:
                tokens = branches.grow([self._rows[row] for row in rows], logits_BV[rows])
                logits_BV[rows] = -torch.inf
                logits_BV[rows, tokens] = 0
            return logits_BV

    return Draw
