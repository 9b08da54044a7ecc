"""Rows laid end to end score and learn as padded ones, of every architecture; and they are dealt evenly."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedModel

from coderl.errors import ModelError
from coderl.model import attention, scoring
from coderl.model.packing import Deal, TokenRow, deal, packs
from coderl.model.scoring import check_scoring, score

SIZE: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}
WINDOW: dict[str, Any] = {"sliding_window": 4}  # shorter than the rows
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}),
    "qwen2": ("Qwen2", {}),
    "qwen2 with windows": ("Qwen2", {"use_sliding_window": True, "max_window_layers": 1, **WINDOW}),
    "qwen3": ("Qwen3", {}),
    "mistral": ("Mistral", WINDOW),
    "gemma3": ("Gemma3Text", {"layer_types": ["sliding_attention", "full_attention"], **WINDOW}),
}
ROWS = [
    TokenRow([1, 2, 3], [4, 5]),
    TokenRow([1, 2, 3], [6]),
    TokenRow([1, 2, 3], [4, 8, 9, 10, 11, 12, 13]),
    TokenRow([11, 12], [13, 14]),
    TokenRow([1, 2, 3], [7]),
    TokenRow([5, 6, 7, 8, 9, 10], [7, 3]),
    TokenRow([5, 6, 7, 8, 9, 10], [4, 4, 4, 1]),
]


def random_model(name: str, **options: Any) -> PreTrainedModel:
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**SIZE, **options)
    model: PreTrainedModel = getattr(transformers, f"{name.removesuffix('Text')}ForCausalLM")(config).eval()
    return model


def padded_logprobs(model: PreTrainedModel, rows: list[TokenRow]) -> list[torch.Tensor]:
    """As transformers computes them of a right-padded batch, with PyTorch's attention and a mask."""
    model.set_attn_implementation("sdpa")
    width = max(map(len, rows))
    ids = torch.tensor([r.prompt + r.completion + [0] * (width - len(r)) for r in rows])
    mask = torch.arange(width) < torch.tensor([len(row) for row in rows])[:, None]
    logp = torch.log_softmax(model(input_ids=ids, attention_mask=mask.long()).logits[:, :-1], -1)
    taken = logp.gather(2, ids[:, 1:, None])[..., 0]
    return [one[len(r.prompt) - 1 : len(r) - 1] for one, r in zip(taken, rows, strict=True)]


def gradients(model: PreTrainedModel, logps: list[torch.Tensor]) -> list[torch.Tensor]:
    """Of a sum in which each token weighs differently."""
    model.zero_grad()
    sum((logp * torch.arange(1, len(logp) + 1)).sum() for logp in logps).backward()  # type: ignore[union-attr]
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("kind", KINDS)
def test_packed_rows_score_and_learn_as_padded_ones(kind: str, checkpointing: bool) -> None:
    name, options = KINDS[kind]
    model = random_model(name, **options)
    expected = padded_logprobs(model, ROWS)
    wanted = gradients(model, expected)
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.train()
    logp_BT = score(model, ROWS).logp_BT
    ours = [logp[: len(row.completion)] for logp, row in zip(logp_BT, ROWS, strict=True)]
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
    for one, other in zip(gradients(model, ours), wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    check_scoring(model)


def test_a_shared_prompt_runs_once() -> None:
    model = random_model("Llama")
    seen: list[int] = []
    model.model.layers[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
    score(model, ROWS)
    assert seen == [3 + 2 + 1 + 7 + 2 + 2 + 3 + 1 + 6 + 2 + 4]


def test_a_model_whose_packed_rows_see_each_other_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def all_see_all(query: Any, key: Any, value: Any, *rest: Any) -> torch.Tensor:
        return torch.nn.functional.scaled_dot_product_attention(query, key, value, enable_gqa=True).transpose(
            1, 2
        )

    monkeypatch.setattr(attention, "_by_segment", all_see_all)
    with pytest.raises(ModelError, match="does not keep packed rows apart"):
        check_scoring(random_model("Llama"))


def test_logits_that_are_changed_afterwards_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model("Llama")
    monkeypatch.setattr(scoring, "_head", lambda model: lambda x: 2 * model.get_output_embeddings()(x))
    with pytest.raises(ModelError, match="changes its logits after the output layer"):
        check_scoring(model)


def test_attention_that_packed_rows_cannot_have_is_refused() -> None:
    with pytest.raises(ModelError, match="softcap"):
        check_scoring(random_model("Gemma2"))


def test_packs_keep_a_shared_prompt_together_in_order_within_the_budget() -> None:
    rows = [TokenRow([n] * 4, [0] * 3) for n in (1, 1, 1, 2, 3, 3)]
    assert packs(rows, 20) == [[0, 1, 2, 3], [4, 5]]
    assert packs(rows, 7) == [[0], [1], [2], [3], [4], [5]]
    assert packs([], 7) == []


lengths = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 40)), max_size=40)


@given(lengths, st.integers(1, 64), st.integers(1, 5))
def test_every_row_is_dealt_once_within_the_budget_in_as_many_passes_on_each_rank(
    sizes: list[tuple[int, int]], tokens: int, ranks: int
) -> None:
    rows = [TokenRow([prompt] * prompt, [0] * length) for prompt, length in sizes]
    dealt = deal(rows, tokens, ranks=ranks, width=8)
    assert sorted(i for share in dealt.packs for pack in share for i in pack) == list(range(len(rows)))
    assert len({len(share) for share in dealt.packs}) == 1 and len(dealt.packs) == ranks
    for pack in (pack for share in dealt.packs for pack in share if pack):
        assert pack == sorted(pack)
        assert len(pack) == 1 or len(packs([rows[i] for i in pack], tokens)) == 1
    assert dealt.slowest >= dealt.mean * (1 - 1e-9)


def test_ranks_get_the_same_work_though_attention_grows_with_the_square() -> None:
    """Long rows beside many short ones: by count the ranks would differ by a third."""
    rows = [TokenRow([n], [0] * (1000 if n % 4 else 4000)) for n in range(64)]
    dealt = deal(rows, 16384, ranks=8, width=64)
    assert dealt.slowest / dealt.mean < 1.05
    by_count = [sum(len(row) * (1 + len(row) / (12 * 64)) for row in rows[rank::8]) for rank in range(8)]
    assert max(by_count) / (sum(by_count) / 8) > 1.3


def test_a_rank_without_rows_takes_part_with_one_that_does_not_count() -> None:
    dealt = Deal([[[3, 4]], [[]]], 0.0, 0.0)
    assert list(dealt.passes(0)) == [([3, 4], True)]
    assert list(dealt.passes(1)) == [([0], False)]
