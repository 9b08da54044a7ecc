"""Makes `.venv` from the pinned lock. Run by scripts/setup.sh; standard library only.

`.venv/coderl-setup.txt` says what state the environment is in: UNFINISHED from its first moment, and at the
very end a key of everything that it was made from. An environment whose key is not today's is made again from
nothing, so an interrupted set-up cannot leave half of itself behind. pip's cache keeps the second time short.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STATE = VENV / "coderl-setup.txt"
LOG = VENV / "coderl-setup.log"
LOCK = ROOT / "requirements" / "cpu.lock.txt"
UNFINISHED = "unfinished"

ENVIRONMENT_GIB = 3.5  # free space asked for where .venv goes: it takes 2.8 GiB with torch's CPU build
TEMPORARY_GIB = 1  # and for pip's temporary files: the downloads, together 0.4 GiB

CPU_TORCH = "PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make setup"


class SetupError(Exception):
    """What is wrong and what helps, for the user."""


def main() -> int:
    try:
        with only_one():
            make_environment()
    except SetupError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("interrupted; the next `make setup` starts the environment again")
        return 130
    return 0


def make_environment() -> None:
    version = wanted_version()
    if (state := read_state()) and state[0] == key(version) and (VENV / "bin" / "python").exists():
        return
    require_glibc()
    require_ours()
    if VENV.exists():
        say(".venv is out of date or unfinished: making it again")
        shutil.rmtree(VENV)
    require_space(ROOT, ENVIRONMENT_GIB, "Free some, or clone the repository to a larger disk.")
    require_space(Path(tempfile.gettempdir()), TEMPORARY_GIB, "Set TMPDIR to a folder on a larger disk.")
    started = time.monotonic()
    create_venv()
    install()
    say(describe_torch())
    STATE.write_text(f"{key(version)}\n{version}\n")
    say(f".venv is ready: Python {version}, {time.monotonic() - started:.0f} s")


def wanted_version() -> str:
    """Of the Python to use: the one asked for; else the one that .venv has, if it is whole; else ours."""
    state = read_state()
    if "PYTHON" not in os.environ and state is not None and state[0] != UNFINISHED:
        return state[1]
    return platform.python_version()


def read_state() -> tuple[str, str] | None:
    """(key or UNFINISHED, Python's version) of .venv, or None where it has no state of ours."""
    if not STATE.is_file():
        return None
    lines = [*STATE.read_text().splitlines(), "", ""]
    return lines[0], lines[1]


def key(version: str) -> str:
    """Of everything that an environment depends on. Its own place counts: its scripts name it."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    tools = pyproject.pop("tool", {})  # of these only setuptools has a say in what is installed
    made_from = [
        version,
        str(ROOT),
        LOCK.read_text(),
        pyproject,
        tools.get("setuptools"),
        Path(__file__).read_text(),
    ]
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()


def create_venv() -> None:
    VENV.mkdir()
    STATE.write_text(UNFINISHED + "\n")
    # Not sys.executable: with .venv activated that would be the very Python that is being replaced.
    python = getattr(sys, "_base_executable", sys.executable)
    made = subprocess.run([python, "-I", "-m", "venv", str(VENV)], capture_output=True, text=True)
    if made.returncode != 0:
        raise SetupError(
            f"{python} cannot make a virtual environment:\n{(made.stdout + made.stderr).strip()}\n"
            "Remedy: on Debian and Ubuntu `sudo apt-get install python3-venv`; else name another Python, "
            "for example `make setup PYTHON=python3.12`"
        )


def install() -> None:
    """torch with what it depends on; then the lock as it stands; then coderl itself, in place."""
    torch = next(line for line in LOCK.read_text().splitlines() if line.startswith("torch=="))
    # pip may resolve torch's dependencies: the CPU build needs a few of the lock, a CUDA build brings its own.
    pip("torch", "--constraint", str(LOCK), torch)
    pip("pinned packages", "--no-deps", "--requirement", str(LOCK))
    pip("coderl", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))


def pip(what: str, *arguments: str) -> None:
    """Run pip with its output in LOG, counting on the screen; explain what went wrong."""
    command = [
        str(VENV / "bin" / "python"),
        "-I",
        "-m",
        "pip",
        "install",
        "--no-input",
        "--no-compile",  # Python does, what is imported: less than half of it
        "--progress-bar",
        "off",
    ]
    environment = os.environ | {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    collected = 0
    process = subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    assert process.stdout is not None
    say(f"installing {what} ...")
    with process, LOG.open("a") as log:
        for line in process.stdout:
            log.write(line)
            if line.startswith(("Collecting", "Obtaining")):
                collected += 1
                progress(f"  {collected} collected")
            elif line.startswith("Installing collected"):
                progress(f"  {collected} collected, unpacking")
    progress("")
    if process.returncode != 0:
        raise SetupError(explain(what, LOG.read_text()))


def explain(what: str, log: str) -> str:
    """What pip's output says, as a remedy."""
    lines = [line for line in log.splitlines() if line.strip() and not line.startswith("WARNING")]
    tail = "\n".join("    " + line for line in lines[-8:])
    if "No space left on device" in log:
        remedy = "the disk is full. Free some space, or set TMPDIR to a folder on a larger disk"
    elif "No matching distribution found" in log and "Failed to establish" not in log:
        remedy = (
            "the package index that pip uses has no such file for this Python. "
            "Another Python may do: `make setup PYTHON=python3.11`"
        )
    elif any(
        sign in log for sign in ("Failed to establish", "Temporary failure in name", "timed out", "SSLError")
    ):
        remedy = "the package index could not be reached. Check the network and `pip config list`"
    else:
        remedy = "see the lines above"
    return f"pip could not install {what}:\n{tail}\n  {remedy}; then `make setup` again. pip's output: {LOG}"


def describe_torch() -> str:
    """One line on the torch that pip chose. The imports prove that it, transformers and vLLM load together."""
    program = (
        "import torch, transformers, vllm; vllm.LLM; "
        "print(torch.__version__, 'for CUDA ' + torch.version.cuda if torch.version.cuda else 'for CPU')"
    )
    ran = subprocess.run([str(VENV / "bin" / "python"), "-c", program], capture_output=True, text=True)
    if ran.returncode != 0:
        raise SetupError(
            f"the environment is installed but torch, transformers and vLLM do not load:\n{ran.stderr.strip()[-2000:]}"
        )
    found = ran.stdout.splitlines()[-1]
    advice = f"; a smaller build for CPU: `make clean` and `{CPU_TORCH}`" if "CUDA" in found else ""
    return f"torch {found}{advice}"


def require_glibc() -> None:
    name, version = platform.libc_ver()
    if name != "glibc" or tuple(map(int, version.split(".")[:2])) < (2, 31):
        raise SetupError(
            f"vLLM's requirements need glibc 2.31 or later; this system has {name or 'another C library'} {version}. "
            "Nothing was changed. Remedy: a distribution of 2020 or later that uses glibc (Alpine does not)"
        )


def require_ours() -> None:
    if VENV.exists() and not STATE.exists():
        raise SetupError(
            f"{VENV} exists and was not made by this set-up, so it is left alone. "
            "Remedy: move it away or remove it, then `make setup` again"
        )


def require_space(folder: Path, gib: float, remedy: str) -> None:
    free = shutil.disk_usage(folder).free / 2**30
    if free < gib:
        raise SetupError(f"{folder} has {free:.1f} GiB free and {gib} GiB are needed. {remedy}")


@contextmanager
def only_one() -> Iterator[None]:
    """Two set-ups at once would overwrite each other; the second waits. A killed one leaves no lock."""
    with (ROOT / ".venv.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is running in this folder; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    print(f"setup: {text}", file=sys.stderr, flush=True)


def progress(text: str) -> None:
    """One line that is overwritten, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
