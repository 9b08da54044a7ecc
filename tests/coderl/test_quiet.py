"""What libraries say beside the point does not reach the screen of `coderl`."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SPEAKS = """
import sys, warnings
from coderl import cli
if {quiet}:
    sys.argv = ["coderl", "--version"]
    try:
        cli.main()
    except SystemExit:
        pass
import logging, torch
from huggingface_hub.utils import logging as hub
logging.getLogger("torch._library.triton").warning("Triton not available")
hub.get_logger("huggingface_hub.utils._http").warning("Retrying in 1s")
"""


@pytest.mark.parametrize("quiet", [True, False])
def test_libraries_speak_of_errors_only(quiet: bool) -> None:
    names = ("HF_HUB_VERBOSITY", "TORCH_CPP_LOG_LEVEL")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    command = [sys.executable, "-c", SPEAKS.format(quiet=quiet)]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr
    assert ("Triton" not in said and "Retrying" not in said) is quiet
