"""vLLM really samples: its log-probs are the learner's, publishing works, and seeds decide."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from coderl.config.settings import EvalConfig, ModelConfig, RunConfig, SamplerConfig
from coderl.errors import ModelError, SamplerError
from coderl.model.packing import TokenRow
from coderl.model.policy import Policy, load_policy
from coderl.model.scoring import score
from coderl.rollouts.collect import before
from coderl.sampling.branching import BranchingSampler
from coderl.sampling.engine import EngineSampler
from coderl.sampling.opening import open_sampler, require_sampler
from coderl.sampling.types import Completion, Drawing, Request, Sampler, completion_seed
from coderl.training.display import Display
from coderl.training.evaluate import drawing_of
from coderl.training.opening import open_run
from tasks.types import StdioTest, Task
from tests.coderl.batches import run_config
from tests.coderl.tiny import save_tiny_qwen2

CONFIG = SamplerConfig(max_tokens=12, max_prompt_tokens=100, temperature=0.8)
TASK = Task(id="t", prompt="Print 1.", tests=(StdioTest(stdin="", stdout="1"),))
OTHER = Task(id="o", prompt="Print 2.", tests=(StdioTest(stdin="", stdout="2"),))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_qwen2(tmp_path_factory.mktemp("model") / "qwen2")


KINDS: dict[str, dict[str, Any]] = {
    "in this process": {},
    "two processes": {"processes": 2},
    "shared prefixes": {"share_prefixes": True},
    "two processes, shared prefixes": {"processes": 2, "share_prefixes": True},
}


@pytest.fixture(scope="module", params=list(KINDS.values()), ids=list(KINDS))
def sampler(folder: Path, request: pytest.FixtureRequest) -> Sampler:
    config = CONFIG.model_copy(update=request.param)
    return open_sampler(folder, load_policy(folder, ModelConfig()), config, seed=0)


@pytest.fixture
def policy(folder: Path) -> Policy:
    return load_policy(folder, ModelConfig())


def asked(policy: Policy, count: int) -> list[Request]:
    """Two prompts in turn."""
    prompts = [policy.prompt(TASK).tokens, policy.prompt(OTHER).tokens]
    return [Request(i, prompts[i % 2], completion_seed("test", i)) for i in range(count)]


def draw(sampler: Sampler, policy: Policy, count: int = 8) -> list[Completion]:
    return sorted(sampler.sample(asked(policy, count)), key=lambda c: c.key)


def largest_difference(policy: Policy, completions: list[Completion]) -> float:
    requests = asked(policy, len(completions))
    rows = [TokenRow(r.prompt_tokens, c.tokens) for r, c in zip(requests, completions, strict=True)]
    with torch.no_grad():
        scores = score(policy.model, rows, temperature=0.8)
    return max(
        abs(a - b)
        for row, c in zip(scores.logp_BT.tolist(), completions, strict=True)
        for a, b in zip(row, c.logprobs, strict=False)
    )


def test_the_chat_template_frames_the_prompt(policy: Policy) -> None:
    text = policy.tokenizer.decode(policy.prompt(TASK).tokens)
    assert text == "<|im_start|>user\nPrint 1.<|im_end|>\n<|im_start|>assistant\n"


def test_logprobs_are_the_learners_at_the_sampling_temperature(sampler: Sampler, policy: Policy) -> None:
    sampler.publish(policy.model.state_dict().items(), version=0)
    assert largest_difference(policy, draw(sampler, policy)) < 1e-4


def test_published_weights_are_sampled_from_and_stale_ones_are_noticed(
    sampler: Sampler, policy: Policy
) -> None:
    sampler.publish(policy.model.state_dict().items(), version=1)
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    assert largest_difference(policy, draw(sampler, policy)) > 1e-2  # not published yet: stale
    sampler.publish(policy.model.state_dict().items(), version=2)
    assert largest_difference(policy, draw(sampler, policy)) < 1e-4
    assert sampler.policy_version == 2


def test_the_same_seeds_give_the_same_completions_whatever_else_is_sampled(
    sampler: Sampler, policy: Policy
) -> None:
    sampler.publish(policy.model.state_dict().items(), version=3)
    first, again = draw(sampler, policy), draw(sampler, policy)
    assert [c.tokens for c in first] == [c.tokens for c in again]
    assert [c.tokens for c in draw(sampler, policy, 3)] == [c.tokens for c in first[:3]]
    assert len({tuple(c.tokens) for c in first}) > 1


def test_a_part_of_the_distribution_can_be_drawn_from(sampler: Sampler, policy: Policy) -> None:
    sampler.publish(policy.model.state_dict().items(), version=4)
    likeliest, *others = (
        sorted(sampler.sample(asked(policy, 4), drawing), key=lambda c: c.key)
        for drawing in (Drawing(0), Drawing(2.0, top_k=1), Drawing(2.0, min_p=1.0), Drawing(2.0, top_p=1e-9))
    )
    assert likeliest[0].tokens == likeliest[2].tokens != draw(sampler, policy)[0].tokens
    for completions in others:
        assert [c.tokens for c in completions] == [c.tokens for c in likeliest]
        assert all(logprob == 0 for c in completions for logprob in c.logprobs)


@pytest.mark.parametrize("sampler", [KINDS["in this process"]], ids=["in this process"], indirect=True)
def test_a_stop_string_ends_a_completion(
    sampler: Sampler, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = draw(sampler, policy)
    stop = next(c for c in policy.text(usual[0].tokens) if c.isascii())
    monkeypatch.setattr(sampler, "config", CONFIG.model_copy(update={"stop": [stop]}))
    stopped = draw(sampler, policy)[0]
    assert stopped.tokens == usual[0].tokens[: len(stopped.tokens)] and not stopped.truncated
    assert len(stopped.logprobs) == len(stopped.tokens) < len(usual[0].tokens)
    assert before([stop], policy.text(stopped.tokens)) + stop in policy.text(stopped.tokens)


def test_evaluation_draws_as_told_else_as_the_model_says(policy: Policy) -> None:
    assert drawing_of(RunConfig(), policy) == Drawing(1.0)
    policy.model.generation_config.update(temperature=0.7, top_k=20)
    assert drawing_of(RunConfig(), policy) == Drawing(0.7, top_k=20)
    told = RunConfig(eval=EvalConfig(temperature=0, top_k=0), sampler=SamplerConfig(stop=["x"]))
    assert drawing_of(told, policy) == Drawing(0, stop=("x",))


def test_more_prompts_than_vllm_takes_in_at_once_are_sampled(sampler: Sampler, policy: Policy) -> None:
    requests = asked(policy, 200)
    assert sum(len(request.prompt_tokens) for request in requests) > 8192
    assert len(list(sampler.sample(requests))) == 200


def test_an_abandoned_iteration_leaves_no_request_behind(sampler: Sampler, policy: Policy) -> None:
    iterator = sampler.sample(asked(policy, 500))
    next(iterator)
    iterator.close()  # type: ignore[attr-defined]
    assert len(draw(sampler, policy)) == 8


def test_a_prompt_that_is_too_long_is_a_sampler_error_after_which_others_are_sampled(
    sampler: Sampler, policy: Policy
) -> None:
    with pytest.raises(SamplerError, match="vLLM failed while sampling"):
        list(sampler.sample([*asked(policy, 4), Request(4, [5] * 500, 0)]))
    assert len(draw(sampler, policy)) == 8


def test_a_refused_request_is_a_sampler_error_and_leaves_none_behind(
    sampler: Sampler, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not isinstance(sampler, EngineSampler):
        pytest.skip("the engine is in another process, where it is one that this test tries here")
    engine = sampler._llm.llm_engine
    add, added = engine.add_request, []

    def refuse_the_third(key: str, *rest: Any) -> None:
        added.append(key)
        if len(added) == 3:
            raise ValueError("prompt too long")
        add(key, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(engine, "add_request", refuse_the_third)
        with pytest.raises(SamplerError, match="vLLM failed while sampling: ValueError: prompt too long"):
            draw(sampler, policy)
    assert not engine.has_unfinished_requests()
    assert len(draw(sampler, policy)) == 8


def test_a_sequence_that_vllm_ends_by_itself_is_a_sampler_error(
    sampler: Sampler, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not isinstance(sampler, BranchingSampler):
        pytest.skip("only of those that share prefixes in this process")
    with monkeypatch.context() as patch:
        patch.setattr(
            sampler._branches, "grow", lambda branches, _: [policy.stop_token_ids[0]] * len(branches)
        )
        with pytest.raises(SamplerError, match="ended a sequence by itself, because of stop"):
            draw(sampler, policy)
    assert not sampler._llm.llm_engine.has_unfinished_requests() and not sampler._running
    assert len(draw(sampler, policy)) == 8


def test_a_missing_vllm_is_found_before_a_run_begins(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with (
        pytest.raises(ModelError, match=r"vLLM is not installed.*'\.\[gpu\]'.*make setup"),
        open_run(run_config(runs=f'"{tmp_path}"'), resume=False, display=Display(quiet=True)),
    ):
        pass
    assert not list(tmp_path.iterdir())
    require_sampler(SamplerConfig(urls=["http://localhost:1"]))  # servers have theirs
    with pytest.raises(ModelError, match="vLLM cannot load the model in .*ModuleNotFoundError"):
        EngineSampler(folder, CONFIG, stop_token_ids=[1])


@pytest.mark.parametrize("damage", ["cut", "foreign", "empty"])
def test_weights_that_cannot_be_loaded_are_one_clear_error(folder: Path, tmp_path: Path, damage: str) -> None:
    copied = tmp_path / "model"
    shutil.copytree(folder, copied)
    weights = copied / "model.safetensors"
    if damage == "foreign":
        tensors = {name: tensor[..., :-1].contiguous() for name, tensor in load_file(weights).items()}
        save_file(tensors, weights, metadata={"format": "pt"})
    else:
        weights.write_bytes(weights.read_bytes()[: 1000 if damage == "cut" else 0])
    with pytest.raises(
        ModelError, match=r"model in .*model cannot be loaded: (.|\n)*Give a whole transformers folder"
    ):
        load_policy(copied, ModelConfig())


def test_a_missing_model_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model at .*missing"):
        load_policy(tmp_path / "missing", ModelConfig())
