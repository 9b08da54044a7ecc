"""Two processes (gloo, FSDP2) learn as one does, and what two wrote down one goes on from."""

from __future__ import annotations

import copy
import datetime
import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from safetensors.torch import load_file
from torch.distributed.tensor import DTensor, distribute_tensor

from coderl.config.settings import RunConfig
from coderl.learning import collectives, tensor_files
from coderl.learning.learner import TENSORS, Learner, Update
from coderl.learning.rows import rows_of
from coderl.model import scoring
from coderl.rollouts.batch import Batch
from tests.coderl.batches import VOCABULARY, run_config, sampled_batch, tiny_learner, tiny_policy

STEPS = 3


def config() -> RunConfig:
    """Several micro-batches on each rank, and minibatches whose rows do not divide evenly."""
    return run_config(
        learner__learning_rate=1e-2,
        learner__minibatches=2,
        learner__tokens_per_microbatch=60,
        learner__schedule="kl:1e-2",
        objective__kl_coef=0.05,
        objective__kl_reference="average",
    )


def batches() -> list[Batch]:
    """From a policy that stays as it is, so that every learner sees the same ones."""
    frozen = tiny_learner(config())
    return [sampled_batch(frozen, step, groups=3, samples=5) for step in range(1, STEPS + 1)]


def learn(learner: Learner, steps: list[Batch]) -> list[dict[str, Any]]:
    records = []
    for batch in steps:
        probe = learner.probe(rows_of(batch), seed=batch.step)
        records.append(
            record(learner.update(rows_of(batch))) | {"kl_step": probe.kl_step, "entropy": probe.entropy}
        )
    return records


def record(update: Update) -> dict[str, Any]:
    return {
        "loss": update.loss,
        "grad_norm": update.grad_norm,
        "learning_rate": update.learning_rate,
        "rows": update.rows,
        **update.stats,
    }


def reduced_learner() -> Learner:
    """In bfloat16, with gradient checkpointing."""
    policy = tiny_policy()
    torch.nn.Module.to(policy.model, torch.bfloat16)
    options = run_config(learner__learning_rate=1e-4, learner__gradient_checkpointing=True)
    return Learner(policy, options, warm=copy.deepcopy(policy.model))


def moved(learner: Learner, steps: list[Batch]) -> torch.Tensor:
    """How far `steps` move the weights that the optimizer holds."""
    before = [collectives.whole(m.detach()).clone() for m in learner.masters.tensors]
    for batch in steps:
        learner.update(rows_of(batch))
    after = [collectives.whole(m.detach()) for m in learner.masters.tensors]
    return torch.cat([(a - b).flatten() for a, b in zip(after, before, strict=True)])


def as_a_rank(rank: int, folder: Path) -> None:
    store = f"file://{folder}/store"
    limit = datetime.timedelta(seconds=250)
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2, timeout=limit)
    torch.set_num_threads(1)
    scoring.CHUNK_LOGITS = (
        8 * VOCABULARY
    )  # several chunks, computed again in the backward pass, as with any real model
    learner = tiny_learner(config())
    steps = batches()
    first = learn(learner, steps[:2])
    learner.save_tensors(folder / "two" / TENSORS)
    saved = {"weights": dict(learner.named_weights()), "learner": learner.state()}
    if rank == 0:
        torch.save(saved, folder / "two" / "state.pt")
    records = first + learn(learner, steps[2:])
    weights = dict(learner.named_weights())
    resumed = learn(gone_on(folder / "one"), steps[2:])
    with pytest.raises(OSError, match="rank 1: .*absent"):  # on both, though it is one that cannot read
        tensor_files.load({}, folder / ("absent" if rank == 1 else "one/learner"))
    sharded = sum(p.to_local().numel() for p in learner.model.parameters())  # type: ignore[attr-defined]
    reduced = moved(reduced_learner(), steps)
    result = {
        "records": records,
        "resumed": resumed,
        "weights": weights,
        "held": sharded,
        "reduced": reduced,
    }
    torch.save(result, folder / f"rank{rank}.pt")
    dist.destroy_process_group()


