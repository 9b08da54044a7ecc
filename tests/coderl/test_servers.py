"""A real vLLM server on the loopback, which takes most of a minute to start: what is sampled from it, and published to it.

The transfer between GPUs is only shown to follow vLLM's protocol: no data moves.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from coderl.config.settings import ModelConfig, RunConfig, SamplerConfig
from coderl.errors import MismatchError, ModelError, SamplerError
from coderl.model.packing import TokenRow
from coderl.model.policy import Policy, load_policy
from coderl.model.scoring import score
from coderl.sampling.publish import FolderTransfer, NcclTransfer, Servers
from coderl.sampling.servers import ServerSampler, _Work
from coderl.sampling.types import Completion, Drawing, Request, completion_seed
from coderl.training import loop
from coderl.training.display import Display
from coderl.training.opening import open_run
from tasks import native
from tests.coderl.batches import run_config
from tests.coderl.tiny import save_tiny_qwen2
from tests.coderl.vllm_stub import broken_programs
from tests.sandbox.test_client import free_port

PROMPT = [int(t) for t in torch.randint(5, 250, (160,), generator=torch.Generator().manual_seed(0))]
LONGEST = 224
START_SECONDS = 600

pytestmark = pytest.mark.timeout(900)  # whichever test comes first waits for the server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_qwen2(tmp_path_factory.mktemp("model") / "qwen2")


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    port = free_port()
    settings = {
        "VLLM_SERVER_DEV_MODE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
        "OMP_NUM_THREADS": "1",
    }
    # `vllm serve` of vllm-cpu 0.32.0 does not start: it asks for the version of a package named vllm.
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--enforce-eager"]
    command += [
        "--max-model-len",
        str(LONGEST),
        "--max-num-seqs",
        "32",
        "--logprobs-mode",
        "processed_logprobs",
        "--no-enable-chunked-prefill",
    ]
    address = f"http://127.0.0.1:{port}"
    output = folder.parent / "server.log"
    with (
        output.open("w") as log,
        subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _answers(address):
                assert process.poll() is None, output.read_text()[-3000:]
                assert time.monotonic() < deadline, "the server does not start"
                time.sleep(0.5)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture
def policy(folder: Path) -> Policy:
    return load_policy(folder, ModelConfig())


def settings(url: str, **options: Any) -> SamplerConfig:
    return SamplerConfig(max_tokens=12, max_prompt_tokens=200, temperature=0.8, urls=[url, url], **options)


def draw(sampler: ServerSampler, count: int = 8) -> list[Completion]:
    requests = [Request(i, PROMPT, completion_seed("test", i)) for i in range(count)]
    return sorted(sampler.sample(requests), key=lambda c: c.key)


def largest_difference(policy: Policy, completions: list[Completion]) -> float:
    with torch.no_grad():
        rows = [TokenRow(PROMPT, c.tokens) for c in completions]
        logp_BT = score(policy.model, rows, temperature=0.8).logp_BT.tolist()
    pairs = zip(logp_BT, completions, strict=True)
    return max(abs(a - b) for row, c in pairs for a, b in zip(row, c.logprobs, strict=False))


def test_servers_sample_what_was_published_last_and_nothing_cached_before(
    url: str, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = ServerSampler(settings(url), stop_token_ids=policy.stop_token_ids)
    sampler.publish(policy.model.state_dict().items(), version=1)
    first = draw(sampler)
    assert largest_difference(policy, first) < 1e-4
    assert [c.tokens for c in first] == [c.tokens for c in draw(sampler)]  # seeds decide
    assert len({tuple(c.tokens) for c in first}) > 1
    assert (
        len({tuple(c.tokens) for c in sampler.sample([Request(i, PROMPT, i) for i in range(3)], Drawing(0))})
        == 1
    )
    stop = next(c for c in policy.text(first[0].tokens) if c.isascii())
    sampler.config = settings(url, stop=[stop])
    assert (stopped := draw(sampler)[0]).tokens == first[0].tokens[: len(stopped.logprobs)] != first[0].tokens
    sampler.config = settings(url)
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    assert largest_difference(policy, draw(sampler)) > 1e-2  # stale
    with monkeypatch.context() as patch:
        patch.setattr(Servers, "forget_prefixes", lambda self: None)
        sampler.publish(policy.model.state_dict().items(), version=2)
        assert largest_difference(policy, draw(sampler)) > 1e-3  # the prompt's keys and values are
    sampler.publish(policy.model.state_dict().items(), version=3)
    assert largest_difference(policy, draw(sampler)) < 1e-4
    assert sampler.policy_version == 3


def test_an_abandoned_iteration_leaves_no_request_behind(url: str, policy: Policy) -> None:
    sampler = ServerSampler(settings(url), stop_token_ids=policy.stop_token_ids)
    iterator = sampler.sample([Request(i, PROMPT, i) for i in range(5)])
    next(iterator)
    iterator.close()  # type: ignore[attr-defined]
    sampler.publish(policy.model.state_dict().items(), version=1)  # nothing holds the cache
    assert len(draw(sampler)) == 8


@pytest.fixture
def run(url: str, folder: Path, tmp_path: Path) -> RunConfig:
    native.dump(broken_programs(4), tmp_path / "mine.jsonl")
    return run_config(
        runs=f'"{tmp_path}"',
        model__path=f'"{folder}"',
        data__train=f'"{tmp_path}/mine.jsonl"',
        data__evaluation=f'"{tmp_path}/mine.jsonl"',
        data__allow_overlap=True,
        train__steps=2,
        train__prompts_per_step=4,
        train__samples_per_prompt=4,
        train__stop_on_collapse=False,
        eval__final_samples=2,
        learner__learning_rate=1e-2,
        reward__kind='"tests.coderl.vllm_stub:reward"',
        sampler__max_tokens=16,
        sampler__max_prompt_tokens=200,
        sampler__urls=json.dumps([url]),
    )


def test_a_run_on_servers_and_a_publish_that_does_not_arrive(
    run: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_run(run, resume=False, display=Display(quiet=True)) as opened:
        loop.train(opened)
        steps = [line for line in opened.folder.read_log() if line["kind"] == "step"]
        assert [line["policy_version"] for line in steps] == [0, 1]
        assert all(line["logprob_diff_max"] < 1e-3 for line in steps)
        assert all(line["grad_norm"] > 0 for line in steps)
        monkeypatch.setattr(FolderTransfer, "send", lambda self, weights: None)
        loop.train_step(opened)
        with pytest.raises(MismatchError, match="the sampler holds other weights"):
            loop.train_step(opened)


def test_a_server_that_is_not_set_up_or_goes_away_is_one_clear_error(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="does not answer.*VLLM_SERVER_DEV_MODE=1"):
        ServerSampler(settings(f"http://127.0.0.1:{free_port()}"), stop_token_ids=[])
    with pytest.raises(ModelError, match=f"takes {LONGEST} tokens: start it with --max-model-len 264"):
        ServerSampler(SamplerConfig(max_tokens=64, max_prompt_tokens=200, urls=[url]), stop_token_ids=[])
    sampler = ServerSampler(settings(url), stop_token_ids=[])
    monkeypatch.setattr(sampler, "_model", "another")
    with pytest.raises(SamplerError, match="404: .*another.*--resume"):
        draw(sampler)
    sampler.config = settings(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(SamplerError, match="ConnectError"):
        draw(sampler)


def test_a_prompts_completions_go_to_one_server_and_an_idle_server_helps() -> None:
    work = _Work([Request(i, [i // 4], i) for i in range(16)], servers=2)
    first = [work.take(server) for _ in range(4) for server in (0, 1)]
    prompts = Counter((i % 2, r.prompt_tokens[0]) for i, r in enumerate(first) if r)
    assert prompts == {(0, 0): 4, (1, 1): 4}
    rest = [work.take(0) for _ in range(9)]
    assert sorted(r.key for r in [*first, *rest] if r) == list(range(16)) and rest[-1] is None


def test_the_transfer_between_gpus_follows_vllms_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two servers, of two workers and one. vLLM's own engine for the learner, without its CUDA calls."""
    from vllm.distributed.weight_transfer import nccl_engine

    asked: list[tuple[str, str, Any]] = []
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        asked.append((request.url.host, request.url.path, body))
        workers = {"a": 2, "b": 1}[request.url.host]
        return httpx.Response(200, json={"world_size": workers, "success": True})

    engine = nccl_engine.NCCLTrainerWeightTransferEngine
    monkeypatch.setattr(nccl_engine, "open_trainer_endpoint", lambda info: info)
    monkeypatch.setattr(engine, "_post_send_sync", lambda *_: None)
    monkeypatch.setattr(
        engine,
        "_broadcast",
        lambda self, source, meta: sent.extend(n for n, _ in self._checked_iter(source, meta)),
    )
    servers = Servers(["http://a:1", "http://b:1"], {})
    monkeypatch.setattr("coderl.sampling.publish._reachable", lambda url: ("10.0.0.1", 1234))
    transfer = NcclTransfer(servers)
    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        monkeypatch.setattr(httpx, "request", http.request)
        for _ in range(2):
            transfer.send([("w", torch.zeros(2, 3, dtype=torch.bfloat16))])
    assert sent == ["w", "w"]
    joined = {host: body["init_info"] for host, path, body in asked if path == "/init_weight_transfer_engine"}
    assert {host: info["rank_offset"] for host, info in joined.items()} == {"a": 1, "b": 3}
    assert {info["world_size"] for info in joined.values()} == {4}
    of_a = [path for host, path, _ in asked if host == "a"]
    each_time = ["/start_weight_update", "/update_weights", "/finish_weight_update", "/reset_prefix_cache"]
    assert of_a == ["/get_world_size"] * 2 + ["/init_weight_transfer_engine"] + 2 * each_time
    update = next(body for _, path, body in asked if path == "/update_weights")["update_info"]
    assert update == {"names": ["w"], "dtype_names": ["bfloat16"], "shapes": [[2, 3]]}
