"""A trained model leaves its run whole, without what only training needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from coderl.cli import app
from coderl.config.settings import ModelConfig
from coderl.errors import ModelError
from coderl.model.policy import load_policy
from coderl.runfolder import checkpoint
from coderl.runfolder.export import newest, to_hub, to_lora
from tests.coderl.tiny import save_tiny_qwen2


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with two checkpoints, the second with an adapter."""
    for number in (1, 2):
        step = tmp_path / "run" / "checkpoints" / f"step-{number:06d}"
        save_tiny_qwen2(step)
        (step / "learner").mkdir()
        (step / "learner" / "rank0.safetensors").touch()
        (step / "state.pt").touch()
        checkpoint.point(tmp_path / "run" / "model", step)
    (step / "adapter").mkdir()
    (step / "adapter" / "adapter_config.json").write_text('{"base_model_name_or_path": "base"}')
    return tmp_path / "run"


def test_the_newest_model_is_exported_whole(run: Path, tmp_path: Path) -> None:
    assert newest(run).name == "step-000002" and (run / "model").readlink() == Path("checkpoints/step-000002")
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["model", "export", str(run), "--out", str(out)])
    assert result.output == f"vllm serve {out}\n", result.exception
    assert not [path for path in out.iterdir() if path.is_dir() or path.name == "state.pt"]
    assert load_policy(out, ModelConfig()).model.num_parameters() > 0
    again = CliRunner().invoke(app, ["model", "export", str(run), "--out", str(out)])
    assert "is there already" in str(again.exception)


def test_the_adapter_alone(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    assert to_lora(newest(run), str(out)) == f"vllm serve base --enable-lora --lora-modules mine={out}"
    assert [path.name for path in out.iterdir()] == ["adapter_config.json"]
    with pytest.raises(ModelError, match="has no adapter: .* --to folder"):
        to_lora(run / "checkpoints" / "step-000001", str(tmp_path / "none"))


def test_what_cannot_be_exported_is_one_error(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="holds no model: give a run folder"):
        newest(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="nobody/nothing cannot be uploaded: .* --to folder"):
        to_hub(newest(run), "nobody/nothing")
