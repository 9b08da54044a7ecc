"""What can befall engines in processes of their own; that they sample as one in this process does: test_sampler.py."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from coderl.config.settings import ModelConfig, SamplerConfig
from coderl.errors import ConfigError, ModelError, PublishError, SamplerError
from coderl.model.policy import Policy, load_policy
from coderl.sampling.opening import open_sampler
from coderl.sampling.processes import ProcessSampler
from coderl.sampling.types import Request
from tests.coderl.tiny import save_tiny_qwen2

CONFIG = SamplerConfig(max_tokens=12, max_prompt_tokens=100, processes=2)
REQUESTS = [Request(n, [3 + n, 4, 5], n) for n in range(6)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_qwen2(tmp_path_factory.mktemp("model") / "qwen2")


@pytest.fixture(scope="module")
def policy(folder: Path) -> Policy:
    return load_policy(folder, ModelConfig())


def opened(folder: Path, policy: Policy, config: SamplerConfig = CONFIG) -> ProcessSampler:
    sampler = open_sampler(folder, policy, config, seed=0)
    assert isinstance(sampler, ProcessSampler)
    return sampler


def processes(sampler: ProcessSampler) -> list[int]:
    return [engine._process.pid for engine in sampler._engines]


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_process_is_one_clear_error_and_the_others_end_with_the_sampler(
    folder: Path, policy: Policy
) -> None:
    sampler = opened(folder, policy)
    pids, weights = processes(sampler), sampler._folder
    assert len(list(sampler.sample(REQUESTS))) == len(REQUESTS)
    os.kill(pids[1], signal.SIGKILL)
    with pytest.raises(SamplerError, match=r"ended by itself, with exit status -9.*sampler\.kv_cache_gib"):
        list(sampler.sample(REQUESTS))
    with pytest.raises(PublishError, match="ended by itself"):
        sampler.publish(policy.model.state_dict().items(), version=1)
    assert sampler.policy_version == 0
    assert is_there(pids[0])
    del sampler
    assert not any(map(is_there, pids))
    assert not weights.exists()


def test_it_outlives_an_interrupt_and_weights_that_cannot_be_written_and_ends_with_its_starter(
    folder: Path, policy: Policy, tmp_path: Path
) -> None:
    sampler = opened(folder, policy, CONFIG.model_copy(update={"transfer": str(tmp_path)}))
    for pid in processes(sampler):  # as a terminal's Ctrl-C does
        os.kill(pid, signal.SIGINT)
    sampler._folder.rmdir()
    with pytest.raises(PublishError, match=r"cannot be written to .*sampler\.transfer"):
        sampler.publish(policy.model.state_dict().items(), version=1)
    for engine in sampler._engines:
        engine.send("publish", sampler._folder / "absent", 1)
        with pytest.raises(PublishError, match=r"cannot read the weights of version 1 from .*absent"):
            engine.take(PublishError)
    assert len(list(sampler.sample(REQUESTS))) == len(REQUESTS)
    for engine in sampler._engines:
        engine.connection.close()  # as where the starter was killed
    deadline = time.monotonic() + 20
    while not all(engine._process.poll() == 0 for engine in sampler._engines):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_model_that_vllm_cannot_load_is_its_own_error(tmp_path: Path, folder: Path, policy: Policy) -> None:
    damaged = tmp_path / "model"
    damaged.mkdir()
    (damaged / "config.json").write_text('{"model_type": "nothing"}')
    with pytest.raises(ModelError, match="vLLM cannot load the model in .*model"):
        opened(damaged, policy)


def test_on_a_gpu_the_engine_is_in_this_process(
    folder: Path, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened_here = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr(
        "coderl.sampling.local.EngineSampler", lambda *given, **options: opened_here.append(given)
    )
    open_sampler(folder, policy, CONFIG, seed=0)
    assert opened_here == [(folder, CONFIG)]


def test_a_transfer_folder_that_is_not_there_is_one_clear_error(folder: Path, policy: Policy) -> None:
    with pytest.raises(ConfigError, match=r"sampler\.transfer: /absent cannot be written to: No such"):
        opened(folder, policy, CONFIG.model_copy(update={"transfer": "/absent"}))
