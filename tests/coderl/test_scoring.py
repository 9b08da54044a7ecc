"""Chunked log-probabilities agree with the model's own logits."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from coderl.model import scoring
from coderl.model.packing import TokenRow
from coderl.model.scoring import score

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
