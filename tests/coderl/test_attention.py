"""On a CPU a model in bfloat16 attends in float32, and nothing else about it changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from coderl.config.settings import ModelConfig
from coderl.model import attention
from coderl.model.attention import NAME
from coderl.model.packing import TokenRow
from coderl.model.policy import load_policy
from coderl.model.scoring import check_scoring, score
from tests.coderl.tiny import save_tiny_qwen2

ROWS = [TokenRow([1, 2, 3], [4, 5, 6, 7]), TokenRow([1, 2, 3], [8, 9]), TokenRow([3], [8, 9])]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_qwen2(tmp_path_factory.mktemp("model") / "qwen2")


def packed_gradients(model: PreTrainedModel) -> torch.Tensor:
    score(model, ROWS).logp_BT.sum().backward()
    return gradients(model)


def own_gradients(model: PreTrainedModel) -> torch.Tensor:
    for row in ROWS:
        ids = torch.tensor([row.prompt + row.completion])
        logp = torch.log_softmax(model(input_ids=ids).logits[0, :-1].float(), -1)
        logp.gather(1, ids[0, 1:, None])[len(row.prompt) - 1 :].sum().backward()
    return gradients(model)


def gradients(model: PreTrainedModel) -> torch.Tensor:
    return torch.cat([p.grad.float().flatten() for p in model.parameters() if p.grad is not None])


def test_it_attends_in_float32_and_gradients_are_as_near_to_exact_ones(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dtypes = []
    attend = torch.nn.functional.scaled_dot_product_attention

    def noted(query: torch.Tensor, *rest: object, **options: object) -> torch.Tensor:
        dtypes.append(query.dtype)
        return attend(query, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(attention, "scaled_dot_product_attention", noted)
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", noted)
    exact = load_policy(folder, ModelConfig()).model
    ours = load_policy(folder, ModelConfig(dtype="bfloat16")).model
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    check_scoring(ours)
    wanted, got = packed_gradients(exact), packed_gradients(ours)
    assert ours.dtype == torch.bfloat16 and set(dtypes) == {torch.float32}
    usual = own_gradients(plain)
    assert torch.bfloat16 in dtypes
    assert (got - wanted).norm() <= 1.1 * (usual - wanted).norm()
    assert (got - wanted).norm() < 0.05 * wanted.norm()


def test_a_saved_model_says_nothing_of_it(folder: Path, tmp_path: Path) -> None:
    policy = load_policy(folder, ModelConfig(dtype="bfloat16"))
    score(policy.model, ROWS)
    assert policy.model.config._attn_implementation == NAME
    policy.save(tmp_path)
    assert NAME not in json.dumps(json.loads((tmp_path / "config.json").read_text()))
    assert AutoModelForCausalLM.from_pretrained(tmp_path).config._attn_implementation == "sdpa"
