"""Lengths that are left to the model and the tasks."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from coderl.config.load import load
from coderl.errors import ConfigError
from coderl.model.policy import load_tokenizer
from coderl.rollouts.lengths import LONGEST, with_lengths
from coderl.sampling.types import Drawing
from coderl.training.display import Display
from coderl.training.evaluate import Evaluation
from tasks.types import StdioTest, Task
from tests.coderl.tiny import save_tiny_qwen2

TASK = Task(id="a", prompt="Print 1.", tests=(StdioTest(stdin="", stdout="1"),))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_qwen2(tmp_path_factory.mktemp("model"))


def in_context(folder: Path, tokens: int) -> None:
    config = folder / "config.json"
    text = re.sub(
        r'"max_position_embeddings": \d+', f'"max_position_embeddings": {tokens}', config.read_text()
    )
    config.write_text(text)


@pytest.mark.parametrize(
    ("overrides", "context", "reference", "lengths"),
    [
        ([], 8192, "1\n" * 200, (800, 2048)),  # twice its 400 tokens
        ([], 8192, "1", (256, 2048)),
        ([], 8192, "1\n" * 2000, (LONGEST, 2048)),
        ([], 8192, None, (LONGEST, 2048)),
        ([], 1024, "1\n" * 2000, (512, 512)),
        (["sampler.max_tokens=100"], 1024, "1", (100, 924)),
        (["sampler.max_prompt_tokens=100"], 1024, "1", (256, 100)),
    ],
)
def test_lengths_follow_references_and_context_unless_given(
    folder: Path, overrides: list[str], context: int, reference: str | None, lengths: tuple[int, int]
) -> None:
    in_context(folder, context)
    if reference and len(reference) > 1:
        assert len(load_tokenizer(folder).encode(reference)) == len(reference)
    config = load(None, [f'model.path="{folder}"', *overrides])
    sampler = with_lengths(config, folder, [replace(TASK, reference=reference)]).sampler
    assert (sampler.max_tokens, sampler.max_prompt_tokens) == lengths


def test_the_built_in_model_has_lengths_of_its_own() -> None:
    assert (load(None).sampler.max_tokens, load(None).sampler.max_prompt_tokens) == (64, 192)
    with pytest.raises(ConfigError, match=r"max_tokens and max_prompt_tokens are 0 only with a model\.path"):
        load(None, ["sampler.max_tokens=0"])


def test_lengths_and_what_they_cost_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display()
    display.evaluated_at(Drawing(0.7, top_k=20))
    display.lengths(load(None).sampler, 3)
    result = Evaluation("eval", 0, 1, 1, {1: 0.0}, 1.0, 0.2, 0.0, 0, {})
    display.evaluation(result)
    said = " ".join(capsys.readouterr().err.split())
    assert "at most 64 tokens a completion, 192 a prompt" in said
    assert "evaluated at temperature 0.7, top_p 1, top_k 20, min_p 0" in said
    assert "3 tasks left out: their prompts are longer; raise sampler.max_prompt_tokens" in said
    assert "20% of the completions were cut by sampler.max_tokens: raise it" in said
