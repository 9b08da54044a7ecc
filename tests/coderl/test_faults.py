"""What goes wrong in a long run: one clear error, no weights spoilt, and a run that goes on from where it was.

One real run (vLLM, sandbox, learner) meets one fault after another, on a file system that can be filled.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import sandbox
from coderl.errors import NonFiniteError, PublishError, RunFolderError, SamplerError, SandboxOutageError
from coderl.learning.learner import TENSORS
from coderl.learning.rows import Rows, rows_of
from coderl.rollouts import collect
from coderl.rollouts.batch import Batch
from coderl.runfolder import checkpoint
from coderl.sampling.engine import EngineSampler
from coderl.training import loop
from coderl.training.commands import explained
from coderl.training.display import Display
from coderl.training.opening import open_run
from coderl.training.run import Run
from sandbox.errors import BackendError
from sandbox.pool import outage
from tasks.errors import TaskError
from tasks.types import Verdict
from tests.coderl.batches import run_config

pytestmark = pytest.mark.timeout(900)  # a whole run's start

REWARD: dict[str, Any] = {"value": None}  # None: the share of tests passed


def reward(verdict: Verdict) -> Any:
    if isinstance(REWARD["value"], Exception):
        raise REWARD["value"]
    return verdict.score if REWARD["value"] is None else REWARD["value"]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of 64 MB of its own."""
    folder = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True) if shutil.which("mount") else None
    if done is None or done.returncode != 0:
        pytest.skip(
            f"no small file system can be mounted here: {done.stderr.strip() if done else 'no mount'}"
        )
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def run(disk: Path) -> Iterator[Run]:
    """Checkpoints on the way only where a fault makes one."""
    config = run_config(
        runs=f'"{disk}"',
        warmup__level='"builtin:tiny"',
        warmup__steps=40,
        warmup__batch_size=16,
        warmup__hidden_size=32,
        warmup__layers=1,
        warmup__learning_rate=6e-3,
        data__train='"builtin:tiny"',
        data__evaluation='"builtin:tiny"',
        data__train_count=8,
        data__evaluation_count=2,
        train__steps=11,
        train__prompts_per_step=2,
        train__samples_per_prompt=4,
        train__checkpoint_every=100,
        train__stop_on_collapse=False,
        eval__every=0,
        eval__final_samples=2,
        sampler__max_tokens=24,
        sandbox__backend="bubblewrap",
        sandbox__slots=1,
        sandbox__outage_seconds=0,
        reward__kind=f'"{__name__}:reward"',
    )
    try:
        sandbox.open_pool(slots=1, backend="bubblewrap").close()
    except BackendError as error:
        pytest.skip(f"no bubblewrap here: {error}")
    with open_run(config, resume=False, display=Display(quiet=True)) as opened:
        loop.evaluate_held_out(opened, 2)
        loop.save_checkpoint(opened)
        yield opened


@pytest.fixture
def after_a_step(run: Run) -> Run:
    """The run, one step further than its last checkpoint."""
    loop.train_step(run)
    assert run.saved_step < run.step
    return run


def resumable(run: Run) -> bool:
    """Whether the last finished step is in a whole checkpoint."""
    last = checkpoint.latest(run.folder.path / "checkpoints")
    return last is not None and checkpoint.load_state(last)["step"] == run.step == run.saved_step


def weights(run: Run) -> list[torch.Tensor]:
    return [p.detach().clone() for p in run.learner.model.parameters()]


@pytest.mark.parametrize(
    ("value", "message"),
    [(float("nan"), "returned nan for"), (ZeroDivisionError("oh"), "failed on .*ZeroDivisionError: oh")],
)
def test_a_reward_that_is_no_number(after_a_step: Run, value: Any, message: str) -> None:
    REWARD["value"] = value
    try:
        with pytest.raises(TaskError, match=message):
            loop.train(after_a_step)
    finally:
        REWARD["value"] = None
    assert resumable(after_a_step)


def something_to_learn(batch: Batch, *_: Any, **__: Any) -> Rows:
    """Advantages, whatever was sampled."""
    for rollout in batch.rollouts:
        rollout.advantage = -1.0
    return rows_of(batch)


