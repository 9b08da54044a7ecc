"""Completions that share a tree are those that each alone would be, from the model's distribution."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from coderl.sampling.branching import Branch, Branches, draw
from coderl.sampling.types import Completion, Request, completion_seed

STOP = 0
MOST = 6


def toy_logits(prompt: Sequence[int], tokens: Sequence[int], width: int, sharpness: float) -> torch.Tensor:
    """Of a model that looks at the whole prefix."""
    generator = torch.Generator().manual_seed(completion_seed(*prompt, "|", *tokens) % 2**31)
    return sharpness * torch.randn(width, generator=generator)


def sampled(
    requests: Sequence[Request],
    *,
    width: int,
    sharpness: float,
    temperature: float = 1.0,
    at_once: int = 1000,
) -> dict[int, Completion]:
    """What vLLM does, with a toy model: some of the branches that run grow by a token at a time."""
    branches = Branches([STOP], MOST)
    branches.begin(requests, temperature)
    running: list[Branch] = []
    finished: list[Completion] = []
    while branches.new or running:
        running += branches.new
        branches.new.clear()
        growing, rest = running[:at_once], running[at_once:]
        logits_BV = torch.stack([toy_logits(b.prompt, b.tokens, width, sharpness) for b in growing])
        before = [(b.prompt, list(b.tokens)) for b in growing]
        for branch, token, (prompt, tokens) in zip(
            growing, branches.grow(growing, logits_BV), before, strict=True
        ):
            assert branch.prompt == prompt and branch.tokens == [*tokens, token]
        running = rest + [b for b in growing if b.members]
        finished += branches.finished
        branches.finished = []
    assert sorted(c.key for c in finished) == sorted(r.key for r in requests)
    return {c.key: c for c in finished}


@settings(max_examples=60, deadline=None)
@given(
    prompts=st.lists(st.integers(1, 3), min_size=1, max_size=12),
    width=st.integers(2, 6),
    sharpness=st.sampled_from([0.0, 1.0, 5.0, 50.0]),
    at_once=st.integers(1, 4),
    seed=st.integers(0, 2**62),
)
def test_a_completion_does_not_depend_on_those_beside_it(
    prompts: list[int], width: int, sharpness: float, at_once: int, seed: int
) -> None:
    requests = [Request(i, [prompt], completion_seed(seed, i)) for i, prompt in enumerate(prompts)]
    options = {"width": width, "sharpness": sharpness}
    together = sampled(requests, **options, at_once=at_once)  # type: ignore[arg-type]
    for request in requests:
        alone = sampled([request], **options)[request.key]  # type: ignore[arg-type]
        assert alone.tokens == together[request.key].tokens
        assert alone.logprobs == pytest.approx(together[request.key].logprobs)
        assert alone.truncated == together[request.key].truncated == (alone.tokens[-1] != STOP)


def test_completions_come_as_often_as_the_model_says() -> None:
    """Chi-square over all first and second tokens; log-probabilities are the model's at the temperature."""
    count, width, temperature = 4000, 5, 0.7
    requests = [Request(i, [1], completion_seed(i)) for i in range(count)]
    completions = sampled(requests, width=width, sharpness=1.0, temperature=temperature).values()
    seen = Counter(tuple(c.tokens[:2]) for c in completions)
    expected: dict[tuple[int, ...], float] = {}
    first = torch.log_softmax(toy_logits([1], [], width, 1.0).double() / temperature, 0).tolist()
    for a in range(width):
        second = torch.log_softmax(toy_logits([1], [a], width, 1.0).double() / temperature, 0).tolist()
        expected |= {(a,): first[a]} if a == STOP else {(a, b): first[a] + second[b] for b in range(width)}
    assert set(seen) <= set(expected)
    observed = [seen[path] for path in expected]
    assert stats.chisquare(observed, [count * math.exp(p) for p in expected.values()]).pvalue > 1e-4
    for completion in completions:
        assert sum(completion.logprobs[:2]) == pytest.approx(expected[tuple(completion.tokens[:2])], abs=1e-5)


def test_a_token_without_probability_is_never_drawn() -> None:
    logits_BV = torch.tensor([[-math.inf, 0.0, -math.inf, 1.0, -math.inf]])
    uniforms_BM = torch.tensor([[0.0, 0.2, np.nextafter(1, 0), 1 - 2**-30]], dtype=torch.float64)
    tokens_BM, logp_BM = draw(logits_BV, uniforms_BM, 1.0)
    assert tokens_BM.tolist() == [[1, 1, 3, 3]]
    one, three = torch.log_softmax(torch.tensor([0.0, 1.0]), 0).tolist()
    assert logp_BM[0].tolist() == pytest.approx([one, one, three, three])


def test_a_group_of_one_mind_is_one_sequence() -> None:
    branches = Branches([STOP], MOST)
    branches.begin([Request(i, [7], i) for i in range(16)], 1.0)
    (root,) = branches.new
    branches.new.clear()
    assert branches.grow([root], torch.tensor([[0.0, 100.0]])) == [1]
    assert not branches.new and len(root.members) == 16
    assert branches.grow([root], torch.tensor([[100.0, 0.0]])) == [STOP]
    assert not root.members and {tuple(c.tokens) for c in branches.finished} == {(1, STOP)}
