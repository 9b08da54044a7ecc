"""Chunked log-probabilities agree with the model's own logits, and padding changes nothing."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from coderl.model import scoring
from coderl.model.scoring import TokenRow, microbatches, packs, score

SIZE = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}


@pytest.fixture(
    params=[(LlamaConfig, LlamaForCausalLM), (Qwen2Config, Qwen2ForCausalLM)], ids=["llama", "qwen2"]
)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    config, cls = request.param
    torch.manual_seed(0)
    return cls(config(**SIZE)).eval()


ROWS = [TokenRow([1, 2, 3], [4, 5]), TokenRow([6], [7, 8, 9, 10]), TokenRow([11, 12], [13])]


def own_logprobs(model: PreTrainedModel, row: TokenRow, temperature: float) -> torch.Tensor:
    ids = torch.tensor([row.prompt + row.completion])
    logp = torch.log_softmax(model(input_ids=ids).logits[0] / temperature, -1)
    first = len(row.prompt) - 1
    return logp[first : first + len(row.completion)].gather(1, ids[0, first + 1 :, None])[:, 0]


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("chunk", [2, 4096])
def test_scores_and_gradients_are_the_models_own(
    model: PreTrainedModel, temperature: float, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "CHUNK_TOKENS", chunk)
    scores = score(model, ROWS, temperature=temperature, entropy=True, references=[model])
    scores.logp_BT.sum().backward()
    ours = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    own = [own_logprobs(model, row, temperature) for row in ROWS]
    torch.cat(own).sum().backward()
    for b, expected in enumerate(own):
        torch.testing.assert_close(scores.logp_BT[b, : len(expected)], expected, atol=1e-5, rtol=1e-5)
        assert not scores.logp_BT[b, len(expected) :].any()
    for a, p in zip(ours, model.parameters(), strict=True):
        torch.testing.assert_close(a, p.grad, atol=1e-5, rtol=1e-4)
    assert scores.kls_BT[0].abs().max() < 1e-6


GROUP = [
    TokenRow([1, 2, 3], [4, 5]),
    TokenRow([1, 2, 3], [6]),
    TokenRow([1, 2, 3], [4, 8, 9, 10]),
    TokenRow([11, 12], [13, 14]),
    TokenRow([1, 2, 3], [7]),
]


def gradients(model: PreTrainedModel, share: bool) -> tuple[torch.Tensor, list[torch.Tensor]]:
    model.zero_grad()
    scores = score(model, GROUP, entropy=True, share_prompts=share)
    assert scores.entropy_BT is not None
    (scores.logp_BT.sum() + scores.entropy_BT.square().sum()).backward()
    return scores.logp_BT.detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("limit", [3, 1024])
def test_a_shared_prompt_changes_no_score_and_no_gradient(
    model: PreTrainedModel, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "PACK_TOKENS", limit)
    expected = [[0, 1], [2], [3], [4]] if limit == 3 else [[0, 1, 2], [3], [4]]
    assert packs(GROUP, True) == expected
    assert packs(GROUP, False) == [[0], [1], [2], [3], [4]]
    apart, together = gradients(model, False), gradients(model, True)
    torch.testing.assert_close(together[0], apart[0], atol=1e-6, rtol=1e-5)
    for a, b in zip(together[1], apart[1], strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_logits_are_bounded_by_their_number_too(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three rows of logits at a time: the largest tensor that a score of 8 tokens makes."""
    monkeypatch.setattr(scoring, "CHUNK_LOGITS", 3 * SIZE["vocab_size"])
    seen: list[int] = []
    handle = model.get_output_embeddings().register_forward_hook(lambda *a: seen.append(a[-1].shape[0]))
    score(model, ROWS).logp_BT.sum().backward()
    handle.remove()
    assert sorted(seen) == [1, 1, 3, 3, 3, 3]  # again in the backward pass


def test_entropy_and_full_kl_match_their_definitions(model: PreTrainedModel) -> None:
    torch.manual_seed(1)
    other = type(model)(model.config).eval()
    row = TokenRow([1, 2], [3])
    scores = score(model, [row], entropy=True, references=[other])
    ids = torch.tensor([[1, 2]])
    p = torch.log_softmax(model(input_ids=ids).logits[0, -1], -1)
    q = torch.log_softmax(other(input_ids=ids).logits[0, -1], -1)
    assert scores.entropy_BT is not None
    assert float(scores.entropy_BT.detach()[0, 0]) == pytest.approx(
        float(-(p.exp() * p).sum().detach()), abs=1e-5
    )
    assert float(scores.kls_BT[0].detach()[0, 0]) == pytest.approx(
        float((p.exp() * (p - q)).sum().detach()), abs=1e-5
    )


def test_microbatches_keep_a_shared_prompt_together_within_the_budget() -> None:
    rows = [TokenRow([n] * 4, [0] * 3) for n in (1, 1, 1, 2, 3, 3)]
    groups = list(microbatches(rows, 20, share_prompts=True))
    assert groups == [[3, 4, 5], [0, 1, 2]]


def test_microbatches_cover_every_row_once_within_the_budget() -> None:
    rows = [TokenRow([0] * n, [0]) for n in (5, 1, 9, 3, 3, 30)]
    groups = list(microbatches(rows, 20))
    assert sorted(i for g in groups for i in g) == list(range(len(rows)))
    for group in groups:
        assert len(group) == 1 or len(group) * max(len(rows[i]) for i in group) <= 20