def test_an_infinite_gradient_leaves_the_weights_alone(
    after_a_step: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = weights(after_a_step)
    monkeypatch.setattr(loop, "credited", something_to_learn)
    parameter = next(after_a_step.learner.model.parameters())
    handle = parameter.register_hook(lambda gradient: gradient * float("inf"))
    try:
        with pytest.raises(NonFiniteError, match="not finite.*Resume from the last checkpoint"):
            loop.train(after_a_step)
    finally:
        handle.remove()
    assert all(torch.equal(a, b) for a, b in zip(before, weights(after_a_step), strict=True))
    assert after_a_step.learner.batches == after_a_step.step
    assert resumable(after_a_step)


def test_a_batch_that_was_half_learned_is_not_saved(
    after_a_step: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its weights belong to no step."""
    learner = after_a_step.learner
    two = learner.config.model_copy(
        update={"learner": learner.config.learner.model_copy(update={"minibatches": 2})}
    )
    kept = learner.state(), weights(after_a_step)
    learner.save_tensors(tmp_path / TENSORS)
    steps = iter([1.0, float("inf")])
    parameter = next(learner.model.parameters())
    with monkeypatch.context() as patch:
        patch.setattr(loop, "credited", something_to_learn)
        patch.setattr(learner, "config", two)
        handle = parameter.register_hook(lambda gradient: gradient * next(steps))
        with pytest.raises(NonFiniteError, match="not finite"):
            loop.train(after_a_step)
        handle.remove()
    assert not resumable(after_a_step)
    with torch.no_grad():
        for parameter, value in zip(learner.model.parameters(), kept[1], strict=True):
            parameter.copy_(value)
    learner.load(tmp_path, kept[0])


def test_a_sampler_that_crashes(after_a_step: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash() -> None:
        raise RuntimeError("device lost")

    assert isinstance(after_a_step.sampler, EngineSampler)
    with monkeypatch.context() as patch:
        patch.setattr(after_a_step.sampler._llm.llm_engine, "step", crash)
        with pytest.raises(SamplerError, match="vLLM failed while sampling: RuntimeError: device lost"):
            loop.train(after_a_step)
    assert resumable(after_a_step)


@pytest.fixture
def broken_sandbox(run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Its processes are killed, and no new one can be started until `undo`."""
    pool = run.collector.grader._runner
    monkeypatch.setattr(outage, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(outage, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(collect, "OUTAGE_PAUSES", (0.01,))
    monkeypatch.setattr(pool._backend, "_bwrap", "/nonexistent/bwrap")  # type: ignore[attr-defined]
    for each in pool._slots:  # type: ignore[attr-defined]
        for cell in each._cells.values():
            cell.abandon()
    yield monkeypatch


def test_a_sandbox_outage_that_lasts(after_a_step: Run, broken_sandbox: pytest.MonkeyPatch) -> None:
    with pytest.raises(SandboxOutageError, match="could not grade .* bwrap cannot be started.*--resume"):
        loop.train(after_a_step)
    assert resumable(after_a_step)


def test_a_sandbox_outage_that_ends(
    run: Run, broken_sandbox: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        if len(notes) == 3:
            broken_sandbox.setattr(run.collector.grader._runner._backend, "_bwrap", shutil.which("bwrap"))  # type: ignore[attr-defined]

    settings = run.config.sandbox.model_copy(update={"outage_seconds": 60})
    monkeypatch.setattr(run.collector, "config", run.config.model_copy(update={"sandbox": settings}))
    monkeypatch.setattr(run.collector, "note", note)
    batch = loop.collect(run, run.step + 1)
    assert len(notes) == 3 and "trying again" in notes[0]
    assert all(r.verdict is not None and r.verdict.score is not None for r in batch.rollouts)


def test_a_full_disk(after_a_step: Run) -> None:
    folder = after_a_step.folder.path

    kept = checkpoint.latest(folder / "checkpoints")
    fillers = []
    for spared in (2**14, 0):  # enough for the model's configuration, not for its weights; for nothing
        fillers.append(folder / f"filler{spared}")
        with fillers[-1].open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(folder).free - spared)
        with pytest.raises(RunFolderError, match="could not be written: .*Free disk space"):
            loop.save_checkpoint(after_a_step)
    with (
        pytest.raises(RunFolderError, match="cannot be written: No space left on device"),
        explained(after_a_step.config),
    ):
        loop.train_step(after_a_step)
    assert checkpoint.latest(folder / "checkpoints") == kept is not None
    checkpoint.load_state(kept)
    for filler in fillers:
        filler.unlink()
    loop.save_checkpoint(after_a_step)
    assert resumable(after_a_step)


def test_after_all_that_the_run_ends_well(run: Run) -> None:
    loop.train(run)
    assert run.finished and resumable(run)
    kinds = [line["kind"] for line in run.folder.read_log()]
    assert kinds.count("step") >= run.step - 1 and kinds[-1] == "eval"


def test_weights_that_do_not_fit_end_the_engine(run: Run) -> None:
    """vLLM cannot sample any more after that; a resumed run starts another one."""
    name, tensor = next(iter(run.learner.named_weights()))
    with pytest.raises(PublishError, match="vLLM did not take the weights of version 9"):
        run.sampler.publish([(name, tensor[:3])], version=9)
    with pytest.raises(SamplerError, match="vLLM failed while sampling"):
        loop.collect(run, run.step + 1)
