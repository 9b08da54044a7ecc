"""`torchrun -m coderl train`: two processes (gloo) write what one does, end together, and go on from each other's."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coderl.config.load import load
from coderl.errors import RunFolderError
from coderl.learning.learner import TENSORS
from coderl.runfolder import checkpoint
from coderl.training import loop
from coderl.training.display import Display
from coderl.training.opening import open_run
from tasks import native
from tests.coderl import vllm_stub
from tests.coderl.test_train import ROOT
from tests.coderl.tiny import save_tiny_qwen2
from tests.coderl.vllm_stub import Stub, broken_programs, serving

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ranks")
    save_tiny_qwen2(path / "qwen2")
    native.dump(broken_programs(3), path / "mine.jsonl")
    return path


@pytest.fixture(scope="module")
def stub(folder: Path) -> Stub:
    return Stub(folder / "qwen2")


@pytest.fixture(scope="module")
def overrides(folder: Path, stub: Stub) -> Iterator[list[str]]:
    with serving(stub) as url:
        yield [
            f"runs={folder}/runs",
            f"model.path={folder}/qwen2",
            f"data.train={folder}/mine.jsonl",
            f"data.evaluation={folder}/mine.jsonl",
            "data.allow_overlap=true",
            f'sampler.urls=["{url}"]',
            f"sampler.transfer={folder}",
            "sampler.max_tokens=12",
            "sandbox.backend=bubblewrap",
            f"reward.kind={vllm_stub.__name__}:reward",
            "train.steps=2",
            "train.prompts_per_step=3",
            "train.samples_per_prompt=5",
            "train.checkpoint_every=2",
            "train.keep_checkpoints=3",
            "train.stop_on_collapse=false",
            "eval.final_samples=2",
            "learner.learning_rate=1e-3",
            "learner.minibatches=2",
            "learner.tokens_per_microbatch=200",
            "learner.schedule=kl:1e-2",
        ]


def on_one(overrides: list[str], resume: Path | None = None) -> None:
    config = load(resume / "config.toml" if resume else None, overrides)
    with open_run(config, resume=resume is not None, display=Display(quiet=True)) as run:
        loop.train(run)


def on_two(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, "-m", "coderl", "train", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )


def metrics(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    kept = [line for line in lines if line["kind"] != "event"]
    of_ranks = ("seconds", "imbalance")  # what depends on how many there are
    return [{k: v for k, v in line.items() if not k.startswith(of_ranks)} for line in kept]


def assert_same(run: Path, expected: Path) -> None:
    for got, want in itertools.zip_longest(metrics(run), metrics(expected)):
        numbers = {k: v for k, v in want.items() if isinstance(v, float)}
        assert {k: got[k] for k in numbers} == pytest.approx(numbers, rel=2e-3, abs=2e-6)
        assert {k: v for k, v in got.items() if k not in numbers} == {
            k: v for k, v in want.items() if k not in numbers
        }


@pytest.fixture(scope="module")
def one(overrides: list[str], folder: Path) -> Path:
    on_one([*overrides, "name=one"])
    assert all(line["grad_norm"] > 0 for line in metrics(folder / "runs" / "one") if line["kind"] == "step")
    return folder / "runs" / "one"


@pytest.fixture(scope="module")
def broken(overrides: list[str], folder: Path, stub: Stub, one: Path) -> Path:
    """A run on two processes that lost its sampler in the second step."""
    stub.publishes, stub.fails_after = 0, 2
    done = on_two(*overrides, "name=two")
    stub.fails_after = None
    assert done.returncode != 0
    assert done.stderr.count("error: a vLLM server failed while sampling") == 1
    assert done.stderr.count("Traceback (most recent call last)") <= 1, done.stderr  # torchrun's own
    return folder / "runs" / "two"


def test_what_two_wrote_before_they_failed_one_goes_on_from(broken: Path, one: Path) -> None:
    last = checkpoint.latest(broken / "checkpoints")
    assert last is not None and last.name == "step-000001"
    copy = broken.with_name("copy")
    shutil.copytree(broken, copy)
    on_one(["name=copy"], resume=copy)
    assert_same(copy, one)


def test_two_go_on_and_write_what_one_does(broken: Path, one: Path) -> None:
    done = on_two("--resume", str(broken))
    assert done.returncode == 0, done.stderr
    assert_same(broken, one)
    names = ["model.safetensors", "config.json", "tokenizer.json"]
    sizes = [[(path / n).stat().st_size for n in names] for path in map(_last, (broken, one))]
    assert sizes[0] == sizes[1]


def test_a_checkpoint_that_is_not_whole_is_one_clear_error(broken: Path) -> None:
    copy = broken.with_name("damaged")
    shutil.copytree(broken, copy)
    last = checkpoint.latest(copy / "checkpoints")
    assert last is not None
    next((last / TENSORS).iterdir()).unlink()
    with pytest.raises(RunFolderError, match=f"{last / TENSORS} cannot be read.*remove the folder {last}"):
        on_one(["name=damaged"], resume=copy)


def _last(run: Path) -> Path:
    return run / "checkpoints" / "step-000002"


def test_torchrun_without_servers_is_one_clear_error(
    overrides: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from coderl.errors import ConfigError
    from coderl.training.commands import run_training

    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="sampling is done by vLLM servers"):
        run_training(load(None, [*overrides, "sampler.urls=[]"]), resume=False)
