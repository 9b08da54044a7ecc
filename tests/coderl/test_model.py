"""The built-in model's tokenizer gives every text back exactly."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coderl.config.settings import WarmupConfig
from coderl.model.policy import Policy
from coderl.model.toy import build_policy
from tasks.builtin import demonstrations, vocabulary


@pytest.fixture(scope="module")
def policy() -> Policy:
    return build_policy(WarmupConfig(layers=1, hidden_size=32), vocabulary(), 0)


def test_every_piece_of_the_curriculum_is_one_token(policy: Policy) -> None:
    assert [p for p in vocabulary() if len(policy.tokenizer.encode(p)) != 1] == []
    for d in demonstrations("builtin:all", count=200, seed=3):
        tokens = policy.tokenizer.encode(d.prompt) + policy.tokenizer.encode(d.completion)
        assert policy.text(tokens) == d.prompt + d.completion


def test_any_other_text_round_trips_too(policy: Policy) -> None:
    @settings(max_examples=200, deadline=None)
    @given(st.text(st.characters(codec="utf-8")))
    def holds(text: str) -> None:
        assert policy.text(policy.tokenizer.encode(text)) == text.replace("<pad>", "").replace("<eos>", "")

    holds()