def cut(whole: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A whole tensor sharded as another is."""
    if not isinstance(like, DTensor) or whole.shape != like.shape:
        return whole
    return distribute_tensor(whole, like.device_mesh, like.placements)


def gone_on(checkpoint: Path) -> Learner:
    """A new learner, from what another one saved."""
    state = torch.load(checkpoint / "state.pt", weights_only=True)
    learner = tiny_learner(config())
    own = learner.model.state_dict()
    learner.model.load_state_dict({name: cut(whole, own[name]) for name, whole in state["weights"].items()})
    learner.load(checkpoint, state["learner"])
    return learner


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("learners")


@pytest.fixture(scope="module")
def one(path: Path) -> dict[str, Any]:
    """What one process learned, which saved what it had after two batches in `path`/one."""
    learner = tiny_learner(config())
    records = learn(learner, batches()[:2])
    learner.save_tensors(path / "one" / TENSORS)
    torch.save(
        {"weights": dict(learner.named_weights()), "learner": learner.state()}, path / "one" / "state.pt"
    )
    records += learn(learner, batches()[2:])
    return {"records": records, "weights": dict(learner.named_weights())}


@pytest.fixture(scope="module")
def folder(path: Path, one: dict[str, Any]) -> Path:
    """What two processes left behind."""
    multiprocessing.spawn(as_a_rank, args=(path,), nprocs=2)  # type: ignore[attr-defined, no-untyped-call]
    return path


def assert_same(records: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """All but `imbalance`, which is of the ranks."""
    for got, want in itertools.zip_longest(records, expected):
        assert got["imbalance"] >= 1 - 1e-9 and want["imbalance"] >= 1 - 1e-9
        assert got | {"imbalance": 1.0} == pytest.approx(want | {"imbalance": 1.0}, rel=2e-3, abs=1e-6)


def test_two_processes_measure_and_learn_what_one_does(folder: Path, one: dict[str, Any]) -> None:
    for rank in (0, 1):
        two = torch.load(folder / f"rank{rank}.pt", weights_only=True)
        assert_same(two["records"], one["records"])
        for name, tensor in one["weights"].items():
            torch.testing.assert_close(two["weights"][name], tensor, rtol=1e-2, atol=1e-4)
        assert two["held"] < 0.6 * sum(p.numel() for p in tiny_learner(config()).model.parameters())


def test_two_processes_learn_what_one_does_in_bfloat16(folder: Path) -> None:
    two = torch.load(folder / "rank0.pt", weights_only=True)["reduced"]
    one = moved(reduced_learner(), batches())
    assert torch.corrcoef(torch.stack([one, two]))[0, 1] > 0.95
    assert two.norm() == pytest.approx(float(one.norm()), rel=0.02)


def test_one_process_goes_on_from_what_two_wrote(folder: Path, one: dict[str, Any]) -> None:
    assert len(list((folder / "two" / TENSORS).iterdir())) == 2  # each wrote its own part
    assert_same(learn(gone_on(folder / "two"), batches()[2:]), one["records"][2:])


def test_two_processes_go_on_from_what_one_wrote(folder: Path, one: dict[str, Any]) -> None:
    for rank in (0, 1):
        two = torch.load(folder / f"rank{rank}.pt", weights_only=True)
        assert_same(two["resumed"], one["records"][2:])


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("kept", [None, 0, 100, 5000])
def test_a_damaged_part_is_an_error(folder: Path, tmp_path: Path, part: int, kept: int | None) -> None:
    shutil.copytree(folder / "two", tmp_path / "two")
    file = sorted((tmp_path / "two" / TENSORS).iterdir())[part]
    whole = file.read_bytes()
    file.unlink()
    if kept is not None:
        file.write_bytes(whole[:kept])
    with pytest.raises(OSError, match="is missing|Size mismatch|Error while deserializing header"):
        gone_on(tmp_path / "two")


def test_much_is_written_a_file_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_files, "FILE_BYTES", 100)
    saved = {name: torch.rand(size) for name, size in (("a", 21), ("b", 5), ("c", 5), ("d", 60), ("e", 1))}
    tensor_files.save(saved, tmp_path)
    files = [set(load_file(file)) for file in sorted(tmp_path.iterdir())]
    assert files == [{"a"}, {"b", "c"}, {"d"}, {"e"}]
    loaded = {name: torch.zeros_like(tensor) for name, tensor in saved.items()}
    assert tensor_files.load(loaded, tmp_path) == set()
    assert all(torch.equal(loaded[name], saved[name]) for name in saved)


def test_ctrl_c_while_writing_is_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("coderl.learning.tensor_files.HuggingFaceStorageWriter.write_data", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tensor_files.save({"a": torch.ones(3)}, tmp_path)


def test_tensors_of_another_shape_are_an_error_and_others_are_named(tmp_path: Path) -> None:
    tensor_files.save({"a": torch.ones(3)}, tmp_path)
    with pytest.raises(OSError, match=r"Size.*\[3\].*\[4\]"):
        tensor_files.load({"a": torch.zeros(4)}, tmp_path)
    tensors = {"a": torch.zeros(3), "b": torch.zeros(2)}
    assert tensor_files.load(tensors, tmp_path) == {"b"}
    assert tensors["a"].tolist() == [1, 1, 1] and tensors["b"].tolist() == [0, 0]
